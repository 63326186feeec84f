"""Scoped transactions: what they see, when they count, and what happens when the server goes away."""

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from kilowatch.accounts.store.organisations import Organisation, list_organisations
from kilowatch.errors import EngineUnavailable
from kilowatch.postgres import migrate
from kilowatch.postgres.engine import Database
from kilowatch.postgres.roles import APP, OWNER, WORKER
from kilowatch.sites.store import create_site, list_sites

if TYPE_CHECKING:
    from tests.conftest import PostgresServer
    from tests.postgres.conftest import OwnServer


async def test_a_scope_commits_at_its_end(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        await create_site(connection, organisation.id, "plant", "Works")
    async with database.scope(organisation.id) as connection:
        assert len((await list_sites(connection)).items) == 2


async def test_a_scope_that_fails_leaves_nothing(database: Database, organisation: Organisation) -> None:
    async def fail() -> None:
        async with database.scope(organisation.id) as connection:
            await create_site(connection, organisation.id, "plant", "Works")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with database.scope(organisation.id) as connection:
        assert len((await list_sites(connection)).items) == 1


async def test_a_scope_ends_with_its_transaction(
    postgres_server: "PostgresServer", database_name: str, organisation: Organisation
) -> None:
    single = Database(postgres_server.url(APP, database_name), pool_size=1)
    async with single.scope(organisation.id) as connection:
        assert [seen.id for seen in await list_organisations(connection)] == [organisation.id]
    async with single.unscoped() as connection:
        assert await list_organisations(connection) == []
    await single.close()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE kilowatch.mine (id integer)",
        "ALTER TABLE kilowatch.sites DISABLE ROW LEVEL SECURITY",
        "DROP POLICY organisation ON kilowatch.sites",
        "TRUNCATE kilowatch.sites",
        f"SET ROLE {OWNER}",
        f"SET ROLE {WORKER}",
        "SELECT * FROM lake.files",
        "UPDATE kilowatch.alembic_version SET version_num = '0'",
    ],
)
async def test_the_application_cannot_widen_its_sight(
    database: Database, organisation: Organisation, statement: str
) -> None:
    with pytest.raises(ProgrammingError):
        async with database.scope(organisation.id) as connection:
            await connection.execute(text(statement))


async def test_an_organisation_can_only_be_written_under_its_own_name(
    database: Database, organisation: Organisation, other_organisation: Organisation
) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with database.scope(organisation.id) as connection:
            await create_site(connection, other_organisation.id, "plant", "Works")


async def test_a_lost_session_is_replaced(
    postgres_server: "PostgresServer", database_name: str, database: Database
) -> None:
    async def lose() -> None:
        async with database.unscoped() as connection:
            end_sessions(postgres_server, database_name)
            await connection.execute(text("SELECT 1"))

    with pytest.raises(EngineUnavailable):
        await lose()
    await database.ping()
    end_sessions(postgres_server, database_name)
    await database.ping()


def end_sessions(server: "PostgresServer", name: str) -> None:
    with psycopg.connect(server.embedded.superuser_url("postgres"), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
        )


async def test_a_server_that_comes_back_is_used_at_once(own_server: "OwnServer") -> None:
    own_server.start()
    migrate.upgrade(own_server.embedded.url(OWNER))
    database = Database(own_server.embedded.url(APP))
    await asyncio.gather(*(database.ping() for _ in range(6)))
    own_server.kill()
    for _ in range(3):
        with pytest.raises(EngineUnavailable):
            await database.ping()
    own_server.start()
    await asyncio.gather(*(database.ping() for _ in range(6)))
    await database.close()


async def test_a_full_pool_is_not_able_now(postgres_server: "PostgresServer", database_name: str) -> None:
    small = Database(postgres_server.url(APP, database_name), pool_size=1)
    async with small.unscoped():
        with pytest.raises(EngineUnavailable):
            await small.ping(0.05)
    await small.ping()
    await small.close()


async def test_a_wrong_statement_is_not_an_absent_server(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.unscoped() as connection:
            await connection.execute(text("SELECT 1 / 0"))


async def test_an_error_tells_no_parameters(database: Database) -> None:
    """It goes to the log, and hashes of passwords and codes are parameters."""
    with pytest.raises(DBAPIError) as wrong:
        async with database.unscoped() as connection:
            await connection.execute(text("SELECT CAST(:hash AS text) / 0"), {"hash": "$argon2id$v=19$x"})
    assert "argon2id" not in str(wrong.value)
