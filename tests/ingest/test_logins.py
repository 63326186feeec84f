"""Logins over real MQTT: a device is let in with its token only, reaches its own topics only, and is cut off
once its right has ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import aiomqtt
import msgspec
import pytest
from aiomqtt.client import Will

from kilowatch.accounts.store.api_keys import create_api_key, list_api_keys, revoke_api_key
from kilowatch.accounts.store.device_tokens import end_device_token
from kilowatch.clock import SystemClock, to_datetime
from kilowatch.ingest.doors import Doors, create_doors
from kilowatch.ingest.logins import MqttLogins
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.sites.store import delete_device, register_devices, update_device
from kilowatch.stream.client import Client
from kilowatch.stream.log import read_state
from kilowatch.stream.logins import Logins
from kilowatch.stream.mqtt import RETAINED, MqttInbox
from tests.ingest.conftest import (
    INBOX_BYTES,
    ISSUER,
    NatsServer,
    Sender,
    http_client,
    logged,
    make_key,
    until,
)
from tests.ingest.login_house import BODY, House, cut_off, stays
from tests.ingest.test_doors import reading


@pytest.fixture
async def doors(
    settings: Settings, database: Database, client: Client, mqtt_server: NatsServer, inbox_client: Client
) -> AsyncIterator[Doors]:
    """Doors that decide MQTT logins."""
    clock = SystemClock()
    system = await Client.connect(mqtt_server.embedded.system_url, name="test")
    opened = create_doors(
        settings,
        clock,
        database,
        client,
        inbox=MqttInbox(mqtt_server.url, "test", clock),
        logins=Logins(system, ISSUER),
    )
    await opened.start()
    yield opened
    await opened.stop()
    await system.close()


@pytest.fixture
async def house(
    mqtt_server: NatsServer,
    database: Database,
    client: Client,
    sender: Sender,
    other_sender: Sender,
    inbox_client: Client,
) -> House:
    return House(mqtt_server, database, client, sender, other_sender, inbox_client)


async def test_a_device_is_let_in_with_its_own_token_only(house: House) -> None:
    token, second = await house.token("D1"), await house.token("D2")
    theirs = await house.token("D1", house.other.organisation)
    key = await make_key(house.database, house.sender.organisation)
    for user, password in (
        (f"{house.slug}/D1", "wrong"),
        (f"{house.slug}/D1", ""),
        (f"{house.slug}/D1", second),
        (f"{house.slug}/D1", theirs),
        (f"{house.slug}/D1", key),
        (f"{house.slug}/D2", token),
        (f"{house.slug}/D9", token),
        (f"{house.other.organisation.slug}/D1", token),
        (house.slug, token),
        (f"{house.slug}/", token),
        (f"{house.slug}/*", token),
        (f"{house.slug}/D1/D2", token),
        ("*", token),
        ("any", "outside"),
        ("kilowatch", "inside"),
        ("kilowatch-system", "inside"),
    ):
        assert await house.refused(user, password), user
    async with house.connect(f"{house.slug}/D1", token) as connection:
        await stays(connection, house)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_device_publishes_on_its_own_topics_only(house: House, qos: int) -> None:
    slug, other = house.slug, house.other.organisation.slug
    async with await house.device() as connection:
        for topic in (
            f"{slug}/devices/D2/telemetry",
            f"{other}/devices/D1/telemetry",
            f"{slug}/devices/D1/commands",
            f"$MQTT/msgs/{other}/devices/D1/telemetry",
            f"$MQTT/msgs/{slug}/devices/D2/telemetry",
            "$JS/API/STREAM/PURGE/$MQTT_msgs",
            "$JS/API/STREAM/DELETE/$MQTT_msgs",
            "$SYS/REQ/USER/AUTH",
        ):
            with contextlib.suppress(aiomqtt.MqttError):
                async with asyncio.timeout(1):
                    await connection.publish(topic, BODY, qos=qos, retain=qos == 0)
        await connection.publish(f"{slug}/devices/D1/telemetry", BODY, qos=min(qos, 1))
        (device,) = await house.in_log(1)
    async with house.database.scope(house.sender.organisation.id) as connection_:
        assert (await register_devices(connection_, house.sender.organisation.id, ["D1"]))["D1"] == device
    assert await house.sender.letters() == await house.other.letters() == []


async def test_a_last_will_reaches_no_other_topic(house: House) -> None:
    """A will is sent when the server loses its device; the one on the device's own topic shows that."""
    slug, other = house.slug, house.other.organisation.slug
    for topic in (f"{other}/devices/D1", f"{slug}/devices/D2", f"{slug}/devices/D1"):
        token = await house.token()
        with contextlib.suppress(aiomqtt.MqttError):
            will = Will(f"{topic}/telemetry", BODY, qos=1)
            async with house.connect(f"{slug}/D1", token, will=will) as connection:
                await house.token()
                await cut_off(connection)
    assert len(await house.in_log(1)) == 1
    assert await house.other.letters() == []


