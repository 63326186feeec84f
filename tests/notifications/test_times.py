"""Quiet hours, digests and times of day on real zones: against a search minute by minute."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import MICROSECONDS, to_datetime, to_us
from kilowatch.notifications.digest import Digest
from kilowatch.notifications.local_time import end_of_span, is_within, next_time_of_day
from kilowatch.notifications.preference import Preferences, QuietHours, place, quiet_until
from kilowatch.notifications.severity import SEVERITIES, Severity, reaches
from kilowatch.period import time_zone

MINUTE_US = 60 * MICROSECONDS
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
CHANGES = [  # moments around which clocks change somewhere
    to_us(datetime(2026, month, day, hour, tzinfo=UTC))
    for month, day, hour in ((3, 28, 12), (10, 24, 12), (3, 7, 20), (10, 31, 18), (4, 4, 2), (10, 3, 2))
]
moments = st.one_of(
    st.integers(0, 2**31 // 60).map(lambda minute: minute * MINUTE_US),
    st.tuples(st.sampled_from(CHANGES), st.integers(0, 48 * 60)).map(lambda one: one[0] + one[1] * MINUTE_US),
)
zones = st.sampled_from(ZONES).map(time_zone)
minutes = st.integers(0, 1439)
severities = st.sampled_from(SEVERITIES)


def local(zone: str, year: int, month: int, day: int, hour: int, minute: int = 0, fold: int = 0) -> int:
    return to_us(datetime(year, month, day, hour, minute, tzinfo=time_zone(zone), fold=fold))


@given(moments, zones, minutes, minutes)
@settings(max_examples=300, deadline=None)
def test_a_span_ends_at_the_first_moment_outside_of_it(
    now_us: int, zone: ZoneInfo, start: int, end: int
) -> None:
    if start == end:
        return
    found = end_of_span(now_us, zone, start, end)
    if not is_within(now_us, zone, start, end):
        assert found is None
        return
    searched = now_us
    while is_within(searched, zone, start, end):
        searched += MINUTE_US
    assert found == searched


@given(moments, zones, minutes)
@settings(max_examples=300, deadline=None)
def test_each_time_of_day_comes_next_when_the_wall_shows_or_skips_it(
    now_us: int, zone: ZoneInfo, minute: int
) -> None:
    found = next_time_of_day(now_us, zone, minute)
    searched, before = now_us, to_datetime(now_us).astimezone(zone).replace(tzinfo=None)
    while True:
        searched += MINUTE_US
        after = to_datetime(searched).astimezone(zone).replace(tzinfo=None)
        shown = after.hour * 60 + after.minute == minute
        jumped = (after - before).total_seconds() > 60
        first = before.hour * 60 + before.minute
        if shown or (jumped and 0 < (minute - first) % 1440 < (after - before).total_seconds() / 60):
            break
        before = after
    assert found == searched


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (local("Europe/Berlin", 2026, 6, 1, 21, 59), None),
        (local("Europe/Berlin", 2026, 6, 1, 22), local("Europe/Berlin", 2026, 6, 2, 7)),
        (local("Europe/Berlin", 2026, 6, 2, 6, 59), local("Europe/Berlin", 2026, 6, 2, 7)),
        (local("Europe/Berlin", 2026, 6, 2, 7), None),
        (local("Europe/Berlin", 2026, 3, 28, 23), local("Europe/Berlin", 2026, 3, 29, 7)),
        (local("Europe/Berlin", 2026, 10, 25, 2, 30, 1), local("Europe/Berlin", 2026, 10, 25, 7)),
    ],
)
def test_quiet_hours_over_midnight(now: int, ends: int | None) -> None:
    quiet = QuietHours(22 * 60, 7 * 60)
    assert quiet_until(quiet, "low", time_zone("Europe/Berlin"), now) == ends
    assert quiet_until(quiet, "critical", time_zone("Europe/Berlin"), now) is None
    nothing = QuietHours(22 * 60, 7 * 60, lets_through=None)
    assert quiet_until(nothing, "critical", time_zone("Europe/Berlin"), now) == ends


def test_a_night_with_a_change_of_clocks_is_an_hour_shorter_or_longer() -> None:
    zone = time_zone("Europe/Berlin")
    nights = {
        (2026, 3, 28): 8,
        (2026, 6, 1): 9,
        (2026, 10, 24): 10,
    }
    for day, hours in nights.items():
        now = local("Europe/Berlin", *day, 22)
        assert end_of_span(now, zone, 22 * 60, 7 * 60) == now + hours * 60 * MINUTE_US


@given(moments, zones, st.one_of(st.none(), st.tuples(minutes, minutes)), severities, severities, severities)
@settings(max_examples=100, deadline=None)
def test_what_is_pressing_goes_at_once_and_the_rest_waits_no_longer_than_a_day_and_a_bit(
    now_us: int,
    zone: ZoneInfo,
    quiet: tuple[int, int] | None,
    severity: Severity,
    through: Severity,
    digest: Severity,
) -> None:
    hours = QuietHours(*quiet, through) if quiet and quiet[0] != quiet[1] else None
    wanted = Preferences(quiet_hours=hours, digest=Digest(450, digest))
    placed = place(wanted, severity, zone, now_us)
    assert 0 <= placed.due_us - now_us <= 49 * 60 * MINUTE_US  # a zone once left out a whole day
    if reaches(digest, severity):
        assert placed.bundle == "digest"
    elif hours is None or reaches(severity, through) or not is_within(now_us, zone, hours.start, hours.end):
        assert (placed.due_us, placed.bundle) == (now_us, None)
    else:
        assert placed.bundle == "quiet"
        assert not is_within(placed.due_us, zone, hours.start, hours.end)


@pytest.mark.parametrize("minute", [2 * 60, 2 * 60 + 30, 3 * 60 - 1, 3 * 60])
def test_each_day_has_one_digest(minute: int) -> None:
    """Clocks skip the first three on the 29th of March, and show them twice on the 25th of October."""
    zone = time_zone("Europe/Berlin")
    digest = Digest(minute)
    for month, day in ((3, 27), (10, 23)):
        now = local("Europe/Berlin", 2026, month, day, 12)
        dates = []
        for _ in range(4):
            now = digest.next_at(now, zone)
            dates.append(to_datetime(now).astimezone(zone).day)
        assert dates == [day + 1, day + 2, day + 3, day + 4]
