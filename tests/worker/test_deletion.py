"""What was deleted stays deleted: no sample, roll-up, correction or dead letter of it comes back, whatever is
on its way, and everybody else's books are as if nothing had happened."""

import asyncio
import uuid
from collections.abc import Sequence
from itertools import pairwise

import pytest
from sqlalchemy import text

from kilowatch.lake.erasing import OF_SERIES
from kilowatch.lake.writing import LakeWriter
from kilowatch.sites.store import delete_device, delete_site, get_device
from kilowatch.telemetry.metric import ENERGY
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange
from kilowatch.worker.store.registry import list_vanished
from kilowatch.worker.upkeep import SETTLED_S, Upkeep, erase_all
from tests.lake.rows import samples
from tests.worker.house import BASE_US, SECOND_US, House, Reading, make_organisation, until
from tests.worker.test_faults import recent_us
from tests.worker.test_verify import look

GONE, KEPT = ["D1", "D2"], ["D3"]
STEP_US = 300 * SECOND_US


def some(first: int, count: int, base_us: int = BASE_US, *, value: float = 100.0) -> list[Reading]:
    """Readings of all devices."""
    return [
        (device, base_us + step * STEP_US, {"power": value + step % 5, "voltage": 230.0})
        for step in range(first, first + count)
        for device in (*GONE, *KEPT)
    ]


@pytest.fixture
async def furnished(house: House) -> House:
    """Two devices in a site of their own, a third at home."""
    await house.add(GONE, ["power", "voltage"], "Europe/Berlin")
    await house.add(KEPT, ["power", "voltage"])
    return house


async def delete_their_site(house: House, *, told: bool = True) -> None:
    """Deletes the site of the devices that shall go."""
    async with house.database.scope(house.organisation.id) as connection:
        await delete_site(connection, (await get_device(connection, GONE[0])).site_id)
    if told:
        word = RegistryChange(str(house.organisation.id), "sites")
        await house.client.publish(REGISTRY_SUBJECT, word.encode())
        await house.client.flush()


async def series_of(house: House, devices: Sequence[str]) -> list[int]:
    """The numbers of all series of devices; to be asked while they exist."""
    await house.learn_series()
    return [number for (device, _), number in house.series.items() if device in devices]


def rows_of(house: House, series: Sequence[int]) -> dict[str, int]:
    """How many rows each table of the lake has of these series, where it has any."""
    counts = {}
    for table in OF_SERIES:
        counts[table] = len(house.rows(f"SELECT 1 FROM lake.{table} WHERE series_no IN {tuple(series)}"))  # noqa: S608
    return {table: count for table, count in counts.items() if count}


async def expect_kept(house: House, count: int) -> None:
    """The third device has all its values once, in every tier, and the proof holds."""
    house.series = {}
    await house.learn_series()
    assert house.samples().keys() == {("D3", "power"), ("D3", "voltage")}
    books = house.books("D3", "power")
    for tier in ("1m", "15m", "1h", "1d"):
        assert sum(row["count"] for row in books[f"power {tier}"]) == count
    energy_uwh = sum(row["sum"] for row in books["1d"])
    values = [100.0 + step % 5 for step in range(count)]
    truth_uwh = sum((one + other) / 2 for one, other in pairwise(values)) * 300 / 3.6e-3
    assert abs(energy_uwh - truth_uwh) < 10 * count
    report = await look(house)
    assert report.faults == []
    gone = {number for name, number in house.devices.items() if name in GONE}
    assert sum(one.kept for one in report.accounts if one.device_no in gone) == 0


async def test_a_deleted_site_leaves_nothing_while_readings_arrive(furnished: House, jobs: Upkeep) -> None:
    house = furnished
    async with house.working():
        await house.send(some(0, 20))
        await house.settled()
        await house.send(some(3, 1, value=50.0))
        await house.settled()
        gone = await series_of(house, GONE)
        assert {letter.device for letter in await house.letters()} == {*GONE, *KEPT}
        assert len(gone) == 2 * 3
        assert rows_of(house, gone).keys() >= {"samples", "rollups_1m", "rollups_1d"}

        async def keep_sending() -> None:
            for first in range(20, 60):
                await house.send(some(first, 1))

        sending = asyncio.create_task(keep_sending())
        await delete_their_site(house)
        await jobs.erase()
        await sending
        # Late redelivery and a late conflict of devices that are gone, and one of a device that is not.
        await house.send(some(5, 1, value=70.0) + some(60, 20))
        await house.settled()
        await jobs.erase()
    await forget_now(house, jobs)
    assert rows_of(house, gone) == {}
    assert {letter.device for letter in await house.letters()} == {*KEPT}
    await expect_kept(house, 80)