async def test_nothing_is_retained(house: House) -> None:
    """What a device wants retained goes with the next moment, and not only with the device."""
    before = (await read_state(house.inside, RETAINED)).last_sequence
    async with await house.device() as connection:
        await connection.publish(f"{house.slug}/devices/D1/telemetry", BODY, qos=1, retain=True)
        await house.in_log(1)

    async def over() -> bool:
        state = await read_state(house.inside, RETAINED)
        return state.last_sequence > before and not state.messages

    await until(over, "a retained message that is gone")


async def test_what_was_retained_before_goes_too(house: House) -> None:
    """A stream that the MQTT server made itself keeps everything, until the inbox is made."""
    await house.inside.request_json(f"$JS.API.STREAM.DELETE.{RETAINED}", {})
    made = {"name": RETAINED, "subjects": ["$MQTT.rmsgs.>"], "storage": "file", "max_msgs_per_subject": 1}
    await house.inside.request_json(f"$JS.API.STREAM.CREATE.{RETAINED}", made)
    await house.inside.publish(f"$MQTT.rmsgs.{house.slug}.devices.D1.telemetry", BODY)
    await MqttInbox.ensure(house.inside, max_bytes=INBOX_BYTES)

    async def over() -> bool:
        state = await read_state(house.inside, RETAINED)
        return state.last_sequence == 1 and not state.messages

    await until(over, "a retained message that is gone")


async def test_a_device_hears_its_own_commands_and_nothing_else(house: House) -> None:
    slug, other = house.slug, house.other.organisation.slug
    async with await house.device() as connection:
        for topic in (
            "#",
            "+/#",
            "+/devices/+/commands",
            f"{slug}/devices/+/commands",
            f"{slug}/devices/D2/commands",
            f"{slug}/devices/D1/telemetry",
            f"{other}/devices/D1/commands",
            f"{other}/#",
            "$MQTT/#",
            "$MQTT/msgs/#",
            "$MQTT/sess/#",
            "$MQTT/rmsgs/#",
            "$JS/#",
            "$JS/API/#",
            "$SYS/#",
            "_INBOX/#",
        ):
            for qos in (0, 1, 2):
                (answer,) = await connection.subscribe(topic, qos=qos)
                assert answer.is_failure, topic  # type: ignore[union-attr]
        (answer,) = await connection.subscribe(f"{slug}/devices/D1/commands", qos=1)
        assert not answer.is_failure  # type: ignore[union-attr]
        async with house.connect(other, await make_key(house.database, house.other.organisation)) as theirs:
            await theirs.publish(f"{other}/devices/D1/telemetry", BODY, qos=1)
            await theirs.publish(f"{other}/devices/D1/telemetry", BODY, qos=0)
        for subject in (f"{other}.devices.D1.commands", f"{slug}.devices.D2.commands"):
            await house.inside.publish(subject, b"theirs")
        await house.inside.publish(f"{slug}.devices.D1.commands", b"mine")
        async with asyncio.timeout(10):
            message = await anext(aiter(connection.messages))
        assert (str(message.topic), message.payload) == (f"{slug}/devices/D1/commands", b"mine")
        assert connection.messages.__len__() == 0


async def test_a_session_of_another_login_gives_nothing_away(house: House) -> None:
    """Who comes as another's MQTT client, while that is away, hears nothing of its topics."""
    client_id = f"meter{house.slug}"
    async with await house.device(identifier=client_id, clean_session=False) as mine:
        await mine.subscribe(f"{house.slug}/devices/D1/commands", qos=1)
    token = await house.token("D1", house.other.organisation)
    user = f"{house.other.organisation.slug}/D1"
    with contextlib.suppress(aiomqtt.MqttError):
        async with house.connect(user, token, identifier=client_id, clean_session=False) as thief:
            await thief.subscribe(f"{house.other.organisation.slug}/devices/D1/commands")
            await house.inside.publish(f"{house.slug}.devices.D1.commands", b"secret")
            await house.inside.publish(f"{house.other.organisation.slug}.devices.D1.commands", b"own")
            async with asyncio.timeout(10):
                message = await anext(aiter(thief.messages))
            assert message.payload == b"own"


async def test_nobody_takes_the_place_of_another_login(house: House) -> None:
    theirs = await house.token("D1", house.other.organisation)
    user = f"{house.other.organisation.slug}/D1"
    own = f"{house.slug}/D1"
    assert await house.refused(user, theirs, identifier=own)
    assert await house.refused(user, theirs, identifier=f"{own}/second")
    for client_id in (own, f"plain-{house.slug}"):
        async with await house.device(identifier=client_id) as connection:
            assert await house.refused(user, theirs, identifier=client_id)
            await stays(connection, house)
    async with house.connect(user, theirs, identifier=f"plain-{house.slug}"):
        pass  # free again


