"""Laws of settling: whatever the batches, the books are those of the first value per series and time.

The lake is played by plain columns here; that the real one answers the same is tested in tests/lake.
"""

import itertools
import uuid
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.period import local_buckets
from kilowatch.telemetry.energy import energy_steps
from kilowatch.telemetry.step import Kind, Source
from kilowatch.wire.frame import Frame
from kilowatch.worker.books import METERED_GAP_US, Books
from kilowatch.worker.ledger import Span
from kilowatch.worker.registry import DeviceFact, Registry, SeriesFacts
from kilowatch.worker.repeats import CONFLICT
from kilowatch.worker.settle import LookUps, Settled, Settlement

BASE_US = 1_774_742_400_000_000  # 2026-03-29T00:00Z, the day of the change to summer time in Berlin
GAP_US = 3600 * 1_000_000
ORGANISATION = uuid.UUID(int=1)
POWER, ENERGY, INTERVAL = 10, 11, 12
DEVICES = {
    1: ("power", "gauge", "W"),
    2: ("energy", "counter", "kWh"),
    3: ("energy_interval", "interval", "kWh"),
}
METRICS = {POWER: "power", ENERGY: "energy", INTERVAL: "energy_interval"}


@dataclass
class Shelf:
    """The rows of all commits so far, as a lake would keep them, but for samples that are `gone`."""

    rows: dict[str, list[pa.Table]] = field(default_factory=dict)
    gone: dict[tuple[int, int], float] = field(default_factory=dict)

    def settlement(self, known: Registry, partitions: int) -> Settlement:
        look_ups = LookUps(self.find_stored, self.find_gaps)
        return Settlement(known, Books(known, GAP_US, self.find_around), look_ups, partitions)

    def forget(self, before_us: int) -> None:
        """Retention of samples."""
        self.gone |= {key: value for key, value in self.samples().items() if key[1] < before_us}

    def add(self, settled: Settled) -> None:
        for name, table in settled.tables.items():
            self.rows.setdefault(name, []).append(table)

    def table(self, name: str) -> pa.Table:
        return pa.concat_tables(self.rows[name])

    def samples(self) -> dict[tuple[int, int], float]:
        if "samples" not in self.rows:
            return {}
        table = self.table("samples")
        ts_us = table["ts"].cast(pa.int64()).to_pylist()
        keys = zip(table["series_no"].to_pylist(), ts_us, strict=True)
        found = dict(zip(keys, table["value"].to_pylist(), strict=True))
        return {key: value for key, value in found.items() if key not in self.gone}

    def find_stored(self, series, ts_us):  # type: ignore[no-untyped-def]
        wanted = set(zip(series.tolist(), ts_us.tolist(), strict=True))
        mine_series, mine_ts, mine_value = in_columns(self.samples())
        pairs = zip(mine_series.tolist(), mine_ts.tolist(), strict=True)
        chosen = np.array([pair in wanted for pair in pairs], np.bool_)
        return mine_series[chosen], mine_ts[chosen], mine_value[chosen]

    def find_gaps(self, days):  # type: ignore[no-untyped-def]
        told = self.days()
        held = list(self.samples())
        gaps = []
        for day in days.to_pylist():
            number, start, end = day["series_no"], day["start_us"], day["end_us"]
            mine = [row for row in told if row[0] == number and row[1] < end and row[3] >= start]
            here = sum(series == number and start <= ts < end for series, ts in held)
            if mine and sum(row[5] for row in mine) != here:
                gaps.append((number, start, min(row[1] for row in mine), max(row[3] for row in mine)))
        columns = np.array(gaps, np.int64).reshape(-1, 4).T
        return columns[0].astype(np.int32), *columns[1:]

    def days(self) -> list[tuple[int, int, float, int, float, int]]:
        """Series, first moment and value, last moment and value, and count of the roll-ups of days."""
        if "rollups_1d" not in self.rows:
            return []
        rollups = self.table("rollups_1d")
        times = [rollups[name].cast(pa.int64()).to_pylist() for name in ("first_ts", "last_ts")]
        series, first, last, count = (
            rollups[name].to_pylist() for name in ("series_no", "first", "last", "count")
        )
        return list(zip(series, times[0], first, times[1], last, count, strict=True))

    def find_around(self, series, from_us, to_us, before, after):  # type: ignore[no-untyped-def]
        known = {(row[0], row[1]): row[2] for row in self.days()}
        known |= {(row[0], row[3]): row[4] for row in self.days()}
        mine_series, mine_ts, mine_value = in_columns(known | self.samples())
        chosen: list[int] = []
        for one, start, end in zip(series, from_us, to_us, strict=True):
            rows = np.flatnonzero(mine_series == one)
            low = np.searchsorted(mine_ts[rows], start, "left")
            high = np.searchsorted(mine_ts[rows], end, "right")
            chosen += rows[max(0, low - before) : high + after].tolist()
        rows = np.array(sorted(chosen), np.intp)
        return mine_series[rows], mine_ts[rows], mine_value[rows]


