"""The journey of a request, from the socket to a verb and back."""
