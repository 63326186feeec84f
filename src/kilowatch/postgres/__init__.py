"""PostgreSQL: the embedded server, connections scoped to one organisation, and the schema's migrations."""
