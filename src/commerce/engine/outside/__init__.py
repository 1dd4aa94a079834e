"""What is asked of somebody outside, between two commits."""