def in_columns(samples: dict[tuple[int, int], float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ordered = sorted(samples.items())
    return (
        np.array([key[0] for key, _ in ordered], np.int32),
        np.array([key[1] for key, _ in ordered], np.int64),
        np.array([value for _, value in ordered], np.float64),
    )


def registry(time_zone: str = "Europe/Berlin") -> Registry:
    known = Registry()
    pairs = [(device, metric) for device in DEVICES for metric in METRICS]
    series = SeriesFacts(
        np.array([100 * device + metric for device, metric in pairs], np.int32),
        np.array([device for device, _ in pairs], np.int32),
        np.array([metric for _, metric in pairs], np.int32),
        METRICS,
    )
    devices = [
        DeviceFact(
            device, ORGANISATION, f"D{device}", time_zone, 90, None, *DEVICES[device], 1000 + device, 1825
        )
        for device in DEVICES
    ]
    known.learn(devices, series)
    return known


Reading = tuple[int, int, int, float]
reading = st.tuples(
    st.sampled_from(sorted(DEVICES)),
    st.integers(0, 40).map(lambda step: BASE_US + step * 7 * 60 * 1_000_000),
    st.sampled_from(sorted(METRICS)),
    st.sampled_from([0.0, 1.0, 2.0, 2.5, 7.0, 1000.0, 99_999.0]),
)


def settle_all(batches: list[list[Reading]]) -> tuple[Shelf, list[Settled]]:
    shelf, known = Shelf(), registry()
    settlement = shelf.settlement(known, 2)
    done = []
    for number, batch in enumerate(batches):
        frame = Frame(
            np.array([one[0] for one in batch], np.int32),
            np.array([one[1] for one in batch], np.int64),
            np.array([5 + one[0] % 2 for one in batch], np.int32),
            {
                known.slot_of_metric[metric]: np.array(
                    [one[3] if one[2] == metric else np.nan for one in batch]
                )
                for metric in METRICS
            },
        )
        settlement.make_room()
        settled = settlement.settle(
            frame, [Span(0, number, number, 1, 1), Span(1, number, number, 1, 1)], BASE_US
        )
        shelf.add(settled)
        settlement.committed(settled)
        done.append(settled)
    return shelf, done


def cut(readings: list[Reading], places: list[int]) -> list[list[Reading]]:
    edges = [0, *sorted(place % (len(readings) + 1) for place in places), len(readings)]
    parts = [readings[start:end] for start, end in itertools.pairwise(edges)]
    return [part for part in parts if part]


def first_values(readings: list[Reading]) -> dict[tuple[int, int], float]:
    first: dict[tuple[int, int], float] = {}
    for device, ts_us, metric, value in readings:
        first.setdefault((100 * device + metric, ts_us), value)
    return first


@settings(max_examples=150, deadline=None)
@given(st.lists(reading, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_the_first_value_stands_however_the_log_is_cut(readings: list[Reading], places: list[int]) -> None:
    shelf, done = settle_all(cut(readings, places))
    assert shelf.samples() == first_values(readings)
    table = shelf.table("samples")
    assert table.num_rows == len(shelf.samples())
    conflicts = sum(int((settled.contested.verdict == CONFLICT).sum()) for settled in done)
    first = first_values(readings)
    assert conflicts == sum(
        value != first[100 * device + metric, ts] for device, ts, metric, value in readings
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(reading, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_the_ledger_balances(readings: list[Reading], places: list[int]) -> None:
    shelf, _ = settle_all(cut(readings, places))
    ledger = shelf.table("ledger").to_pylist()
    assert all(row["accepted"] == row["stored"] + row["repeats"] + row["dead_letters"] for row in ledger)
    assert sum(row["accepted"] for row in ledger) == len(readings)
    assert sum(row["readings"] for row in ledger) == len(readings)
    assert sum(row["stored"] for row in ledger) == len(first_values(readings))
    assert {row["partition"] for row in ledger if row["device_no"] == 3} <= {1}
    by_device = {device: sum(r["accepted"] for r in ledger if r["device_no"] == device) for device in DEVICES}
    assert by_device == {device: sum(one[0] == device for one in readings) for device in DEVICES}


@settings(max_examples=100, deadline=None)
@given(st.lists(reading, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_roll_ups_say_what_the_samples_say(readings: list[Reading], places: list[int]) -> None:
    shelf, _ = settle_all(cut(readings, places))
    for tier in ("1m", "15m", "1h", "1d"):
        told: dict[tuple[int, int], list[float]] = {}
        for row in shelf.table(f"rollups_{tier}").to_pylist():
            if row["series_no"] >= 1000 and row["series_no"] < 1100:
                continue
            key = (row["series_no"], int(row["bucket"].replace(tzinfo=None).timestamp()))
            entry = told.setdefault(key, [0, 0.0, np.inf, -np.inf])
            entry[0] += row["count"]
            entry[1] += row["sum"]
            entry[2] = min(entry[2], row["min"])
            entry[3] = max(entry[3], row["max"])
        assert sum(entry[0] for entry in told.values()) == sum(
            series < 1000 or series >= 1100 for series, _ in shelf.samples()
        )
        truth: dict[int, list[float]] = {}
        for (series, _), value in shelf.samples().items():
            truth.setdefault(series, []).append(value)
        for series, values in truth.items():
            mine = [entry for (number, _), entry in told.items() if number == series]
            assert sum(entry[1] for entry in mine) == sum(values)
            assert min(entry[2] for entry in mine) == min(values)
            assert max(entry[3] for entry in mine) == max(values)


def energy_truth(shelf: Shelf, device: int) -> dict[int, int]:
    """Micro-watt-hours per local day from all samples of the device's source at once."""
    metric = {"power": POWER, "energy": ENERGY, "energy_interval": INTERVAL}[DEVICES[device][0]]
    kinds: dict[str, Kind] = {"gauge": "gauge", "counter": "counter", "interval": "interval"}
    points = sorted(
        (ts, value) for (series, ts), value in shelf.samples().items() if series == 100 * device + metric
    )
    source = Source(
        np.full(len(points), device, np.int32),
        np.array([ts for ts, _ in points], np.int64),
        np.array([value for _, value in points], np.float64),
        1.0 if device == 1 else 1e9,
        np.full(len(points), np.nan),
    )
    kind = kinds[DEVICES[device][1]]
    steps, _ = energy_steps(kind, source, GAP_US if kind == "gauge" else METERED_GAP_US)
    total: dict[int, int] = {}
    for start, end, energy in zip(steps.start_us, steps.end_us, steps.energy_uwh, strict=True):
        day = int(local_buckets(np.array([start]), "Europe/Berlin", "1d")[0])
        last = int(local_buckets(np.array([end - 1]), "Europe/Berlin", "1d")[0])
        if day == last:
            total[day] = total.get(day, 0) + int(energy)
        else:
            total[-1] = total.get(-1, 0) + int(energy)
    return total


@settings(max_examples=150, deadline=None)
@given(st.lists(reading, min_size=1, max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_energy_is_that_of_all_samples_whatever_the_order(readings: list[Reading], places: list[int]) -> None:
    shelf, _ = settle_all(cut(readings, places))
    for device in DEVICES:
        for tier in ("15m", "1h", "1d"):
            rows = [
                row for row in shelf.table(f"rollups_{tier}").to_pylist() if row["series_no"] == 1000 + device
            ]
            assert sum(int(row["sum"]) for row in rows) == sum(energy_truth(shelf, device).values())
