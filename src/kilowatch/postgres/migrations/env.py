"""Runs the steps on the connection that `kilowatch.postgres.migrate` opened, inside one transaction."""

from alembic import context

from kilowatch.postgres.migrate import compared
from kilowatch.postgres.schema import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    include_name=compared,
)
with context.begin_transaction():
    context.run_migrations()
