"""The MQTT door: what devices publish, good or bad, ends in the log or among the dead letters."""

import time
from collections.abc import AsyncIterator

import msgspec
import numpy as np
import pytest
from sqlalchemy import text

from kilowatch.accounts.store.organisations import delete_organisation
from kilowatch.clock import SystemClock
from kilowatch.ingest.doors import Doors, create_doors
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.sites.store import find_devices
from kilowatch.stream.client import Client
from kilowatch.stream.mqtt import MqttInbox
from tests.ingest.conftest import NatsServer, Sender, device, logged, until
from tests.ingest.test_doors import reading


@pytest.fixture
async def doors(
    settings: Settings, database: Database, client: Client, mqtt_server: NatsServer, inbox_client: Client
) -> AsyncIterator[Doors]:
    """Doors with the MQTT one."""
    clock = SystemClock()
    inbox = MqttInbox(mqtt_server.url, "test", clock)
    opened = create_doors(settings, clock, database, client, inbox=inbox)
    await opened.start()
    yield opened
    await opened.stop()


async def stored(client: Client, count: int) -> None:
    """Waits until the log holds so many readings."""

    async def there() -> bool:
        return sum(map(len, await logged(client))) >= count

    await until(there, f"{count} readings in the log")
    assert sum(map(len, await logged(client))) == count


async def emptied(client: Client) -> None:
    """Waits until the inbox is empty."""

    async def empty() -> bool:
        return await MqttInbox.pending(client) == 0

    await until(empty, "an empty inbox")


async def letters(sender: Sender, count: int) -> list[str]:
    """The codes of so many dead letters, once they are there."""

    async def there() -> bool:
        return len(await sender.letters()) >= count

    await until(there, f"{count} dead letters")
    found = await sender.letters()
    assert {letter.door for letter in found} == {"mqtt"}
    return sorted(letter.code for letter in found)


@pytest.mark.parametrize("qos", [0, 1])
async def test_what_a_device_publishes_is_in_the_log(
    sender: Sender, mqtt_server: NatsServer, client: Client, inbox_client: Client, qos: int
) -> None:
    topic = f"{sender.organisation.slug}/devices/D1/telemetry"
    one = {"ts": reading()["ts"], "metrics": {"power": 1.5}}
    async with device(mqtt_server) as connection:
        await connection.publish(topic, msgspec.json.encode(one), qos=qos)
        many = [{"ts": reading(seconds=place)["ts"], "metrics": {"power": 2}} for place in range(1, 4)]
        await connection.publish(topic, msgspec.json.encode(many), qos=qos)
        await stored(client, 4)
    await emptied(inbox_client)
    frames = await logged(client)
    assert {frame.door for frame in frames} == {"mqtt"}
    keys = {int(key) for frame in frames for key in frame.key}
    assert len(keys) == 1


async def test_a_reading_without_a_time_gets_that_of_its_arrival(
    sender: Sender, mqtt_server: NatsServer, client: Client
) -> None:
    before = time.time_ns() // 1000
    async with device(mqtt_server) as connection:
        for place in range(50):
            body = msgspec.json.encode({"metrics": {"power": place}})
            await connection.publish(f"{sender.organisation.slug}/devices/D1/telemetry", body, qos=1)
        await stored(client, 50)
    moments = np.concatenate([frame.ts_us for frame in await logged(client)])
    assert before - 1000 <= moments.min()
    assert moments.max() <= time.time_ns() // 1000
    assert len(np.unique(moments)) == 50


async def test_bad_messages_become_dead_letters_and_leave_the_inbox(
    sender: Sender, mqtt_server: NatsServer, client: Client, inbox_client: Client
) -> None:
    slug = sender.organisation.slug
    stamp = msgspec.json.encode(reading()["ts"])
    noise = np.random.default_rng(7).bytes(200)
    bad = [
        ("D1", noise, "bad_shape"),
        ("D1", b"", "bad_shape"),
        ("D1", b'{"metrics":{"power":1', "bad_shape"),
        ("D1", b'{"device":"D2","metrics":{"power":1}}', "bad_shape"),
        ("D9", b'{"metrics":{"power":1}}', "unknown_device"),
        ("D1", b'{"ts":0,"metrics":{"power":1}}', "too_old"),
        ("D1", b'{"metrics":{"power":NaN}}', "not_finite"),
        ("D1", b'{"metrics":{"state":"dancing"}}', "unknown_state"),
        ("-slug", b'{"metrics":{"power":1}}', "bad_shape"),
    ]
    async with device(mqtt_server) as connection:
        for name, body, _ in bad:
            await connection.publish(f"{slug}/devices/{name}/telemetry", body, qos=1)
        await connection.publish("nobody/devices/D1/telemetry", b'{"metrics":{"power":1}}', qos=1)
        good = b'{"device":"D1","ts":%b,"metrics":{"power":1,"state":"on"}}' % stamp
        await connection.publish(f"{slug}/devices/D1/telemetry", good, qos=1)
        await stored(client, 1)
    assert await letters(sender, len(bad)) == sorted(code for _, _, code in bad)
    await emptied(inbox_client)


