"""Partial aggregates: what a roll-up row is, how rows are made, merged and made coarser, and how a
chart's points are chosen.

Keeps true: a `Partials` row is a function of the set of its samples and of nothing else. However samples
are split into batches and in whatever order the batches come, `merge` gives the same rows (sums of
non-integers up to rounding). So a late batch needs no window state: its rows are added and merged on reading.

Pure: arrays in, arrays out, no loop over readings.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt

from kilowatch import period

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Tier = Literal["raw", "1m", "15m", "1h", "1d"]
_Number = TypeVar("_Number", np.int64, np.float64)
SeriesOf = Int32s | Callable[[Int32s], Int32s]

_TIERS: tuple[Literal["1m", "15m", "1h", "1d"], ...] = ("1m", "15m", "1h", "1d")


@dataclass(frozen=True, slots=True)
class Partials:
    """Columns of partial aggregates, one row per series and bucket, or several that are still to be merged.

    `covered_us` is the time that the samples stand for; only energy steps have one.
    """

    series: Int32s
    bucket_us: Int64s
    count: Int64s
    sum: Floats
    min: Floats
    max: Floats
    first: Floats
    first_us: Int64s
    last: Floats
    last_us: Int64s
    covered_us: Int64s

    def __len__(self) -> int:
        return self.series.size

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(**{field.name: np.empty(0, dtype=_DTYPES[field.name]) for field in fields(cls)})

    @classmethod
    def concat(cls, parts: Iterable["Partials"]) -> Self:
        """The rows of all parts, one after the other, not merged."""
        filled = [part for part in parts if len(part)]
        if not filled:
            return cls.empty()
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in filled]) for f in fields(cls)})

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> "Partials":
        """The chosen rows: positions, a mask or a slice."""
        return Partials(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


_FLOAT_COLUMNS = ("sum", "min", "max", "first", "last")
_DTYPES: dict[str, type[np.generic]] = {
    field.name: np.float64 if field.name in _FLOAT_COLUMNS else np.int64 for field in fields(Partials)
} | {"series": np.int32}


# --- making ----------------------------------------------------------------------------------------------


def partials_of(
    series: Int32s, ts_us: Int64s, value: Floats, bucket_us: Int64s, covered_us: Int64s | None = None
) -> Partials:
    """One row per (series, bucket) of samples sorted by (series, ts_us), without NaN; rows sorted alike."""
    if series.size == 0:
        return Partials.empty()
    groups = _Groups.of(series, bucket_us)
    rows = _reduce(groups, value, ts_us[groups.starts], ts_us[groups.lasts])
    covered = np.zeros(len(groups), np.int64) if covered_us is None else groups.reduce(np.add, covered_us)
    return Partials(series[groups.starts], bucket_us[groups.starts], *rows, covered)


def wide_partials(
    device: Int32s,
    ts_us: Int64s,
    columns: Mapping[int, Floats],
    series_of: Mapping[int, SeriesOf],
    bucket_us: Int64s,
) -> Partials:
    """The partials of readings in columns: sorted by (device, ts_us), one column per metric, NaN = absent.

    `series_of[metric]` gives the series numbers: one per reading, or a function from devices to series
    that is asked once per group. Rows come metric by metric, each sorted by device and bucket.
    """
    if device.size == 0:
        return Partials.empty()
    groups = _Groups.of(device, bucket_us)
    return Partials.concat(
        _column_partials(groups, device, ts_us, column, series_of[metric], bucket_us)
        for metric, column in columns.items()
    )


def _column_partials(
    groups: "_Groups", device: Int32s, ts_us: Int64s, column: Floats, series_of: SeriesOf, bucket_us: Int64s
) -> Partials:
    # Infinite values may add up to NaN; that only sends the column the slower way, which is right too.
    with np.errstate(invalid="ignore"):
        incomplete = np.isnan(column.sum())
    if incomplete:
        present = np.flatnonzero(~np.isnan(column))
        if present.size == 0:
            return Partials.empty()
        groups, column = groups.among(present), column[present]
        starts, lasts = present[groups.starts], present[groups.lasts]
    else:
        starts, lasts = groups.starts, groups.lasts
    rows = _reduce(groups, column, ts_us[starts], ts_us[lasts])
    series = series_of(device[starts]) if callable(series_of) else series_of[starts]
    return Partials(series, bucket_us[starts], *rows, np.zeros(len(groups), np.int64))


@dataclass(frozen=True, slots=True)
class _Groups:
    """Runs of equal keys: where each starts and how long it is; together they cover all elements."""

    starts: npt.NDArray[np.intp]
    counts: Int64s

    @classmethod
    def of(cls, *keys: npt.NDArray[np.int32] | npt.NDArray[np.int64]) -> Self:
        """The runs of rows in which every key stays the same; there is at least one row."""
        size = keys[0].size
        fresh = np.empty(size, dtype=np.bool_)
        fresh[0] = True
        np.not_equal(keys[0][1:], keys[0][:-1], out=fresh[1:])
        for key in keys[1:]:
            fresh[1:] |= key[1:] != key[:-1]
        starts = np.flatnonzero(fresh)
        return cls(starts, np.diff(starts, append=size))

    def __len__(self) -> int:
        return self.starts.size

    @property
    def size(self) -> int:
        """The number of elements in all groups."""
        return int(self.starts[-1] + self.counts[-1])

    @property
    def lasts(self) -> npt.NDArray[np.intp]:
        """Where each run ends: the position of its last element."""
        return self.starts + self.counts - 1

    @property
    def single(self) -> bool:
        """Whether every group is one element."""
        return len(self) == self.size

    def among(self, present: npt.NDArray[np.intp]) -> "_Groups":
        """The groups of the elements at the ascending positions `present`, empty ones left out."""
        starts = np.searchsorted(present, self.starts)
        counts = np.diff(starts, append=present.size)
        filled = counts > 0
        return _Groups(starts[filled], counts[filled])

    def reduce(self, how: np.ufunc, values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """One value per group."""
        reduced: npt.NDArray[_Number] = values if self.single else how.reduceat(values, self.starts)
        return reduced


def _reduce(
    groups: _Groups, value: Floats, first_us: Int64s, last_us: Int64s
) -> tuple[Int64s, Floats, Floats, Floats, Floats, Int64s, Floats, Int64s]:
    """The columns from `count` to `last_us` for groups whose values ascend in time."""
    return (
        groups.counts,
        groups.reduce(np.add, value),
        groups.reduce(np.minimum, value),
        groups.reduce(np.maximum, value),
        value[groups.starts],
        first_us,
        value[groups.lasts],
        last_us,
    )


# --- merging ---------------------------------------------------------------------------------------------


def merge(partials: Partials) -> Partials:
    """One row per (series, bucket), sorted by both, from rows in any order and of any number.

    Where two rows claim the same first (or last) moment with different values, the smaller first and the
    greater last value win, so that the order of the rows does not matter.
    """
    if len(partials) == 0:
        return partials
    order = _order(partials.series, partials.bucket_us)
    if order is not None:
        partials = partials.take(order)
    groups = _Groups.of(partials.series, partials.bucket_us)
    if groups.single:
        return partials
    first_us = groups.reduce(np.minimum, partials.first_us)
    last_us = groups.reduce(np.maximum, partials.last_us)
    is_first = partials.first_us == np.repeat(first_us, groups.counts)
    is_last = partials.last_us == np.repeat(last_us, groups.counts)
    return Partials(
        series=partials.series[groups.starts],
        bucket_us=partials.bucket_us[groups.starts],
        count=groups.reduce(np.add, partials.count),
        sum=groups.reduce(np.add, partials.sum),
        min=groups.reduce(np.minimum, partials.min),
        max=groups.reduce(np.maximum, partials.max),
        first=groups.reduce(np.minimum, np.where(is_first, partials.first, np.inf)),
        first_us=first_us,
        last=groups.reduce(np.maximum, np.where(is_last, partials.last, -np.inf)),
        last_us=last_us,
        covered_us=groups.reduce(np.add, partials.covered_us),
    )


def coarsen(partials: Partials, new_bucket_us: Int64s) -> Partials:
    """The rows of a coarser tier, given the coarse bucket of every row (`period.local_buckets` of
    `partials.bucket_us`); every fine bucket has to lie within one coarse bucket."""
    return merge(replace(partials, bucket_us=new_bucket_us))


def _order(series: Int32s, bucket_us: Int64s) -> npt.NDArray[np.intp] | None:
    """The positions that sort rows by (series, bucket); None if they are sorted."""
    lowest = bucket_us.min()
    bits = int(bucket_us.max() - lowest).bit_length()
    if bits + 32 > 63 and bits + int(series.max()).bit_length() > 63:
        ascending = (series[1:] > series[:-1]) | (
            (series[1:] == series[:-1]) & (bucket_us[1:] >= bucket_us[:-1])
        )
        return None if ascending.all() else np.lexsort((bucket_us, series))
    # Both keys fit into one integer, which sorts several times faster than two.
    key = series.astype(np.int64)
    key <<= bits
    key += bucket_us - lowest
    return None if (key[1:] >= key[:-1]).all() else np.argsort(key)


# --- coverage --------------------------------------------------------------------------------------------


def coverage(
    bucket_us: Int64s, start_us: int, end_us: int, bucket_ends: Int64s | int, spacing_us: int | None = None
) -> float:
    """The share, 0 to 1, of `[start_us, end_us)` that buckets with data stand for.

    `bucket_us` are the ascending starts of the non-empty buckets, `bucket_ends` their ends or one width.
    A bucket stands for the time up to the next one, but for no more than one and a half slots, and for
    one slot when the next is farther; a slot is the bucket's length or the usual spacing of the data
    around (`spacing_us`, else what four neighbouring spacings say), whichever is longer. So an hourly meter
    looked at by the quarter hour is fully covered, also where readings by the second follow, and a gap
    lowers the share.
    """
    if bucket_us.size == 0 or end_us <= start_us:
        return 0.0
    lengths = (bucket_ends if isinstance(bucket_ends, int) else bucket_ends - bucket_us) + np.zeros_like(
        bucket_us
    )
    spacings = np.diff(bucket_us)
    usual = _usual_spacings(spacings) if spacing_us is None else np.full_like(bucket_us, spacing_us)
    slots = np.maximum(lengths, usual)
    reach = bucket_us + slots
    following = bucket_us[1:]
    near = (following <= reach[:-1]) | (2 * spacings <= 3 * slots[:-1])
    reach[:-1] = np.where(near, following, reach[:-1])
    begins = bucket_us.copy()
    if usual[0] > lengths[0] and bucket_us[0] - usual[0] < start_us:
        begins[0] = start_us  # the reading that stands for the head of the span lies before it
    covered = np.minimum(reach, end_us) - np.maximum(begins, start_us)
    return float(np.maximum(covered, 0).sum() / (end_us - start_us))


def _usual_spacings(spacings: Int64s) -> Int64s:
    """Per bucket (one more than there are spacings) how far away its next one usually is: the second largest
    of the two spacings before and the two after its own, so that one gap beside it makes no difference."""
    if spacings.size == 0:
        return np.zeros(1, np.int64)
    middle = (spacings.size - 1) // 2
    edge = np.full(2, np.partition(spacings, middle)[middle])
    padded = np.concatenate([edge, spacings, edge])
    around = np.stack([padded[:-4], padded[1:-3], padded[3:-1], padded[4:]])
    usual: Int64s = np.partition(around, 2, axis=0)[2]
    return np.append(usual, usual[-1])


def time_coverage(covered_us: Int64s, start_us: int, end_us: int) -> float:
    """The share, 0 to 1, of the span that energy steps cover."""
    if end_us <= start_us:
        return 0.0
    return min(1.0, max(0.0, int(covered_us.sum()) / (end_us - start_us)))


# --- points for a chart ----------------------------------------------------------------------------------


def thin(ts_us: Int64s, value: Floats, limit: int) -> tuple[Int64s, Floats]:
    """At most `limit` of the points: the lowest and the highest of each column of pixels, and both ends.

    `ts_us` ascends and `value` has no NaN. Points that fit are returned as they are.
    """
    if limit < 1:
        raise ValueError(f"a chart of {limit} points shows nothing; ask for at least 1")
    if ts_us.size <= limit:
        return ts_us, value
    if limit == 1:
        return ts_us[-1:], value[-1:]
    with_ends = limit >= 4
    columns = (limit - 2) // 2 if with_ends else 1
    width = (int(ts_us[-1]) - int(ts_us[0])) // columns + 1
    groups = _Groups.of((ts_us - ts_us[0]) // width)
    ends = np.array([0, ts_us.size - 1] if with_ends else [], dtype=np.intp)
    lowest, highest = (_first_equal(groups, value, extreme) for extreme in (np.minimum, np.maximum))
    kept = np.unique(np.concatenate([lowest, highest, ends]))
    return ts_us[kept], value[kept]


def _first_equal(groups: _Groups, value: Floats, extreme: np.ufunc) -> npt.NDArray[np.intp]:
    """In each group the position of the first element that is the group's extreme."""
    hits = np.flatnonzero(value == np.repeat(groups.reduce(extreme, value), groups.counts))
    positions: npt.NDArray[np.intp] = hits[np.searchsorted(hits, groups.starts)]
    return positions


def choose_resolution(
    start_us: int, end_us: int, limit_points: int, spacing_us: float | None = None, zone: str = "UTC"
) -> Tier:
    """The finest tier with at most `limit_points` buckets in `[start_us, end_us)`.

    `raw` needs the usual spacing of the series, which says how many samples to expect; thin those, since
    they may be more. `1d` when even days are too many: the caller then merges days or thins.
    """
    span = end_us - start_us
    if spacing_us is not None and spacing_us > 0 and span / spacing_us + 1 <= limit_points:
        return "raw"
    for tier in _TIERS[:-1]:
        if span // (2 * period.RESOLUTION_US[tier]) > limit_points:
            continue
        if period.bucket_count(start_us, end_us, zone, tier) <= limit_points:
            return tier
    return "1d"
