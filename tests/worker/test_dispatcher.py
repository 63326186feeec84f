"""The dispatcher on real engines: order, answers good and bad, expiry, and nothing lost whoever is killed."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import text

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import DrivenClock, SystemClock, to_datetime
from kilowatch.control.command import Answer, Command
from kilowatch.control.lifecycle import ENDS
from kilowatch.control.store.sending import deliver, forget_commands, settle
from kilowatch.ids import new_id
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.postgres.roles import WORKER
from kilowatch.simulator.pretend.device import Manner, PretendDevice
from kilowatch.sites.store import register_devices
from kilowatch.stream.client import Client
from kilowatch.stream.commands import CommandWire
from kilowatch.stream.log import read_state
from kilowatch.stream.logins import Logins
from kilowatch.stream.mqtt import MqttInbox
from kilowatch.wire.live import COMMANDS_SUBJECT, EVENTS_SUBJECT, LiveEvent
from tests.conftest import PostgresServer
from tests.stream.conftest import ISSUER
from tests.stream.conftest import Server as NatsServer
from tests.worker.command_place import INBOX_BYTES, Place, let_in
from tests.worker.house import until


@pytest.fixture(scope="module")
def log_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The NATS of words and events."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def mqtt_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The devices' server."""
    server = NatsServer(tmp_path_factory.mktemp("mqtt"), mqtt=True)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def place(
    postgres_server: PostgresServer,
    database_name: str,
    database: Database,
    worker_database: Database,
    organisation: Organisation,
    log_nats: NatsServer,
    mqtt_nats: NatsServer,
) -> AsyncIterator[Place]:
    """An organisation with the devices D1 to D4; their server is empty."""
    async with database.scope(organisation.id) as connection:
        await register_devices(connection, organisation.id, ["D1", "D2", "D3", "D4"])
    client = await Client.connect(log_nats.embedded.url, name="test")
    inside = await Client.connect(mqtt_nats.embedded.url, name="test")
    system = await Client.connect(mqtt_nats.embedded.system_url, name="test")
    await MqttInbox.ensure(inside, max_bytes=INBOX_BYTES)
    await CommandWire.ensure(inside)
    logins = Logins(system, ISSUER)
    await logins.serve(let_in)
    url = postgres_server.url(WORKER, database_name)
    opened = Place(organisation, database, worker_database, url, log_nats, mqtt_nats, client, inside)
    heard = await client.subscribe(EVENTS_SUBJECT, lambda _, data: opened.told.append(LiveEvent.decode(data)))
    yield opened
    await heard.stop()
    await logins.stop()
    for one in (system, inside, client):
        await one.close()


async def test_a_device_does_what_it_is_told_and_only_then_has_its_state(place: Place) -> None:
    lamp = PretendDevice("forgetful")
    async with place.playing(D1=lamp), place.sending():
        commands = await place.store("D1", "set_state", state="off")
        await until(lambda: _holds(bool(lamp.done)), "the lamp has done it")
        assert await place.state("D1") == "on", "it has not answered yet"
        (done,) = await place.ended(commands)
    assert (done.status, done.detail, done.tries) == ("succeeded", "I am off now.", 3)
    assert lamp.done == [str(done.id)]
    assert await place.state("D1") == "off"
    told = [(one.type, one.data.get("status"), one.data.get("state")) for one in place.told]
    assert told == [("command", "processing", None), ("command", "succeeded", None), ("device", None, "off")]
    assert {one.device_no for one in place.told} == {done.device_no}


async def _holds(fact: bool) -> bool:
    return fact


async def test_commands_come_in_their_order_one_after_another(place: Place) -> None:
    devices: dict[str, PretendDevice] = {
        "D1": PretendDevice(),
        "D2": PretendDevice("slow", slow_s=0.05),
        "D3": PretendDevice("refusing"),
    }
    async with place.playing(**devices):
        for _ in range(4):
            for name in devices:
                await place.store(name, "first", "toggle", "last")
        async with place.sending():
            ended = await place.ended(await place.commands())
    for name, device in devices.items():
        ids = [str(one.id) for one in ended if one.device == name]
        assert len(ids) == 12
        assert device.done == ([] if name == "D3" else ids)
    assert {one.status for one in ended if one.device != "D3"} == {"succeeded"}
    assert {(one.status, one.detail) for one in ended if one.device == "D3"} == {
        ("failed", "I would rather not.")
    }
    assert (await place.state("D1"), devices["D1"].state) == ("on", "on"), "toggled four times"
    assert await place.state("D3") == "on", "refused"


async def test_a_silent_device_gets_a_command_until_it_expires_and_then_the_next(place: Place) -> None:
    mute = PretendDevice("silent")
    async with place.playing(D1=mute), place.sending():
        first = await place.store("D1", "one", lasts_s=2)
        second = await place.store("D1", "two", lasts_s=300)
        (expired,) = await place.ended(first)
        assert (expired.status, expired.detail) == ("expired", None)
        assert expired.ended_at is not None
        assert expired.ended_at >= expired.expires_at
        assert expired.tries >= 2
        mute.manner = "prompt"
        (done,) = await place.ended(second)
    assert done.status == "succeeded"
    assert mute.done == [str(expired.id), str(done.id)]


