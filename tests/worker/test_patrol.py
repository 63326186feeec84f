"""Detectors on a whole house: readings come in, alerts open, and end by themselves."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import numpy as np
from sqlalchemy import text

from kilowatch.alerts.alert import Alert
from kilowatch.alerts.store.alerts import Wanted, list_alerts, resolve_alert
from kilowatch.alerts.store.detectors import keep_profiles, set_detector
from kilowatch.clock import MICROSECONDS, to_datetime
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import list_sites, set_state, update_device
from kilowatch.telemetry.metric import describe
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from kilowatch.worker.alarms import Alarms
from kilowatch.worker.patrol import Patrol
from kilowatch.worker.store.registry import note_sightings
from tests.worker.house import NOW_US, House, Reading, until

MINUTE_US = 60 * MICROSECONDS
QUARTER_US = 15 * MINUTE_US


async def alerts(house: House, **wanted: str) -> list[Alert]:
    async with house.database.scope(house.organisation.id) as connection:
        return (await list_alerts(connection, Wanted(**wanted), 500)).items  # type: ignore[arg-type]


def has(house: House, *expected: tuple[str, str | None, str]) -> Callable[[], Awaitable[bool]]:
    """Whether the alerts of these kinds are exactly these, as (kind, device, status)."""
    kinds = {kind for kind, _, _ in expected}

    async def check() -> bool:
        found = [one for one in await alerts(house) if one.kind in kinds]
        return sorted((one.kind, one.device or "", one.status) for one in found) == sorted(
            (kind, device or "", status) for kind, device, status in expected
        )

    return check


async def power(house: House, device: str, *values: tuple[int, float]) -> None:
    """Readings of power at these seconds."""
    readings: Sequence[Reading] = [
        (device, NOW_US + round(second * MICROSECONDS), {"power": watts}) for second, watts in values
    ]
    await house.send(readings)


async def switch(house: House, device: str, state: str) -> None:
    """Switches a device, and says so as the server does."""
    async with house.database.scope(house.organisation.id) as connection:
        await set_state(connection, device, state)
    event = LiveEvent(
        str(house.organisation.id), f"devices.{device}", house.clock.now_us(), "device",
        {"device": device, "state": state}, house.devices[device],
    )  # fmt: skip
    await house.client.publish(EVENTS_SUBJECT, event.encode())


async def test_a_kettle_left_on_standby_is_a_phantom_load_until_it_is_on_or_idle(house: House) -> None:
    await house.add(["kettle"], ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        await update_device(connection, "kettle", {"idle_threshold_w": 5.0})
        await set_state(connection, "kettle", "standby")
    second = 3

    async def sent(watts: float, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Sends readings, a second apart, until the condition holds."""

        async def once() -> bool:
            nonlocal second
            second += 1
            house.clock.advance(1)
            await power(house, "kettle", (second, watts))
            await asyncio.sleep(0.1)
            return await condition()

        await until(once, what)

    async with house.working():
        await sent(40.0, has(house, ("phantom_load", "kettle", "open")), "a phantom load")
        (alert,) = await alerts(house)
        assert (alert.value, alert.limit_value, alert.excess_w, alert.metric) == (40.0, 5.0, 35.0, "power")
        assert alert.cost_per_day is not None
        await sent(4.0, has(house, ("phantom_load", "kettle", "resolved")), "the end of the phantom load")
        twice = (("phantom_load", "kettle", "resolved"), ("phantom_load", "kettle", "open"))
        await sent(40.0, has(house, *twice), "a second phantom load")
        await switch(house, "kettle", "on")
        ended = has(house, *[("phantom_load", "kettle", "resolved")] * 2)
        await until(ended, "the end, without another reading")
        await power(house, "kettle", (second + 1, 2000.0))
        await house.settled()
        assert await ended()


async def test_a_device_that_says_that_it_rests_and_draws_is_a_phantom_load(house: House) -> None:
    await house.add(["kettle"], ["power", "state"])
    async with house.database.scope(house.organisation.id) as connection:
        await update_device(connection, "kettle", {"idle_threshold_w": 5.0})
    database = Database(house.worker_url)
    alarms = Alarms(database, house.client, house.clock, Decimal("0.30"))
    patrol = Patrol(database, house.client, house.reader, house.clock, alarms, [0], 1)
    await patrol.begin()
    for second, (said, watts, expected) in enumerate(
        (("on", 2000.0, []), ("standby", 4.0, []), ("off", 40.0, ["open"]), ("on", 2000.0, ["resolved"]))
    ):
        values = {"power": watts, "state": float(describe("state").states.index(said))}
        await patrol.look([house.frame([("kettle", NOW_US + second * MICROSECONDS, values)])])
        assert [one.status for one in await alerts(house)] == expected
    await database.close()


