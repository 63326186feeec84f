"""Energy from any kind of reading: conservation, buckets, and that the order of arrival cannot matter."""

from collections import Counter
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.telemetry.apportion import (
    MOST_PIECES,
    QUARTER_HOUR_US,
    Pieces,
    bucket_energy,
    split_steps,
    sum_pieces,
)
from kilowatch.telemetry.energy import (
    CONTEXT,
    LONE_INTERVAL_US,
    energy_delta,
    energy_steps,
    gauge_steps,
    interval_steps,
)
from kilowatch.telemetry.step import CORRECTIONS, Corrections, Kind, Source, Steps
from kilowatch.units import MICRO_PER_KWH, MICRO_PER_WH, MICRO_WATT_HOURS, WATTS

HOUR_US = 3_600_000_000
START_US = 1_790_000_000_000_000 // HOUR_US * HOUR_US
GAP_US = HOUR_US

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine fails no test."""


def source(readings: list[tuple[int, float]], scale: float = 1.0, device: int = 1) -> Source:
    """One device's readings as (microseconds after the start, value)."""
    ts_us, value = zip(*readings, strict=True) if readings else ((), ())
    return Source(
        np.full(len(readings), device, np.int32),
        START_US + np.array(ts_us, np.int64),
        np.array(value, np.float64),
        scale,
    )


def spans(steps: Steps) -> list[tuple[int, int]]:
    starts, ends = (steps.start_us - START_US).tolist(), (steps.end_us - START_US).tolist()
    return list(zip(starts, ends, strict=True))


def reasons(corrections: Corrections) -> list[str]:
    return [CORRECTIONS[code] for code in corrections.kind]


