"""A device's energy, whatever it reports: power, energy per interval, or a running counter.

Keeps true: each step depends on a few neighbouring readings of the same device and on nothing else, so
booking the change that readings make among their neighbours (`energy_delta`), in any order of arrival, gives
exactly what all readings together give.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kilowatch.telemetry.apportion import QUARTER_HOUR_US, Pieces, bucket_energy, sum_pieces
from kilowatch.telemetry.counter import COUNTER_CONTEXT, counter_steps
from kilowatch.telemetry.step import (
    ENERGY_LIMIT_UWH,
    GAP,
    NEGATIVE,
    SPIKE,
    US_PER_HOUR,
    Bools,
    Corrections,
    Floats,
    Int64s,
    Kind,
    Source,
    Steps,
    empty_corrections,
    empty_steps,
    micro_watt_hours,
    scaled_values,
)
from kilowatch.units import MICRO_PER_WH

CONTEXT: Final[dict[Kind, int]] = {"gauge": 1, "interval": 3, "counter": COUNTER_CONTEXT}
"""How many known readings on each side of the new ones make every step around them exact, per kind."""
CONTEXT_BEFORE: Final = COUNTER_CONTEXT
CONTEXT_AFTER: Final = COUNTER_CONTEXT
"""The same for all kinds together."""

MOST_POWER_W: Final = 100e9
"""A gauge reading beyond this, either way, is no measurement."""
LONE_INTERVAL_US: Final = QUARTER_HOUR_US
"""Length of an interval that has no neighbour to tell it."""
HOLE: Final = 1.75
"""A distance of more than this many usual ones means that a reading between them is missing."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What readings change in the books."""

    pieces: Pieces
    """Signed, one per device and bucket, sorted; those that change nothing are left out."""
    added: Corrections
    removed: Corrections
    """Corrections noted earlier that no longer hold."""


def energy_steps(kind: Kind, source: Source, gap_max_us: int | Int64s) -> tuple[Steps, Corrections]:
    """Steps and corrections of readings of one kind.

    Args:
        kind: what the readings are.
        source: the readings, sorted by device and time.
        gap_max_us: gauges book nothing over a longer gap, counters call it estimated, intervals do not reach
            back further; one for all, or one per row (constant per device).
    """
    match kind:
        case "gauge":
            return gauge_steps(source, gap_max_us)
        case "interval":
            return interval_steps(source, gap_max_us)
        case "counter":
            return counter_steps(source, gap_max_us)


def energy_delta(
    kind: Kind, before: Source, after: Source, gap_max_us: int, bucket_us: int = QUARTER_HOUR_US
) -> Delta:
    """The change that new (or replaced, or withdrawn) readings make.

    Args:
        before: per device, the readings known so far: `CONTEXT[kind]` earlier than the first new one, as many
            later than the last, and all in between; fewer only where there are no more.
        after: the same window with the new readings in it.
    """
    new, now_noted = energy_steps(kind, after, gap_max_us)
    old, once_noted = energy_steps(kind, before, gap_max_us)
    pieces = bucket_energy(new, bucket_us)
    if len(old):
        pieces = sum_pieces(Pieces.concat([pieces, bucket_energy(old, bucket_us).negative()]))
        pieces = pieces.take((pieces.energy_uwh != 0) | (pieces.covered_us != 0))
    return Delta(pieces, now_noted.minus(once_noted), once_noted.minus(now_noted))


