"""Cards as payments know them: what is given, tokens, and methods that are kept."""
