"""The nouns and verbs of the product, one area a folder."""