async def forget_now(house: House, jobs: Upkeep) -> None:
    """The second and last round, as if its time had come."""
    async with jobs.database.unscoped() as connection:
        await connection.execute(
            text("UPDATE kilowatch.vanished_series SET vanished_at = vanished_at - interval '2 hours'")
        )
    await jobs.erase()
    assert await list_vanished(jobs.database, -1.0) == []


async def test_a_worker_killed_in_between_brings_nothing_back(furnished: House, jobs: Upkeep) -> None:
    house, base_us = furnished, recent_us()
    worker = house.spawn_worker()
    try:
        await house.send(some(0, 10, base_us))
        await house.settled()
        gone = await series_of(house, GONE)
        for first in range(10, 30):
            await house.send(some(first, 1, base_us))
        await delete_their_site(house, told=False)
        worker.kill()
        worker.wait()
        await jobs.erase()
        await house.send(some(25, 10, base_us))
        worker = house.spawn_worker()
        await house.settled()
    finally:
        worker.kill()
        worker.wait()
    await forget_now(house, jobs)
    assert rows_of(house, gone) == {}
    await expect_kept(house, 35)


async def test_a_worker_that_was_not_told_is_swept_up_after(furnished: House, jobs: Upkeep) -> None:
    house = furnished
    async with house.working():
        await house.send(some(0, 10))
        await house.settled()
        gone = await series_of(house, GONE)
        await delete_their_site(house, told=False)
        await jobs.erase()
        assert rows_of(house, gone) == {}
        await house.send(some(10, 10))
        await house.settled()
        assert rows_of(house, gone) != {}, "it did not know"
    await forget_now(house, jobs)
    assert rows_of(house, gone) == {}
    await expect_kept(house, 20)


async def test_an_erasing_that_was_cut_short_is_done_again(furnished: House, jobs: Upkeep) -> None:
    house = furnished
    async with house.working():
        await house.send(some(0, 10))
        await house.settled()
        gone = await series_of(house, GONE)
        async with house.database.scope(house.organisation.id) as connection:
            for device in GONE:
                await delete_device(connection, device)
    vanished = await list_vanished(jobs.database, SETTLED_S)
    assert {one.series_no for one in vanished} == set(gone)
    writer = LakeWriter(house.place)
    erase_all(writer, vanished, house.clock.now_us())
    await jobs.erase()
    assert await list_vanished(jobs.database, SETTLED_S) == []
    late = [(vanished[0].series_no, BASE_US, 1.0)]
    writer.commit({"samples": samples(late)})
    await forget_now(house, jobs)
    writer.close()
    assert rows_of(house, gone) == {}
    await expect_kept(house, 10)


async def test_an_organisation_goes_whole(furnished: House, jobs: Upkeep) -> None:
    house, mine = furnished, furnished.organisation
    other = await make_organisation(house.database)
    async with house.working():
        await house.send(some(0, 10))
        await house.settled()
        house.organisation = other
        await house.add(["X1"], ["power"])
        await house.send([("X1", BASE_US + step * STEP_US, {"power": 1.0 + step}) for step in range(10)])
        await house.send([("X1", BASE_US, {"power": 7.0})])
        await house.settled()
        theirs = [number for (device, _), number in house.series.items() if device == "X1"]
        await delete_organisation(house, other.id)
        await house.send([("X1", BASE_US + 20 * STEP_US, {"power": 3.0}), ("X1", BASE_US, {"power": 8.0})])
        await until(house.empty, "an empty log")
    house.organisation = mine
    await jobs.erase()
    assert rows_of(house, theirs) == {}
    house.series = {}
    await house.learn_series()
    assert len(house.rollups("1d", "D3", ENERGY)) == 1
    assert len(house.samples()) == 2 * 3
    assert (await look(house)).faults == []


async def delete_organisation(house: House, organisation_id: uuid.UUID) -> None:
    """Deletes an organisation as its admin does, and says so."""
    async with house.database.scope(organisation_id) as connection:
        gone = await connection.execute(text("DELETE FROM kilowatch.organisations"))
        assert gone.rowcount == 1
    word = RegistryChange(str(organisation_id), "organisations")
    await house.client.publish(REGISTRY_SUBJECT, word.encode())
    await house.client.flush()
