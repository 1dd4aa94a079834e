"""What happened: events."""
