"""Running counters of energy: what was consumed between readings, whatever happened to the meter.

Keeps true: no energy is ever negative, none is larger than the device can have used, and each step is a
function of a few neighbouring readings only (`COUNTER_CONTEXT`), so the order of arrival cannot matter.

A single reading that the readings on both sides contradict is an *outlier* and left out: `dip` when it is
below both, `spike` when above both, provided that the two neighbours agree with each other. Two dips are
never adjacent (the second would have to be below the first and at least what the first is below), nor two
spikes; where a dip and a spike stand side by side the dip is the outlier. So outliers are never adjacent, and
what remains is at most two rows apart. The newest reading is no outlier until its successor arrives.

Between the readings a -> b that remain:

* a rise that is believable is the energy; one that is not means another meter or another base: `swap`;
* a fall just below a power of ten (or a binary register size) is a `rollover`: what was missing to it plus b;
* a fall of less than a tenth is noise of several readings, never a reset: `dip`, nothing booked;
* a fall to what the device can have used since is a `reset` to zero: b;
* any other fall is a `swap` (another meter, or a reset to an unknown k): nothing booked, b is the new base.

Nothing booked means no step: nobody knows what flowed, and coverage says so.

Not decidable from readings, and settled for the smaller energy: a reset whose counter overtakes its old value
by the very next reading looks like a dip; a counter reset before its second reading looks like a spike.
"""

from typing import Final

import numpy as np

from kilowatch.telemetry.step import (
    DIP,
    ENERGY_LIMIT_UWH,
    GAP,
    NEGATIVE,
    RESET,
    ROLLOVER,
    SPIKE,
    SWAP,
    US_PER_HOUR,
    Bools,
    Corrections,
    Floats,
    Int8s,
    Int32s,
    Int64s,
    Source,
    Steps,
    empty_corrections,
    empty_steps,
    micro_watt_hours,
    row_limit,
    row_scale,
)
from kilowatch.units import MICRO_PER_KWH, MICRO_PER_WH

COUNTER_CONTEXT: Final = 8
"""A step a -> b looks at most three rows beyond a and b, which are at most two apart: a row that comes or
goes touches steps that reach up to five rows away from it, and these look three further."""

SHORTEST_US: Final = 60_000_000
"""Clocks and reading cycles jitter; a rise within less time is judged as if it took a minute."""
HARD_LIMIT_W: Final = 100e6
"""No device of unknown rating uses more."""
USUAL_RISE_W: Final = 100e3
"""Unknown rating: a rise up to this is believed as it is, above only when a neighbouring step supports it."""
USUAL_FALL_W: Final = 25e3
"""Unknown rating: the same for what was used since a reset or through a roll-over. Lower, because the energy
is guessed here, and a reset to k must not be booked as k."""
SUPPORT: Final = 10.0
"""A neighbouring step supports up to this many times its own power."""
NOISE: Final = 0.9
"""A fall to this part of the value or more is noise, not a reset."""

_TAKEN: Final = -1
_DECADES: Final = np.array([10**power for power in range(16)], np.int64)


def _register_sizes() -> Int64s:
    decimal = [10**digits * MICRO_PER_KWH for digits in range(3, 10)]
    binary = [2**bits * unit * MICRO_PER_WH for bits in (16, 24, 31, 32) for unit in (1, 10, 100, 1000)]
    return np.array(sorted(size for size in decimal + binary if decimal[0] <= size <= decimal[-1]), np.int64)


REGISTER_SIZES: Final = _register_sizes()
"""Where registers start again at zero: 10^3 to 10^9 kWh, and 16, 24, 31, 32 bits of 1, 10, 100, 1000 Wh."""


def counter_steps(source: Source, gap_max_us: int | Int64s) -> tuple[Steps, Corrections]:
    """Energy between the readings of running counters.

    Args:
        source: the counters; a reading in micro-watt-hours is value x scale, rounded.
        gap_max_us: a step longer than this is `estimated` and noted as a `gap`; scalar or one per row.
    """
    if len(source) < 2:
        return empty_steps(), empty_corrections()
    reading = micro_watt_hours(source)
    outlier = _find_outliers(source, reading)
    rows = np.flatnonzero(outlier == _TAKEN)
    device, ts_us, kept = source.device[rows], source.ts_us[rows], reading[rows]
    same = device[1:] == device[:-1]
    span_us = ts_us[1:] - ts_us[:-1]
    rise = kept[1:] - kept[:-1]
    limit_w = None if source.limit_w is None else source.limit_w[rows[1:]]
    odd = np.flatnonzero(same & _needs_judging(kept, rise, span_us, limit_w))
    reason = np.full(len(rise), _TAKEN, np.int8)
    if len(odd):
        reason[odd], rise[odd] = _judge(odd, source, rows, kept, same, span_us)
    gap = np.broadcast_to(np.asarray(gap_max_us, np.int64), len(source))[rows[1:]]
    long = span_us > gap
    booked = same & (reason != SWAP) & (reason != NEGATIVE) & (reason != DIP)
    steps = Steps(
        device[1:][booked],
        ts_us[:-1][booked],
        ts_us[1:][booked],
        rise[booked],
        (long | (np.diff(rows) > 1))[booked],
    )
    reason[booked & long & (reason == _TAKEN)] = GAP
    noted = np.flatnonzero(same & (reason != _TAKEN))
    between = _note(source, rows[noted], rows[noted + 1], reason[noted], rise[noted])
    out = np.flatnonzero(outlier != _TAKEN)
    single = _note(source, out - 1, out, outlier[out], np.zeros(len(out), np.int64))
    return steps, Corrections.concat([single, between])


