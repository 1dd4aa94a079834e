"""What a connection is made of: the exchanges on it, and the door it came through."""
