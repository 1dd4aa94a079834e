"""Orders: what was bought, from the first item to the last refund."""