class TestGauge:
    def test_constant_power_for_an_hour(self) -> None:
        steps, corrections = gauge_steps(source([(0, 1.5), (HOUR_US, 1.5)], WATTS["kW"]), GAP_US)
        assert steps.energy_uwh.tolist() == [1500 * MICRO_PER_WH]
        assert not steps.estimated.any()
        assert not len(corrections)

    def test_export_is_negative(self) -> None:
        steps, _ = gauge_steps(source([(0, -1000.0), (HOUR_US // 2, 0.0)]), GAP_US)
        assert steps.energy_uwh.tolist() == [-250 * MICRO_PER_WH]

    def test_a_gap_books_nothing_and_is_noted(self) -> None:
        steps, corrections = gauge_steps(source([(0, 5.0), (HOUR_US + 1, 7.0), (HOUR_US + 2, 7.0)]), GAP_US)
        assert spans(steps) == [(HOUR_US + 1, HOUR_US + 2)]
        assert reasons(corrections) == ["gap"]
        assert (corrections.before.tolist(), corrections.after.tolist()) == ([5.0], [7.0])
        assert corrections.energy_uwh.tolist() == [0]

    def test_a_power_that_no_device_has_is_left_out(self) -> None:
        readings = [(0, 5.0), (1000, 5.0), (2000, 1e300), (3000, 5.0), (4000, 5.0)]
        steps, corrections = gauge_steps(source(readings, 1e9), GAP_US)
        assert spans(steps) == [(0, 1000), (3000, 4000)]
        assert reasons(corrections) == ["spike", "spike"]

    def test_the_gap_may_differ_by_device(self) -> None:
        both = Source(
            np.array([1, 1, 2, 2], np.int32),
            START_US + np.array([0, 100, 0, 100]),
            np.ones(4),
        )
        steps, _ = gauge_steps(both, np.array([99, 99, 100, 100]))
        assert steps.device.tolist() == [2]

    @patient
    @given(st.lists(st.tuples(st.integers(1, 10**9), st.floats(-1e6, 1e6)), min_size=2, max_size=30))
    def test_a_power_curve_is_integrated_to_the_rounding_of_each_step(
        self, rows: list[tuple[int, float]]
    ) -> None:
        moments = np.cumsum([span for span, _ in rows])
        power = np.array([watts for _, watts in rows])
        steps, _ = gauge_steps(source(list(zip(moments.tolist(), power.tolist(), strict=True))), 10**9)
        truth = float(np.trapezoid(power, moments)) / 3600
        assert int(steps.energy_uwh.sum()) == pytest.approx(truth, abs=len(rows), rel=1e-9)


class TestInterval:
    def test_an_interval_begins_at_the_reading_before(self) -> None:
        quarter = QUARTER_HOUR_US
        steps, corrections = interval_steps(
            source([(quarter, 0.1), (2 * quarter, 0.2), (3 * quarter, 0.3)], MICRO_WATT_HOURS["kWh"]), GAP_US
        )
        assert spans(steps) == [(0, quarter), (quarter, 2 * quarter), (2 * quarter, 3 * quarter)]
        assert steps.energy_uwh.tolist() == [100_000_000, 200_000_000, 300_000_000]
        assert not len(corrections)

    def test_a_missing_reading_leaves_a_gap_and_not_a_long_interval(self) -> None:
        minute = HOUR_US // 60
        steps, corrections = interval_steps(source([(m * minute, 1.0) for m in (1, 2, 3, 5, 6)]), GAP_US)
        assert spans(steps)[3] == (4 * minute, 5 * minute)
        assert reasons(corrections) == ["gap"]

    def test_a_meter_that_changes_its_pace_is_followed(self) -> None:
        minute = HOUR_US // 60
        steps, corrections = interval_steps(
            source([(m * minute, 1.0) for m in (15, 30, 45, 46, 47, 62, 77)]), GAP_US
        )
        assert spans(steps)[2:6] == [
            (30 * minute, 45 * minute),
            (45 * minute, 46 * minute),
            (46 * minute, 47 * minute),
            (47 * minute, 62 * minute),
        ]
        assert not len(corrections)

    def test_a_lone_reading_has_a_quarter_of_an_hour(self) -> None:
        steps, _ = interval_steps(source([(0, 1.0)]), GAP_US)
        assert spans(steps) == [(-LONE_INTERVAL_US, 0)]

    def test_negative_and_impossible_readings_book_nothing(self) -> None:
        minute = HOUR_US // 60
        steps, corrections = interval_steps(
            source([(0, 4.0), (minute, -1.0), (2 * minute, 1e300)], 1e9), GAP_US
        )
        assert steps.energy_uwh.tolist() == [4 * MICRO_PER_KWH, 0, 0]
        assert reasons(corrections) == ["negative", "spike"]
        assert corrections.before.tolist() == [-1.0, 1e300]
        assert corrections.after.tolist() == [0.0, 0.0]

    @patient
    @given(st.lists(st.tuples(st.integers(1, 10**10), st.integers(0, 10**12)), max_size=30))
    def test_intervals_never_overlap_and_sum_to_the_readings(self, rows: list[tuple[int, int]]) -> None:
        moments = np.cumsum([span for span, _ in rows], dtype=np.int64).tolist()
        readings = [(moment, float(energy)) for moment, (_, energy) in zip(moments, rows, strict=True)]
        steps, _ = interval_steps(source(readings), GAP_US)
        assert int(steps.energy_uwh.sum()) == sum(energy for _, energy in rows)
        assert (steps.start_us < steps.end_us).all()
        assert (steps.start_us[1:] >= steps.end_us[:-1]).all()


step_rows = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(-(10**12), 10**12),
        st.one_of(st.integers(1, 10**6), st.integers(1, 10**11)),
        st.one_of(st.integers(-(10**10), 10**10), st.integers(-(10**18), 10**18)),
    ),
    max_size=20,
)


def steps_of(rows: list[tuple[int, int, int, int]]) -> Steps:
    columns = np.array(rows, np.int64).reshape(-1, 4)
    start = START_US + columns[:, 1]
    return Steps(
        columns[:, 0].astype(np.int32),
        start,
        start + columns[:, 2],
        columns[:, 3],
        np.zeros(len(rows), np.bool_),
    )


def as_rows(pieces: Pieces) -> list[tuple[int, int, int, int]]:
    return list(
        zip(
            pieces.device.tolist(),
            pieces.bucket_us.tolist(),
            pieces.energy_uwh.tolist(),
            pieces.covered_us.tolist(),
            strict=True,
        )
    )


class TestApportion:
    def test_a_step_over_three_buckets_is_cut_linearly(self) -> None:
        half = QUARTER_HOUR_US // 2
        pieces = split_steps(steps_of([(1, half, 4 * half, 1003)]))
        buckets = [START_US + number * QUARTER_HOUR_US for number in range(3)]
        assert as_rows(pieces) == [
            (1, buckets[0], 251, half),
            (1, buckets[1], 501, 2 * half),
            (1, buckets[2], 251, half),
        ]

    def test_a_step_that_ends_on_a_boundary_stays_inside(self) -> None:
        pieces = split_steps(steps_of([(1, 0, QUARTER_HOUR_US, 5)]))
        assert as_rows(pieces) == [(1, START_US, 5, QUARTER_HOUR_US)]

    @patient
    @given(step_rows, st.sampled_from([QUARTER_HOUR_US, HOUR_US, 7_000_000_000]))
    def test_every_unit_lies_in_exactly_one_bucket(
        self, rows: list[tuple[int, int, int, int]], bucket_us: int
    ) -> None:
        for row in rows:
            step = steps_of([row])
            start, end, energy = START_US + row[1], START_US + row[1] + row[2], row[3]
            pieces = as_rows(split_steps(step, bucket_us))
            assert sum(piece[2] for piece in pieces) == energy
            assert sum(piece[3] for piece in pieces) == end - start
            assert [piece[1] for piece in pieces] == list(
                range(start // bucket_us * bucket_us, end, bucket_us)
            )
            for _, bucket, part, covered in pieces:
                assert covered == min(bucket + bucket_us, end) - max(bucket, start)
                assert part * energy >= 0
                assert part == pytest.approx(energy * covered / (end - start), abs=1.5, rel=1e-6)

    @patient
    @given(step_rows)
    def test_sums_are_those_of_a_dictionary(self, rows: list[tuple[int, int, int, int]]) -> None:
        steps = steps_of(rows)
        energy: Counter[tuple[int, int]] = Counter()
        covered: Counter[tuple[int, int]] = Counter()
        for device, bucket, part, time in as_rows(split_steps(steps)):
            energy[device, bucket] += part
            covered[device, bucket] += time
        expected = [(*key, energy[key], covered[key]) for key in sorted(energy)]
        assert as_rows(bucket_energy(steps)) == expected
        assert as_rows(sum_pieces(split_steps(steps))) == expected

    def test_a_step_of_many_years_makes_a_bounded_number_of_pieces(self) -> None:
        pieces = split_steps(steps_of([(1, 77, 50 * 366 * 24 * HOUR_US, 10**15 + 7)]))
        assert len(pieces) <= MOST_PIECES
        assert int(pieces.energy_uwh.sum()) == 10**15 + 7
        assert (pieces.covered_us <= QUARTER_HOUR_US).all()
        assert len(np.unique(pieces.bucket_us)) == len(pieces)


Known = dict[int, dict[int, float]]


def window(known: Known, around: dict[int, list[int]], context: int, limits: dict[int, float]) -> Source:
    """Per device the known readings, from `context` before the first moment to `context` after the last."""
    rows: list[tuple[int, int, float, float]] = []
    for device in sorted(around):
        times = np.array(sorted(known.get(device, {})), np.int64)
        low = int(np.searchsorted(times, min(around[device])))
        high = int(np.searchsorted(times, max(around[device]), side="right"))
        near = times[max(low - context, 0) : high + context].tolist()
        rows.extend((device, moment, known[device][moment], limits[device]) for moment in near)
    return Source(
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        float(MICRO_PER_KWH),
        np.array([row[3] for row in rows], np.float64),
    )


def noted(corrections: Corrections) -> Counter[tuple[object, ...]]:
    columns = (corrections.device, corrections.start_us, corrections.at_us, corrections.kind)
    values = (corrections.before, corrections.after, corrections.energy_uwh)
    return Counter(zip(*(column.tolist() for column in (*columns, *values)), strict=True))


@dataclass
class Books:
    """What a worker keeps: the readings, and the sum of all signed changes."""

    kind: Kind
    limits: dict[int, float]
    known: Known = field(default_factory=dict)
    pieces: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    corrections: Counter[tuple[object, ...]] = field(default_factory=Counter)

    def take(self, batch: list[tuple[int, int, float | None]]) -> None:
        """Readings of a message: new ones, repeats, replacements; None withdraws one."""
        around: dict[int, list[int]] = {}
        for device, moment, _ in batch:
            around.setdefault(device, []).append(moment)
        before = window(self.known, around, CONTEXT[self.kind], self.limits)
        for device, moment, value in batch:
            if value is None:
                self.known.get(device, {}).pop(moment, None)
            else:
                self.known.setdefault(device, {})[moment] = value
        after = window(self.known, around, CONTEXT[self.kind], self.limits)
        delta = energy_delta(self.kind, before, after, GAP_US)
        for device, bucket, energy, covered in as_rows(delta.pieces):
            self.pieces[device, bucket, "energy"] += energy
            self.pieces[device, bucket, "covered"] += covered
        self.corrections.update(noted(delta.added))
        self.corrections.subtract(noted(delta.removed))

    def check(self) -> None:
        """The books are exactly what all readings together give."""
        everything = {device: list(readings) for device, readings in self.known.items() if readings}
        whole = window(self.known, everything, 0, self.limits)
        steps, corrections = energy_steps(self.kind, whole, GAP_US)
        expected: Counter[tuple[int, int, str]] = Counter()
        for device, bucket, energy, covered in as_rows(bucket_energy(steps)):
            expected[device, bucket, "energy"] += energy
            expected[device, bucket, "covered"] += covered
        assert {k: v for k, v in self.pieces.items() if v} == {k: v for k, v in expected.items() if v}
        assert {k: v for k, v in self.corrections.items() if v} == dict(noted(corrections))


spacing = st.sampled_from(
    [1, 1_000_000, 60_000_000, 600_000_000, QUARTER_HOUR_US, GAP_US, GAP_US + 1, 10 * GAP_US]
)
reading = st.one_of(
    st.integers(0, 12).map(float),
    st.sampled_from([-1.0, 0.0, 99.0, 100.0, 100.5, 101.0, 150.0, 5000.0, 99998.0, 99999.0, 999999.9, 1e9]),
)
limit = st.sampled_from([np.nan, 500.0, 8000.0, 2e5])


@pytest.mark.parametrize("kind", get_args(Kind))
@patient
@given(data=st.data())
def test_the_order_of_arrival_does_not_matter(kind: Kind, data: st.DataObject) -> None:
    limits = {device: data.draw(limit) for device in (1, 2)}
    arrivals: list[tuple[int, int, float | None]] = []
    for device in limits:
        rows = data.draw(st.lists(st.tuples(spacing, reading), max_size=30))
        moments = (START_US + np.cumsum([span for span, _ in rows], dtype=np.int64)).tolist()
        arrivals += [(device, moment, value) for moment, (_, value) in zip(moments, rows, strict=True)]
    arrivals = data.draw(st.permutations(arrivals))
    arrivals += arrivals[: data.draw(st.integers(0, 3))]
    books = Books(kind, limits)
    while arrivals:
        size = data.draw(st.integers(1, 12))
        books.take(arrivals[:size])
        arrivals = arrivals[size:]
    books.check()


@pytest.mark.parametrize("kind", get_args(Kind))
@patient
@given(
    rows=st.lists(st.tuples(spacing, reading), min_size=12, max_size=30),
    edits=st.lists(st.tuples(st.integers(0, 11), st.none() | reading), min_size=1, max_size=6),
    limit_w=limit,
)
def test_a_replaced_or_withdrawn_reading_leaves_no_trace(
    kind: Kind, rows: list[tuple[int, float]], edits: list[tuple[int, float | None]], limit_w: float
) -> None:
    moments = (START_US + np.cumsum([span for span, _ in rows], dtype=np.int64)).tolist()
    books = Books(kind, {1: limit_w})
    books.take([(1, moment, value) for moment, (_, value) in zip(moments, rows, strict=True)])
    for index, value in edits:
        books.take([(1, moments[index], value)])
        books.check()


def test_a_change_that_changes_nothing_has_no_pieces() -> None:
    same = source([(0, 1.0), (1000, 1.0), (2000, 1.0)])
    delta = energy_delta("gauge", same, same, GAP_US)
    assert (len(delta.pieces), len(delta.added), len(delta.removed)) == (0, 0, 0)