async def end_by_new_token(house: House) -> None:
    await house.token()


async def end_by_deletion_of_the_token(house: House) -> None:
    async with house.database.scope(house.sender.organisation.id) as connection:
        await end_device_token(connection, "D1")
    await house.tell("devices")


async def end_by_status(house: House) -> None:
    async with house.database.scope(house.sender.organisation.id) as connection:
        await update_device(connection, "D1", {"status": "inactive"})
    await house.tell("devices")


async def end_by_deletion_of_the_device(house: House) -> None:
    async with house.database.scope(house.sender.organisation.id) as connection:
        await delete_device(connection, "D1")
    await house.tell("devices")


@pytest.mark.parametrize(
    "end",
    [end_by_new_token, end_by_deletion_of_the_token, end_by_status, end_by_deletion_of_the_device],
)
async def test_an_ended_right_ends_the_connection_and_no_other(
    house: House, end: Callable[[House], Awaitable[None]]
) -> None:
    token = await house.token()
    other = await house.token("D1", house.other.organisation)
    async with (
        await house.device("D2") as neighbour,
        house.connect(f"{house.other.organisation.slug}/D1", other) as stranger,
    ):
        with contextlib.suppress(aiomqtt.MqttError):
            async with house.connect(f"{house.slug}/D1", token) as connection:
                await end(house)
                await cut_off(connection)
        assert await house.refused(f"{house.slug}/D1", token)
        await neighbour.publish(f"{house.slug}/devices/D2/telemetry", BODY, qos=1)
        await stranger.publish(f"{house.other.organisation.slug}/devices/D1/telemetry", BODY, qos=1)
        await house.in_log(2)


async def test_a_missed_word_is_made_up_for(house: House, nats_server: NatsServer) -> None:
    """Nobody hears of a change while the log's NATS is away; once it is back, everything is looked at."""
    token = await house.token()
    with contextlib.suppress(aiomqtt.MqttError):
        async with house.connect(f"{house.slug}/D1", token) as connection:
            nats_server.kill()
            async with house.database.scope(house.sender.organisation.id) as scoped:
                await end_device_token(scoped, "D1")
            nats_server.start()
            await cut_off(connection)
    assert await house.refused(f"{house.slug}/D1", token)


async def test_a_process_ends_what_another_one_let_in(
    house: House, doors: Doors, database: Database, client: Client
) -> None:
    """The first stops before the right ends; the second looks through all connections when it starts."""
    token = await house.token()
    system = await Client.connect(house.mqtt.embedded.system_url, name="second")
    second = MqttLogins(Logins(system, ISSUER), database, client, SystemClock())
    with contextlib.suppress(aiomqtt.MqttError):
        async with house.connect(f"{house.slug}/D1", token) as connection:
            (first,) = (part for part in doors._over_mqtt if isinstance(part, MqttLogins))
            await first.stop()
            async with house.database.scope(house.sender.organisation.id) as scoped:
                await end_device_token(scoped, "D1")
            await second.start()
            await cut_off(connection)
    assert await house.refused(f"{house.slug}/D1", token)
    await second.stop()
    await system.close()


async def test_a_gateway_publishes_for_the_devices_of_its_organisation(house: House) -> None:
    slug, other = house.slug, house.other.organisation.slug
    key = await make_key(house.database, house.sender.organisation)
    lesser = await make_key(house.database, house.sender.organisation, ("read",))
    assert await house.refused(slug, lesser)
    assert await house.refused(other, key)
    with contextlib.suppress(aiomqtt.MqttError):
        async with house.connect(slug, key) as gateway:
            for topic in ("#", f"{slug}/devices/+/commands", f"{slug}/devices/D1/commands", "$MQTT/#"):
                (answer,) = await gateway.subscribe(topic)
                assert answer.is_failure, topic  # type: ignore[union-attr]
            for name in (f"{other}/devices/D1", f"{slug}/devices/D1", f"{slug}/devices/D2"):
                await gateway.publish(f"{name}/telemetry", BODY, qos=0)
                if not name.startswith(other):
                    await gateway.publish(f"{name}/telemetry", BODY, qos=1)
            assert len(await house.in_log(4)) == 2
            async with house.database.scope(house.sender.organisation.id) as connection:
                for one in (await list_api_keys(connection)).items:
                    await revoke_api_key(connection, one.id)
            await house.tell("keys")
            await cut_off(gateway)
    assert await house.refused(slug, key)


