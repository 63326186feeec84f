"""When a device was last heard of: soon written, never back in time, and still there after a kill."""

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import text

from kilowatch.clock import to_us
from kilowatch.sites.store import delete_device, list_devices
from kilowatch.worker.sightings import Sightings
from kilowatch.worker.upkeep import Upkeep
from tests.worker.house import House, until
from tests.worker.test_faults import recent_us


async def last_seen(house: House) -> dict[str, datetime | None]:
    async with house.database.scope(house.organisation.id) as connection:
        return {device.id: device.last_seen for device in (await list_devices(connection)).items}


async def test_a_device_is_seen_when_a_message_of_it_was_stored(house: House) -> None:
    await house.add(["D1", "D2"], ["power"])
    before = datetime.now(UTC) - timedelta(seconds=1)
    async with house.working():
        await house.send([("D1", recent_us(), {"power": 1.0})])
        await house.settled()
    seen = await last_seen(house)
    assert seen["D2"] is None
    assert seen["D1"] is not None
    assert before < seen["D1"] < datetime.now(UTC) + timedelta(seconds=1)


async def test_a_killed_worker_leaves_what_it_saw(house: House) -> None:
    await house.add(["D1"], ["power"])
    worker = house.spawn_worker()
    try:
        await house.send([("D1", recent_us(), {"power": 1.0})])

        async def written() -> bool:
            return (await last_seen(house))["D1"] is not None

        await until(written, "a sighting")
    finally:
        worker.kill()
        worker.wait()
    assert (await last_seen(house))["D1"] is not None


async def test_sightings_go_forward_and_pass_over_who_is_gone(house: House, jobs: Upkeep) -> None:
    await house.add(["D1", "D2", "D3"], ["power"])
    numbers = np.array([house.devices[name] for name in ("D1", "D2", "D3")], np.int32)
    noon, later = datetime(2026, 6, 1, 12, tzinfo=UTC), datetime(2026, 6, 1, 13, tzinfo=UTC)
    first, second = Sightings(jobs.database), Sightings(jobs.database)
    first.note(numbers[[0, 0, 1]], to_us(later))
    first.note(numbers[[0]], to_us(noon))
    second.note(numbers, to_us(noon))
    second.note(np.array([0, 2_000_000], np.int32), to_us(noon))
    async with house.database.scope(house.organisation.id) as connection:
        await delete_device(connection, "D3")
    await asyncio.gather(first.write(), second.write())
    assert await last_seen(house) == {"D1": later, "D2": later}
    async with jobs.database.unscoped() as connection:
        await connection.execute(text("DELETE FROM kilowatch.device_sightings"))
    await first.write()
    assert await last_seen(house) == {"D1": None, "D2": None}, "what was written is not written twice"


async def test_sightings_wait_while_postgres_is_away(house: House, jobs: Upkeep) -> None:
    await house.add(["D1"], ["power"])
    moment = datetime(2026, 6, 1, 12, tzinfo=UTC)
    sightings = Sightings(jobs.database)
    sightings.note(np.array([house.devices["D1"]], np.int32), to_us(moment))
    await asyncio.to_thread(house.postgres.stop)
    await sightings.write()
    await asyncio.to_thread(house.postgres.start)
    await sightings.write()
    assert await last_seen(house) == {"D1": moment}
