"""Rate limits: of accounts by their plans, and of addresses that show no good key."""
