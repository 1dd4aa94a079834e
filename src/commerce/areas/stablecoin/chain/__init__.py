"""What is public of the ledger: its blocks, and the proofs that lead to them."""
