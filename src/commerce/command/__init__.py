"""What an operator does on the command line, beside a running server."""
