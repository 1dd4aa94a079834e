"""What orders hold, and what that comes to."""
