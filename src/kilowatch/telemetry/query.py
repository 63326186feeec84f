"""The one query layer: what charts, tables, files and reports show of a device or a site.

Owns the choice of a resolution and the reshaping of samples and roll-ups into points. Keeps true that
everybody who asks for the same span, resolution and aggregate gets the same numbers; that a bucket which
has an instant in the span is returned whole; and that energy is added as whole micro-watt-hours, so that
totals are exactly the sum of their parts. Functions block on the lake: run them in a thread.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch import period
from kilowatch.errors import Problem
from kilowatch.telemetry.health import Minutes
from kilowatch.telemetry.resample import Partials, Tier, choose_resolution, coarsen, coverage, time_coverage
from kilowatch.telemetry.resample import thin as thin_points
from kilowatch.units import MICRO_PER_WH

Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Resolution = Literal["auto", "raw", "1m", "15m", "1h", "1d"]
StoredTier = Literal["1m", "15m", "1h", "1d"]
Agg = Literal["mean", "min", "max", "sum", "last"]
Kind = Literal["gauge", "counter", "interval", "state", "energy"]

DEFAULT_AGG: Final[dict[Kind, Agg]] = {
    "gauge": "mean",
    "counter": "last",
    "interval": "sum",
    "state": "last",
    "energy": "sum",
}
FIXED_AGG: Final = ("state", "energy")
"""Kinds that have one aggregate that means anything."""

COARSER: Final[tuple[Tier, ...]] = ("raw", "1m", "15m", "1h", "1d")
MOST_POINTS: Final = 2_000_000
"""Most points that one answer holds in memory; beyond it the streamed forms or a coarser resolution serve."""
MOST_BUCKETS: Final = 11_000_000
"""Most buckets of one streamed answer: twenty years by the minute."""
PIECE_POINTS: Final = 500_000
ESTIMATE_BUCKETS: Final = 200


class Lake(Protocol):
    """What is asked of the lake; see `kilowatch.lake.reading.LakeReader`."""

    def samples(self, series_nos: Sequence[int], start_us: int, end_us: int) -> pa.Table: ...

    def rollups(self, tier: str, series_nos: Sequence[int], start_us: int, end_us: int) -> pa.Table: ...

    def latest(self, series_nos: Sequence[int]) -> pa.Table: ...

    def ask(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SeriesRef:
    """A series that PostgreSQL returned for the caller; `energy` is the canonical one, kept in micro-Wh."""

    series_no: int
    metric: str
    unit: str
    kind: Kind
    states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """`[start_us, end_us)`, looked at from `now_us` with the calendar of `zone`."""

    start_us: int
    end_us: int
    now_us: int
    zone: str

    @property
    def past_end_us(self) -> int:
        """The end of the part that can have data: the future is not missing, it is to come."""
        return min(self.end_us, self.now_us)


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many microseconds back samples and quarter hours are kept at least."""

    raw_us: int


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """How one series is read: tier, aggregate, and how many days one point spans (1 but for `auto`)."""

    ref: SeriesRef
    tier: Tier
    agg: Agg
    days: int = 1
    limit: int | None = None
    """Most points, for samples that `auto` chose."""

    @property
    def resolution(self) -> str:
        """The resolution as it is told: the tier, or `2d` where days were put together."""
        return self.tier if self.days == 1 else f"{self.days}d"


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one series, ascending in time; a bucket's time is its start. Empty buckets have no point."""

    plan: SeriesPlan
    ts_us: Int64s
    value: Floats
    coverage: float


# --- choosing --------------------------------------------------------------------------------------------


