"""What is counted while the server runs: numbers that its processes share, and their names."""
