"""Who is in a fleet, what surrounds it, and its readings in columns. Pure.

Keeps true: a reading follows from the fleet's seed, the device, the moment, and the circumstances alone; so
rows may be asked for in any order, alone or among others, and are the same to the bit.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kilowatch.simulator.fleet.happening import Happening
from kilowatch.simulator.home.moments import Floats, Int64s, Mask, UInt64s, counted, seed_of

Int32s = npt.NDArray[np.int32]
Int16s = npt.NDArray[np.int16]
Ratio = Callable[[str, Int64s], Floats]
"""Level of a named stream at each moment, as a part of its usual level."""
CHUNK_ROWS = 1 << 16
"""So many rows at a time stay in the processor's caches."""


def as_usual(_stream: str, ts_us: Int64s) -> Floats:
    """Every stream is as it usually is."""
    return np.ones(len(ts_us))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What surrounds a fleet, as it is known now; when something changes, that makes other circumstances.

    ratio: what it says of moments that have passed never changes, for registers count on it; since_us: before
    this moment every ratio is one, whatever `ratio` says; without it `ratio` is never asked.
    """

    ratio: Ratio = as_usual
    since_us: int | None = None
    faults: tuple[Happening, ...] = ()

    def ratios(self, stream: str, ts_us: Int64s) -> Floats | float:
        """Level of a stream as a part of the usual; each moment is asked for once."""
        if self.since_us is None or not len(ts_us):
            return 1.0
        if ts_us[0] == ts_us[-1] and ts_us.min() == ts_us.max():
            first = ts_us[:1]
            return float(self.ratio(stream, first)[0]) if first[0] >= self.since_us else 1.0
        moments, places = np.unique(ts_us, return_inverse=True)
        found = np.where(moments >= self.since_us, self.ratio(stream, moments), 1.0)
        spread: Floats = found[places]
        return spread


USUAL = Circumstances()


def rounded(values: Floats, digits: int) -> Floats:
    """Values as a device shows them."""
    return np.asarray(np.round(values, digits), np.float64)


@dataclass(frozen=True)
class Roster:
    """The devices of a fleet, by their place. region, feeder, type: places in `regions` (feeders are counted
    within their region from 0) and `types`; seed: what chance is drawn with."""

    prefix: str
    regions: tuple[str, ...]
    types: tuple[str, ...]
    region: Int16s
    feeder: Int16s
    type: Int16s
    rated_w: Floats
    seed: UInt64s
    names: tuple[str, ...] = ()
    """What devices are called beside their prefix; without it they are numbered."""

    def __len__(self) -> int:
        return len(self.seed)

    @cached_property
    def ids(self) -> list[str]:
        """The devices' ids."""
        if self.names:
            return [f"{self.prefix}-{name}" for name in self.names]
        return [f"{self.prefix}-{number:06d}" for number in range(len(self))]


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings in columns; NaN: this reading does not have this metric."""

    device: Int32s
    ts_us: Int64s
    columns: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.ts_us)

    def take(self, which: "Mask | npt.NDArray[np.intp]") -> "Readings":
        """Some of the rows."""
        columns = {name: column[which] for name, column in self.columns.items()}
        return Readings(self.device[which], self.ts_us[which], columns)

    def cut(self, first: int, end: int) -> "Readings":
        """The rows from one place up to another, without a copy."""
        if first == 0 and end >= len(self):
            return self
        columns = {name: column[first:end] for name, column in self.columns.items()}
        return Readings(self.device[first:end], self.ts_us[first:end], columns)


class Fleet(Protocol):
    """Devices that can be asked what they measure. metrics: all that any of them has; own_faults: kinds of
    faults that `measure` sees to by itself."""

    roster: Roster
    metrics: tuple[str, ...]
    own_faults: frozenset[str]

    def measure(self, device: Int32s, ts_us: Int64s, around: Circumstances) -> dict[str, Floats]:
        """The metrics of devices, each at its moment."""


def join(parts: Sequence[Readings]) -> Readings:
    """Readings one after another; a metric that some of them do not have is NaN there."""
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {
        name: np.concatenate([part.columns.get(name, np.full(len(part), np.nan)) for part in parts])
        for name in names
    }
    device = np.concatenate([part.device for part in parts]) if parts else np.empty(0, np.int32)
    ts_us = np.concatenate([part.ts_us for part in parts]) if parts else np.empty(0, np.int64)
    return Readings(device, ts_us, columns)


def chunks(devices: int, moments_us: Int64s, rows: int = CHUNK_ROWS) -> Iterator[tuple[Int32s, Int64s]]:
    """Every device at every moment, in chunks of a bounded size: moment after moment."""
    per_chunk = max(1, rows // max(devices, 1))
    for at in range(0, len(moments_us), per_chunk):
        moments = moments_us[at : at + per_chunk]
        for first in range(0, devices, rows):
            places = np.arange(first, min(devices, first + rows), dtype=np.int32)
            yield np.tile(places, len(moments)), np.repeat(moments, len(places))


def device_seeds(world: str, seed: int, devices: int) -> UInt64s:
    """The seeds of a fleet's devices."""
    root = np.uint64(seed_of(f"{world}/{seed}"))
    return counted(np.full(devices, root), "device", np.arange(devices, dtype=np.int64))


@dataclass(slots=True)
class Draft:
    """Columns in the making."""

    rows: int
    columns: dict[str, Floats] = field(default_factory=dict)

    def put(self, which: "npt.NDArray[np.intp]", metrics: dict[str, Floats]) -> None:
        """Writes the metrics of some rows."""
        for name, values in metrics.items():
            if name not in self.columns:
                self.columns[name] = np.full(self.rows, np.nan)
            self.columns[name][which] = values
