"""Double-entry bookkeeping: accounts, postings that cannot be unbalanced, and their audit."""
