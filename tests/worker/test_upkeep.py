"""The scheduled jobs on real engines: what they keep in order, and that they outlive PostgreSQL's absence."""

import asyncio

import pytest
from sqlalchemy import text

from kilowatch.clock import MICROSECONDS, to_datetime
from kilowatch.errors import EngineUnavailable
from kilowatch.ids import hash_secret, new_id
from kilowatch.lake.reading import LakeReader
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.lease import UPKEEP, Leases
from kilowatch.worker.store import forget_what_is_over
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


SOMEBODY = "INSERT INTO kilowatch.users (id, email, name, password_hash) VALUES (:user, :email, 'Ada', '!')"
CODE = (
    "INSERT INTO kilowatch.user_codes (user_id, purpose, code_hash, expires_at)"
    " VALUES (:user, 'reset', :hash, :ends)"
)
SESSION = (
    "INSERT INTO kilowatch.sessions (id, user_id, expires_at, ended_at) VALUES (:id, :user, :ends, :ended)"
)
TOKEN = "INSERT INTO kilowatch.refresh_tokens (token_hash, user_id, session_id) VALUES (:hash, :user, :id)"
INVITATION = (
    "INSERT INTO kilowatch.invitations (id, organisation_id, email, role, invited_by, expires_at)"
    " VALUES (:id, :place, :email, 'viewer', :user, :ends)"
)


async def add_person(connection: Connection, house: House, days: float, ended_days: float | None) -> str:
    """Somebody whose session, code and invitation run out so many days from now; the session was ended so
    many days from now."""
    now_us = house.clock.now_us()
    user, session = new_id(), new_id()
    told = {
        "user": user,
        "id": session,
        "email": f"{user}@example.org",
        "hash": hash_secret(str(user)),
        "place": house.organisation.id,
        "ends": to_datetime(now_us + round(days * DAY_US)),
        "ended": None if ended_days is None else to_datetime(now_us + round(ended_days * DAY_US)),
    }
    for statement in (SOMEBODY, CODE, SESSION, TOKEN, INVITATION):
        await connection.execute(text(statement), told)
    return str(user)


async def who_has(jobs: Upkeep, table: str, column: str = "user_id") -> set[str]:
    async with jobs.database.unscoped() as connection:
        found = await connection.execute(text(f"SELECT {column}::text FROM kilowatch.{table}"))  # noqa: S608
        return set(found.scalars())


async def test_what_is_over_is_forgotten_and_nothing_else(house: House, jobs: Upkeep) -> None:
    async with jobs.database.unscoped() as connection:
        open_ = await add_person(connection, house, 1, None)
        lately = await add_person(connection, house, -0.9, None)
        over = await add_person(connection, house, -1.1, None)
        ended = await add_person(connection, house, 1, -29.9)
        long_ended = await add_person(connection, house, 1, -30.1)
        long_over = await add_person(connection, house, -30.1, None)
    await jobs.forget()
    kept = {open_, lately, over, ended}
    assert await who_has(jobs, "sessions") == kept
    assert await who_has(jobs, "refresh_tokens") == kept
    offers = {open_, lately, ended, long_ended}
    assert await who_has(jobs, "user_codes") == offers
    assert await who_has(jobs, "invitations", "invited_by") == offers
    assert await who_has(jobs, "users", "id") == kept | {long_ended, long_over}


async def test_much_is_forgotten_in_portions(house: House, jobs: Upkeep) -> None:
    async with jobs.database.unscoped() as connection:
        for _ in range(5):
            await add_person(connection, house, -40, None)
    assert await forget_what_is_over(jobs.database, house.clock.now_us(), portion=2) == 15
    assert await who_has(jobs, "sessions") == set()
    assert await forget_what_is_over(jobs.database, house.clock.now_us()) == 0


async def test_the_schedule_forgets_once_a_day(jobs: Upkeep) -> None:
    crons = {one.task.name: one.cron for one in jobs.app().periodic_registry.periodic_tasks.values()}
    assert crons["forget"] == "43 3 * * *"
