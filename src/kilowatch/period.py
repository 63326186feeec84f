"""The site-local calendar: which minute, hour, day or month of its site an instant belongs to.

Keeps true: for a zone and a resolution the buckets cover the time line without gap or overlap, so each
instant lies in exactly one (`start <= ts < end`), and every finer bucket lies inside one coarser bucket,
so the hours of a day add up to the day and the days of a month to the month. Quarter hours of UTC do so
where changes of the local clock happen on quarter hours, as they have everywhere since 2023.

* `1m` and `15m` are aligned to UTC.
* `1h` starts at every instant at which the local clock, before or after a change, shows a full hour. An
  hour that the clock repeats in autumn is two buckets. Lord Howe's half-hour change gives one bucket of
  30 minutes in spring (02:30 to 03:00) and one in autumn (01:30 to 02:00 for the second time).
* `1d` and `1mo` start at the first instant of the local date: its first midnight, or the change itself
  where the clock skips midnight. A midnight that comes twice starts one day only.

All times are int64 microseconds since 1970-01-01T00:00Z. The rules of the zones come from the `tzdata`
package and not from the host, so all processes of an instance agree, in containers without zone data too.
Before 1900 and from 2200 on a zone keeps the offset that it has at that border.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Instants = npt.NDArray[np.int64]
Resolution = Literal["1m", "15m", "1h", "1d", "1mo"]

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
QUARTER_US: Final = 15 * MINUTE_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

RESOLUTIONS: Final[tuple[Resolution, ...]] = ("1m", "15m", "1h", "1d", "1mo")
RESOLUTION_US: Final[dict[Resolution, int]] = {
    "1m": MINUTE_US,
    "15m": QUARTER_US,
    "1h": HOUR_US,
    "1d": DAY_US,
    "1mo": 30 * DAY_US,
}
"""The usual length of a bucket; local days last 23 to 25 hours and months 28 to 31 days."""

_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROBE_S = 3 * 86_400
_MARGIN_US = 2 * DAY_US  # more than any offset, so a local date near the border of a span stays inside


# --- zones -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """The names of all IANA zones, as the pinned `tzdata` package lists them."""
    listed = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(listed) - {"Factory"}


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA zone, such as `Europe/Berlin`."""
    return name in zone_names()


@lru_cache(maxsize=1024)
def time_zone(name: str) -> ZoneInfo:
    """The zone with the rules of the pinned `tzdata` package.

    Raises:
        ValueError: if there is no such IANA zone.
    """
    if not is_zone(name):
        raise ValueError(f"{name!r} is not an IANA time zone; write it like 'Europe/Berlin' or 'UTC'")
    place = files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with place.open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


