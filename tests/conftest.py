"""The real engines for tests: one embedded PostgreSQL a run (or xdist worker), one database a test module.

The server is started on first use and stopped at the end; a module's database is a copy of a migrated
template. Tests of one module share it and make organisations of their own.
"""

import functools
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
import structlog
from httpx import create_ssl_context
from httpx._transports import default as httpx_default

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.ids import new_id
from kilowatch.postgres import migrate
from kilowatch.postgres.embedded import EmbeddedPostgres
from kilowatch.postgres.engine import Database
from kilowatch.postgres.roles import APP, OWNER, WORKER, Role
from kilowatch.sites.store import create_organisation_with_home

READY_WITHIN_S = 30.0
TEMPLATE = "kilowatch"

# Drawn tracebacks take seconds of the event loop, in which logins and connections run into their deadlines.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# Every HTTP client would read all root certificates of the world, 25 ms each, and talks to this machine only.
httpx_default.create_ssl_context = functools.cache(create_ssl_context)  # type: ignore[attr-defined]


def wait_until(
    condition: Callable[[], bool], within_s: float = READY_WITHIN_S, what: str = "the condition"
) -> None:
    """Returns once the condition holds; fails the test when it does not within the deadline."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {within_s} s")
        time.sleep(0.005)


@dataclass(frozen=True)
class PostgresServer:
    """A running embedded server and its migrated template database."""

    embedded: EmbeddedPostgres

    def url(self, role: Role, database: str = TEMPLATE) -> str:
        return self.embedded.url(role, database)

    def make_database(self, template: str = TEMPLATE) -> str:
        """A new database, a copy of `template` (`template1` for an empty one); its name."""
        name = f"test_{new_id().hex}"
        with psycopg.connect(self.embedded.superuser_url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" OWNER {OWNER}'.encode())
        return name


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The run's PostgreSQL, migrated."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    embedded.prepare()
    command = embedded.command()
    with open(embedded.folder / "start.log", "wb") as log:
        # Tests kill processes, never the machine, and what a process wrote outlives it without a sync, too.
        argv = [*command.argv, "-c", "fsync=off"]
        process = subprocess.Popen(argv, stdout=log, stderr=log, **command.options)
    try:
        wait_until(lambda: embedded.is_ready() or process.poll() is not None, what="a ready PostgreSQL")
        migrate.upgrade(embedded.url(OWNER))
        yield PostgresServer(embedded)
    finally:
        process.send_signal(EmbeddedPostgres.STOP_SIGNAL)
        process.wait(READY_WITHIN_S)
        if embedded.socket_folder.parent != embedded.home:
            embedded.socket_folder.rmdir()


@pytest.fixture(scope="module")
def database_name(postgres_server: PostgresServer) -> str:
    """The module's own migrated database."""
    return postgres_server.make_database()


@pytest.fixture
async def database(postgres_server: PostgresServer, database_name: str) -> AsyncIterator[Database]:
    """The module's database as the server and the doors see it (role kilowatch_app)."""
    opened = Database(postgres_server.url(APP, database_name))
    yield opened
    await opened.close()


@pytest.fixture
async def worker_database(postgres_server: PostgresServer, database_name: str) -> AsyncIterator[Database]:
    """The module's database as the worker and jobs see it (role kilowatch_worker)."""
    opened = Database(postgres_server.url(WORKER, database_name))
    yield opened
    await opened.close()


@pytest.fixture
def new_organisation(database: Database) -> Callable[[], Awaitable[Organisation]]:
    """Makes an organisation with its default home, as often as it is called."""

    async def make() -> Organisation:
        organisation_id = new_id()
        async with database.scope(organisation_id) as connection:
            slug = f"org-{organisation_id.hex[:12]}"
            made, _ = await create_organisation_with_home(connection, organisation_id, slug, "Test")
        return made

    return make


@pytest.fixture
async def organisation(new_organisation: Callable[[], Awaitable[Organisation]]) -> Organisation:
    """An organisation of this test's own."""
    return await new_organisation()


@pytest.fixture
async def other_organisation(new_organisation: Callable[[], Awaitable[Organisation]]) -> Organisation:
    """Somebody else's organisation, which must see nothing of `organisation`."""
    return await new_organisation()
