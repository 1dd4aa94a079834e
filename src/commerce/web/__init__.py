"""The pages that people read: the reference, the guides, the table of errors."""