@lru_cache(maxsize=8192)
def _changes_in_year(name: str, year: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The zone's offset at the start of a UTC year, and its changes in it as (instant, new offset), in µs.

    Since 1900 no zone has changed its offset twice within four days, so probes three days apart find every
    change; bisection then finds its second.
    """
    zone = time_zone(name)
    start = (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
    end = (datetime(year + 1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)

    def offset_s(second: int) -> int:
        moment = _EPOCH + timedelta(seconds=second)
        return (moment.astimezone(zone).replace(tzinfo=UTC) - moment) // timedelta(seconds=1)

    first = known = offset_s(start)
    changes: list[tuple[int, int]] = []
    for probe in range(start, end, _PROBE_S):
        before, after = probe, min(probe + _PROBE_S, end - 1)
        found = offset_s(after)
        if found == known:
            continue
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset_s(middle) == known else (before, middle)
        changes.append((after * SECOND_US, found * SECOND_US))
        known = found
    return first * SECOND_US, tuple(changes)


@lru_cache(maxsize=1024)
def _periods_of_years(name: str, first: int, last: int) -> tuple[Instants, Instants]:
    offset, _ = _changes_in_year(name, first)
    starts, offsets = [np.iinfo(np.int64).min], [offset]
    for year in range(first, last + 1):
        at_new_year, changes = _changes_in_year(name, year)
        if at_new_year != offsets[-1]:  # a change exactly at new year
            changes = ((_new_year_us(year), at_new_year), *changes)
        for instant, offset in changes:
            starts.append(instant)
            offsets.append(offset)
    return np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _new_year_us(year: int) -> int:
    return (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def _year_of(ts_us: int) -> int:
    year = 1970 + int(np.datetime64(ts_us, "us").astype("datetime64[Y]").astype(np.int64))
    return min(max(year, _FIRST_YEAR), _LAST_YEAR)


def offset_periods(zone: str, lo_us: int, hi_us: int) -> tuple[Instants, Instants]:
    """The spans of constant UTC offset that cover `[lo_us, hi_us]`: their starts and their offsets.

    The first span starts at `lo_us`; each lasts until the start of the next.
    """
    starts, offsets = _periods_of_years(zone, _year_of(lo_us), _year_of(hi_us))
    first = int(np.searchsorted(starts, lo_us, "right")) - 1
    last = int(np.searchsorted(starts, hi_us, "right"))
    covering = starts[first:last].copy()
    covering[0] = lo_us
    return covering, offsets[first:last]


# --- where buckets start ---------------------------------------------------------------------------------


def _date_starts(midnights: Instants, zone: str) -> Instants:
    """The first instants at which the local clock has reached each of the (ascending) local midnights."""
    lo, hi = int(midnights[0]) - _MARGIN_US, int(midnights[-1]) + _MARGIN_US
    starts, offsets = offset_periods(zone, lo, hi)
    local_ends = np.append(starts[1:], hi) + offsets
    reached = np.maximum.accumulate(local_ends)
    within = np.searchsorted(reached, midnights, "right")
    return _distinct(np.maximum(starts[within], midnights - offsets[within]))


def _distinct(ascending: Instants) -> Instants:
    # np.unique hashes and sorts again, which takes a second for a century of hours.
    distinct: Instants = ascending[np.append(True, ascending[1:] != ascending[:-1])]
    return distinct


def _day_starts(lo_us: int, hi_us: int, zone: str) -> Instants:
    return _date_starts(np.arange(lo_us // DAY_US - 2, hi_us // DAY_US + 3, dtype=np.int64) * DAY_US, zone)


def _month_starts(lo_us: int, hi_us: int, zone: str) -> Instants:
    first = np.datetime64(lo_us - _MARGIN_US, "us").astype("datetime64[M]")
    last = np.datetime64(hi_us + _MARGIN_US, "us").astype("datetime64[M]")
    months = np.arange(first, last + np.timedelta64(2, "M"))
    return _date_starts(months.astype("datetime64[us]").astype(np.int64), zone)


def _hour_starts(lo_us: int, hi_us: int, zone: str) -> Instants:
    lo, hi = lo_us - _MARGIN_US, hi_us + _MARGIN_US
    starts, offsets = offset_periods(zone, lo, hi)
    ends = np.append(starts[1:], hi)
    full_hours = [
        np.arange(-(-(start + offset) // HOUR_US) * HOUR_US - offset, end + 1, HOUR_US, dtype=np.int64)
        for start, end, offset in zip(starts.tolist(), ends.tolist(), offsets.tolist(), strict=True)
    ]
    # A change that jumps into the next date starts a day, so it starts an hour too, on whatever minute.
    new_dates = np.intersect1d(_day_starts(lo_us, hi_us, zone), starts[1:])
    return _distinct(np.sort(np.concatenate([*full_hours, new_dates]), kind="stable"))


def bucket_range(start_us: int, end_us: int, zone: str, resolution: Resolution) -> Instants:
    """The starts of all buckets that have an instant in `[start_us, end_us)`, and the end of the last.

    So bucket `i` is `[range[i], range[i + 1])`, and n buckets are n + 1 numbers; none when the span is empty.
    """
    _check(zone, resolution)
    if end_us <= start_us:
        return np.empty(0, dtype=np.int64)
    if resolution in ("1m", "15m"):
        width = RESOLUTION_US[resolution]
        last = -(-end_us // width) * width
        return np.arange(start_us // width * width, last + 1, width, dtype=np.int64)
    if resolution == "1h":
        starts = _hour_starts(start_us, end_us, zone)
    elif resolution == "1d":
        starts = _day_starts(start_us, end_us, zone)
    else:
        starts = _month_starts(start_us, end_us, zone)
    first = int(np.searchsorted(starts, start_us, "right")) - 1
    last = int(np.searchsorted(starts, end_us, "left"))
    return starts[first : last + 1]


def bucket_count(start_us: int, end_us: int, zone: str, resolution: Resolution) -> int:
    """How many buckets have an instant in `[start_us, end_us)`."""
    if resolution in ("1m", "15m") and end_us > start_us:
        width = RESOLUTION_US[resolution]
        return -(-end_us // width) - start_us // width
    return max(0, bucket_range(start_us, end_us, zone, resolution).size - 1)


def _check(zone: str, resolution: str) -> None:
    time_zone(zone)
    if resolution not in RESOLUTIONS:
        raise ValueError(f"{resolution!r} is not a resolution; there are {', '.join(RESOLUTIONS)}")


# --- instants to buckets ---------------------------------------------------------------------------------


def local_buckets(ts_us: Instants, zone: str, resolution: Resolution) -> Instants:
    """The start of the bucket that each instant lies in, as a UTC instant. `ts_us` may be in any order.

    Raises:
        ValueError: if the zone or the resolution does not exist.
    """
    _check(zone, resolution)
    if ts_us.size == 0:
        return np.empty(0, dtype=np.int64)
    if resolution in ("1m", "15m"):
        width = RESOLUTION_US[resolution]
        return ts_us // width * width
    lo, hi = int(ts_us.min()), int(ts_us.max())
    if resolution == "1h":
        _, offsets = offset_periods(zone, lo - HOUR_US, hi)
        if offsets.size == 1:
            return _floor_hour(ts_us, offsets[0])
    starts = bucket_range(lo, hi + 1, zone, resolution)
    if starts.size == 2:
        return np.full(ts_us.size, starts[0], dtype=np.int64)
    buckets: Instants = starts[np.searchsorted(starts, ts_us, "right") - 1]
    return buckets


def local_buckets_by_zone(
    ts_us: Instants, zone_index: npt.NDArray[np.int16], zones: Sequence[str], resolution: Resolution
) -> Instants:
    """`local_buckets` for instants of many zones: instant `i` is bucketed by `zones[zone_index[i]]`."""
    if ts_us.size == 0 or resolution in ("1m", "15m"):
        return local_buckets(ts_us, "UTC", resolution)
    counts = np.bincount(zone_index, minlength=len(zones))
    present = np.flatnonzero(counts)
    if present.size == 1:
        return local_buckets(ts_us, zones[present[0]], resolution)
    quick = _short_span(ts_us, zone_index, zones, present.tolist(), resolution)
    if quick is not None:
        return quick
    order = np.argsort(zone_index, kind="stable")
    ends = np.cumsum(counts[present])
    buckets = np.empty(ts_us.size, dtype=np.int64)
    for index, end, count in zip(present.tolist(), ends.tolist(), counts[present].tolist(), strict=True):
        chosen = order[end - count : end]
        buckets[chosen] = local_buckets(ts_us[chosen], zones[index], resolution)
    return buckets


def _short_span(
    ts_us: Instants,
    zone_index: npt.NDArray[np.int16],
    zones: Sequence[str],
    present: Sequence[int],
    resolution: Resolution,
) -> Instants | None:
    """The buckets when all instants lie so close together that one small table per zone tells them.

    For hours that is one offset for each zone, for days and months at most two buckets; None otherwise.
    """
    lo, hi = int(ts_us.min()), int(ts_us.max())
    table = np.zeros((2, len(zones)), dtype=np.int64)
    for index in present:
        _check(zones[index], resolution)
        if resolution == "1h":
            _, offsets = offset_periods(zones[index], lo - HOUR_US, hi)
            if offsets.size > 1:
                return None
            table[0, index] = offsets[0]
        else:
            starts = bucket_range(lo, hi + 1, zones[index], resolution)
            if starts.size > 3:
                return None
            table[:, index] = starts[:2]
    first = table[0][zone_index]
    if resolution == "1h":
        return _floor_hour(ts_us, first)
    second = table[1][zone_index]
    buckets: Instants = np.where(ts_us < second, first, second)
    return buckets


def _floor_hour(ts_us: Instants, offset_us: Instants | np.int64) -> Instants:
    local = ts_us + offset_us
    local //= HOUR_US
    local *= HOUR_US
    local -= offset_us
    return local


def bucket_ends(bucket_us: Instants, zone: str, resolution: Resolution) -> Instants:
    """The end of each bucket, given its start (or any instant in it). In any order."""
    _check(zone, resolution)
    if bucket_us.size == 0:
        return np.empty(0, dtype=np.int64)
    if resolution in ("1m", "15m"):
        width = RESOLUTION_US[resolution]
        return bucket_us // width * width + width
    starts = bucket_range(int(bucket_us.min()), int(bucket_us.max()) + 1, zone, resolution)
    ends: Instants = starts[np.searchsorted(starts, bucket_us, "right")]
    return ends
