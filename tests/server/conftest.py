"""A whole server over real engines: PostgreSQL, a nats-server, the lake, and uvicorn on a port of its own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from kilowatch.accounts.mail import FolderMail
from kilowatch.accounts.store.api_keys import create_api_key
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import SystemClock
from kilowatch.lake.connection import LakePlace, prepare_lake
from kilowatch.lake.reading import LakeReader
from kilowatch.lake.writing import LakeWriter
from kilowatch.postgres.engine import Database
from kilowatch.postgres.roles import LAKE
from kilowatch.server import health
from kilowatch.server.app import Application, Parts, create_app
from kilowatch.server.limits import Rates
from kilowatch.server.live.client import Pace
from kilowatch.server.run import Server, make_server
from kilowatch.simulator.stage.desk import make_desk
from kilowatch.simulator.stage.program import Program
from kilowatch.sites.store import register_devices
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log
from kilowatch.telemetry.store import ensure_metrics
from kilowatch.wire.frame import Frame
from kilowatch.wire.live import VALUES_SUBJECT, newest_per_series
from tests.conftest import PostgresServer
from tests.ingest.conftest import LOG_BYTES, NatsServer
from tests.ingest.conftest import until as answered
from tests.server.persons import TOKENS, Person, make_person

WITHIN_S = 10.0
PAGE = "<!doctype html><title>Kilowatch</title>"


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The module's nats-server."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def lake_place(
    postgres_server: PostgresServer, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> LakePlace:
    """The module's own lake, prepared."""
    catalog = postgres_server.url(LAKE, database_name)
    place = LakePlace(catalog, str(tmp_path_factory.mktemp("lake")), memory_mb=256)
    prepare_lake(place)
    return place


@pytest.fixture(scope="module")
def lake(lake_place: LakePlace) -> Iterator[LakeReader]:
    """Reads the module's lake."""
    reader = LakeReader(lake_place)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def lake_writer(lake_place: LakePlace) -> Iterator[LakeWriter]:
    """Writes the module's lake."""
    writer = LakeWriter(lake_place)
    yield writer
    writer.close()


@dataclass
class Member:
    """An organisation with its keys, devices (`D1`, `D2`) and metrics, as numbers."""

    organisation: Organisation
    keys: dict[str, str]
    devices: dict[str, int]
    metrics: dict[str, int]

    def bearer(self, scope: str = "read") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[scope]}"}


async def make_member(database: Database, organisation: Organisation) -> Member:
    """The organisation with what tests need."""
    async with database.scope(organisation.id) as connection:
        keys = {
            name: (await create_api_key(connection, organisation.id, name, scopes))[1]
            for name, scopes in (
                ("read", ["read"]),
                ("admin", ["read", "control", "admin"]),
                ("ingest", ["ingest"]),
            )
        }
        devices = await register_devices(connection, organisation.id, ["D1", "D2"])
        metrics = await ensure_metrics(
            connection, organisation.id, ["power", "voltage", "energy", "state", "temperature"]
        )
    return Member(organisation, keys, devices, {name: one.metric_no for name, one in metrics.items()})


@pytest.fixture
async def member(database: Database, organisation: Organisation) -> Member:
    """The caller's organisation."""
    return await make_member(database, organisation)


@pytest.fixture
async def stranger(database: Database, other_organisation: Organisation) -> Member:
    """Somebody else's organisation, with devices of the same ids."""
    return await make_member(database, other_organisation)


