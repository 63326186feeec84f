"""Readings from before the raw retention: taken where nothing can have been forgotten, and only there."""

import datetime as dt
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.period import time_zone
from kilowatch.wire.frame import Frame
from kilowatch.worker.forgotten import DAY_US
from kilowatch.worker.ledger import Span
from kilowatch.worker.repeats import TOO_OLD
from kilowatch.worker.settle import Settled
from kilowatch.worker.upkeep import Upkeep
from tests.worker.house import NOW_US, House, Reading
from tests.worker.test_settle import (
    BASE_US,
    DEVICES,
    ENERGY,
    METRICS,
    POWER,
    Shelf,
    cut,
    energy_truth,
    first_values,
    registry,
)

HOUR_US = DAY_US // 24
SOON_US = BASE_US + 200 * DAY_US
OldReading = tuple[int, int, int, float]
old_reading = st.tuples(
    st.sampled_from(sorted(DEVICES)),
    st.integers(0, 60).map(lambda step: BASE_US + step * 5 * HOUR_US),
    st.sampled_from(sorted(METRICS)),
    st.sampled_from([0.0, 1.0, 2.0, 7.0]),
)
LIVE: list[OldReading] = [(device, SOON_US, metric, 4800.0) for device in DEVICES for metric in METRICS]


class Counter:
    """A worker's settling over a shelf, with live data already there."""

    def __init__(self) -> None:
        self.registry, self.shelf = registry(), Shelf()
        self.settlement = self.shelf.settlement(self.registry, 2)
        self.rows: list[Settled] = []
        self.send(LIVE)

    def send(self, batch: list[OldReading], now_us: int = SOON_US) -> Settled:
        columns = {
            self.registry.slot_of_metric[metric]: np.array(
                [one[3] if one[2] == metric else np.nan for one in batch]
            )
            for metric in METRICS
        }
        device = np.array([one[0] for one in batch], np.int32)
        ts_us = np.array([one[1] for one in batch], np.int64)
        self.settlement.make_room()
        spans = [Span(0, 1, 1, 1, 1), Span(1, 1, 1, 1, 1)]
        settled = self.settlement.settle(Frame(device, ts_us, device, columns), spans, now_us)
        self.shelf.add(settled)
        self.settlement.committed(settled)
        self.rows.append(settled)
        return settled

    def too_old(self) -> list[tuple[int, int]]:
        """Series and time of every value that was too old."""
        found = []
        for settled in self.rows:
            contested = settled.contested
            for at in np.flatnonzero(contested.verdict == TOO_OLD):
                row, slot = contested.row[at], int(contested.slot[at])
                found.append((int(settled.readings.series[slot][row]), int(settled.readings.ts_us[row])))
        return found


@settings(max_examples=60, deadline=None)
@given(st.lists(old_reading, min_size=1, max_size=50), st.lists(st.integers(0, 50), max_size=6))
def test_old_readings_are_all_taken_while_nothing_is_forgotten(
    readings: list[OldReading], places: list[int]
) -> None:
    counter = Counter()
    for batch in cut(readings, places):
        counter.send(batch)
    assert counter.shelf.samples() == first_values(LIVE + readings)
    assert counter.shelf.table("samples").num_rows == len(counter.shelf.samples())
    assert not counter.too_old()
    assert_energy_is_right(counter.shelf)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(old_reading, min_size=1, max_size=50),
    st.lists(st.integers(0, 50), max_size=6),
    st.lists(st.none() | st.integers(0, 310).map(lambda hour: BASE_US + hour * HOUR_US), max_size=7),
)
def test_nothing_is_stored_twice_when_samples_are_forgotten_meanwhile(
    readings: list[OldReading], places: list[int], forgetting: list[int | None]
) -> None:
    readings = [rising(one) for one in readings]
    counter = Counter()
    pending = list(forgetting)
    for batch in cut(readings, places):
        counter.send(batch)
        before_us = pending.pop() if pending else None
        if before_us is not None:
            counter.shelf.forget(before_us)
    shelf = counter.shelf
    ever = shelf.samples() | shelf.gone
    assert shelf.table("samples").num_rows == len(ever)
    for row in shelf.table("ledger").to_pylist():
        assert row["accepted"] == row["stored"] + row["repeats"] + row["dead_letters"]
    for series, ts_us in counter.too_old():
        assert any(one == series and abs(gone - ts_us) < 25 * HOUR_US for one, gone in shelf.gone)
    missing = first_values(LIVE + readings).keys() - ever.keys()
    assert missing <= set(counter.too_old())
    shelf.gone = {}
    assert_energy_is_right(shelf, [2])


def rising(reading: OldReading) -> OldReading:
    """The reading, as that of a counter that runs evenly if it is one."""
    device, ts_us, metric, value = reading
    return device, ts_us, metric, (ts_us - BASE_US) / HOUR_US if metric == ENERGY else value


def assert_energy_is_right(shelf: Shelf, devices: Iterable[int] = DEVICES) -> None:
    """What is booked is what all samples that ever were say together."""
    rows = shelf.table("rollups_1d").to_pylist()
    for device in devices:
        booked = sum(int(row["sum"]) for row in rows if row["series_no"] == 1000 + device)
        assert booked == sum(energy_truth(shelf, device).values()), device