async def test_the_clock_alone_ends_what_nobody_answers(place: Place) -> None:
    """Nobody is connected; hours pass at once."""
    clock = DrivenClock(SystemClock().now_us())
    async with place.sending(clock):
        commands = await place.store("D1", "one", "two", lasts_s=3600, clock=clock)
        commands += await place.store("D1", "three", lasts_s=7200, clock=clock)

        async def sent() -> bool:
            return (await place.commands("D1"))[0].status == "processing"

        await until(sent, "a first try")
        clock.advance(3599)
        await place.client.publish(COMMANDS_SUBJECT, b"")
        await until(lambda: _tried(place, 2), "a second try")
        assert [one.status for one in await place.commands("D1")] == ["processing", "queued", "queued"]
        clock.advance(1)
        await place.client.publish(COMMANDS_SUBJECT, b"")
        ended = await place.ended(commands[:2])
        assert [one.status for one in ended] == ["expired", "expired"]
        clock.advance(3600)
        await place.client.publish(COMMANDS_SUBJECT, b"")
        (last,) = await place.ended(commands[2:])
        assert last.status == "expired"


async def _tried(place: Place, times: int) -> bool:
    return (await place.commands("D1"))[0].tries >= times


@pytest.mark.parametrize("tries", range(8))
async def test_the_pause_doubles_up_to_half_a_minute(place: Place, tries: int) -> None:
    clock = DrivenClock(SystemClock().now_us())
    (command,) = await place.store("D1", "one", clock=clock)
    async with place.worker_database.unscoped() as connection:
        await connection.execute(
            text("UPDATE kilowatch.commands SET tries = :tries, next_try_at = :now WHERE id = :id"),
            {"tries": tries, "now": to_datetime(clock.now_us()), "id": command.id},
        )
        await deliver(connection, to_datetime(clock.now_us()), 1000)
        found = await connection.execute(
            text("SELECT next_try_at FROM kilowatch.commands WHERE id = :id"), {"id": command.id}
        )
        pause = found.scalar_one() - to_datetime(clock.now_us())
        await connection.execute(text("DELETE FROM kilowatch.commands"))
    assert pause.total_seconds() == min(30, 2**tries)


async def test_what_is_no_answer_to_ones_own_command_changes_nothing(place: Place) -> None:
    mute, other = PretendDevice("silent"), PretendDevice("silent")
    async with place.playing(D1=mute, D2=other), place.sending():
        (mine,) = await place.store("D1", "one")
        await place.store("D2", "two")
        await until(lambda: _holds(bool(mute.done and other.done)), "both have heard")
        before = counted()
        async with await place.connect("D3") as stranger:
            topic = f"{place.organisation.slug}/devices/D3/commands/ack"
            forged = msgspec.json.encode({"id": str(mine.id), "ok": True})
            for payload in (forged, b"", b"{", b"[1]", b"x" * 20_000, b'{"id":"","ok":true}', b'{"ok":true}'):
                await stranger.publish(topic, payload, qos=1)
            unknown = {"id": str(new_id()), "ok": True}
            await stranger.publish(topic, msgspec.json.encode(unknown), qos=0)
        await until(lambda: _holds(counted()[:2] == (before[0] + 6, before[1] + 2)), "all are counted")
        assert {one.status for one in await place.commands()} == {"processing"}
        mute.manner = "prompt"
        (done,) = await place.ended([mine])
        assert done.status == "succeeded"
        before = counted()
        async with await place.connect("D1") as late:
            again = {"id": str(mine.id), "ok": False, "detail": "after all"}
            topic = f"{place.organisation.slug}/devices/D1/commands/ack"
            await late.publish(topic, msgspec.json.encode(again), qos=1)
        await until(lambda: _holds(counted() == (*before[:2], before[2] + 1)), "the late answer is counted")
        assert (await place.commands("D1"))[0] == done


async def test_what_ended_long_ago_is_forgotten_and_what_lives_stays(place: Place) -> None:
    commands = await place.store("D1", "one", "two", "three")
    now = to_datetime(SystemClock().now_us())
    async with place.worker_database.unscoped() as connection:
        await connection.execute(text("DELETE FROM kilowatch.commands WHERE ended_at IS NOT NULL"))
        await deliver(connection, now, 1000)
        await settle(connection, [Answer(place.organisation.slug, "D1", commands[0].id, True, None)], now, 10)
        assert await forget_commands(connection, now, 10) == 0, "not before, but at that moment"
        assert await forget_commands(connection, now + timedelta(seconds=1), 10) == 1
    assert [one.id for one in await place.commands("D1")] == [one.id for one in commands[1:]]