async def test_a_spike_stands_out_of_the_devices_own_profile(house: House) -> None:
    await house.add(["oven", "pump"], ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        await set_detector(connection, house.organisation.id, None, "spike", {"limits": {"for_s": 0}})
        usual = np.full((1, 24), 100.0)
        await keep_profiles(connection, np.array([house.devices["oven"]]), usual, usual / 5, NOW_US)
    async with house.working():
        second = 0

        async def spiked() -> bool:
            nonlocal second
            second += 2
            await power(house, "oven", (second, 215.0), (second + 1, 230.0))
            await power(house, "pump", (second, 9000.0))
            await asyncio.sleep(0.1)
            return bool(await alerts(house))

        await until(spiked, "a spike")
        (alert,) = await alerts(house)
        # 100 W usual, 6 spreads of 20 W
        assert (alert.device, alert.value, alert.limit_value, alert.excess_w) == ("oven", 230.0, 220.0, 130.0)
        await power(house, "oven", (second + 10, 210.0))
        await house.settled()
        assert await has(house, ("spike", "oven", "open"))()
        await power(house, "oven", (second + 11, 199.0))
        await until(has(house, ("spike", "oven", "resolved")), "the end of the spike")


async def test_a_walk_through_a_sleeping_home_is_told_once(house: House) -> None:
    rooms = {"lamp": "hall", "radio": "kitchen", "heater": "bath"}
    await house.add(list(rooms), ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        for device, room in rooms.items():
            await update_device(connection, device, {"room": room})
        hours = {"asleep_from_h": 0.0, "asleep_until_h": 24.0}
        await set_detector(connection, house.organisation.id, None, "ghost_walk", {"limits": hours})
        (home,) = (await list_sites(connection)).items
    async with house.working():
        start = 0

        async def walked() -> bool:
            nonlocal start
            start += 2000
            for place, device in enumerate(rooms):
                at = start + 60 * place
                await power(house, device, (at - 30, 0.0), (at, 60.0), (at + 1, 61.0))
            await asyncio.sleep(0.3)
            return bool(await alerts(house))

        await until(walked, "a ghost walk")
        (alert,) = await alerts(house)
        assert (alert.kind, alert.device, alert.site_id, alert.devices) == ("ghost_walk", None, home.id, 3)
        await power(house, "lamp", (start + 200, 0.0), (start + 230, 60.0))
        await house.settled()
        assert len(await alerts(house)) == 1
        house.clock.advance(start + 3600)
        await until(has(house, ("ghost_walk", None, "resolved")), "calm")


async def test_who_falls_silent_is_told_and_cleared_and_a_restart_tells_nobody(house: House) -> None:
    await house.add(["D1", "D2"], ["power"])
    async with house.working():
        for second in range(0, 120, 10):
            await power(house, "D1", (second, 1.0))
            await power(house, "D2", (second, 1.0))
            await house.settled()
            house.clock.advance(10)

        house.clock.advance(100)
        await power(house, "D2", (300, 1.0))
        await house.settled()
        house.clock.advance(30)
        await power(house, "D2", (330, 1.0))
        silent = has(house, ("offline", "D1", "open"))
        await until(silent, "silence of D1")
    # The log's own clock is not the one that is driven here.
    heard = "UPDATE kilowatch.device_sightings SET last_seen = :at"
    async with house.database.scope(house.organisation.id) as connection:
        await connection.execute(text(heard), {"at": to_datetime(NOW_US + 120 * MICROSECONDS)})
    async with house.working():
        await power(house, "D2", (340, 1.0))
        await house.settled()
        assert await silent()
        await power(house, "D1", (350, 1.0))
        await until(has(house, ("offline", "D1", "resolved")), "D1 to be back")


async def test_a_restart_with_5000_devices_tells_nobody_whether_they_report_or_not(house: House) -> None:
    devices = [f"D{number}" for number in range(5000)]
    await house.add(devices, ["power"])
    numbers = np.array(list(house.devices.values()), np.int32)
    database = Database(house.worker_url)
    alarms = Alarms(database, house.client, house.clock, Decimal("0.30"))

    async def start() -> Patrol:
        patrol = Patrol(database, house.client, house.reader, house.clock, alarms, [0], 1)
        await patrol.begin()
        return patrol

    async def wait(patrol: Patrol, seconds: int) -> None:
        for _ in range(seconds):
            house.clock.advance(1)
            await patrol.turn()

    first = await start()
    for _ in range(4):
        house.clock.advance(10)
        first.silence.hear(numbers, house.clock.now_us())
        await first.turn()
    await first.keep_pauses()
    await note_sightings(database, numbers, np.full(len(numbers), house.clock.now_us()))
    house.clock.advance(3600)  # nobody was there to listen
    second = await start()
    await wait(second, 119)
    assert await alerts(house) == []
    await wait(second, 3)
    (alert,) = await alerts(house)
    assert (alert.kind, alert.device, alert.devices) == ("offline", None, 5000)
    third = await start()
    await wait(third, 300)
    assert [one.id for one in await alerts(house)] == [alert.id]
    third.silence.hear(numbers, house.clock.now_us())
    await third.turn()
    assert [one.status for one in await alerts(house)] == ["resolved"]
    await database.close()


async def test_history_that_is_brought_in_is_told_to_nobody(house: House) -> None:
    rooms = {"lamp": "hall", "radio": "kitchen", "heater": "bath"}
    await house.add(list(rooms), ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        for device, room in rooms.items():
            await update_device(connection, device, {"room": room})
        hours = {"asleep_from_h": 0.0, "asleep_until_h": 24.0}
        await set_detector(connection, house.organisation.id, None, "ghost_walk", {"limits": hours})
    database = Database(house.worker_url)
    alarms = Alarms(database, house.client, house.clock, Decimal("0.30"))
    patrol = Patrol(database, house.client, house.reader, house.clock, alarms, [0], 1)
    await patrol.begin()
    for start, expected in ((-2 * 86_400, 0), (-600, 1)):
        readings: list[Reading] = [
            (device, NOW_US + (start + 60 * place + after) * MICROSECONDS, {"power": watts})
            for place, device in enumerate(rooms)
            for after, watts in ((-30, 0.0), (0, 60.0))
        ]
        await patrol.look([house.frame(readings)])
        assert len(await alerts(house)) == expected
    await database.close()


async def test_nobody_is_silent_while_readings_are_held_back(house: House) -> None:
    await house.add(["D1"], ["power"])
    database = Database(house.worker_url)
    alarms = Alarms(database, house.client, house.clock, Decimal("0.30"))
    patrol = Patrol(database, house.client, house.reader, house.clock, alarms, [0], 1)
    await patrol.begin()
    patrol.silence.hear(np.array([house.devices["D1"]], np.int32), house.clock.now_us())
    for is_behind, expected in ((True, 0), (False, 1)):
        patrol.is_behind = lambda is_behind=is_behind: is_behind  # type: ignore[misc]
        house.clock.advance(3600)
        await patrol.turn()
        assert len(await alerts(house)) == expected
    await database.close()


async def test_what_was_ended_by_hand_stays_so_over_a_restart(house: House) -> None:
    await house.add(["kettle"], ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        await update_device(connection, "kettle", {"idle_threshold_w": 5.0})
        await set_state(connection, "kettle", "standby")
    database = Database(house.worker_url)
    alarms = Alarms(database, house.client, house.clock, Decimal("0.30"))

    async def start() -> Patrol:
        patrol = Patrol(database, house.client, house.reader, house.clock, alarms, [0], 1)
        await patrol.begin()
        return patrol

    async def draw(patrol: Patrol, watts: float) -> list[str]:
        house.clock.advance(10)
        reading: Reading = ("kettle", house.clock.now_us(), {"power": watts})
        await patrol.look([house.frame([reading])])
        return [one.status for one in await alerts(house)]

    first = await start()
    assert await draw(first, 40.0) == ["open"]
    (alert,) = await alerts(house)
    async with house.database.scope(house.organisation.id) as connection:
        await resolve_alert(connection, alert.id, "user:x", to_datetime(house.clock.now_us()))
    assert await draw(first, 40.0) == ["resolved"]
    second = await start()
    assert await draw(second, 40.0) == ["resolved"]
    assert await draw(second, 1.0) == ["resolved"]
    assert await draw(second, 40.0) == ["open", "resolved"]
    await database.close()
