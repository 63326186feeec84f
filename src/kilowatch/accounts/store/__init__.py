"""What people, keys and organisations are in PostgreSQL."""
