"""The doors over real engines: PostgreSQL, a nats-server of the module's own, an HTTP client in front."""

import asyncio
import contextlib
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import msgspec
import pytest

from kilowatch.accounts.store.api_keys import create_api_key
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import SystemClock
from kilowatch.ingest.doors import Doors, create_doors
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings, load_settings
from kilowatch.sites.store import register_devices
from kilowatch.stream.client import Client
from kilowatch.stream.embedded import EmbeddedNats, MqttListener, choose_port
from kilowatch.stream.issuer import Issuer, make_seed
from kilowatch.stream.log import Log, LogMessage
from kilowatch.stream.logins import Attempt, Grant, Logins
from kilowatch.stream.mqtt import MqttInbox
from kilowatch.telemetry.dead_letter import DeadLetter
from kilowatch.telemetry.store.letters import list_dead_letters
from kilowatch.wire.frame import Frame
from tests.conftest import wait_until

STORE_BYTES = 1 << 30
LOG_BYTES = 256 << 20
WITHIN_S = 20.0
INBOX_BYTES = 64 << 20
PASSWORD = "outside"
ISSUER = Issuer(make_seed(), SystemClock())


class NatsServer:
    """A nats-server that tests may kill and start again; the log's, or with `mqtt` the devices'."""

    def __init__(self, folder: Path, mqtt: MqttListener | None = None) -> None:
        self.embedded = EmbeddedNats(folder, choose_port(0, "port"), "inside", STORE_BYTES, mqtt)
        self.embedded.prepare()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.embedded.url

    @property
    def mqtt_port(self) -> int:
        assert self.embedded.mqtt is not None
        return self.embedded.mqtt.port

    def start(self) -> None:
        command = self.embedded.command()
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.embedded.is_ready, what="a ready nats-server")

    def kill(self) -> None:
        """Ends the server at once, as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The module's nats-server."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def mqtt_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The module's MQTT server."""
    listener = MqttListener(choose_port(0, "mqtt_port"), ISSUER.public_key, "inside")
    server = NatsServer(tmp_path_factory.mktemp("mqtt"), listener)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def inbox_client(mqtt_server: NatsServer) -> AsyncIterator[Client]:
    """A connection to the MQTT server, its inbox empty."""
    connection = await Client.connect(mqtt_server.url, name="test")
    await MqttInbox.ensure(connection, max_bytes=INBOX_BYTES)
    await connection.request_json("$JS.API.STREAM.PURGE.$MQTT_msgs", {})
    yield connection
    await connection.close()


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """A connection to the module's nats-server, with the log in place and empty."""
    connection = await Client.connect(nats_server.url, name="test")
    await Log(connection).ensure(max_bytes=LOG_BYTES)
    await connection.request_json("$JS.API.STREAM.PURGE.READINGS", {})
    yield connection
    await connection.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of the doors under test; tests that need others build their own."""
    return load_settings(data=tmp_path)


@pytest.fixture
async def doors(settings: Settings, database: Database, client: Client) -> AsyncIterator[Doors]:
    """Doors without the MQTT one."""
    opened = create_doors(settings, SystemClock(), database, client)
    await opened.start()
    yield opened
    await opened.stop()


@dataclass(frozen=True)
class Sender:
    """Somebody who sends readings with one key."""

    http: httpx.AsyncClient
    organisation: Organisation
    database: Database
    secret: str

    async def post(self, content: bytes, path: str = "/api/v1/readings", **headers: str) -> httpx.Response:
        """A POST with this sender's key; `x_request_id` becomes `X-Request-Id`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(
            path, content=content, headers={"authorization": f"Bearer {self.secret}"} | named
        )

    async def send(self, readings: Any, path: str = "/api/v1/readings", **headers: str) -> httpx.Response:
        """The same with a JSON document."""
        return await self.post(msgspec.json.encode(readings), path, **headers)

    async def letters(self) -> list[DeadLetter]:
        """The organisation's dead letters, newest first."""
        async with self.database.scope(self.organisation.id) as connection:
            return (await list_dead_letters(connection, 500)).items


def http_client(doors: Doors) -> httpx.AsyncClient:
    """A client of doors in this process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=doors), base_url="http://doors")


async def make_key(
    database: Database, organisation: Organisation, scopes: tuple[str, ...] = ("ingest",), auto: bool = False
) -> str:
    """The secret of a new key."""
    async with database.scope(organisation.id) as connection:
        return (await create_api_key(connection, organisation.id, "test", scopes, auto))[1]


@pytest.fixture
async def sender(doors: Doors, database: Database, organisation: Organisation) -> AsyncIterator[Sender]:
    """A sender whose organisation has the devices D1 and D2 and whose key may not make others."""
    async with database.scope(organisation.id) as connection:
        await register_devices(connection, organisation.id, ["D1", "D2"])
    secret = await make_key(database, organisation)
    async with http_client(doors) as http:
        yield Sender(http, organisation, database, secret)


@pytest.fixture
async def registrar(doors: Doors, database: Database, organisation: Organisation) -> AsyncIterator[Sender]:
    """A sender whose key makes the devices that it names."""
    secret = await make_key(database, organisation, auto=True)
    async with http_client(doors) as http:
        yield Sender(http, organisation, database, secret)


@pytest.fixture
async def other_sender(
    doors: Doors, database: Database, other_organisation: Organisation
) -> AsyncIterator[Sender]:
    """Somebody else's sender, with devices of the same names."""
    async with database.scope(other_organisation.id) as connection:
        await register_devices(connection, other_organisation.id, ["D1", "D2"])
    secret = await make_key(database, other_organisation)
    async with http_client(doors) as http:
        yield Sender(http, other_organisation, database, secret)


async def until(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = WITHIN_S) -> None:
    """Returns once the condition holds; other tasks run meanwhile."""
    deadline = time.monotonic() + within_s
    while not await condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {within_s} s")
        await asyncio.to_thread(wait_a_moment)


async def holds(condition: Callable[[], bool], what: str) -> None:
    """The same for a condition that is seen at once."""

    async def seen() -> bool:
        return condition()

    await until(seen, what)


def wait_a_moment() -> None:
    """Leaves the processor to others, so that looking again is no busy loop."""
    threading.Event().wait(0.002)


async def logged(client: Client, partition: int = 0) -> list[Frame]:
    """All frames that are in the log now; they stay there."""
    return [Frame.decode(message.data) for message in await logged_messages(client, partition)]


async def logged_messages(client: Client, partition: int = 0) -> list[LogMessage]:
    """All messages of a partition."""
    reader = await Log(client).open_partition(partition)
    messages: list[LogMessage] = []
    while (await reader.pending()) > len(messages):
        messages += await reader.fetch(1000, 1.0)
    await reader.close()
    return messages


@contextlib.asynccontextmanager
async def device(server: NatsServer) -> AsyncIterator[aiomqtt.Client]:
    """A device's connection; every login is let in."""
    system = await Client.connect(server.embedded.system_url, name="test")
    logins = Logins(system, ISSUER)
    await logins.serve(let_in)
    try:
        async with aiomqtt.Client("127.0.0.1", server.mqtt_port, username="any", password=PASSWORD) as opened:
            yield opened
    finally:
        await logins.stop()
        await system.close()


async def let_in(attempt: Attempt) -> Grant | None:
    """Lets whoever knows the password publish for every organisation."""
    return Grant("any", ("*.devices.*.telemetry",)) if attempt.password == PASSWORD else None
