"""The worker's engines: one PostgreSQL and one nats-server a module; database, log and lake per test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kilowatch.lake.connection import LakePlace, prepare_lake
from kilowatch.postgres import migrate
from kilowatch.postgres.engine import Database
from kilowatch.postgres.roles import APP, LAKE, OWNER, libpq_keywords
from kilowatch.settings import load_settings
from kilowatch.stream.client import ApiError, Client
from kilowatch.stream.log import NOT_FOUND_CODES, STREAM, Log
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from kilowatch.worker.upkeep import Upkeep
from tests.conftest import TEMPLATE
from tests.stream.conftest import Server as NatsServer
from tests.worker.house import (
    LOG_BYTES,
    House,
    PostgresProcess,
    copy_of,
    make_organisation,
    until,
    worker_url,
)

STORE_NOT_MADE = 10049
"""What a nats-server says that cannot make the files of a stream."""


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresProcess]:
    """A migrated PostgreSQL that may be stopped."""
    server = PostgresProcess(tmp_path_factory.mktemp("postgres"))
    server.start()
    migrate.upgrade(server.embedded.url(OWNER))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def own_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A nats-server that may be killed."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


async def has_log(client: Client) -> bool:
    """Whether there is a new log now: the files of the deleted one may still be on their way out."""
    try:
        await Log(client).ensure(max_bytes=LOG_BYTES)
    except ApiError as error:
        if error.code != STORE_NOT_MADE:
            raise
        return False
    return True


@pytest.fixture
async def house(own_postgres: PostgresProcess, own_nats: NatsServer, tmp_path: Path) -> AsyncIterator[House]:
    """A new house with everything at work but the worker."""
    name = copy_of(own_postgres, TEMPLATE)
    catalog = libpq_keywords(own_postgres.embedded.url(LAKE, name))
    place = LakePlace(catalog, str(tmp_path / "lake"), memory_mb=512)
    prepare_lake(place)
    database = Database(own_postgres.embedded.url(APP, name))
    client = await Client.connect(own_nats.embedded.url, name="test")
    for stream in (STREAM, "POISON"):
        try:
            await client.request_json(f"$JS.API.STREAM.DELETE.{stream}", {})
        except ApiError as error:
            if error.code not in NOT_FOUND_CODES:
                raise
    await until(lambda: has_log(client), "a log in the place of the one before")
    house = House(
        own_postgres,
        own_nats,
        place,
        worker_url(own_postgres, name),
        database,
        client,
        await make_organisation(database),
        load_settings(data=tmp_path, commit_s=0.05),
    )
    yield house
    house.reader.close()
    await client.close()
    await database.close()


@pytest.fixture
async def jobs(house: House) -> AsyncIterator[Upkeep]:
    """The house's jobs."""
    database = Database(house.worker_url)
    yield Upkeep(house.place, house.worker_url, database, house.client, house.settings, house.clock)
    await database.close()


@pytest.fixture
async def events(house: House) -> AsyncIterator[list[LiveEvent]]:
    """What is told live of alerts."""
    heard: list[LiveEvent] = []
    listening = await house.client.subscribe(
        EVENTS_SUBJECT, lambda _, message: heard.append(LiveEvent.decode(message))
    )
    yield heard
    await listening.stop()
