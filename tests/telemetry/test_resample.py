"""Partial aggregates: batches in any split and order add up to the same rows; coverage and chart points."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch import period
from kilowatch.period import DAY_US, HOUR_US, MINUTE_US, QUARTER_US
from kilowatch.telemetry.resample import (
    Floats,
    Int32s,
    Int64s,
    Partials,
    choose_resolution,
    coarsen,
    coverage,
    merge,
    partials_of,
    thin,
    time_coverage,
    wide_partials,
)

T0 = 1_774_742_400 * 1_000_000  # 2026-03-29T00:00Z, the day on which Berlin's clocks go forward
NAN = float("nan")


def int64s(*values: int) -> Int64s:
    return np.array(values, dtype=np.int64)


def assert_same(found: Partials, expected: Partials) -> None:
    for field in fields(Partials):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        assert left.dtype == right.dtype, field.name
        np.testing.assert_array_equal(left, right, err_msg=field.name)


# --- samples for the properties --------------------------------------------------------------------------

Samples = tuple[Int32s, Int64s, Floats]


@st.composite
def samples(draw: st.DrawFn, max_size: int = 60) -> Samples:
    """Samples sorted by (series, ts), no moment of a series twice, integers as values, over some hours."""
    keys = draw(
        st.sets(st.tuples(st.integers(1, 4), st.integers(0, 400)), min_size=1, max_size=max_size).map(sorted)
    )
    values = draw(st.lists(st.integers(-1000, 1000), min_size=len(keys), max_size=len(keys)))
    series = np.array([which for which, _ in keys], dtype=np.int32)
    ts_us = int64s(*(T0 + step * 37_000_000 for _, step in keys))
    return series, ts_us, np.array(values, dtype=np.float64)


def minutes(ts_us: Int64s) -> Int64s:
    return period.local_buckets(ts_us, "UTC", "1m")


def by_hand(series: Int32s, ts_us: Int64s, value: Floats, bucket_us: Int64s) -> Partials:
    """The same rows, made one sample at a time."""
    found: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for key, ts, amount, bucket in zip(series, ts_us, value, bucket_us, strict=True):
        found.setdefault((int(key), int(bucket)), []).append((int(ts), float(amount)))
    rows = sorted(found.items())
    groups = [sorted(group) for _, group in rows]
    amounts = [[amount for _, amount in group] for group in groups]
    return Partials(
        series=np.array([key for (key, _), _ in rows], dtype=np.int32),
        bucket_us=int64s(*(bucket for (_, bucket), _ in rows)),
        count=int64s(*(len(group) for group in groups)),
        sum=np.array([sum(group) for group in amounts]),
        min=np.array([min(group) for group in amounts]),
        max=np.array([max(group) for group in amounts]),
        first=np.array([group[0] for group in amounts]),
        first_us=int64s(*(group[0][0] for group in groups)),
        last=np.array([group[-1] for group in amounts]),
        last_us=int64s(*(group[-1][0] for group in groups)),
        covered_us=np.zeros(len(rows), dtype=np.int64),
    )


@settings(deadline=None)
@given(samples())
def test_rows_equal_those_made_by_hand(data: Samples) -> None:
    series, ts_us, value = data
    for resolution in ("1m", "15m", "1h"):
        buckets = period.local_buckets(ts_us, "Europe/Berlin", resolution)
        assert_same(partials_of(series, ts_us, value, buckets), by_hand(series, ts_us, value, buckets))


@settings(deadline=None)
@given(samples(), st.data())
def test_any_split_in_any_order_merges_to_the_same_rows(data: Samples, choice: st.DataObject) -> None:
    series, ts_us, value = data
    parts = np.array(choice.draw(st.lists(st.integers(0, 5), min_size=series.size, max_size=series.size)))
    order = choice.draw(st.permutations(range(6)))
    chunks = [(series[parts == n], ts_us[parts == n], value[parts == n]) for n in order]
    split = Partials.concat(partials_of(*chunk, minutes(chunk[1])) for chunk in chunks)
    whole = partials_of(series, ts_us, value, minutes(ts_us))
    assert_same(merge(split), whole)
    assert_same(merge(merge(split)), whole)


@settings(deadline=None)
@given(samples())
def test_each_tier_is_the_finer_one_made_coarser(data: Samples) -> None:
    series, ts_us, value = data
    rows = partials_of(series, ts_us, value, minutes(ts_us))
    steps: list[period.Resolution] = ["15m", "1h", "1d"]
    for zone in ("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"):
        finer = rows
        for resolution in steps:
            finer = coarsen(finer, period.local_buckets(finer.bucket_us, zone, resolution))
            direct = partials_of(series, ts_us, value, period.local_buckets(ts_us, zone, resolution))
            assert_same(finer, direct)


@settings(deadline=None)
@given(samples(), st.data())
def test_wide_readings_give_the_rows_of_their_samples(data: Samples, choice: st.DataObject) -> None:
    device, ts_us, _ = data
    amounts = st.lists(
        st.sampled_from([NAN, 1.0, 2.0, -5.0, 12.0]), min_size=device.size, max_size=device.size
    )
    columns = {1: np.arange(device.size, dtype=np.float64)}
    columns |= {metric: np.array(choice.draw(amounts)) for metric in (2, 3)} | {4: np.full(device.size, NAN)}

    def series(devices: Int32s, metric: int) -> Int32s:
        return devices * np.int32(10) + np.int32(metric)

    buckets = period.local_buckets(ts_us, "UTC", "15m")
    found = wide_partials(
        device,
        ts_us,
        columns,
        {
            1: series(device, 1),
            2: lambda devices: series(devices, 2),
            3: series(device, 3),
            4: lambda devices: series(devices, 4),
        },
        buckets,
    )
    expected = []
    for metric, column in columns.items():
        there = ~np.isnan(column)
        expected.append(
            partials_of(series(device[there], metric), ts_us[there], column[there], buckets[there])
        )
    assert_same(found, Partials.concat(expected))


def test_infinite_values_are_values() -> None:
    inf = float("inf")
    column = np.array([inf, -inf, 3.0])
    device = np.array([1, 2, 3], dtype=np.int32)
    rows = wide_partials(device, int64s(1, 2, 3), {1: column}, {1: device}, int64s(0, 0, 0))
    assert rows.sum.tolist() == [inf, -inf, 3.0]
    assert rows.count.tolist() == [1, 1, 1]


def test_no_samples_give_no_rows() -> None:
    none, numbers = np.empty(0), np.empty(0, dtype=np.int64)
    series = np.empty(0, dtype=np.int32)
    for rows in (
        partials_of(series, numbers, none, numbers),
        wide_partials(series, numbers, {1: none}, {1: series}, numbers),
        merge(Partials.empty()),
        coarsen(Partials.empty(), numbers),
        Partials.concat([]),
    ):
        assert len(rows) == 0
        assert_same(rows, Partials.empty())


def test_covered_time_adds_up() -> None:
    series = np.ones(4, dtype=np.int32)
    ts_us = int64s(0, 30, 60, 90) * 1_000_000
    rows = partials_of(series, ts_us, np.full(4, 7.0), minutes(ts_us), int64s(30, 30, 30, 10))
    assert rows.covered_us.tolist() == [60, 40]
    assert coarsen(rows, int64s(0, 0)).covered_us.tolist() == [100]
    assert coarsen(rows, int64s(0, 0)).sum.tolist() == [28.0]


def test_two_claims_on_one_moment_merge_alike_in_either_order() -> None:
    one = partials_of(np.ones(1, np.int32), int64s(5), np.array([3.0]), int64s(0))
    other = partials_of(np.ones(1, np.int32), int64s(5), np.array([4.0]), int64s(0))
    merged = merge(Partials.concat([one, other]))
    assert_same(merged, merge(Partials.concat([other, one])))
    assert (merged.first.tolist(), merged.last.tolist(), merged.count.tolist()) == ([3.0], [4.0], [2])


def test_keys_too_long_for_one_integer_merge_too() -> None:
    series = np.array([2**31 - 1, 5, 2**31 - 1, 5], dtype=np.int32)
    ts_us = int64s(2**52, 2**52, 0, 0)
    rows = Partials.concat(
        partials_of(series[[n]], ts_us[[n]], np.array([float(n)]), ts_us[[n]]) for n in range(4)
    )
    merged = merge(rows)
    assert merged.series.tolist() == [5, 5, 2**31 - 1, 2**31 - 1]
    assert merged.bucket_us.tolist() == [0, 2**52, 0, 2**52]
    assert merged.sum.tolist() == [3.0, 1.0, 2.0, 0.0]
    assert_same(merge(merged), merged)


# --- coverage --------------------------------------------------------------------------------------------

DAY_END = T0 + DAY_US


def every(step_us: int, start_us: int = T0, end_us: int = DAY_END) -> Int64s:
    return np.arange(start_us, end_us, step_us, dtype=np.int64)


@pytest.mark.parametrize("phase", [0, QUARTER_US, 3 * QUARTER_US])
def test_an_hourly_meter_looked_at_by_quarter_hours_is_fully_covered(phase: int) -> None:
    assert coverage(every(HOUR_US, T0 + phase), T0, DAY_END, QUARTER_US) == 1.0


def test_a_gap_lowers_the_coverage() -> None:
    hourly = every(HOUR_US)
    assert coverage(np.delete(hourly, [5, 6, 7]), T0, DAY_END, QUARTER_US) == pytest.approx(21 / 24)
    quarters = every(QUARTER_US)
    assert coverage(quarters, T0, DAY_END, QUARTER_US) == 1.0
    assert coverage(np.delete(quarters, 9), T0, DAY_END, QUARTER_US) == pytest.approx(95 / 96)
    assert coverage(quarters[48:], T0, DAY_END, QUARTER_US) == 0.5
    assert coverage(quarters[:48], T0, DAY_END, QUARTER_US) == 0.5


def test_a_meter_that_comes_a_little_early_or_late_has_no_gap() -> None:
    hourly = every(HOUR_US)
    hourly[3] += QUARTER_US
    hourly[8] -= QUARTER_US
    assert coverage(hourly, T0, DAY_END, QUARTER_US) == 1.0


def test_readings_by_the_second_leave_the_hourly_ones_before_them_covered() -> None:
    seconds = np.arange(T0 + 20 * HOUR_US, DAY_END, 1_500_000, dtype=np.int64)
    hourly = np.arange(T0, T0 + 20 * HOUR_US, HOUR_US, dtype=np.int64)
    assert coverage(np.concatenate([hourly, seconds]), T0, DAY_END, 1) == pytest.approx(1.0, abs=1e-4)
    lonely = np.array([T0 + 22 * HOUR_US], np.int64)
    gap = seconds[(seconds < T0 + 21 * HOUR_US) | (seconds >= T0 + 23 * HOUR_US)]
    broken = np.sort(np.concatenate([hourly, gap, lonely]))
    assert coverage(broken, T0, DAY_END, 1) == pytest.approx(22 / 24, abs=1e-4)


def test_coverage_counts_only_what_lies_in_the_range() -> None:
    assert coverage(int64s(T0), T0 + MINUTE_US, T0 + QUARTER_US, QUARTER_US) == 1.0
    assert coverage(int64s(T0), T0, T0 + HOUR_US, QUARTER_US) == 0.25
    assert coverage(int64s(), T0, T0 + HOUR_US, QUARTER_US) == 0.0
    assert coverage(int64s(T0), T0, T0, QUARTER_US) == 0.0
    assert coverage(int64s(T0), T0, T0 + DAY_US, QUARTER_US, spacing_us=HOUR_US) == pytest.approx(1 / 24)


def test_days_of_23_and_25_hours_are_covered_by_their_rows() -> None:
    for inside in (T0, T0 + 210 * DAY_US):  # March and October
        start, end = period.bucket_range(inside, inside + 1, "Europe/Berlin", "1mo").tolist()
        bounds = period.bucket_range(start, end, "Europe/Berlin", "1d")
        days, ends = bounds[:-1], bounds[1:]
        assert coverage(days, start, end, ends) == 1.0
        missing = np.delete(np.arange(days.size), 3)
        expected = 1 - (ends[3] - days[3]) / (end - start)
        assert coverage(days[missing], start, end, ends[missing]) == pytest.approx(expected)


@settings(deadline=None)
@given(
    st.sets(st.integers(-5, 120), max_size=60).map(sorted),
    st.integers(0, 90),
    st.integers(1, 60),
    st.sampled_from([None, 1, 4, 50]),
)
def test_coverage_is_a_share(slots: list[int], start: int, length: int, spacing: int | None) -> None:
    starts = int64s(*slots) * QUARTER_US
    spacing_us = None if spacing is None else spacing * QUARTER_US
    end_us = (start + length) * QUARTER_US
    share = coverage(starts, start * QUARTER_US, end_us, QUARTER_US, spacing_us)
    assert 0.0 <= share <= 1.0
    inside = sum(start <= slot < start + length for slot in slots)
    assert share >= inside / length - 1e-12


def test_energy_is_covered_by_the_time_of_its_steps() -> None:
    assert time_coverage(int64s(QUARTER_US, QUARTER_US), T0, T0 + HOUR_US) == 0.5
    assert time_coverage(int64s(HOUR_US, QUARTER_US), T0, T0 + HOUR_US) == 1.0
    assert time_coverage(int64s(), T0, T0 + HOUR_US) == 0.0
    assert time_coverage(int64s(5), T0, T0) == 0.0


# --- points for a chart ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 100_000), min_size=1, max_size=300).map(sorted),
    st.integers(1, 120),
    st.integers(0, 2**32 - 1),
)
def test_thinned_points_stay_within_the_limit_and_keep_the_extremes(
    moments: list[int], limit: int, seed: int
) -> None:
    ts_us = int64s(*moments) * 1_000_000
    value = np.random.default_rng(seed).integers(-50, 50, ts_us.size).astype(np.float64)
    thin_us, thin_value = thin(ts_us, value, limit)
    assert 0 < thin_us.size <= limit
    assert np.all(np.diff(thin_us) > 0)
    places = np.searchsorted(ts_us, thin_us)
    np.testing.assert_array_equal(value[places], thin_value)
    if limit >= 2:
        assert (thin_value.min(), thin_value.max()) == (value.min(), value.max())
    if limit >= 4 or ts_us.size <= limit:
        assert (thin_us[0], thin_us[-1]) == (ts_us[0], ts_us[-1])


def test_a_spike_of_one_sample_in_a_million_is_drawn() -> None:
    value = np.zeros(1_000_000)
    value[765_432] = 9.0
    value[123_456] = -9.0
    thin_us, thin_value = thin(np.arange(1_000_000, dtype=np.int64) * 1_000_000, value, 500)
    assert thin_us.size <= 500
    assert {-9.0, 9.0} <= set(thin_value.tolist())


def test_a_chart_needs_a_point() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        thin(int64s(1, 2), np.array([1.0, 2.0]), 0)


# --- the tier --------------------------------------------------------------------------------------------


def test_the_finest_tier_that_fits_is_chosen() -> None:
    assert choose_resolution(T0, T0 + HOUR_US, 1000, spacing_us=5_000_000) == "raw"
    assert choose_resolution(T0, T0 + HOUR_US, 1000, spacing_us=1_000_000) == "1m"
    assert choose_resolution(T0, T0 + HOUR_US, 1000) == "1m"
    assert choose_resolution(T0, T0 + DAY_US, 1000) == "15m"
    assert choose_resolution(T0, T0 + 30 * DAY_US, 1000) == "1h"
    assert choose_resolution(T0, T0 + 365 * DAY_US, 1000) == "1d"
    assert choose_resolution(T0, T0 + 3650 * DAY_US, 1000) == "1d"
    assert choose_resolution(T0, T0 + 60 * MINUTE_US, 60) == "1m"
    assert choose_resolution(T0 + 1, T0 + 60 * MINUTE_US + 1, 60) == "15m"


@settings(deadline=None)
@given(
    st.integers(0, 40 * DAY_US),
    st.integers(1, 90 * DAY_US),
    st.integers(1, 2000),
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"]),
)
def test_the_chosen_tier_has_no_more_buckets_than_points(
    later: int, span: int, limit: int, zone: str
) -> None:
    start, end = T0 + later, T0 + later + span
    tier = choose_resolution(start, end, limit, zone=zone)
    assert tier != "raw"
    count = period.bucket_count(start, end, zone, tier)
    assert count <= limit or tier == "1d"