def plan_series(
    lake: Lake,
    refs: Sequence[SeriesRef],
    span: Span,
    resolution: Resolution,
    agg: Agg | None,
    limit_points: int,
    retention: Retention,
) -> list[SeriesPlan]:
    """How to read each series; `auto` keeps every series at or below `limit_points`."""
    if resolution != "auto":
        return [
            SeriesPlan(ref, _energy_tier(resolution) if ref.kind == "energy" else resolution, _agg(ref, agg))
            for ref in refs
        ]
    tier = choose_resolution(span.start_us, span.end_us, limit_points, None, span.zone)
    finest = find_finest(lake, [ref.series_no for ref in refs], span, retention)
    tier = coarser(tier, finest)
    sampled = [ref for ref in refs if ref.kind != "energy"]
    chosen: Tier = tier
    if sampled and finest == "raw" and _most_samples(lake, sampled, span) <= limit_points:
        chosen = "raw"
    plans = []
    for ref in refs:
        own = coarser(tier, "15m") if ref.kind == "energy" else chosen
        days = _days_per_point(span, limit_points) if own == "1d" else 1
        plans.append(SeriesPlan(ref, own, _agg(ref, agg), days, limit_points if own == "raw" else None))
    return plans


def find_finest(lake: Lake, series_nos: Sequence[int], span: Span, retention: Retention) -> Tier:
    """The finest tier that still has all of the span: whether what is past its time has left the lake is
    seen at the first day with data."""
    kept_from_us = span.now_us - retention.raw_us
    if span.start_us >= kept_from_us:
        return "raw"
    aged = Span(span.start_us, min(span.end_us, kept_from_us), span.now_us, span.zone)
    days = read_partials(lake, "1d", series_nos, aged)
    if len(days) == 0:
        return "raw"
    first_us = int(days.bucket_us.min())
    first = Span(first_us, min(first_us + period.DAY_US, aged.end_us), span.now_us, span.zone)
    if len(read_partials(lake, "15m", series_nos, first)):
        return "raw"
    return "1h" if len(read_partials(lake, "1h", series_nos, first)) else "1d"


def _agg(ref: SeriesRef, asked: Agg | None) -> Agg:
    return DEFAULT_AGG[ref.kind] if asked is None or ref.kind in FIXED_AGG else asked


def coarser(one: Tier, other: Tier) -> Tier:
    return COARSER[max(COARSER.index(one), COARSER.index(other))]


def _energy_tier(tier: Tier) -> Tier:
    """Canonical energy is kept by the quarter hour and coarser."""
    return coarser(tier, "15m")


