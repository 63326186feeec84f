"""The schema's history: `env` runs it, `versions` are its steps. See `kilowatch.postgres.migrate`."""
