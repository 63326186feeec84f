"""A command from the operator's request to the device's hand and back: over HTTP, MQTT with the device's own
token, and the live feed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from kilowatch.accounts.store.device_tokens import make_device_token
from kilowatch.clock import SystemClock
from kilowatch.control.lifecycle import ENDS
from kilowatch.ingest.logins import MqttLogins
from kilowatch.postgres.engine import Database
from kilowatch.postgres.roles import WORKER
from kilowatch.simulator.pretend.device import PretendDevice
from kilowatch.simulator.pretend.wire import Login, play
from kilowatch.stream.client import Client
from kilowatch.stream.commands import CommandWire
from kilowatch.stream.embedded import MqttListener, choose_port
from kilowatch.stream.logins import Logins
from kilowatch.stream.mqtt import MqttInbox
from kilowatch.worker.dispatcher import Dispatcher
from tests.conftest import PostgresServer
from tests.ingest.conftest import INBOX_BYTES, ISSUER, NatsServer
from tests.server.conftest import House, Listener, Member

WITHIN_S = 20.0


@pytest.fixture(scope="module")
def mqtt_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The module's MQTT server."""
    listener = MqttListener(choose_port(0, "mqtt_port"), ISSUER.public_key, "inside")
    server = NatsServer(tmp_path_factory.mktemp("mqtt"), listener)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def sending(
    mqtt_server: NatsServer,
    stream: Client,
    database: Database,
    worker_database: Database,
    postgres_server: PostgresServer,
    database_name: str,
) -> AsyncIterator[None]:
    """Logins are decided, and commands are sent."""
    clock = SystemClock()
    inside = await Client.connect(mqtt_server.url, name="test")
    await MqttInbox.ensure(inside, max_bytes=INBOX_BYTES)
    await CommandWire.ensure(inside)
    system = await Client.connect(mqtt_server.embedded.system_url, name="test")
    logins = MqttLogins(Logins(system, ISSUER), database, stream, clock)
    await logins.start()
    url = postgres_server.url(WORKER, database_name)
    stop = asyncio.Event()
    dispatcher = Dispatcher(url, mqtt_server.url, worker_database, stream, clock)
    running = asyncio.create_task(dispatcher.run(stop))
    yield
    stop.set()
    await asyncio.wait_for(running, WITHIN_S)
    await logins.stop()
    await system.close()
    await inside.close()


@contextlib.asynccontextmanager
async def plugged_in(
    mqtt_server: NatsServer, house: House, member: Member, device: PretendDevice
) -> AsyncIterator[None]:
    """D1, logged in with a token of its own."""
    async with house.database.scope(member.organisation.id) as connection:
        token, _ = await make_device_token(connection, "D1")
    user = f"{member.organisation.slug}/D1"
    ready = asyncio.Event()
    login = Login("127.0.0.1", mqtt_server.mqtt_port, user, token, user)
    playing = asyncio.create_task(play(login, {"D1": device}, ready))
    await asyncio.wait_for(ready.wait(), WITHIN_S)
    yield
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)


async def hear_end(listener: Listener) -> list[tuple[str, str]]:
    """Topic and status or state of what is told, up to the news of the device."""
    told: list[tuple[str, str]] = []
    while not told or told[-1][0] != "devices.D1":
        heard = await listener.hear_messages(1)
        told += [(one["topic"], one["data"].get("status") or one["data"].get("state")) for one in heard]
    return told


@pytest.mark.usefixtures("sending")
async def test_a_kettle_is_switched_off(
    http: httpx.AsyncClient, house: House, member: Member, mqtt_server: NatsServer
) -> None:
    kettle = PretendDevice()
    control = member.bearer("admin")
    async with plugged_in(mqtt_server, house, member, kettle), house.listen(member) as listener:
        await listener.subscribe("commands", "devices.D1")
        await listener.say(type="ping")
        await listener.hear_until("pong")
        wanted = {"name": "set_state", "arguments": {"state": "off"}}
        answer = await http.post("/api/v1/devices/D1/commands", json=wanted, headers=control)
        assert answer.status_code == 202
        told = await asyncio.wait_for(hear_end(listener), WITHIN_S)
    assert sorted(told[:-1]) == [
        ("commands", "processing"),
        ("commands", "queued"),
        ("commands", "succeeded"),
    ]
    assert told[-1] == ("devices.D1", "off")
    command = (await http.get(f"/api/v1/commands/{answer.json()['id']}", headers=control)).json()
    assert (command["status"], command["detail"]) == ("succeeded", "I am off now.")
    assert command["tries"] >= 1
    assert (await http.get("/api/v1/devices/D1", headers=control)).json()["state"] == "off" == kettle.state


@pytest.mark.usefixtures("sending")
async def test_what_a_device_refuses_fails_and_its_state_stays(
    http: httpx.AsyncClient, house: House, member: Member, mqtt_server: NatsServer
) -> None:
    control = member.bearer("admin")
    async with plugged_in(mqtt_server, house, member, PretendDevice("refusing")):
        answer = await http.post("/api/v1/devices/D1/commands", json={"name": "toggle"}, headers=control)
        command = {"status": "queued"}
        async with asyncio.timeout(WITHIN_S):
            while command["status"] not in ENDS:
                path = f"/api/v1/commands/{answer.json()['id']}"
                command = (await http.get(path, headers=control)).json()
    assert (command["status"], command["detail"]) == ("failed", "I would rather not.")
    assert (await http.get("/api/v1/devices/D1", headers=control)).json()["state"] == "on"
