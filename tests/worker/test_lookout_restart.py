"""Rules over a restart or a killed worker: nothing is told twice, nothing is lost, what ended stays ended."""

import uuid
from decimal import Decimal

import pytest
from sqlalchemy import text

from kilowatch.alerts.finding import Key
from kilowatch.alerts.store.alerts import resolve_alert
from kilowatch.alerts.store.raising import clear_alerts, raise_alerts
from kilowatch.clock import SystemClock, to_datetime
from kilowatch.rules.store import archive_rule
from kilowatch.wire.live import LiveEvent
from tests.worker.house import NOW_US, SECOND_US, House, until
from tests.worker.watching import START_US, looking, rule_of, seconds, show


async def test_a_restart_says_nothing_twice_and_nothing_anew(house: House, events: list[LiveEvent]) -> None:
    await house.add(["D1"], ["power"])
    await rule_of(house)
    async with house.database.scope(house.organisation.id) as connection:
        # The house's clock is not the database's: the rule was there before the readings.
        await connection.execute(text("UPDATE kilowatch.rules SET updated_at = '2026-01-01'"))
    async with house.working():
        await house.send(seconds("D1", [150.0] * 10))
        await house.settled()
    assert [one.data["status"] for one in events] == ["open"]
    async with house.working():
        await house.send(seconds("D1", [150.0] * 20))
        await house.settled()
        await house.send(seconds("D1", [50.0], start_us=START_US + 60 * SECOND_US))
        await house.settled()

        async def over() -> bool:
            return len(events) >= 2

        await until(over, "a clear")
    assert [one.data["status"] for one in events] == ["open", "resolved"]


async def test_workers_that_are_killed_lose_no_finding_and_add_none(house: House) -> None:
    await house.add(["D1"], ["power"])
    rule = await rule_of(house)
    start_us = SystemClock().now_us()
    readings = [
        ("D1", start_us + place * 1000, {"power": 150.0 if place % 2 else 50.0}) for place in range(96)
    ]
    key = Key(house.organisation.id, "rule", house.devices["D1"], rule_id=rule.id)
    expected = {str(key.alert_id(ts_us)) for _, ts_us, values in readings if values["power"] > 100}

    async def found() -> set[str]:
        async with house.database.scope(house.organisation.id) as connection:
            return set((await connection.execute(text("SELECT id::text FROM kilowatch.alerts"))).scalars())

    worker = house.spawn_worker()
    try:
        for begin in range(0, len(readings), 24):
            before = len(await found())
            for first in range(begin, begin + 24, 3):
                await house.send(readings[first : first + 3])

            async def some(before: int = before) -> bool:
                return len(await found()) > before

            await until(some, "a finding")
            # Some of it is committed by now, or none.
            worker.kill()
            worker.wait()
            worker = house.spawn_worker()
        await house.settled()

        async def all_found() -> bool:
            return await found() == expected

        await until(all_found, "every finding", 5.0)
    finally:
        worker.kill()
        worker.wait()


async def test_who_was_killed_after_telling_is_told_of_nothing_again(house: House) -> None:
    await house.add(["D1"], ["power"])
    await rule_of(house)
    readings = seconds("D1", [50.0, 150.0, 50.0, 150.0, 150.0, 50.0])
    async with looking(house) as (lookout, taken):
        await show(house, lookout, readings[:5])
    (first, second) = taken.raises
    assert first.alert_id != second.alert_id
    # Nothing of it was committed; the alert of the second breach lives.
    async with looking(house, known=[second]) as (lookout, taken):
        await show(house, lookout, readings, cuts=[1, 3])
    assert taken.raises == []
    assert [one.ts_us for one in taken.clears] == [readings[5][1]]
    # Killed before telling: the same ids.
    async with looking(house) as (lookout, taken):
        await show(house, lookout, readings, cuts=[2])
    assert [one.alert_id for one in taken.raises] == [first.alert_id, second.alert_id]


