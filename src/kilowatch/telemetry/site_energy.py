"""Energy of the devices of a site, each and in total, by bucket.

Part of the query layer. Keeps true that everything is added as whole micro-watt-hours: the total is exactly
the sum of the devices, and a day exactly the sum of its hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kilowatch import period
from kilowatch.errors import Problem
from kilowatch.telemetry.query import (
    MOST_POINTS,
    Floats,
    Int64s,
    Lake,
    Retention,
    Span,
    coarser,
    energy_coverage,
    find_finest,
    read_partials,
    rows_of,
)
from kilowatch.telemetry.resample import Partials, choose_resolution, coarsen

EnergyTier = Literal["15m", "1h", "1d", "1mo"]


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy by bucket in whole micro-watt-hours; `coverage` is the share of the time it is known for."""

    bucket_us: Int64s
    energy_uwh: Int64s
    coverage: float

    @property
    def total_uwh(self) -> int:
        """The sum of all buckets, exact."""
        return int(self.energy_uwh.sum())


@dataclass(frozen=True, slots=True)
class SiteEnergy:
    """Energy of each series in the order asked for, and of all together."""

    tier: EnergyTier
    parts: list[Energy]
    total: Energy


def choose_energy_tier(
    lake: Lake, series_nos: Sequence[int], span: Span, limit_points: int, retention: Retention
) -> EnergyTier:
    """The finest tier with at most `limit_points` buckets (but days) that still has all of the span."""
    tier = choose_resolution(span.start_us, span.end_us, limit_points, None, span.zone)
    chosen = coarser(coarser(tier, "15m"), find_finest(lake, series_nos, span, retention))
    return chosen if chosen in ("15m", "1h") else "1d"


def refuse_too_many(span: Span, tier: EnergyTier, devices: int) -> None:
    """Refuses an answer that would not fit into memory.

    Raises:
        Problem: 422 `too_many_points`.
    """
    points = period.bucket_count(span.start_us, span.end_us, span.zone, tier) * (devices + 1)
    if points > MOST_POINTS:
        detail = f"This would be up to {points:,} points. Ask for a shorter span or a coarser resolution."
        raise Problem(422, "too_many_points", detail)


def read_energy(lake: Lake, series_nos: Sequence[int], span: Span, tier: EnergyTier) -> SiteEnergy:
    """The energy of the given energy series, each and in total, by bucket."""
    rows = (
        _read_months(lake, series_nos, span) if tier == "1mo" else read_partials(lake, tier, series_nos, span)
    )
    rows = rows.take((rows.covered_us > 0) | (rows.sum != 0))
    parts = []
    for series_no in series_nos:
        own = rows.take(rows_of(rows.series, series_no))
        known = energy_coverage(own, span, tier, 1)
        parts.append(Energy(own.bucket_us, _micro_watt_hours(own.sum), known))
    buckets, place = np.unique(rows.bucket_us, return_inverse=True)
    together = np.zeros(len(buckets), dtype=np.int64)
    np.add.at(together, place, _micro_watt_hours(rows.sum))
    known = energy_coverage(rows, span, tier, len(series_nos))
    return SiteEnergy(tier, parts, Energy(buckets, together, known))


def _read_months(lake: Lake, series_nos: Sequence[int], span: Span) -> Partials:
    """Whole months, from their days."""
    months = period.bucket_range(span.start_us, span.end_us, span.zone, "1mo")
    whole = Span(int(months[0]), int(months[-1]), span.now_us, span.zone)
    days = read_partials(lake, "1d", series_nos, whole)
    return coarsen(days, period.local_buckets(days.bucket_us, span.zone, "1mo"))


def _micro_watt_hours(total: Floats) -> Int64s:
    return np.rint(total).astype(np.int64)