def _days_per_point(span: Span, limit_points: int) -> int:
    days = period.bucket_count(span.start_us, span.end_us, span.zone, "1d")
    return max(1, -(-days // limit_points))


def _most_samples(lake: Lake, refs: Sequence[SeriesRef], span: Span) -> int:
    """At least as many as the fullest series has samples in the span, from roll-ups; 0 if none has any."""
    tier = choose_resolution(span.start_us, span.end_us, ESTIMATE_BUCKETS, None, span.zone)
    rows = read_partials(lake, tier, [ref.series_no for ref in refs], span)
    if len(rows) == 0:
        return 0
    starts = np.flatnonzero(np.append(True, rows.series[1:] != rows.series[:-1]))
    return int(np.add.reduceat(rows.count, starts).max())


def refuse_too_many(lake: Lake, plans: Sequence[SeriesPlan], span: Span, streamed: bool) -> None:
    """Refuses an answer that would not fit into memory, before it is read.

    Raises:
        Problem: 422 `too_many_points`, saying what to do instead.
    """
    buckets = [
        period.bucket_count(span.start_us, span.end_us, span.zone, plan.tier)
        for plan in plans
        if plan.tier != "raw"
    ]
    points = max(buckets, default=0) if streamed else sum(buckets)
    sampled = [plan.ref for plan in plans if plan.tier == "raw" and plan.limit is None]
    if sampled and not streamed and span.end_us - span.start_us > period.DAY_US:
        points += _most_samples(lake, sampled, span) * len(sampled)
    if points > (MOST_BUCKETS if streamed else MOST_POINTS):
        raise Problem(
            422,
            "too_many_points",
            f"This would be up to {points:,} points. Ask for a shorter span, a coarser resolution or `auto`; "
            "CSV, Arrow and Parquet are streamed and may be longer than JSON.",
        )


# --- reading ---------------------------------------------------------------------------------------------


def read_points(lake: Lake, plans: Sequence[SeriesPlan], span: Span) -> list[Points]:
    """The points of every planned series, in the plans' order."""
    found: dict[int, Points] = {}
    for tier in dict.fromkeys(plan.tier for plan in plans):
        alike = [plan for plan in plans if plan.tier == tier]
        found.update(
            _read_samples(lake, alike, span) if tier == "raw" else _read_buckets(lake, tier, alike, span)
        )
    return [found[plan.ref.series_no] for plan in plans]


def pieces_of(lake: Lake, plan: SeriesPlan, span: Span) -> list[Span]:
    """The span cut so that no piece of the series has more than about half a million points."""
    if plan.tier == "raw":
        count = _most_samples(lake, [plan.ref], span)
        width = max(1, (span.end_us - span.start_us) * PIECE_POINTS // max(count, PIECE_POINTS))
        cuts = [*range(span.start_us, span.end_us, width), span.end_us]
    else:
        starts = period.bucket_range(span.start_us, span.end_us, span.zone, plan.tier)
        inner = starts[:-1][:: PIECE_POINTS * plan.days].tolist()
        cuts = [*inner, span.end_us] if inner else []
    return [Span(start, end, span.now_us, span.zone) for start, end in itertools.pairwise(cuts)]


def _read_samples(lake: Lake, plans: Sequence[SeriesPlan], span: Span) -> dict[int, Points]:
    table = lake.samples([plan.ref.series_no for plan in plans], span.start_us, span.end_us)
    series = _ints(table["series_no"])
    ts_us, value = _ints(table["ts"]), _floats(table["value"])
    found = {}
    for plan in plans:
        rows = rows_of(series, plan.ref.series_no)
        times, values = ts_us[rows], value[rows]
        covered = coverage(times, span.start_us, span.past_end_us, 1)
        if plan.limit is not None:
            times, values = thin_points(times, values, plan.limit)
        found[plan.ref.series_no] = Points(plan, times, values, covered)
    return found


def _read_buckets(lake: Lake, tier: StoredTier, plans: Sequence[SeriesPlan], span: Span) -> dict[int, Points]:
    rows = read_partials(lake, tier, [plan.ref.series_no for plan in plans], span)
    return {plan.ref.series_no: _shape(plan, tier, _of_series(rows, plan.ref), span) for plan in plans}


def _shape(plan: SeriesPlan, tier: StoredTier, rows: Partials, span: Span) -> Points:
    covered = _coverage(plan, tier, rows, span)
    if plan.days > 1:
        rows = coarsen(rows, _day_groups(rows.bucket_us, span, plan.days))
    value = _aggregate(rows, plan.agg)
    if plan.ref.kind == "energy":
        value = value / MICRO_PER_WH
    return Points(plan, rows.bucket_us, value, covered)


def _coverage(plan: SeriesPlan, tier: StoredTier, rows: Partials, span: Span) -> float:
    if plan.ref.kind == "energy":
        return energy_coverage(rows, span, tier, 1)
    ends = period.bucket_ends(rows.bucket_us, span.zone, tier)
    return coverage(rows.bucket_us, span.start_us, span.past_end_us, ends)


def energy_coverage(rows: Partials, span: Span, tier: period.Resolution, devices: int) -> float:
    """The share of the returned buckets' past that energy is known for."""
    starts = period.bucket_range(span.start_us, span.end_us, span.zone, tier)
    if len(starts) == 0 or devices == 0:
        return 0.0
    begin, end = int(starts[0]), min(int(starts[-1]), max(span.now_us, span.start_us))
    return time_coverage(rows.covered_us, 0, (end - begin) * devices)


def _aggregate(rows: Partials, agg: Agg) -> Floats:
    match agg:
        case "mean":
            return rows.sum / rows.count
        case "sum":
            return rows.sum
        case "min":
            return rows.min
        case "max":
            return rows.max
        case "last":
            return rows.last


def _day_groups(bucket_us: Int64s, span: Span, days: int) -> Int64s:
    """For each day the first day of its group; groups of `days` days are counted from the span's start."""
    starts = period.bucket_range(span.start_us, span.end_us, span.zone, "1d")
    place = np.searchsorted(starts, bucket_us, "right") - 1
    groups: Int64s = starts[place // days * days]
    return groups


def read_partials(lake: Lake, tier: Tier, series_nos: Sequence[int], span: Span) -> Partials:
    """Merged roll-ups of every bucket that has an instant in the span, sorted by series and bucket."""
    if tier == "raw":
        raise ValueError("samples are no roll-ups")
    starts = period.bucket_range(span.start_us, span.end_us, span.zone, tier)
    if len(starts) == 0 or len(series_nos) == 0:
        return Partials.empty()
    return partials_from(lake.rollups(tier, series_nos, int(starts[0]), int(starts[-1])))


def partials_from(table: pa.Table) -> Partials:
    """The roll-ups of an Arrow table as `LakeReader.rollups` returns it."""
    return Partials(
        series=_ints(table["series_no"]).astype(np.int32),
        bucket_us=_ints(table["bucket"]),
        count=_ints(table["count"]),
        sum=_floats(table["sum"]),
        min=_floats(table["min"]),
        max=_floats(table["max"]),
        first=_floats(table["first"]),
        first_us=_ints(table["first_ts"]),
        last=_floats(table["last"]),
        last_us=_ints(table["last_ts"]),
        covered_us=_ints(table["covered_us"]),
    )


def _of_series(rows: Partials, ref: SeriesRef) -> Partials:
    own = rows.take(rows_of(rows.series, ref.series_no))
    if ref.kind == "energy":
        # A correction can take all of a bucket's energy back; then nothing is known of it.
        own = own.take((own.covered_us > 0) | (own.sum != 0))
    return own


def rows_of(series: npt.NDArray[Any], series_no: int) -> slice:
    first, last = np.searchsorted(series, [series_no, series_no + 1])
    return slice(int(first), int(last))


def _ints(column: pa.ChunkedArray) -> Int64s:
    numbers: Int64s = column.to_numpy().astype(np.int64, copy=False)
    return numbers


def _floats(column: pa.ChunkedArray) -> Floats:
    numbers: Floats = column.to_numpy().astype(np.float64, copy=False)
    return numbers


# --- newest values ---------------------------------------------------------------------------------------


def read_latest(lake: Lake, series_nos: Sequence[int]) -> dict[int, tuple[int, float]]:
    """Time and value of the newest sample of each series that has one."""
    if not series_nos:
        return {}
    table = lake.latest(series_nos)
    numbers, times, values = (table[name].to_pylist() for name in ("series_no", "ts", "value"))
    return {
        number: (ts, value)
        for number, ts, value in zip(numbers, times, values, strict=True)
        if ts is not None and value is not None
    }


# --- health ----------------------------------------------------------------------------------------------


def read_minutes(
    lake: Lake, series_nos: Sequence[int], start_us: int, end_us: int
) -> tuple[list[Minutes], int | None]:
    """The roll-ups of a minute of each series that has any, and the time of the newest reading of all."""
    newest = read_latest(lake, series_nos)
    rows = partials_from(lake.rollups("1m", series_nos, start_us, end_us))
    found = []
    for number in np.unique(rows.series).tolist():
        own = rows.take(rows_of(rows.series, number))
        found.append(Minutes(own.first_us, own.last_us, own.count))
    return found, max((ts_us for ts_us, _ in newest.values()), default=None)
