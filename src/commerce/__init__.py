"""Commerce Network: a Stripe-shaped JSON API over a double-entry ledger."""

__version__ = "0.1.0"
