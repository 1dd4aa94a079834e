"""Who is asked outside: an interface for each kind of them, and those who speak it."""
