"""What a rule's limit is compared with, made from readings in columns: rates of change, and energy of whole
minutes and quarter hours. Pure.

A rate is the difference to the reading before per minute, told at the later reading; none over a gap of more
than an hour. Energy is told once for each whole bucket of UTC, at its end, with the first reading at or after
that; only if at least nine tenths of it are known. It is made as the device's canonical energy is: power by
trapezoids over at most an hour, amounts per interval and differences of counters over at most 36
hours, spread evenly. Where the canonical series looks ahead (at a counter that is reset, dips or is swapped)
or is mended later by late readings, this one cannot: a counter that falls, and an amount below zero, count
nothing.

Keeps true: how readings are cut into frames changes nothing, and one that is not newer than the newest of its
series changes nothing.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kilowatch.clock import MICROSECONDS
from kilowatch.rules.rule import Input
from kilowatch.telemetry.apportion import Pieces, bucket_energy, sum_pieces
from kilowatch.telemetry.step import ENERGY_LIMIT_UWH, US_PER_HOUR, Steps
from kilowatch.units import MICRO_PER_WH, MICRO_WATT_HOURS, WATTS

Int32s = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MINUTE_US = 60 * MICROSECONDS
RATE_GAP_US = 60 * MINUTE_US
POWER_GAP_US = 60 * MINUTE_US
METERED_GAP_US = 36 * 60 * MINUTE_US
KNOWN_PART = 0.9
BUCKET_US = {"energy_1m": MINUTE_US, "energy_15m": 15 * MINUTE_US}
KINDS = ("gauge", "counter", "interval")
NEVER_US = np.iinfo(np.int64).min // 2


@dataclass(frozen=True, slots=True)
class Samples:
    """Values of series, sorted by series and time; columns of one length."""

    series: Int32s
    ts_us: Ints
    value: Floats

    def __len__(self) -> int:
        return len(self.series)

    def take(self, rows: Mask | Ints) -> "Samples":
        """The chosen rows."""
        return Samples(self.series[rows], self.ts_us[rows], self.value[rows])

    @classmethod
    def sorted(cls, series: Int32s, ts_us: Ints, value: Floats) -> "Samples":
        """Values in any order, sorted; of those of one series and time the first is kept, NaN is not."""
        there = ~np.isnan(value)
        if not there.all():
            series, ts_us, value = series[there], ts_us[there], value[there]
        order = np.lexsort((ts_us, series))
        series, ts_us, value = series[order], ts_us[order], value[order]
        again = np.zeros(len(series), np.bool_)
        again[1:] = (series[1:] == series[:-1]) & (ts_us[1:] == ts_us[:-1])
        found = cls(series, ts_us, value)
        return found.take(~again) if again.any() else found


@dataclass(slots=True)
class Derivation:
    """Makes the values of one input; remembers of each series the newest reading and the bucket that is not
    over yet.

    series: the series that are looked at, ascending; kind: each one's place in `KINDS`, and scale: watts, or
    micro-watt-hours, per unit of its readings (both matter to energy alone).
    """

    input: Input
    series: Int32s
    kind: npt.NDArray[np.int8]
    scale: Floats
    last_us: Ints = field(init=False)
    last_value: Floats = field(init=False)
    open_us: Ints = field(init=False)
    """Start of the bucket that is not over."""
    open_uwh: Ints = field(init=False)
    open_known_us: Ints = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.series)
        self.last_us = np.full(count, NEVER_US)
        self.last_value = np.full(count, np.nan)
        self.open_us = np.full(count, NEVER_US)
        self.open_uwh = np.zeros(count, np.int64)
        self.open_known_us = np.zeros(count, np.int64)

    def add(self, samples: Samples) -> Samples:
        """What these readings of its series bring."""
        if self.input in ("value", "no_data"):
            return samples
        place = np.searchsorted(self.series, samples.series)
        fresh = samples.ts_us > self.last_us[place]
        if not fresh.all():
            samples, place = samples.take(fresh), place[fresh]
        if not len(samples):
            return samples
        first = np.append(True, place[1:] != place[:-1])
        ts_us, value = samples.ts_us, samples.value
        before_us = np.where(first, self.last_us[place], np.append(0, ts_us[:-1]))
        before = np.where(first, self.last_value[place], np.append(0.0, value[:-1]))
        last = np.append(np.flatnonzero(first)[1:], len(place)) - 1
        self.last_us[place[last]] = ts_us[last]
        self.last_value[place[last]] = value[last]
        if self.input == "rate_per_minute":
            known = before_us > NEVER_US
            span_us = np.where(known, ts_us - before_us, 1)
            known &= span_us <= RATE_GAP_US
            rate = (value - before) * (MINUTE_US / span_us)
            return Samples(samples.series, ts_us, rate).take(known)
        steps = self._steps(place, before_us, before, ts_us, value)
        return self._whole_buckets(steps, place[last], ts_us[last])

    def keep_memory_of(self, other: "Derivation") -> None:
        """Takes over what another one of the same input remembers of the series that both have."""
        at = np.searchsorted(other.series, self.series)
        at[at == len(other.series)] = 0
        mine = np.flatnonzero(other.series[at] == self.series) if len(other.series) else at[:0]
        theirs = at[mine]
        for name in ("last_us", "last_value", "open_us", "open_uwh", "open_known_us"):
            getattr(self, name)[mine] = getattr(other, name)[theirs]

    def _steps(self, place: Ints, before_us: Ints, before: Floats, ts_us: Ints, value: Floats) -> Steps:
        """Energy between each reading and the one before it."""
        known = before_us > NEVER_US
        start_us = np.where(known, before_us, ts_us)
        span_us = ts_us - start_us
        kind, scale = self.kind[place], self.scale[place]
        with np.errstate(over="ignore", invalid="ignore"):
            by_power = (value + before) * scale * span_us * (MICRO_PER_WH / (2 * US_PER_HOUR))
            by_counter = np.maximum(value - before, 0.0) * scale
            by_interval = np.maximum(value, 0.0) * scale
            energy = np.select([kind == 0, kind == 1], [by_power, by_counter], by_interval)
            np.rint(energy, out=energy)
        np.clip(energy, -ENERGY_LIMIT_UWH, ENERGY_LIMIT_UWH, out=energy)
        gap_us = np.where(kind == 0, POWER_GAP_US, METERED_GAP_US)
        rows = np.flatnonzero(known & (span_us <= gap_us) & np.isfinite(energy))
        return Steps(
            place[rows].astype(np.int32),
            start_us[rows],
            ts_us[rows],
            energy[rows].astype(np.int64),
            np.zeros(len(rows), np.bool_),
        )

    def _whole_buckets(self, steps: Steps, place: Ints, newest_us: Ints) -> Samples:
        """The buckets that are over by now; what is begun waits for the next readings."""
        bucket_us = BUCKET_US[self.input]
        waiting = place[self.open_known_us[place] > 0].astype(np.int32)
        carried = Pieces(waiting, self.open_us[waiting], self.open_uwh[waiting], self.open_known_us[waiting])
        pieces = sum_pieces(Pieces.concat([carried, bucket_energy(steps, bucket_us)]))
        self.open_known_us[place] = 0
        begun_us = np.zeros(len(self.series), np.int64)
        begun_us[place] = newest_us // bucket_us * bucket_us
        is_open = pieces.bucket_us >= begun_us[pieces.device]
        left = pieces.take(is_open)
        self.open_us[left.device] = left.bucket_us
        self.open_uwh[left.device] = left.energy_uwh
        self.open_known_us[left.device] = left.covered_us
        told = pieces.take(~is_open & (pieces.covered_us >= KNOWN_PART * bucket_us))
        return Samples(self.series[told.device], told.bucket_us + bucket_us, told.energy_uwh / MICRO_PER_WH)


def scale_of(kind: str, unit: str) -> float | None:
    """Watts (gauges) or micro-watt-hours (counters, intervals) per unit; None where no energy can be made."""
    return WATTS.get(unit) if kind == "gauge" else MICRO_WATT_HOURS.get(unit) if kind in KINDS else None


@dataclass(frozen=True, slots=True)
class Silence:
    """Times in which nothing came: columns of one length, sorted by subject and time."""

    subject: Int32s
    since_us: Ints
    """The last sample before."""
    until_us: Ints
    """The next sample, or the end of what was looked at."""
    is_over: Mask


def find_silences(samples: Samples, for_us: int, end_us: int) -> Silence:
    """The times, longer than `for_us`, in which a series had no sample."""
    last = np.append(samples.series[1:] != samples.series[:-1], True) if len(samples) else np.empty(0, bool)
    until_us = np.where(last, end_us, np.append(samples.ts_us[1:], end_us))
    rows = np.flatnonzero(until_us - samples.ts_us > for_us)
    return Silence(samples.series[rows], samples.ts_us[rows], until_us[rows], ~last[rows])
