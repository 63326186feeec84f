"""The figures for Prometheus: every one is set somewhere, and each door's readings show."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from fastapi import FastAPI
from prometheus_client import Metric

import kilowatch
from kilowatch.clock import SystemClock
from kilowatch.errors import EngineUnavailable
from kilowatch.ingest.doors import Doors, create_doors
from kilowatch.ingest.pressure import Brake, probe_log
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.server import health
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log
from kilowatch.stream.mqtt import MqttInbox
from tests.ingest.conftest import NatsServer, Sender, device, until
from tests.ingest.test_doors import reading


@pytest.fixture
async def inbox(mqtt_server: NatsServer, inbox_client: Client) -> MqttInbox:
    """The inbox that the doors empty; they close it."""
    return MqttInbox(mqtt_server.url, "test", SystemClock())


@pytest.fixture
async def doors(
    settings: Settings, database: Database, client: Client, inbox: MqttInbox
) -> AsyncIterator[Doors]:
    """Doors with the MQTT one and the routes of health behind them."""
    clock = SystemClock()
    app = FastAPI()
    probes = {
        "postgres": health.probe_postgres(database),
        "log": health.probe_log(Log(client), clock, settings.lag_max_s),
        "mqtt": health.probe_inbox(inbox, clock),
    }
    app.include_router(health.make_routes(probes))
    opened = create_doors(settings, clock, database, client, inbox=inbox, beyond=app)
    await opened.start()
    yield opened
    await opened.stop()


def figure(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"kilowatch_{name}", labels) or 0.0


def declared() -> dict[str, Metric]:
    return {found.name: found for found in metrics.REGISTRY.collect()}


def test_every_declared_figure_is_set_somewhere() -> None:
    room = Path(kilowatch.__file__).parent
    own = room / "observe" / "metrics.py"
    declarations, functions = own.read_text().split("\ndef count_readings", 1)
    names = re.findall(r"^([A-Z_]+) = _(?:counter|gauge|histogram)\(", declarations, re.MULTILINE)
    elsewhere = "".join(path.read_text() for path in room.rglob("*.py") if path != own) + functions
    setting = r"\b{}(\.labels\([^)]*\))?\.(inc|dec|set|observe|time)\("
    assert len(names) == len({*declared(), *(found.name for found in metrics.WORKERS_OWN.collect())})
    assert [name for name in names if not re.search(setting.format(name), elsewhere)] == []


async def test_each_doors_readings_show(
    sender: Sender, mqtt_server: NatsServer, client: Client, inbox_client: Client
) -> None:
    doors = ("http", "influx", "mqtt")
    before = {door: figure("readings_accepted_total", door=door) for door in doors}
    refused = {
        door: figure("readings_rejected_total", door=door, code="unknown_device")
        for door in ("http", "influx")
    }
    few = [reading(seconds=place) for place in range(3)]
    assert (await sender.send([*few, reading("D9")])).status_code == 202
    assert (await sender.post(b"m,device=D1 power=1\nm,device=D9 power=1", "/write")).status_code == 400
    assert (await sender.post(b"{broken")).status_code == 400
    async with device(mqtt_server) as connection:
        topic = f"{sender.organisation.slug}/devices/D2/telemetry"
        await connection.publish(topic, msgspec.json.encode({"metrics": {"power": 2}}), qos=1)

        async def shown() -> bool:
            return figure("readings_accepted_total", door="mqtt") == before["mqtt"] + 1

        await until(shown, "the reading of the MQTT door in the figures")
    assert figure("readings_accepted_total", door="http") == before["http"] + 3
    assert figure("readings_accepted_total", door="influx") == before["influx"] + 1
    for door, count in refused.items():
        assert figure("readings_rejected_total", door=door, code="unknown_device") == count + 1
    text = (await sender.http.get("/metrics")).text
    workers = {found.name for found in metrics.WORKERS_OWN.collect()}
    own = set(declared()) - workers
    assert [name for name in own if not declared()[name].samples] == []
    for name in own:
        assert f"\n{name}" in text
    assert figure("log_messages") == (await Log(client).state()).messages > 0
    assert figure("log_bytes") > 0
    assert figure("worker_lag_seconds") > 0


async def test_what_waits_in_the_inbox_shows(
    mqtt_server: NatsServer, inbox_client: Client, client: Client, settings: Settings
) -> None:
    clock = SystemClock()
    inbox = MqttInbox(mqtt_server.url, "test", clock)
    probe = health.probe_inbox(inbox, clock)
    with pytest.raises(EngineUnavailable):
        await probe()
    async with device(mqtt_server) as connection:
        for place in range(3):
            await connection.publish("nobody/devices/D1/telemetry", b"%d" % place, qos=1)
    await inbox.fetch(1.0)
    shown = await probe()
    assert shown["messages"] == figure("mqtt_messages") == 3
    assert shown["oldest_s"] == figure("mqtt_oldest_seconds") > 0
    await inbox.close()


async def test_a_part_that_is_away_shows_as_not_able(
    sender: Sender, nats_server: NatsServer, client: Client
) -> None:
    assert (await sender.http.get("/readyz")).status_code == 200
    assert figure("part_able", part="mqtt") == figure("part_able", part="log") == 1
    nats_server.kill()
    try:

        async def told() -> bool:
            parts = (await sender.http.get("/readyz")).json()["parts"]
            return bool(parts["log"] == {"ok": False} and parts["mqtt"]["ok"])

        await until(told, "the log named as away")
        assert 'kilowatch_part_able{part="log"} 0.0' in (await sender.http.get("/metrics")).text
    finally:
        nats_server.start()


async def test_the_hold_back_of_answers_shows(settings: Settings, client: Client) -> None:
    class Later(SystemClock):
        def now_us(self) -> int:
            return super().now_us() + 5_000_000

    await Log(client).publish_frame(0, b"one")
    brake = Brake()
    assert await probe_log(Log(client), Later(), settings, brake)() is None
    assert figure("held_back_seconds") == brake.held_s > 0