@dataclass
class Listener:
    """A WebSocket client that keeps what it was told."""

    socket: ClientConnection
    told: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, **message: Any) -> None:
        await self.socket.send(msgspec.json.encode(message).decode())

    async def subscribe(self, *topics: str, **more: Any) -> None:
        await self.say(type="subscribe", topics=list(topics), **more)

    async def hear(self) -> dict[str, Any]:
        """The next server message."""
        async with asyncio.timeout(WITHIN_S):
            message = msgspec.json.decode(await self.socket.recv())
        self.told.append(message)
        return dict(message)

    async def hear_messages(self, count: int) -> list[dict[str, Any]]:
        """The next `count` messages out of batches (more if the last batch has more)."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            message = await self.hear()
            if message["type"] == "batch":
                found += message["messages"]
        return found

    async def hear_until(self, kind: str) -> dict[str, Any]:
        """The next server message of this type."""
        while (message := await self.hear())["type"] != kind:
            pass
        return message

    @property
    def cursor(self) -> str:
        return str(next(message["cursor"] for message in reversed(self.told) if "cursor" in message))


@dataclass
class House:
    """A running server and its parts."""

    application: Application
    server: Server
    stream: Client
    database: Database
    port: int
    serving: asyncio.Task[None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def listen(self, member: Member | None, query: str = "", **headers: str) -> AsyncIterator[Listener]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        credentials = member.bearer() if member else {}
        url = f"ws://127.0.0.1:{self.port}/api/v1/live{query}"
        async with connect(url, additional_headers=credentials | named, compression=None) as socket_:
            yield Listener(socket_)

    async def publish(self, member: Member, device: str, ts_us: int, **values: float) -> None:
        """One reading on the live subject, as the worker sends it."""
        await self.publish_frame(
            Frame(
                np.array([member.devices[device]], dtype=np.int32),
                np.array([ts_us], dtype=np.int64),
                np.array([1], dtype=np.int32),
                {member.metrics[name]: np.array([value]) for name, value in values.items()},
            )
        )

    async def publish_frame(self, frame: Frame) -> None:
        await self.stream.publish(VALUES_SUBJECT, newest_per_series(frame).encode())
        await self.stream.flush()


@contextlib.asynccontextmanager
async def open_house(parts: Parts, stream: Client, port: int = 0, **serving: float) -> AsyncIterator[House]:
    """Serves the application on this port, or a free one, until the end."""
    application = create_app(parts)
    # Named, or asyncio does not know that small answers are not to wait for the last one's receipt.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        port = listening.getsockname()[1]
        server = make_server(application.app, application.stop, **serving)  # type: ignore[arg-type]
        task = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started or task.done())
        try:
            yield House(application, server, stream, parts.database, port, task)
        finally:
            server.should_exit = True
            await task


async def until(condition: Any, within_s: float = WITHIN_S) -> None:
    """Returns once the condition holds; fails after the deadline."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # what is waited for knows no event
            await asyncio.sleep(0.005)


@pytest.fixture
async def stream(nats_server: NatsServer) -> AsyncIterator[Client]:
    """A connection to the module's nats-server, with the log in place."""
    connection = await Client.connect(nats_server.url, name="test")
    await Log(connection).ensure(max_bytes=LOG_BYTES)
    yield connection
    await connection.close()


@pytest.fixture
def parts(database: Database, lake: LakeReader, stream: Client, tmp_path: Path) -> Parts:
    """What the server under test is made of; tests may change it before they use `house`."""
    (tmp_path / "index.html").write_text(PAGE)
    clock = SystemClock()
    return Parts(
        database=database,
        lake=lake,
        stream=stream,
        clock=clock,
        mail=FolderMail(tmp_path / "mail", "Kilowatch <kilowatch@localhost>"),
        probes={
            "postgres": health.probe_postgres(database),
            "lake": health.probe_lake(lake),
            "log": health.probe_log(Log(stream), clock, 60.0),
            "disk": health.probe_disk(tmp_path, 100.0),
        },
        page=tmp_path,
        pace=Pace(ping_s=30.0),
        rates=Rates(0, 0, 0),
    )


@pytest.fixture
async def house(parts: Parts, stream: Client) -> AsyncIterator[House]:
    """A running server."""
    async with open_house(parts, stream) as opened:
        yield opened


@pytest.fixture
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running server without credentials."""
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as client:
        yield client


@pytest.fixture
async def worlds(house: House, parts: Parts, member: Member, http: httpx.AsyncClient) -> AsyncIterator[None]:
    """The simulator, which plays the worlds that are shipped for whoever asks."""
    program = Program(house.url, parts.simulator_key, make_desk, SystemClock())
    playing = asyncio.create_task(program.run())

    async def is_connected() -> bool:
        asked = await http.get("/api/v1/simulation/worlds", headers=member.bearer())
        return asked.status_code == 200

    try:
        await answered(is_connected, "the simulator's connection")
        yield
    finally:
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing


@pytest.fixture
def tokens(parts: Parts) -> None:
    """The house reads the tokens of people that tests make."""
    parts.tokens = TOKENS


@pytest.fixture
async def ada(house: House, database: Database) -> Person:
    """Somebody with a home of their own."""
    return await make_person(database)


@pytest.fixture
async def ben(house: House, database: Database) -> Person:
    """Somebody else."""
    return await make_person(database)
