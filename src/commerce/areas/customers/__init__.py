"""Who buys: customers, their addresses and tax numbers."""
