"""Times of day where a site is: when one comes next, and when a span of the day ends. Pure.

A time of day is counted in minutes after local midnight. Keeps true, also where clocks are put forward or
back: what is said to come next is the first moment after now of which it is true, and one that clocks skip
comes when they skip it.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from kilowatch.clock import MICROSECONDS, to_datetime, to_us

DAY_MINUTES = 24 * 60
MINUTE_US = 60 * MICROSECONDS
LOOK_AHEAD_S = 50 * 3600
"""No span of a day ends later, whatever clocks do meanwhile."""


def minute_of_day(moment_us: int, zone: ZoneInfo) -> float:
    """What the clock on the wall shows, in minutes after midnight."""
    local = to_datetime(moment_us).astimezone(zone)
    return local.hour * 60 + local.minute + (local.second + local.microsecond / MICROSECONDS) / 60


def is_within(moment_us: int, zone: ZoneInfo, start: int, end: int) -> bool:
    """Whether the clock on the wall shows a time from `start` up to `end`, which may be past midnight."""
    now = minute_of_day(moment_us, zone)
    return start <= now < end if start < end else now >= start or now < end


def end_of_span(now_us: int, zone: ZoneInfo, start: int, end: int) -> int | None:
    """When the span of the day that now is in ends, epoch microseconds; None outside of it."""
    if not is_within(now_us, zone, start, end):
        return None
    moments = [*_moments(now_us, zone, end), *_changes(now_us, zone)]
    return min(moment for moment in moments if moment > now_us and not is_within(moment, zone, start, end))


def next_time_of_day(now_us: int, zone: ZoneInfo, minute: int) -> int:
    """When the clock on the wall next shows this time, or skips it."""
    skipped = [moment for moment in _changes(now_us, zone) if _skips(moment, zone, minute)]
    return min(moment for moment in (*_moments(now_us, zone, minute), *skipped) if moment > now_us)


def _moments(now_us: int, zone: ZoneInfo, minute: int) -> list[int]:
    """When the clock on the wall shows this time, yesterday to the day after tomorrow, both times where
    clocks are put back; none where they skip it."""
    today = to_datetime(now_us).astimezone(zone).date()
    found = []
    for days in range(-1, 4):
        midnight = datetime.combine(today + timedelta(days=days), datetime.min.time())
        for fold in (0, 1):
            local = (midnight + timedelta(minutes=minute)).replace(tzinfo=zone, fold=fold)
            moment = to_us(local)
            if to_datetime(moment).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                found.append(moment)
    return found


def _changes(now_us: int, zone: ZoneInfo) -> list[int]:
    """The moments of the next days at which clocks are put forward or back."""
    found = []
    start = now_us // MICROSECONDS
    for lower in range(start, start + LOOK_AHEAD_S, 3600):
        low, high = lower, lower + 3600
        if _offset(low, zone) == _offset(high, zone):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(middle, zone) == _offset(low, zone) else (low, middle)
        found.append(high * MICROSECONDS)
    return found


def _skips(moment_us: int, zone: ZoneInfo, minute: int) -> bool:
    after = minute_of_day(moment_us, zone)
    jump = (_offset(moment_us // MICROSECONDS, zone) - _offset(moment_us // MICROSECONDS - 1, zone)) / 60
    return jump > 0 and 0 < (after - minute) % DAY_MINUTES <= jump


def _offset(second: int, zone: ZoneInfo) -> float:
    offset = to_datetime(second * MICROSECONDS).astimezone(zone).utcoffset()
    assert offset is not None  # noqa: S101 - a zone knows its offset
    return offset.total_seconds()
