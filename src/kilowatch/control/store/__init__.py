"""Commands in PostgreSQL."""
