"""The local calendar against a slow walk through the minutes, and against change days worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch import period
from kilowatch.period import HOUR_US, Instants, Resolution

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NESTED: list[tuple[Resolution, Resolution]] = [("1m", "15m"), ("1h", "1d"), ("1d", "1mo")]

CHANGE_DAYS = [
    ("Europe/Berlin", date(2026, 3, 29), 23),
    ("Europe/Berlin", date(2026, 10, 25), 25),
    ("Europe/Berlin", date(1980, 4, 6), 23),
    ("Europe/Berlin", date(2040, 10, 28), 25),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
    ("Australia/Lord_Howe", date(2023, 4, 2), 24.5),
    ("America/St_Johns", date(2026, 3, 8), 23),
    ("America/St_Johns", date(2026, 11, 1), 25),
    ("America/St_Johns", date(1988, 4, 3), 22),  # two hours of summer time, at 00:01
    ("America/St_Johns", date(2010, 11, 7), 25),  # 00:01 goes back to 23:01: midnight comes twice
    ("Asia/Kathmandu", date(1986, 1, 1), 23.75),  # +05:30 to +05:45 at midnight
    ("Asia/Kathmandu", date(2026, 3, 29), 24),
    ("America/Havana", date(2024, 3, 10), 23),  # midnight does not exist
    ("America/Havana", date(2024, 11, 3), 25),  # midnight comes twice
    ("America/Sao_Paulo", date(2018, 11, 4), 23),  # midnight does not exist
    ("America/Sao_Paulo", date(2018, 2, 17), 25),  # 24:00 goes back to 23:00
    ("Pacific/Apia", date(2011, 12, 29), 24),  # the 30th does not exist
    ("Pacific/Apia", date(2011, 12, 31), 24),
    ("Antarctica/Troll", date(2026, 3, 29), 22),
    ("UTC", date(2026, 3, 29), 24),
]


def us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def utc(text: str) -> int:
    return us(datetime.fromisoformat(text))


def walk(zone: str, day: date, resolution: Resolution) -> list[int]:
    """Bucket starts in the three days around `day`, found by looking at the local clock every minute."""
    rules = period.time_zone(zone)
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=3)
    reached = moment.astimezone(rules).date()
    starts = []
    for _ in range(6 * 24 * 60):
        moment += MINUTE
        now = moment.astimezone(rules)
        shown_without_change = (moment - MINUTE).astimezone(rules).replace(tzinfo=None) + MINUTE
        new_date = now.date() > reached
        reached = max(reached, now.date())
        new_hour = now.minute == 0 or shown_without_change.minute == 0 or new_date
        if new_date if resolution == "1d" else new_hour:
            starts.append(us(moment))
    return starts


@pytest.mark.parametrize(("zone", "day", "hours"), CHANGE_DAYS, ids=str)
def test_change_days_agree_with_a_walk_through_the_minutes(zone: str, day: date, hours: float) -> None:
    for resolution in ("1h", "1d"):
        expected = walk(zone, day, resolution)
        found = period.bucket_range(expected[0], expected[-1], zone, resolution)
        assert found.tolist() == expected
    days = walk(zone, day, "1d")
    lengths = {period_start_date(zone, a): (b - a) / HOUR_US for a, b in pairwise(days)}
    assert lengths[day] == hours


def period_start_date(zone: str, start_us: int) -> date:
    return (EPOCH + timedelta(microseconds=start_us)).astimezone(period.time_zone(zone)).date()


@pytest.mark.parametrize(("zone", "day", "hours"), CHANGE_DAYS, ids=str)
def test_hours_add_up_to_the_day_and_days_to_the_month(zone: str, day: date, hours: float) -> None:
    del hours
    noon = np.array([us(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))])
    for fine, coarse in NESTED[1:]:
        start = int(period.local_buckets(noon, zone, coarse)[0])
        end = int(period.bucket_ends(noon, zone, coarse)[0])
        parts = period.bucket_range(start, end, zone, fine)
        assert (parts[0], parts[-1]) == (start, end)
        assert np.diff(parts).sum() == end - start
        assert np.all(np.diff(parts) > 0)


def hours_around(zone: str, first: str, last: str) -> list[str]:
    starts = period.bucket_range(utc(first), utc(last), zone, "1h")[:-1]
    rules = period.time_zone(zone)
    local = [(EPOCH + timedelta(microseconds=int(start))).astimezone(rules) for start in starts]
    return [f"{moment:%H:%M%z}" for moment in local]


def test_the_hours_of_a_change_as_people_read_them() -> None:
    assert hours_around("Europe/Berlin", "2026-10-24T23:00Z", "2026-10-25T03:00Z") == [
        "01:00+0200",
        "02:00+0200",
        "02:00+0100",
        "03:00+0100",
    ]
    assert hours_around("Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T02:00Z") == [
        "01:00+0100",
        "03:00+0200",
    ]
    assert hours_around("Australia/Lord_Howe", "2026-04-04T14:00Z", "2026-04-04T16:30Z") == [
        "01:00+1100",
        "01:30+1030",
        "02:00+1030",
    ]
    assert hours_around("Australia/Lord_Howe", "2026-10-03T14:30Z", "2026-10-03T17:00Z") == [
        "01:00+1030",
        "02:30+1100",
        "03:00+1100",
    ]
    assert hours_around("America/St_Johns", "2026-11-01T03:30Z", "2026-11-01T06:30Z") == [
        "01:00-0230",
        "01:00-0330",
        "02:00-0330",
    ]
    assert hours_around("Asia/Kathmandu", "2026-03-28T18:15Z", "2026-03-28T20:15Z") == [
        "00:00+0545",
        "01:00+0545",
    ]


def test_buckets_of_a_range_reach_past_both_its_ends() -> None:
    ranged = period.bucket_range(utc("2026-03-29T10:20Z"), utc("2026-03-30T10:20Z"), "Europe/Berlin", "1d")
    assert ranged.tolist() == [utc("2026-03-28T23:00Z"), utc("2026-03-29T22:00Z"), utc("2026-03-30T22:00Z")]
    months = period.bucket_range(utc("2026-03-01T00:00Z"), utc("2026-04-30T22:00Z"), "Europe/Berlin", "1mo")
    assert months.tolist() == [utc("2026-02-28T23:00Z"), utc("2026-03-31T22:00Z"), utc("2026-04-30T22:00Z")]
    quarters = period.bucket_range(
        utc("2026-03-01T00:01Z"), utc("2026-03-01T00:30Z"), "Asia/Kathmandu", "15m"
    )
    assert quarters.tolist() == [utc(f"2026-03-01T00:{minute}Z") for minute in ("00", "15", "30")]


def test_nothing_gives_nothing() -> None:
    none = np.empty(0, dtype=np.int64)
    for resolution in period.RESOLUTIONS:
        assert period.bucket_range(5, 5, "Europe/Berlin", resolution).size == 0
        assert period.bucket_count(5, 5, "Europe/Berlin", resolution) == 0
        assert period.local_buckets(none, "Europe/Berlin", resolution).size == 0
        assert period.bucket_ends(none, "Europe/Berlin", resolution).size == 0
        by_zone = period.local_buckets_by_zone(none, none.astype(np.int16), ["UTC"], resolution)
        assert by_zone.size == 0


def test_unknown_zones_and_resolutions_are_refused_with_advice() -> None:
    for name in ("Europe/Bielefeld", "europe/berlin", "../UTC", "", "Factory", "Europe"):
        assert not period.is_zone(name)
        with pytest.raises(ValueError, match="not an IANA time zone"):
            period.time_zone(name)
        with pytest.raises(ValueError, match="not an IANA time zone"):
            period.local_buckets(np.array([0]), name, "15m")
    assert period.is_zone("Asia/Calcutta")
    with pytest.raises(ValueError, match="not a resolution"):
        period.local_buckets(np.array([0]), "UTC", "2h")  # type: ignore[arg-type]


def test_every_zone_has_rules() -> None:
    moment = np.array([utc("2026-07-01T12:00Z")])
    for name in sorted(period.zone_names()):
        hour, day = (int(period.local_buckets(moment, name, how)[0]) for how in ("1h", "1d"))
        assert day <= hour <= moment[0] < hour + HOUR_US


def test_before_and_after_the_known_centuries_the_offset_stays() -> None:
    far = np.array([utc("1850-03-01T12:34:56Z"), utc("2900-07-01T12:34:56Z"), utc("9990-01-01T00:00:00Z")])
    for resolution in ("1d", "1mo"):
        starts = period.local_buckets(far[1:], "Europe/Berlin", resolution)
        assert np.all(starts <= far[1:])
        assert np.all(far[1:] < period.bucket_ends(far[1:], "Europe/Berlin", resolution))
    assert period.local_buckets(far[:1], "Europe/Berlin", "1h")[0] <= far[0]


def test_one_array_may_span_a_century() -> None:
    far_apart = np.array([utc("1971-06-01T10:20Z"), utc("2099-12-31T10:20Z"), utc("2026-06-01T10:20Z")])
    starts = period.local_buckets(far_apart, "Europe/Berlin", "1h")
    assert starts.tolist() == [utc("1971-06-01T10:00Z"), utc("2099-12-31T10:00Z"), utc("2026-06-01T10:00Z")]
    days = period.local_buckets(far_apart, "Europe/Berlin", "1d")
    assert days.tolist() == [utc("1971-05-31T23:00Z"), utc("2099-12-30T23:00Z"), utc("2026-05-31T22:00Z")]


# --- properties ------------------------------------------------------------------------------------------

zones = st.sampled_from(
    [
        *("Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "America/Havana"),
        *("Africa/Casablanca", "Asia/Gaza", "Pacific/Apia", "Pacific/Chatham", "America/Asuncion", "UTC"),
    ]
)
any_zone = zones | st.sampled_from(sorted(period.zone_names()))
resolutions = st.sampled_from(period.RESOLUTIONS)
instants = st.integers(utc("1971-01-01T00:00Z"), utc("2099-12-31T00:00Z"))


nearby = instants.flatmap(
    lambda first: st.lists(st.integers(first, first + 400 * period.DAY_US), min_size=1, max_size=6)
)


def array(values: list[int]) -> Instants:
    return np.array(values, dtype=np.int64)


@settings(deadline=None, max_examples=300)
@given(zone=any_zone, resolution=resolutions, ts=nearby)
def test_every_instant_lies_in_exactly_one_bucket(zone: str, resolution: Resolution, ts: list[int]) -> None:
    moments = array(ts)
    starts = period.local_buckets(moments, zone, resolution)
    ends = period.bucket_ends(moments, zone, resolution)
    assert np.all(starts <= moments)
    assert np.all(moments < ends)
    assert period.local_buckets(starts, zone, resolution).tolist() == starts.tolist()
    assert period.local_buckets(ends - 1, zone, resolution).tolist() == starts.tolist()
    assert period.local_buckets(ends, zone, resolution).tolist() == ends.tolist()
    alone = [int(period.local_buckets(array([one]), zone, resolution)[0]) for one in ts]
    assert starts.tolist() == alone


@settings(deadline=None, max_examples=200)
@given(zone=any_zone, ts=instants)
def test_buckets_agree_with_the_zone_rules(zone: str, ts: int) -> None:
    rules = period.time_zone(zone)
    here = (EPOCH + timedelta(microseconds=ts)).astimezone(rules)
    hour = int(period.local_buckets(array([ts]), zone, "1h")[0])
    before = (EPOCH + timedelta(microseconds=ts - HOUR_US)).astimezone(rules)
    if before.utcoffset() == here.utcoffset():
        assert hour == us(here.replace(minute=0, second=0, microsecond=0).astimezone(UTC))
    day = int(period.local_buckets(array([ts]), zone, "1d")[0])
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if midnight.astimezone(UTC).astimezone(rules).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        assert day <= us(midnight.astimezone(UTC)) <= ts or here.fold
        if not here.fold and day != us(midnight.astimezone(UTC)):
            pytest.fail(f"the day of {here} starts at {day}")


@settings(deadline=None, max_examples=200)
@given(zone=any_zone, ts=instants)
def test_finer_buckets_lie_within_coarser_ones(zone: str, ts: int) -> None:
    moments = array([ts])
    for fine, coarse in NESTED:
        start = period.local_buckets(moments, zone, fine)
        last = period.bucket_ends(moments, zone, fine) - 1
        outer = period.local_buckets(moments, zone, coarse)
        assert period.local_buckets(start, zone, coarse) == outer
        assert period.local_buckets(last, zone, coarse) == outer


@settings(deadline=None, max_examples=200)
@given(zone=zones, resolution=resolutions, start=instants, days=st.floats(0.001, 60))
def test_a_range_is_contiguous_and_holds_just_what_it_intersects(
    zone: str, resolution: Resolution, start: int, days: float
) -> None:
    end = start + int(days * period.DAY_US)
    bounds = period.bucket_range(start, end, zone, resolution)
    assert bounds[0] <= start < bounds[1]
    assert bounds[-2] < end <= bounds[-1]
    assert period.bucket_count(start, end, zone, resolution) == bounds.size - 1
    assert period.local_buckets(bounds, zone, resolution).tolist() == bounds.tolist()
    assert period.bucket_ends(bounds[:-1], zone, resolution).tolist() == bounds[1:].tolist()


@settings(deadline=None, max_examples=100)
@given(
    names=st.lists(zones, min_size=1, max_size=5),
    resolution=resolutions,
    around=instants,
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3 * period.DAY_US)), min_size=1, max_size=30),
    stretch=st.sampled_from([0, 1, 200]),
)
def test_many_zones_at_once_equal_one_zone_at_a_time(
    names: list[str], resolution: Resolution, around: int, steps: list[tuple[int, int]], stretch: int
) -> None:
    index = np.array([which % len(names) for which, _ in steps], dtype=np.int16)
    moments = array([around + step * stretch for _, step in steps])
    found = period.local_buckets_by_zone(moments, index, names, resolution)
    expected = [
        int(period.local_buckets(array([moment]), names[which], resolution)[0])
        for which, moment in zip(index.tolist(), moments.tolist(), strict=True)
    ]
    assert found.tolist() == expected
