"""What a noun, a verb, a list and an example are."""
