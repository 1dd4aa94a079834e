"""Runs verbs in batches: load, run, write, commit; one batch is one transaction."""
