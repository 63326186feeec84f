"""`kw verify` on real engines: silent where the books are right, and loud about every way to be wrong."""

import duckdb
import pytest

from kilowatch.cli.verify import Report, Scope, examine, read_span
from kilowatch.clock import rfc3339
from kilowatch.errors import StartRefused
from kilowatch.lake.writing import LakeWriter
from kilowatch.postgres.engine import Database
from kilowatch.telemetry.ledger import Messages
from tests.worker.house import BASE_US, NOW_US, SECOND_US, House

STEP_US = 611 * SECOND_US


async def look(house: House, scope: Scope | None = None, now_us: int = NOW_US) -> Report:
    database = Database(house.worker_url)
    try:
        return await examine(database, house.client, house.place, scope or Scope(), now_us)
    finally:
        await database.close()


@pytest.fixture
async def filled(house: House) -> House:
    """A house with two devices, in Berlin and in Kathmandu, late and repeated readings and a conflict."""
    await house.add(["D1"], ["power", "voltage"], "Europe/Berlin")
    await house.add(["D2"], ["energy"], "Asia/Kathmandu")
    steps = [*range(40), *range(60, 90), *range(30, 70)]
    async with house.working():
        for start in range(0, len(steps), 25):
            await house.send(
                [
                    reading
                    for step in steps[start : start + 25]
                    for reading in (
                        ("D1", BASE_US + step * STEP_US, {"power": 0.1 * step, "voltage": 230.0}),
                        ("D2", BASE_US + step * STEP_US, {"energy": float(step)}),
                    )
                ]
            )
        await house.send([("D2", BASE_US, {"energy": 77.0})])
        await house.send([("D2", BASE_US + STEP_US, {"energy": 1.25})], "replace")
        await house.settled()
    return house


async def test_right_books_have_no_faults(filled: House) -> None:
    report = await look(filled)
    assert report.faults == []
    assert report.messages == Messages(counted=7, waiting=0, settled=0, last_sequence=7)
    assert report.as_dict()["totals"] == {
        "readings": 222,
        "accepted": 332,
        "stored": 271,
        "replaced": 1,
        "repeats": 60,
        "dead_letters": 1,
        "forgotten": 0,
    }
    # Energy has roll-ups from 15 minutes on.
    assert [compared["series"] for compared in report.tiers.values()] == [3, 3, 5, 5]


async def test_any_span_is_verified(filled: House) -> None:
    for start, end in [(0, 1), (3, 60), (17, 18), (89, 200), (0, 90)]:
        scope = Scope(read_span(time_of(start), time_of(end)))
        report = await look(filled, scope)
        assert report.faults == []
        assert report.messages is None
    for organisation, device in [(None, "D2"), (filled.organisation.slug, None)]:
        assert (await look(filled, Scope(organisation=organisation, device=device))).holds
    with pytest.raises(StartRefused):
        await look(filled, Scope(device="D9"))
    with pytest.raises(StartRefused):
        read_span("yesterday", None)


def time_of(step: int) -> str:
    """Half a minute after a step."""
    return rfc3339(BASE_US + step * STEP_US + 30 * SECOND_US)


DAMAGES = [
    ("UPDATE lake.ledger SET stored = stored + 1, repeats = repeats - 1 WHERE device_no <> 0", "kept"),
    ("UPDATE lake.ledger SET stored = stored + 1 WHERE device_no <> 0", "ledger"),
    ("DELETE FROM lake.samples WHERE value = 230 AND hour(ts) = 3", "tiers"),
    ("INSERT INTO lake.samples FROM lake.samples WHERE hour(ts) = 10", "repeated"),
    ("UPDATE lake.samples SET value = value + 0.001 WHERE hour(ts) = 4", "tiers"),
    ("UPDATE lake.rollups_15m SET sum = sum + 1 WHERE isnan(min)", "tiers"),
    ("UPDATE lake.rollups_1h SET covered_us = covered_us + 1 WHERE isnan(min)", "tiers"),
    ("DELETE FROM lake.rollups_1m WHERE hour(bucket) = 5", "tiers"),
    ("DELETE FROM lake.rollups_1d", "tiers"),
    ("UPDATE lake.ledger SET messages = messages * 2", "log"),
    ("DELETE FROM lake.ledger WHERE messages > 0", "log"),
]


async def test_every_damage_is_found(filled: House) -> None:
    hours = Scope(read_span("2026-03-29T02:00:00Z", "2026-03-29T06:00:00Z"))
    known = set((await look(filled)).faults)
    for damage, check in DAMAGES:
        harm(filled, damage)
        found = set((await look(filled)).faults)
        assert check in {fault.check for fault in found - known}, damage
        known = found
    assert {fault.check for fault in (await look(filled, hours)).faults} == {"tiers"}


def harm(house: House, damage: str) -> None:
    """Changes the lake behind everybody's back."""
    writer = LakeWriter(house.place)

    def change(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(damage)

    writer.commit({}, change)
    writer.close()


async def test_what_retention_has_taken_is_no_fault(filled: House) -> None:
    report = await look(filled, now_us=NOW_US + 89 * 86_400 * SECOND_US)
    assert report.faults == []
    assert report.tiers["1m"]["series"] == 0


async def test_messages_on_their_way_are_not_missing(filled: House) -> None:
    await filled.send([("D1", BASE_US + 500 * STEP_US, {"power": 1.0})])
    report = await look(filled)
    assert report.faults == []
    assert report.messages == Messages(counted=7, waiting=1, settled=0, last_sequence=8)
