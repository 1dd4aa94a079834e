"""What an account holds in each currency, how it came to that, and how it leaves for a bank."""
