"""Payments: money from a payer to an account, and back."""
