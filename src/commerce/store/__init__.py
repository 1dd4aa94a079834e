"""Where rows are kept: PostgreSQL, or memory with the same interface."""
