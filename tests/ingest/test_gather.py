"""Small requests together: one message, one word for all, and none before the log's."""

import asyncio

import numpy as np

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import MICROSECONDS, SystemClock, rfc3339
from kilowatch.ingest.doors import Doors, create_doors
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.sites.store import register_devices
from kilowatch.stream.client import Client
from tests.ingest.conftest import NatsServer, Sender, holds, http_client, logged, logged_messages, make_key
from tests.ingest.test_doors import reading


async def test_small_requests_share_messages(sender: Sender, client: Client) -> None:
    await sender.send([reading("D1"), reading("D2")])
    before = len(await logged_messages(client))
    now_us = SystemClock().now_us()
    readings = [{**reading(), "ts": rfc3339(now_us - place * MICROSECONDS)} for place in range(1, 201)]
    answers = await asyncio.gather(*(sender.send(one) for one in readings))
    assert {answer.status_code for answer in answers} == {202}
    frames = (await logged(client))[before:]
    assert sum(map(len, frames)) == 200
    assert len(frames) < 100
    assert len({int(moment) for frame in frames for moment in frame.ts_us}) == 200


async def test_readings_of_one_group_keep_their_own_sender(
    sender: Sender, other_sender: Sender, client: Client
) -> None:
    await asyncio.gather(sender.send(reading()), other_sender.send(reading()))
    answers = await asyncio.gather(
        *(
            one.send(reading(seconds=place, power=place))
            for place in range(1, 30)
            for one in (sender, other_sender)
        )
    )
    assert {answer.status_code for answer in answers} == {202}
    pairs = {
        (device, key)
        for frame in await logged(client)
        for device, key in zip(frame.device.tolist(), frame.key.tolist(), strict=True)
    }
    assert len(pairs) == 2
    assert len({device for device, _ in pairs}) == len({key for _, key in pairs}) == 2


async def test_each_sender_hears_of_its_own_bad_readings(sender: Sender, client: Client) -> None:
    bodies = [
        [reading(seconds=1)],
        [reading("D9"), reading(seconds=2)],
        [reading(seconds=3), reading(seconds=4), reading(seconds=5, humidity=900)],
        [reading(seconds=6, state="on"), reading("D8", state="on")],
        [reading("D9")],
    ]
    answers = await asyncio.gather(*(sender.send(body) for body in bodies))
    assert [answer.status_code for answer in answers] == [202, 202, 202, 202, 422]
    rejected = [
        [(one["index"], one["code"]) for one in answer.json().get("rejected", ())] for answer in answers[:-1]
    ]
    assert rejected == [[], [(0, "unknown_device")], [(2, "out_of_range")], [(1, "unknown_device")]]
    assert sum(map(len, await logged(client))) == 5
    assert len(await sender.letters()) == 4


async def test_metrics_that_others_lack_are_absent(sender: Sender, client: Client) -> None:
    await sender.send(reading(seconds=9, power=1, voltage=2, current=3))
    await asyncio.gather(
        sender.send(reading(seconds=1, power=1)),
        sender.send(reading(seconds=2, voltage=2)),
        sender.send(reading("D2", seconds=3, current=3)),
    )
    values = [
        sorted(float(column[row]) for column in frame.metrics.values() if not np.isnan(column[row]))
        for frame in (await logged(client))[1:]
        for row in range(len(frame))
    ]
    assert sorted(values) == [[1.0], [2.0], [3.0]]


async def test_nobody_is_answered_before_the_log(
    nats_server: NatsServer, sender: Sender, client: Client
) -> None:
    assert (await sender.send(reading())).status_code == 202
    nats_server.kill()
    try:
        answers = await asyncio.gather(*(sender.send(reading(seconds=place)) for place in range(1, 20)))
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    finally:
        nats_server.start()


async def test_stopping_answers_all_that_was_taken(
    settings: Settings, database: Database, client: Client, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        await register_devices(connection, organisation.id, ["D1"])
    slow = settings.model_copy(update={"gather_ms": 1000.0})
    doors: Doors = create_doors(slow, SystemClock(), database, client)
    await doors.start()
    async with http_client(doors) as http:
        sender = Sender(http, organisation, database, await make_key(database, organisation))
        sends = [asyncio.create_task(sender.send(reading(seconds=place))) for place in range(20)]
        await holds(lambda: doors.waiting or all(send.done() for send in sends), "a waiting request")
        await doors.stop()
        answers = await asyncio.gather(*sends)
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert {answer.status_code for answer in answers} <= {202, 503}
    assert accepted
    assert sum(map(len, await logged(client))) == len(accepted)


async def test_partitions_follow_the_device(
    settings: Settings, database: Database, client: Client, organisation: Organisation
) -> None:
    parted = settings.model_copy(update={"partitions": 4})
    doors = create_doors(parted, SystemClock(), database, client)
    await doors.start()
    async with http_client(doors) as http:
        secret = await make_key(database, organisation, auto=True)
        sender = Sender(http, organisation, database, secret)
        rows = [reading(f"P{place}") for place in range(100)]
        assert (await sender.send(rows)).json()["accepted"] == 100
        rows = [reading(f"P{place}", seconds=1) for place in range(40)]
        assert (await sender.send(rows)).json()["accepted"] == 40
    await doors.stop()
    count = 0
    for partition in range(4):
        for frame in await logged(client, partition):
            assert set((frame.device % 4).tolist()) == {partition}
            count += len(frame)
    assert count == 140
