"""ssUSD: reserves, issues, transfers, redemptions, balances."""
