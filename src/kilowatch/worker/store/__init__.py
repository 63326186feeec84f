"""What the worker asks of PostgreSQL, over all organisations."""