async def test_a_gateway_with_control_hears_commands_and_answers_for_its_devices(house: House) -> None:
    slug, other = house.slug, house.other.organisation.slug
    key = await make_key(house.database, house.sender.organisation, ("ingest", "control"))
    heard: list[str] = []
    listening = await house.inside.subscribe("*.devices.*.commands.ack", lambda topic, _: heard.append(topic))
    async with house.connect(slug, key) as gateway:
        for topic in (
            "#",
            "+/devices/+/commands",
            f"{other}/devices/D1/commands",
            f"{slug}/devices/D1/telemetry",
        ):
            (answer,) = await gateway.subscribe(topic)
            assert answer.is_failure, topic  # type: ignore[union-attr]
        (answer,) = await gateway.subscribe(f"{slug}/devices/+/commands", qos=1)
        assert not answer.is_failure  # type: ignore[union-attr]
        for subject in (f"{other}.devices.D1.commands", f"{slug}.devices.D2.commands"):
            await house.inside.publish(subject, b"switch")
        async with asyncio.timeout(10):
            message = await anext(aiter(gateway.messages))
        assert str(message.topic) == f"{slug}/devices/D2/commands"
        for name in (f"{other}/devices/D1", f"{slug}/devices/D2"):
            await gateway.publish(f"{name}/commands/ack", b"done", qos=0)
            await gateway.publish(f"{slug}/devices/D1/telemetry", BODY, qos=1)
        await house.in_log(2)
    await listening.stop()
    assert heard == [f"{slug}.devices.D2.commands.ack"]


async def test_a_gateway_ends_with_its_key(house: House) -> None:
    soon = to_datetime(SystemClock().now_us()) + timedelta(seconds=2)
    async with house.database.scope(house.sender.organisation.id) as connection:
        _, key = await create_api_key(
            connection, house.sender.organisation.id, "soon over", ["ingest"], expires_at=soon
        )
    with contextlib.suppress(aiomqtt.MqttError):
        async with house.connect(house.slug, key) as gateway:
            await cut_off(gateway)
    assert await house.refused(house.slug, key)


async def test_a_token_sends_readings_of_its_own_device_over_http(house: House, doors: Doors) -> None:
    token = await house.token()
    async with http_client(doors) as http:
        own = Sender(http, house.sender.organisation, house.database, token)
        assert (await own.send(reading("D1"))).json()["accepted"] == 1
        mixed = await own.send([reading("D1", 1), reading("D2", 1), reading("D9", 1), reading("D1", 2)])
        assert mixed.status_code == 202
        answer = mixed.json()
        assert answer["accepted"] == 2
        assert [(one["index"], one["code"]) for one in answer["rejected"]] == [
            (1, "unknown_device"),
            (2, "unknown_device"),
        ]
        assert len({one["detail"] for one in answer["rejected"]}) == 1
        for path, body, kind in (
            ("/api/v1/readings", msgspec.json.encode(reading("D2")), "application/json"),
            ("/api/v1/readings", msgspec.json.encode(reading("D2")), "application/x-ndjson"),
        ):
            assert (await own.post(body, path, content_type=kind)).status_code == 422
        line = b"m,device=D1 power=1\nm,device=D2 power=1"
        assert (await own.post(line, "/api/v2/write")).status_code in (400, 422)
        for number in range(2):
            keyed = await own.send([reading("D1", 3), reading("D2", 3)], idempotency_key="once")
            assert (number, keyed.json()["accepted"]) == (number, 1)
    assert len(await house.in_log(5)) == 1
    keys = {int(key) for frame in await logged(house.client) for key in frame.key}
    async with house.database.scope(house.sender.organisation.id) as connection:
        names = {key.key_no: key.name for key in (await list_api_keys(connection)).items}
    assert [names[key] for key in keys] == ["device tokens"]


async def test_two_devices_may_choose_the_same_idempotency_key(house: House, doors: Doors) -> None:
    async with http_client(doors) as http:
        for device in ("D1", "D2"):
            own = Sender(http, house.sender.organisation, house.database, await house.token(device))
            assert (await own.send(reading(device), idempotency_key="1")).json()["accepted"] == 1
    assert len(await house.in_log(2)) == 2


async def test_a_token_replays_no_dead_letters_and_ends(house: House, doors: Doors) -> None:
    await house.sender.send(reading("D9"))
    (letter,) = await house.sender.letters()
    async with http_client(doors) as http:
        own = Sender(http, house.sender.organisation, house.database, await house.token())
        assert (await own.post(b"", f"/api/v1/dead-letters/{letter.id}/replay")).status_code == 403
        assert (await own.send(reading("D1"))).status_code == 202
        await end_by_status(house)

        async def refused() -> bool:
            return (await own.send(reading("D1"))).status_code == 401

        await until(refused, "a refused token", 2.0)
