"""Disputes: what a cardholder takes back, and how its payee answers that."""