async def test_what_came_before_an_organisation_was_made_is_not_its_own(
    sender: Sender,
    other_sender: Sender,
    mqtt_server: NatsServer,
    database: Database,
    client: Client,
    inbox_client: Client,
) -> None:
    """Somebody else had the slug before, and messages of their devices waited in the inbox meanwhile."""
    mine, others = sender.organisation, other_sender.organisation
    async with database.scope(mine.id) as connection:
        await connection.execute(
            text(
                "UPDATE kilowatch.organisations SET created_at = now() + interval '1 minute' WHERE id = :id"
            ),
            {"id": mine.id},
        )
    async with device(mqtt_server) as connected:
        for slug in (mine.slug, others.slug):
            await connected.publish(f"{slug}/devices/D1/telemetry", b'{"metrics":{"power":1}}', qos=1)
            await connected.publish(f"{slug}/devices/D9/telemetry", b'{"metrics":{"power":1}}', qos=1)
        await stored(client, 1)
    assert await letters(other_sender, 1) == ["unknown_device"]
    await emptied(inbox_client)
    async with database.scope(others.id) as connection:
        theirs = (await find_devices(connection, others.id, ["D1"]))["D1"]
    assert [frame.device.tolist() for frame in await logged(client)] == [[theirs]]
    assert await sender.letters() == []


async def test_messages_of_a_deleted_organisation_hold_nobody_up(
    sender: Sender,
    other_sender: Sender,
    mqtt_server: NatsServer,
    database: Database,
    client: Client,
    inbox_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whose devices sent is remembered for a while; here for ever."""
    monkeypatch.setattr("kilowatch.ingest.mqtt.CALLER_FOR_US", 1 << 60)
    gone, kept = sender.organisation, other_sender.organisation
    async with device(mqtt_server) as connected:
        await connected.publish(f"{gone.slug}/devices/D1/telemetry", b'{"metrics":{"power":1}}', qos=1)
        await stored(client, 1)
        async with database.scope(gone.id) as connection:
            await delete_organisation(connection, gone.id)
        for slug in (gone.slug, kept.slug):
            await connected.publish(f"{slug}/devices/D9/telemetry", b'{"metrics":{"power":1}}', qos=1)
            await connected.publish(f"{slug}/devices/D1/telemetry", b"no reading", qos=1)
        assert await letters(other_sender, 2) == ["bad_shape", "unknown_device"]
    await emptied(inbox_client)


async def test_good_readings_of_an_array_are_stored_beside_bad_ones(
    sender: Sender, mqtt_server: NatsServer, client: Client
) -> None:
    rows = [{"ts": reading(seconds=1)["ts"], "metrics": {"power": 1}}, {"metrics": {}}, 7]
    async with device(mqtt_server) as connection:
        topic = f"{sender.organisation.slug}/devices/D1/telemetry"
        await connection.publish(topic, msgspec.json.encode(rows), qos=1)
        await stored(client, 1)
    assert await letters(sender, 2) == ["bad_shape", "bad_shape"]


async def test_messages_wait_in_the_inbox_while_the_log_is_away(
    sender: Sender, mqtt_server: NatsServer, nats_server: NatsServer, client: Client, inbox_client: Client
) -> None:
    topic = f"{sender.organisation.slug}/devices/D1/telemetry"
    stamps = [reading(seconds=place)["ts"] for place in range(100)]
    async with device(mqtt_server) as connection:
        nats_server.kill()
        try:
            for stamp in stamps:
                body = msgspec.json.encode({"ts": stamp, "metrics": {"power": 1}})
                await connection.publish(topic, body, qos=1)
            assert await MqttInbox.pending(inbox_client) == 100
        finally:
            nats_server.start()

    async def all_there() -> bool:
        if not client.connected:
            return False
        moments = [int(moment) for frame in await logged(client) for moment in frame.ts_us]
        return len(set(moments)) == 100

    await until(all_there, "all readings in the log")
    await emptied(inbox_client)


async def test_a_device_that_floods_does_not_keep_another_out(
    sender: Sender, mqtt_server: NatsServer, client: Client
) -> None:
    slug = sender.organisation.slug
    now_ms = time.time_ns() // 1_000_000
    async with device(mqtt_server) as flood, device(mqtt_server) as quiet:
        for place in range(3000):
            body = b'{"ts":%d,"metrics":{"power":1}}' % (now_ms - place)
            await flood.publish(f"{slug}/devices/D1/telemetry", body, qos=0)
            if place % 1000 == 500:
                body = b'{"ts":%d,"metrics":{"power":2}}' % (now_ms - place)
                await quiet.publish(f"{slug}/devices/D2/telemetry", body, qos=1)

        async def heard() -> bool:
            values = [
                float(value)
                for frame in await logged(client)
                for column in frame.metrics.values()
                for value in column
            ]
            return values.count(2.0) == 3

        await until(heard, "the quiet device's readings")