def test_nothing_is_proven_where_even_daily_roll_ups_may_be_gone() -> None:
    counter = Counter()
    years = 1825 * DAY_US
    for age_us, stored in ((years - 4 * DAY_US, 1), (years - 2 * DAY_US, 0), (years + DAY_US, 0)):
        settled = counter.send([(1, SOON_US - age_us, POWER, 5.0)])
        assert settled.tables["samples"].num_rows == stored
        assert (counter.shelf.table("ledger").to_pylist()[-1]["dead_letters"] == 0) == bool(stored)


def test_a_zone_that_changed_hides_no_gap() -> None:
    counter = Counter()
    counter.send([(1, BASE_US + hour * HOUR_US, POWER, 5.0) for hour in range(24)])
    counter.shelf.forget(BASE_US + DAY_US)
    counter.registry.zones[counter.registry.zone[1]] = "Pacific/Auckland"
    settled = counter.send([(1, BASE_US + hour * HOUR_US, POWER, 5.0) for hour in range(-6, 30)])
    stored = settled.tables["samples"]["ts"].cast(pa.int64()).to_pylist()
    assert stored == [BASE_US + hour * HOUR_US for hour in range(-6, 30) if hour < 0 or hour >= 24]


def hours(days: int) -> list[Reading]:
    """A counter, read every hour for so many days that end 120 days before the house's now."""
    start_us = NOW_US - (120 + days) * DAY_US
    return [
        ("D1", start_us // HOUR_US * HOUR_US + hour * HOUR_US, {"energy": hour * 0.5})
        for hour in range(24 * days)
    ]


async def test_years_are_imported_after_live_data(house: House, jobs: Upkeep) -> None:
    await house.add(["D1"], ["energy"], "Europe/Berlin")
    readings = hours(760)
    older, old = readings[:720], readings[720:]
    live = old[-1][2]
    order = np.random.default_rng(8).permutation(len(old))
    batches = [[old[place] for place in part] for part in np.array_split(order, 3)]
    async with house.working():
        await house.send([("D1", NOW_US, live)])
        await house.settled()
        for batch in batches:
            await house.send(batch)
            await house.settled()
        assert house.samples()["D1", "energy"] == {ts: values["energy"] for _, ts, values in old} | {
            NOW_US: live["energy"]
        }
        assert monthly_wh(house) == expected_wh(old)
        for batch in batches:
            await house.send(batch)
        await house.settled()
        ledger = house.ledger()
        assert (ledger["stored"], ledger["repeats"], ledger["dead_letters"]) == (17_521, 17_520, 0)
        # Another value for an old moment repairs its day from the samples, which are still there.
        for value in (old[5000][2]["energy"] + 0.25, old[5000][2]["energy"]):
            await house.send([("D1", old[5000][1], {"energy": value})], "replace")
            await house.settled()
        assert house.ledger()["replaced"] == 2
        assert monthly_wh(house) == expected_wh(old)

        before = house.rollups("1d", "D1", "energy")
        assert sum(row["count"] for row in before) == 17_521
        await jobs.tidy()
        assert house.samples()["D1", "energy"] == {NOW_US: live["energy"]}
        await house.send(old[6000:6050])
        await house.send(old[7000:7050], "replace")
        await house.settled()
        assert house.samples()["D1", "energy"] == {NOW_US: live["energy"]}
        assert house.rollups("1d", "D1", "energy") == before
        assert monthly_wh(house) == expected_wh(old)

        # What lies before all that can still come; its energy goes on to the first reading that is gone.
        await house.send(older)
        await house.settled()
        assert len(house.samples()["D1", "energy"]) == 1 + len(older)
        assert monthly_wh(house) == expected_wh(readings)
    letters = await house.letters()
    assert len(letters) == 100
    assert {letter.code for letter in letters} == {"too_old"}
    assert "cannot be told from a repeat; if it was sent before, nothing is missing" in letters[0].detail


def monthly_wh(house: House) -> dict[tuple[int, int], float]:
    """The device's energy by local month, from roll-ups of days."""
    found: dict[tuple[int, int], float] = {}
    for row in house.rollups("1d", "D1", "energy_wh"):
        month = month_of(row["bucket"] + DAY_US // 2)
        found[month] = found.get(month, 0.0) + row["sum"] / 1e6
    return {month: energy for month, energy in found.items() if energy}


def expected_wh(readings: list[Reading]) -> dict[tuple[int, int], float]:
    """Half a kilowatt-hour for each hour that the counter ran."""
    found: dict[tuple[int, int], float] = {}
    for _, ts_us, _ in readings[:-1]:
        found[month_of(ts_us)] = found.get(month_of(ts_us), 0.0) + 500.0
    return found


def month_of(ts_us: int) -> tuple[int, int]:
    moment = dt.datetime.fromtimestamp(ts_us / 1e6, time_zone("Europe/Berlin"))
    return moment.year, moment.month
