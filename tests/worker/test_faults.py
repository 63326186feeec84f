"""What a worker survives: its own death at any moment, a second worker, PostgreSQL and nats going away."""

import asyncio
import subprocess
import time
from collections.abc import Callable

import numpy as np
import pytest

from kilowatch.errors import EngineUnavailable
from kilowatch.worker.shift import KILLING_OPENS
from tests.worker.house import SECOND_US, WITHIN_S, House, Reading, until

DEVICES = [f"D{number}" for number in range(20)]


def recent_us() -> int:
    """An hour ago, at a full second: children read the real clock."""
    return (time.time_ns() // 1_000_000_000 - 3600) * SECOND_US


def numbered(base_us: int, first: int, count: int) -> list[Reading]:
    """Readings that say their own number, which makes each of them known by its value."""
    return [
        (DEVICES[n % len(DEVICES)], base_us + n * 1000, {"power": float(n)})
        for n in range(first, first + count)
    ]


def expect_all(house: House, base_us: int, count: int) -> None:
    """Every reading is stored exactly once, and the ledger has counted every message exactly once."""
    expected: dict[tuple[str, str], dict[int, float]] = {}
    for device, ts_us, values in numbered(base_us, 0, count):
        expected.setdefault((device, "power"), {})[ts_us] = values["power"]
    assert house.samples() == expected
    ledger = house.ledger()
    assert (ledger["stored"], ledger["dead_letters"]) == (count, 0)


async def send_for_sure(house: House, readings: list[Reading]) -> None:
    """Sends until the log has said yes, as a door's client does; a message may be in the log twice then."""

    async def sent() -> bool:
        await house.send(readings)
        return True

    await until(sent, "a log that takes readings")


async def test_workers_that_are_killed_lose_nothing_and_store_nothing_twice(house: House) -> None:
    await house.add(DEVICES, ["power"])
    base_us, rng = recent_us(), np.random.default_rng(11)
    workers = [house.spawn_worker(), house.spawn_worker()]
    sent = 0
    try:
        for _ in range(6):
            for _ in range(int(rng.integers(20, 60))):
                await house.send(numbered(base_us, sent, 50))
                sent += 50
            kept = (await house.log.state()).messages
            target = kept - int(rng.integers(0, 20))

            async def progressed(target: int = target) -> bool:
                return (await house.log.state()).messages <= target

            await until(progressed, "a worker that goes on")
            workers[0].kill()
            workers[0].wait()
            workers = [workers[1], house.spawn_worker()]
        await house.settled()
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    expect_all(house, base_us, sent)
    assert house.ledger()["messages"] == sent // 50
    assert house.ledger()["repeats"] == 0


async def test_a_worker_told_to_stop_commits_what_has_arrived(house: House) -> None:
    await house.add(DEVICES, ["power"])
    base_us = recent_us()
    await house.send(numbered(base_us, 0, 1000))
    worker = house.spawn_worker()
    try:

        async def begun() -> bool:
            return bool(house.rows("SELECT 1 FROM lake.ledger LIMIT 1"))

        await until(begun, "a first commit")
        await house.send(numbered(base_us, 1000, 1000))
        await asyncio.to_thread(stop, worker)
    finally:
        worker.kill()
        worker.wait()
    async with house.working():
        await house.settled()
    expect_all(house, base_us, 2000)
    assert house.ledger()["messages"] == 2


def stop(worker: "subprocess.Popen[bytes]") -> None:
    """Asks the worker to end, which it does in order."""
    worker.terminate()
    assert worker.wait(WITHIN_S) == 0


@pytest.mark.parametrize("engine", ["postgres", "nats"])
async def test_an_engine_that_goes_away_is_waited_for(house: House, engine: str) -> None:
    await house.add(DEVICES, ["power"])
    stops: dict[str, Callable[[], None]] = {"postgres": house.postgres.stop, "nats": house.nats.kill}
    starts: dict[str, Callable[[], None]] = {"postgres": house.postgres.start, "nats": house.nats.start}
    base_us, sent = recent_us(), 0
    house.clock.advance((base_us - house.clock.now_us()) / SECOND_US + 3600)
    async with house.working():
        for _ in range(4):
            for _ in range(10):
                await send_for_sure(house, numbered(base_us, sent, 50))
                sent += 50
            await asyncio.to_thread(stops[engine])
            try:
                with pytest.raises(EngineUnavailable):
                    await noticed(house, engine)
                if engine == "postgres":
                    await send_for_sure(house, numbered(base_us, sent, 50))
                    sent += 50
            finally:
                await asyncio.to_thread(starts[engine])
        await house.settled()
    expect_all(house, base_us, sent)


async def noticed(house: House, engine: str) -> None:
    """Talks to the engine, which is away."""
    if engine == "postgres":
        await house.database.ping()
    else:
        await house.log.state()


async def test_a_second_worker_waits_for_the_first(house: House) -> None:
    await house.add(DEVICES, ["power"])
    base_us = recent_us()
    house.clock.advance((base_us - house.clock.now_us()) / SECOND_US + 3600)
    async with house.working():
        async with house.working():
            await house.send(numbered(base_us, 0, 100))
            await house.settled()
        await house.send(numbered(base_us, 100, 100))
        await house.settled()
    expect_all(house, base_us, 200)
    assert house.ledger()["repeats"] == 0


async def test_a_message_that_kills_its_workers_becomes_dead_letters(house: House) -> None:
    await house.add(DEVICES, ["power"])
    base_us = recent_us()
    house.clock.advance((base_us - house.clock.now_us()) / SECOND_US + 3600)
    for k in range(3):
        await house.send(numbered(base_us, 10 * k, 10))
    for _ in range(KILLING_OPENS):
        await house.log.open_partition(0)  # and never a word again, as of a process that was killed
    async with house.working():
        await house.settled()
    ledger = house.ledger()
    assert (ledger["messages"], ledger["stored"], ledger["dead_letters"]) == (3, 20, 10)
    assert {letter.code for letter in await house.letters()} == {"poison"}


async def test_workers_that_end_in_order_make_nothing_suspicious(house: House) -> None:
    await house.add(DEVICES, ["power"])
    base_us = recent_us()
    house.clock.advance((base_us - house.clock.now_us()) / SECOND_US + 3600)
    await house.send(numbered(base_us, 0, 10))
    for _ in range(KILLING_OPENS):
        await (await house.log.open_partition(0)).close()
    async with house.working():
        await house.settled()
    expect_all(house, base_us, 10)
