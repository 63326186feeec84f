"""The durable log: what was acknowledged stays, whoever dies; a partition has one reader."""

import asyncio
import os
from functools import partial

import pytest

from kilowatch.errors import EngineUnavailable
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log, LogFull, PartitionTaken
from tests.conftest import wait_until
from tests.stream.conftest import Server

MIB = 1024 * 1024
WITHIN_S = 10.0


async def until_connected(client: Client, connected: bool = True) -> None:
    """Returns once the client has noticed."""
    await asyncio.to_thread(wait_until, lambda: client.connected == connected, WITHIN_S, "the connection")


def has_grown(found: list[bytes], wanted: int) -> bool:
    return len(found) > wanted


async def make_log(client: Client, max_bytes: int = 64 * MIB) -> Log:
    log = Log(client)
    await log.ensure(max_bytes=max_bytes)
    return log


async def test_frames_come_in_order_and_leave_when_acknowledged(client: Client) -> None:
    log = await make_log(client)
    frames = [os.urandom(220_000), b"", b"two"]
    sequences = [await log.publish_frame(0, frame) for frame in frames]
    await log.publish_frame(1, b"another partition's")
    partition = await log.open_partition(0)
    messages = await partition.fetch(10, 1.0)
    assert [message.data for message in messages] == frames
    assert [message.sequence for message in messages] == sequences
    assert await partition.pending() == 3
    await partition.acknowledge(messages)
    async with asyncio.timeout(WITHIN_S):
        while await partition.pending():
            pass
    assert await partition.fetch(10, 0.05) == []
    state = await log.state()
    assert (state.messages, state.max_bytes) == (1, 64 * MIB)
    assert state.oldest_us is not None
    assert state.lag_s(state.oldest_us + 2_000_000) == 2.0


async def test_a_waiting_fetch_gets_what_comes(client: Client) -> None:
    log = await make_log(client)
    partition = await log.open_partition(0)
    fetching = asyncio.create_task(partition.fetch(10, WITHIN_S))
    await log.publish_frame(0, b"late")
    assert [message.data for message in await fetching] == [b"late"]


async def test_the_same_message_id_is_stored_once(client: Client) -> None:
    log = await make_log(client)
    first = await log.publish_frame(0, b"a", "id-1")
    assert await log.publish_frame(0, b"a", "id-1") == first
    assert (await log.state()).messages == 1


async def test_a_full_log_refuses_and_takes_again_when_there_is_room(client: Client) -> None:
    log = await make_log(client, max_bytes=MIB)
    frame = os.urandom(300_000)
    for _ in range(3):
        await log.publish_frame(0, frame)
    with pytest.raises(LogFull):
        await log.publish_frame(0, frame)
    partition = await log.open_partition(0)
    await partition.acknowledge((await partition.fetch(10, 1.0))[:1])
    async with asyncio.timeout(WITHIN_S):
        while (await log.state()).messages > 2:
            pass
    await log.publish_frame(0, frame)


async def test_ensure_changes_the_size_and_keeps_the_content(client: Client) -> None:
    log = await make_log(client)
    await log.publish_frame(0, b"kept")
    await log.ensure(max_bytes=600 * MIB)
    await log.ensure(max_bytes=600 * MIB)
    state = await log.state()
    assert (state.messages, state.max_bytes) == (1, 600 * MIB)


async def test_opening_takes_the_partition_with_all_that_is_not_acknowledged(client: Client) -> None:
    log = await make_log(client)
    for number in range(5):
        await log.publish_frame(0, b"%d" % number)
    before = await log.open_partition(0)
    held = await before.fetch(3, 1.0)
    after = await log.open_partition(0)
    assert [message.data for message in await after.fetch(10, 1.0)] == [b"0", b"1", b"2", b"3", b"4"]
    with pytest.raises(PartitionTaken):
        await before.fetch(1, 1.0)
    await before.acknowledge(held)  # too late: it counts for nothing
    assert await after.pending() == 5


async def test_a_message_that_kills_its_readers_shows(client: Client) -> None:
    log = await make_log(client)
    await log.publish_frame(0, b"poison")
    await log.publish_frame(0, b"good")
    for opens in (1, 2, 3):
        partition = await log.open_partition(0)
        assert partition.stalled_opens == opens
    await partition.acknowledge(await partition.fetch(1, 1.0))
    async with asyncio.timeout(WITHIN_S):
        while await partition.pending() > 1:
            pass
    assert (await log.open_partition(0)).stalled_opens == 1


async def test_frames_survive_the_death_of_the_server(server: Server, client: Client) -> None:
    log = await make_log(client)
    stored: list[bytes] = []

    async def publish(sender: int) -> None:
        try:
            for number in range(1_000_000):
                frame = b"%d-%d" % (sender, number)
                await log.publish_frame(0, frame)
                stored.append(frame)
        except EngineUnavailable:
            return

    for wanted in (50, 100, 150):
        senders = [asyncio.create_task(publish(1000 * wanted + sender)) for sender in range(8)]
        await asyncio.to_thread(wait_until, partial(has_grown, stored, wanted))
        server.kill()
        await asyncio.gather(*senders)
        await asyncio.to_thread(server.start)
        await until_connected(client)
    partition = await log.open_partition(0)
    found: list[bytes] = []
    while messages := await partition.fetch(1000, 0.2):
        found += [message.data for message in messages]
    assert set(stored) <= set(found)


async def test_a_waiting_fetch_hears_at_once_of_the_servers_death(server: Server, client: Client) -> None:
    log = await make_log(client)
    partition = await log.open_partition(0)
    fetching = asyncio.create_task(partition.fetch(10, 600.0))
    await log.state()
    server.kill()
    with pytest.raises(EngineUnavailable):
        async with asyncio.timeout(WITHIN_S):
            await fetching
    with pytest.raises(EngineUnavailable):
        await log.publish_frame(0, b"nobody takes this")
    await asyncio.to_thread(server.start)
    await until_connected(client)
    await log.publish_frame(0, b"here again")
    assert [message.data for message in await partition.fetch(10, 5.0)] == [b"here again"]


async def test_live_messages_reach_every_subscriber(server: Server, client: Client) -> None:
    heard: list[tuple[str, bytes]] = []
    other = await Client.connect(server.embedded.url, name="other")
    subscription = await other.subscribe("live.*", lambda subject, data: heard.append((subject, data)))
    await other.flush()
    await client.publish("live.values", b"1")
    await asyncio.to_thread(wait_until, lambda: bool(heard), WITHIN_S, "the message")
    assert heard == [("live.values", b"1")]
    await subscription.stop()
    await other.close()
