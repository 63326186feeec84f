"""The scheduled jobs on real engines: what they keep in order, and that they outlive PostgreSQL's absence."""

import asyncio

import pytest

from kilowatch.clock import MICROSECONDS
from kilowatch.errors import EngineUnavailable
from kilowatch.lake.reading import LakeReader
from kilowatch.postgres.lease import UPKEEP, Leases
from kilowatch.worker.upkeep import DAY_US, Upkeep, run_jobs
from tests.worker.house import BASE_US, House, until

SECONDS = MICROSECONDS


async def store_days(house: House, days: int) -> None:
    """One reading of one device each hour, a commit each."""
    await house.add(["D1"], ["power"])
    async with house.working():
        for hour in range(24 * days):
            await house.send([("D1", BASE_US + hour * 3600 * SECONDS, {"power": 1.0})])
            if hour % 12 == 11:
                await house.settled()


async def test_retention_goes_by_tier_and_is_noted(house: House, jobs: Upkeep) -> None:
    await store_days(house, 2)
    before = {tier: len(house.rollups(tier, "D1", "power")) for tier in ("1m", "15m", "1h", "1d")}
    assert before == {"1m": 48, "15m": 48, "1h": 48, "1d": 2}

    async def tidy_at(day: int) -> dict[str, int]:
        house.clock.advance((BASE_US + day * DAY_US - house.clock.now_us()) / SECONDS)
        await jobs.tidy()
        kept = {tier: len(house.rollups(tier, "D1", "power")) for tier in ("1m", "15m", "1h", "1d")}
        return kept | {"raw": len(house.rows("SELECT 1 FROM lake.samples"))}

    assert await tidy_at(91) == before | {"raw": 48}
    assert await tidy_at(93) == before | {"raw": 24, "1m": 24}
    assert await tidy_at(366) == {"raw": 0, "1m": 0, "15m": 24, "1h": 24, "1d": 2}
    assert await tidy_at(1826) == {"raw": 0, "1m": 0, "15m": 0, "1h": 0, "1d": 1}
    assert house.rows("SELECT sum(forgotten)::INT AS n FROM lake.ledger")[0]["n"] == 24


async def test_merging_makes_few_files(house: House, jobs: Upkeep) -> None:
    await store_days(house, 2)
    many = len(house.rows("SELECT 1 FROM ducklake_list_files('lake', 'samples')"))
    assert many > 2
    async with await Leases.connect(house.worker_url) as other:
        assert await other.take(UPKEEP)
        assert not await jobs.merge_all()
    assert await jobs.merge_all()
    assert len(house.rows("SELECT 1 FROM ducklake_list_files('lake', 'samples')")) == 1
    assert len(house.samples()["D1", "power"]) == 48


async def test_the_schedule_outlives_postgres(house: House, jobs: Upkeep) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(run_jobs(jobs, stop))

    async def listening() -> bool:
        async with jobs.database.unscoped() as connection:
            found = await connection.exec_driver_sql(
                "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' AND datname = current_database()"
            )
            return found.first() is not None

    await until(listening, "a schedule that waits for jobs")
    await asyncio.to_thread(house.postgres.stop)
    await asyncio.to_thread(house.postgres.start)
    await until(listening, "the schedule again")
    stop.set()
    await asyncio.wait_for(running, 30)


async def test_a_reader_outlives_postgres(house: House) -> None:
    await house.add(["D1"], ["power"])
    reader = LakeReader(house.place)
    assert reader.latest([1]).num_rows == 0
    await asyncio.to_thread(house.postgres.stop)
    try:
        with pytest.raises(EngineUnavailable):
            await asyncio.to_thread(reader.latest, [1])
    finally:
        await asyncio.to_thread(house.postgres.start)

    async def answers() -> bool:
        return bool((await asyncio.to_thread(reader.latest, [1])).num_rows == 0)

    await until(answers, "a reader that reads again", 20)
    reader.close()
