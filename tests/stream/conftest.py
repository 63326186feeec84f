"""Real nats-servers of a test's own, which it may kill and start again."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kilowatch.clock import SystemClock
from kilowatch.stream.client import Client
from kilowatch.stream.embedded import EmbeddedNats, MqttListener, choose_port
from kilowatch.stream.issuer import Issuer, make_seed
from kilowatch.stream.logins import Attempt, Grant, Logins
from tests.conftest import wait_until

STORE_BYTES = 1 << 30
MQTT_PASSWORD = "devices-know-this"
ISSUER = Issuer(make_seed(), SystemClock())


class Server:
    """An embedded nats-server with the process that runs it."""

    def __init__(self, folder: Path, *, mqtt: bool = False) -> None:
        listener = MqttListener(choose_port(0, "mqtt"), ISSUER.public_key, "inside") if mqtt else None
        self.embedded = EmbeddedNats(folder / "nats", choose_port(0, "nats"), "inside", STORE_BYTES, listener)
        self.embedded.prepare()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the server and waits until it is ready."""
        command = self.embedded.command()
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.embedded.is_ready, what="a ready nats-server")

    def kill(self) -> None:
        """Ends the server as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The log's server."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def mqtt_server(tmp_path: Path) -> Iterator[Server]:
    """The devices' server."""
    server = Server(tmp_path, mqtt=True)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    """A connection to the log's server."""
    client = await Client.connect(server.embedded.url, name="test")
    yield client
    await client.close()


@pytest.fixture
async def logins(mqtt_server: Server) -> AsyncIterator[Logins]:
    """Lets in whoever knows the password, to publish for all devices of organisation `demo`."""

    async def decide(attempt: Attempt) -> Grant | None:
        known = attempt.password == MQTT_PASSWORD
        return Grant(f"{attempt.user} granted", ("demo.devices.*.telemetry",)) if known else None

    system = await Client.connect(mqtt_server.embedded.system_url, name="test")
    logins = Logins(system, ISSUER)
    await logins.serve(decide)
    yield logins
    await logins.stop()
    await system.close()
