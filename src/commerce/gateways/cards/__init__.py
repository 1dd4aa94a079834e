"""Cards: the interface of a processor, a test one, and Stripe."""