async def test_who_answers_for_another_in_the_same_breath_changes_nothing(place: Place) -> None:
    """Whatever comes first, the device's own word counts, and of two words of its own the first."""
    (mine,) = await place.store("D1", "set_state", state="off")
    now = to_datetime(SystemClock().now_us())
    slug = place.organisation.slug
    own = [Answer(slug, "D1", mine.id, True, "yes"), Answer(slug, "D1", mine.id, False, "no")]
    forged = [
        Answer(slug, "D2", mine.id, False, "forged"),
        Answer("elsewhere", "D1", mine.id, False, "forged"),
    ]
    async with place.worker_database.unscoped() as connection:
        unsent = await settle(connection, own, now, 10)
        assert (unsent.ended, unsent.late) == ([], 2), "it was not sent yet"
        assert mine.id in [one.command.id for one in await deliver(connection, now, 1000)]
        settled = await settle(connection, [*forged, *own], now, 10)
    assert [(one.id, one.status, one.detail) for one in settled.ended] == [(mine.id, "succeeded", "yes")]
    assert (settled.late, settled.unknown) == (1, 2)
    assert await place.state("D1") == "off"


def counted() -> tuple[float, ...]:
    """Answers that changed nothing: unreadable ones, those to no command, and late ones."""
    name = "kilowatch_command_answers_refused_total"
    value = metrics.WORKERS_OWN.get_sample_value
    return tuple(value(name, {"reason": reason}) or 0.0 for reason in ("unreadable", "unknown", "late"))


async def test_an_answer_waits_for_whoever_takes_it_even_past_the_expiry(place: Place) -> None:
    """The dispatcher is away while the device answers, and comes back after the command's time."""
    slow = PretendDevice("slow", slow_s=0.3)
    clock = DrivenClock(SystemClock().now_us())
    async with place.playing(D1=slow):
        async with place.sending(clock):
            (command,) = await place.store("D1", "set_state", lasts_s=5, clock=clock, state="standby")
            await until(lambda: _holds(bool(slow.done)), "the device has heard")
        await until(lambda: _waits(place), "an answer that waits")
        clock.advance(60)
        async with place.sending(clock):
            (done,) = await place.ended([command])
    assert (done.status, await place.state("D1")) == ("succeeded", "standby")
    assert await _none_waits(place)


async def _waits(place: Place) -> bool:
    return (await read_state(place.inside, "COMMAND_ANSWERS")).messages > 0


async def _none_waits(place: Place) -> bool:
    await until(lambda: _emptied(place), "no answer that waits")
    return True


async def _emptied(place: Place) -> bool:
    return not await _waits(place)


async def test_of_two_dispatchers_one_sends(place: Place) -> None:
    lamp = PretendDevice("silent")
    async with place.playing(D1=lamp), place.sending():
        (first,) = await place.store("D1", "one", lasts_s=1)
        await until(lambda: _holds(bool(lamp.done)), "it has heard")
        async with place.sending():
            (ended,) = await place.ended([first])
            assert ended.tries == 1, "one sends, and no second one beside it"


MANNERS: tuple[Manner, ...] = ("prompt", "slow", "refusing", "forgetful")


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_lost_or_done_twice_whoever_is_killed(place: Place, seed: int) -> None:
    """Each command ends by its device's word and is done once, in order, while the dispatcher and both
    servers are killed at random."""
    chance = random.Random(seed)
    devices = {
        f"D{number}": PretendDevice(manner, slow_s=0.05, lost_answers=1)
        for number, manner in enumerate(MANNERS, 1)
    }
    sender = place.spawn()
    stored: list[Command] = []
    try:
        async with place.playing(**devices):
            for _ in range(6):
                for _ in range(6):
                    name = chance.choice(sorted(devices))
                    stored += await place.store(name, *(f"do-{len(stored)}",) * chance.randint(1, 2))
                victim = chance.choice(["dispatcher", "dispatcher", "mqtt", "log", "nobody"])
                if victim == "dispatcher":
                    sender.kill()
                    sender.wait()
                    sender = place.spawn()
                elif victim != "nobody":
                    server = place.mqtt_nats if victim == "mqtt" else place.log_nats
                    server.kill()
                    await asyncio.to_thread(server.start)
                target = len(stored) - chance.randint(0, 20)

                async def so_many_ended(target: int = target) -> bool:
                    return sum(one.status in ENDS for one in await place.commands()) >= target

                await until(so_many_ended, f"{target} commands that have ended")
            ended = await place.ended(stored, 90.0)
    finally:
        sender.kill()
        sender.wait()
    assert [one.id for one in ended] == [one.id for one in stored]
    for name, device in devices.items():
        mine = [one for one in ended if one.device == name]
        refused = device.manner == "refusing"
        assert {one.status for one in mine} <= {"failed" if refused else "succeeded"}
        assert device.done == ([] if refused else [str(one.id) for one in mine])