def _find_outliers(source: Source, reading: Int64s) -> Int8s:
    """DIP or SPIKE at each outlier, _TAKEN elsewhere."""
    found = np.full(len(reading), _TAKEN, np.int8)
    low, middle, high = reading[:-2], reading[1:-1], reading[2:]
    agree = (source.device[2:] == source.device[:-2]) & (low <= high) & (low >= 0)
    rows = np.flatnonzero(agree & ((middle < low) | (middle > high))) + 1
    if not len(rows):
        return found
    before, after = reading[rows - 1], reading[rows + 1]
    limit_w = row_limit(source, rows)
    bound_w = np.where(np.isnan(limit_w), HARD_LIMIT_W, limit_w)
    allowed = _believable(bound_w, source.ts_us[rows + 1] - source.ts_us[rows - 1])
    allowed += _resolution(before, after, row_scale(source, rows))
    rows = rows[after - before <= allowed]
    dips = reading[rows] < reading[rows - 1]
    found[rows[dips]] = DIP
    spikes = rows[~dips]
    # The last row has no successor and is no outlier, so `+ 1` stays inside the columns.
    found[spikes[(found[spikes - 1] != DIP) & (found[spikes + 1] != DIP)]] = SPIKE
    return found


def _needs_judging(kept: Int64s, rise: Int64s, span_us: Int64s, limit_w: Floats | None) -> Bools:
    bound_w: Floats | float = USUAL_RISE_W
    if limit_w is not None:
        bound_w = np.where(np.isnan(limit_w), USUAL_RISE_W, limit_w)
    odd: Bools = (rise < 0) | (rise > _believable(bound_w, span_us)) | (kept[:-1] < 0)
    return odd


def _judge(
    steps: Int64s, source: Source, rows: Int64s, kept: Int64s, same: Bools, span_us: Int64s
) -> tuple[Int8s, Int64s]:
    """The reason (or _TAKEN) and the energy of each step that cannot simply be the difference."""
    before, after = kept[steps], kept[steps + 1]
    limit_w = row_limit(source, rows[steps + 1])
    supported_w = SUPPORT * _neighbour_power(steps, kept, same, span_us)
    resolution = _resolution(before, after, row_scale(source, rows[steps + 1]))

    def allowed(usual_w: float) -> Floats:
        unrated_w = np.clip(supported_w, usual_w, HARD_LIMIT_W)
        return _believable(np.where(np.isnan(limit_w), unrated_w, limit_w), span_us[steps]) + resolution

    index = np.searchsorted(REGISTER_SIZES, before, side="right")
    size = REGISTER_SIZES[np.minimum(index, len(REGISTER_SIZES) - 1)]
    through = size - before + after
    fall = after < before
    since = allowed(USUAL_FALL_W)
    rolled = fall & (size > before) & (before >= 0.9 * size) & (through <= since)
    reset = fall & (after <= since)
    cases = [
        (before < 0) | (after < 0),
        ~fall & (after - before <= allowed(USUAL_RISE_W)),
        ~fall,
        rolled,
        fall & (after >= NOISE * before),
        reset,
    ]
    reason = np.select(cases, [NEGATIVE, _TAKEN, SWAP, ROLLOVER, DIP, RESET], SWAP).astype(np.int8)
    energy = np.select(
        [reason == _TAKEN, reason == ROLLOVER, reason == RESET], [after - before, through, after]
    )
    return reason, energy


def _neighbour_power(steps: Int64s, kept: Int64s, same: Bools, span_us: Int64s) -> Floats:
    """Watts of the stronger of the two adjoining steps of the same device; 0 without any."""
    power = np.zeros(len(steps))
    for neighbour in (steps - 1, steps + 1):
        there = (neighbour >= 0) & (neighbour < len(same))
        at = np.where(there, neighbour, 0)
        watts = (
            (kept[at + 1] - kept[at]) * (US_PER_HOUR / MICRO_PER_WH) / np.maximum(span_us[at], SHORTEST_US)
        )
        np.maximum(power, np.where(there & same[at], watts, 0.0), out=power)
    return power


def _believable(bound_w: Floats | float, span_us: Int64s) -> Floats:
    """Micro-watt-hours that a device of this power can use in this time."""
    energy: Floats = np.maximum(span_us, SHORTEST_US) * (bound_w * (MICRO_PER_WH / US_PER_HOUR))
    return np.minimum(energy, ENERGY_LIMIT_UWH)


def _resolution(before: Int64s, after: Int64s, scale: Floats) -> Floats:
    """The counter's smallest step as far as the two readings show it, at most 1 kWh or one unit.

    A meter that counts whole kWh stands still for an hour and then moves by one within ten seconds; that is
    no jump of 360 kW. The last digits that are zero in both readings tell how coarse it can be.
    """
    zeros = np.zeros(len(before), np.int64)
    for power in range(1, len(_DECADES)):
        whole = (before % _DECADES[power] == 0) & (after % _DECADES[power] == 0)
        zeros[whole] = power
    return np.minimum(_DECADES[zeros].astype(np.float64), np.maximum(scale, float(MICRO_PER_KWH)))


def _note(source: Source, before: Int64s, after: Int64s, reason: Int8s, energy: Int64s) -> Corrections:
    device: Int32s = source.device[after]
    return Corrections(
        device,
        source.ts_us[before],
        source.ts_us[after],
        reason,
        source.value[before],
        source.value[after],
        energy,
    )