def gauge_steps(source: Source, gap_max_us: int | Int64s) -> tuple[Steps, Corrections]:
    """Power integrated by trapezoids, each rounded to a micro-watt-hour; negative power is export.

    A gap longer than `gap_max_us` has no step. A reading that no device can mean (`MOST_POWER_W`) is a
    `spike`, and the spans beside it have no step either.
    """
    if len(source) < 2:
        return empty_steps(), empty_corrections()
    device, ts_us = source.device, source.ts_us
    span_us = ts_us[1:] - ts_us[:-1]
    power_w = source.value if _is_one(source.scale) else scaled_values(source)
    same: Bools = device[1:] == device[:-1]
    gap = gap_max_us[1:] if isinstance(gap_max_us, np.ndarray) else gap_max_us
    booked = same & (span_us <= gap)
    lost = same & (span_us > gap)
    kinds = np.full(len(span_us), GAP, np.int8)
    if max(float(power_w.max()), -float(power_w.min())) > MOST_POWER_W:
        wild = np.abs(power_w) > MOST_POWER_W
        beside = same & (wild[1:] | wild[:-1])
        booked, lost, kinds[beside] = booked & ~beside, lost | beside, SPIKE
        power_w = np.where(wild, 0.0, power_w)
    energy = power_w[1:] + power_w[:-1]
    energy *= span_us
    energy *= MICRO_PER_WH / (2 * US_PER_HOUR)
    np.rint(energy, out=energy)
    np.clip(energy, -ENERGY_LIMIT_UWH, ENERGY_LIMIT_UWH, out=energy)
    rows = np.flatnonzero(booked)
    steps = Steps(
        device[rows],
        ts_us[rows],
        ts_us[rows + 1],
        energy[rows].astype(np.int64),
        np.zeros(len(rows), np.bool_),
    )
    if not lost.any():
        return steps, empty_corrections()
    at = np.flatnonzero(lost)
    return steps, Corrections(
        device[at],
        ts_us[at],
        ts_us[at + 1],
        kinds[at],
        source.value[at],
        source.value[at + 1],
        np.zeros(len(at), np.int64),
    )


def interval_steps(source: Source, gap_max_us: int | Int64s) -> tuple[Steps, Corrections]:
    """The energy of intervals, each ending at its reading's time; their sum is the sum of the readings.

    An interval begins at the reading before, unless that is further away than `gap_max_us` or than `HOLE`
    times the usual distance: then a reading is missing, the interval has the usual length, and the time
    before is a `gap`. The usual distance is the larger of the two beside (one reading earlier, one later).
    A negative reading books 0 (`negative`), one beyond `ENERGY_LIMIT_UWH` too (`spike`).
    """
    if not len(source):
        return empty_steps(), empty_corrections()
    device, ts_us = source.device, source.ts_us
    gap = np.broadcast_to(np.asarray(gap_max_us, np.int64), len(source))
    reading = micro_watt_hours(source)
    spans = np.where(device[1:] == device[:-1], ts_us[1:] - ts_us[:-1], 0)
    since_us = np.concatenate([[0], spans])
    length = _interval_lengths(since_us, gap)
    negative, wild = reading < 0, reading > ENERGY_LIMIT_UWH
    booked = np.where(negative | wild, 0, reading)
    start = ts_us - length
    steps = Steps(device, start, ts_us, booked, np.zeros(len(source), np.bool_))
    hole = length < since_us
    kinds = np.select([negative, wild], [NEGATIVE, SPIKE], GAP).astype(np.int8)
    noted = np.flatnonzero(negative | wild | hole)
    return steps, Corrections(
        device[noted],
        (ts_us - since_us)[noted],
        ts_us[noted],
        kinds[noted],
        source.value[noted],
        np.where(negative | wild, 0.0, source.value)[noted],
        booked[noted],
    )


def _interval_lengths(since_us: Int64s, gap: Int64s) -> Int64s:
    """Lengths of the intervals from the distances to the readings before (0 for a device's first)."""
    none = np.zeros(1, np.int64)
    earlier = np.concatenate([none, since_us[:-1]])
    earlier[since_us == 0] = 0
    later = np.concatenate([since_us[1:], none])
    usual = np.maximum(np.where(earlier > gap, 0, earlier), np.where(later > gap, 0, later))
    follows = (since_us > 0) & (since_us <= gap) & ((usual == 0) | (since_us <= HOLE * usual))
    fallback = np.where(usual > 0, usual, np.minimum(gap, LONE_INTERVAL_US))
    # The interval never reaches over the reading before, however short the distance to it.
    fallback = np.where(since_us > 0, np.minimum(fallback, since_us), fallback)
    return np.where(follows, since_us, fallback)


def _is_one(scale: Floats | float) -> bool:
    return isinstance(scale, (int, float)) and scale == 1.0
