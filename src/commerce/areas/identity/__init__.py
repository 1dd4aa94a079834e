"""Who is who: accounts and their API keys."""