async def test_alerts_of_rules_that_ended_meanwhile_are_cleared_at_the_start(house: House) -> None:
    await house.add(["D1"], ["power"])
    rule = await rule_of(house)
    async with looking(house) as (lookout, taken):
        await show(house, lookout, seconds("D1", [150.0]))
    async with house.database.scope(house.organisation.id) as connection:
        await archive_rule(connection, rule.id)
    async with looking(house, known=taken.raises) as (_, again):

        async def cleared() -> bool:
            return len(again.clears) == 1

        await until(cleared, "a clear")
    assert again.clears[0].key == taken.raises[0].key
    # Another worker's devices are its own.
    async with looking(house, known=taken.raises, numbers=[house.devices["D1"] + 1], partitions=1000) as (
        lookout,
        other,
    ):
        await show(house, lookout, [])
    assert other.told == []


@pytest.mark.parametrize("ends_at_start", [True, False])
async def test_what_a_device_ahead_of_us_began_is_over_with_its_rule(
    house: House, ends_at_start: bool
) -> None:
    await house.add(["D1"], ["power"])
    rule = await rule_of(house)
    ahead = seconds("D1", [150.0], start_us=NOW_US + 300 * SECOND_US)

    async def archive() -> None:
        async with house.database.scope(house.organisation.id) as connection:
            await archive_rule(connection, rule.id)

    async with looking(house) as (lookout, taken):
        await show(house, lookout, ahead)
        await archive()

        async def cleared() -> bool:
            return len(taken.clears) == 1

        await until(cleared, "a clear", 5.0)
    if ends_at_start:
        async with looking(house, known=taken.raises) as (_, taken):
            await until(cleared, "a clear", 5.0)
    assert taken.clears[0].ts_us >= ahead[0][1]


async def test_a_cooldown_outlasts_a_restart(house: House) -> None:
    await house.add(["D1"], ["power"])
    await rule_of(house, cooldown_s=600)
    readings = seconds("D1", [150.0, 50.0, 150.0, 50.0, 150.0], every_s=250)
    async with looking(house) as (lookout, taken):
        await show(house, lookout, readings[:2])
        async with taken.database.unscoped() as connection:
            await raise_alerts(connection, taken.raises, START_US, Decimal("0.30"))
            await clear_alerts(connection, taken.clears, START_US)
    async with looking(house) as (lookout, taken):
        await show(house, lookout, readings[2:])
    assert [one.ts_us for one in taken.raises] == [readings[4][1]]


async def test_a_rule_that_somebody_ended_by_hand_stays_so_over_a_restart(
    house: House, events: list[LiveEvent]
) -> None:
    await house.add(["D1"], ["power"])
    await rule_of(house, for_s=5)
    # PostgreSQL's clock is not the one that is driven here.
    async with house.database.scope(house.organisation.id) as connection:
        made = text("UPDATE kilowatch.rules SET updated_at = :at")
        await connection.execute(made, {"at": to_datetime(START_US)})

    async def send(first: int, *values: float) -> None:
        house.clock.advance(len(values))
        await house.send(seconds("D1", values, start_us=NOW_US + first * SECOND_US))
        await house.settled()

    async with house.working():
        await send(0, 50.0)
    async with house.working():
        await send(1, *[150.0] * 7)

        async def told() -> bool:
            return bool(events)

        await until(told, "an alert")
        async with house.database.scope(house.organisation.id) as connection:
            alert_id = uuid.UUID(events[0].data["id"])
            await resolve_alert(connection, alert_id, "user:x", to_datetime(house.clock.now_us()))
        await send(8, *[150.0] * 5)
    async with house.working():
        await send(13, *[150.0] * 15)
        assert [one.data["status"] for one in events] == ["open"]
        await send(28, 50.0, *[150.0] * 7)

        async def again() -> bool:
            return [one.data["status"] for one in events] == ["open", "open"]

        await until(again, "another alert")
