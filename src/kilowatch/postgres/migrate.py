"""Brings a database to a revision of the schema, forward or back.

Keeps true: one migrator at a time (an advisory lock of the database), all steps or none (one transaction),
and no step waits long for a lock that a running installation holds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from kilowatch.errors import EngineUnavailable, StartRefused
from kilowatch.postgres.engine import is_unavailable
from kilowatch.postgres.roles import LAKE, TAKEN_ROLES, sqlalchemy_url
from kilowatch.postgres.schema import SCHEMA, metadata

LOCK = 4_915_062_016
"""Number of the advisory lock; any would do, as long as it stays."""
OTHER_MIGRATOR_WAIT = "120s"
STEP_LOCK_WAIT = "5s"

LET_THE_LAKE_UPDATE = f"""DO $$ BEGIN
    IF NOT has_database_privilege('{LAKE}', current_database(), 'TEMPORARY') THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO {LAKE}', current_database());
    END IF;
END $$"""
"""DuckDB changes rows of the catalog by way of a temporary table."""


def upgrade(url: str, revision: str = "head") -> str | None:
    """Goes forward to `revision` and returns the one reached; harmless when already there.

    Raises:
        StartRefused: if the login's rights do not suffice, or the database is newer than this program.
        EngineUnavailable: if the database does not answer.
    """
    with _sole_migrator(url) as connection:
        _ensure_roles(connection)
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        connection.commit()
        _refuse_unknown(connection)
        command.upgrade(_config(connection), revision)
        connection.execute(text(LET_THE_LAKE_UPDATE))
        connection.commit()
        return _revision(connection)


def downgrade(url: str, revision: str) -> str | None:
    """Goes back to `revision` (`base` is empty) and returns the one reached."""
    with _sole_migrator(url) as connection:
        command.downgrade(_config(connection), revision)
        connection.commit()
        return _revision(connection)


def current_revision(url: str) -> str | None:
    """The revision that the database is at; None when it is empty."""
    with _connected(url) as connection:
        return _revision(connection)


def newest_revision() -> str | None:
    """The revision that this program needs."""
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def differences(url: str) -> list[Any]:
    """What the tables in the code and in the database differ in; empty when they agree. Only tables whose
    modules are imported count as being in the code."""
    with _connected(url) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "target_metadata": metadata,
                "version_table_schema": SCHEMA,
                "include_schemas": True,
                "include_name": compared,
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        return list(compare_metadata(context, metadata))


def compared(name: str | None, kind: str, _parents: Any) -> bool:
    """Only our own schema is compared; jobs and the lake's catalog have owners of their own."""
    return kind != "schema" or name == SCHEMA


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(sqlalchemy_url(url), poolclass=NullPool, connect_args={"connect_timeout": 10})
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if is_unavailable(error):
            raise EngineUnavailable(f"PostgreSQL does not answer now: {error}") from error
        raise
    finally:
        engine.dispose()


@contextmanager
def _sole_migrator(url: str) -> Iterator[Connection]:
    """A connection that holds the lock; closing it gives the lock back, whatever happened."""
    with _connected(url) as connection:
        connection.execute(text(f"SET lock_timeout = '{OTHER_MIGRATOR_WAIT}'"))
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        connection.execute(text(f"SET lock_timeout = '{STEP_LOCK_WAIT}'"))
        connection.commit()
        yield connection


def _ensure_roles(connection: Connection) -> None:
    """Makes the roles that are missing, without a login, and lets this login act as each of them."""
    for role in TAKEN_ROLES:
        try:
            connection.execute(text(_role_statement(role)))
            connection.commit()
        except DBAPIError as error:
            connection.rollback()
            raise StartRefused(
                f"This PostgreSQL login may not make or take on the role {role} ({error.orig}). "
                f"Let an administrator run: CREATE ROLE {role}; GRANT {role} TO <login>;"
            ) from error


def _role_statement(role: str) -> str:
    """Roles belong to the whole server, so another database's migrator may make the same one meanwhile."""
    return f"""DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
            BEGIN
                CREATE ROLE {role};
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
            END;
        END IF;
        IF NOT pg_has_role(current_user, '{role}', 'USAGE') THEN
            EXECUTE format('GRANT {role} TO %I', current_user);
        END IF;
    END $$"""


def _refuse_unknown(connection: Connection) -> None:
    """A database that a newer program migrated is left alone."""
    at = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(_config(None)).walk_revisions()}
    if at is not None and at not in known:
        raise StartRefused(
            f"The database is at revision {at}, which this version does not know. Install a newer Kilowatch."
        )


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    return context.get_current_revision()


def _config(connection: Connection | None) -> Config:
    config = Config()
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
