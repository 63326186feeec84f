"""The words of energy accounting, in columns: readings in, steps of energy and corrections out.

A step says how much energy flowed between two moments at one device. Steps of a device never overlap, and
time without a step is time whose energy nobody knows: it lowers coverage. Energy is whole micro-watt-hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal, Self

import numpy as np
import numpy.typing as npt

Int8s = npt.NDArray[np.int8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Kind = Literal["gauge", "counter", "interval"]

CORRECTIONS: Final = ("reset", "rollover", "dip", "spike", "swap", "gap", "negative")
"""Names of the correction kinds; a correction's `kind` is the index."""
RESET, ROLLOVER, DIP, SPIKE, SWAP, GAP, NEGATIVE = range(len(CORRECTIONS))

US_PER_HOUR: Final = 3_600_000_000
ENERGY_LIMIT_UWH: Final = 1e18
"""No reading or step counts more than this (1 TWh); keeps every difference and sum inside an int64."""


class Columns:
    """What the column classes below share: joining and picking rows."""

    __slots__ = ()

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """All rows of all parts, in order; at least one part."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: Int64s | Bools | slice) -> Self:
        """The chosen rows."""
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        return type(self)(*(getattr(self, name)[rows] for name in names))


@dataclass(frozen=True, slots=True)
class Source:
    """Readings of each device's energy metric, sorted by (device, ts_us), each pair once, values finite."""

    device: Int32s
    ts_us: Int64s
    value: Floats
    """In the metric's own unit."""
    scale: Floats | float = 1.0
    """Per row or for all: watts per unit for gauges, micro-watt-hours per unit for counters and intervals."""
    limit_w: Floats | None = None
    """Most power that is believable, constant per device; NaN (or no column at all) when nobody knows."""

    def __len__(self) -> int:
        return len(self.device)


@dataclass(frozen=True, slots=True)
class Steps(Columns):
    """Energy between two moments, start inclusive, end exclusive, start < end; sorted as their source."""

    device: Int32s
    start_us: Int64s
    end_us: Int64s
    energy_uwh: Int64s
    estimated: Bools
    """The total is measured, its course inside the step is not: a long gap, or an outlier left out."""

    def __len__(self) -> int:
        return len(self.device)


@dataclass(frozen=True, slots=True)
class Corrections(Columns):
    """What was not taken at face value, and why."""

    device: Int32s
    start_us: Int64s
    """The reading before."""
    at_us: Int64s
    """The reading that made it necessary."""
    kind: Int8s
    before: Floats
    """Counter, gauge: the reading at start_us. Interval: what the meter reported."""
    after: Floats
    """Counter, gauge: the reading at at_us. Interval: what was booked, in the meter's unit."""
    energy_uwh: Int64s
    """What was booked between the two; 0 for an outlier, whose span belongs to the step around it."""

    def __len__(self) -> int:
        return len(self.device)

    def minus(self, other: Self) -> Self:
        """The rows that `other` does not have."""
        if not len(self) or not len(other):
            return self
        return self.take(~np.isin(_records(self), _records(other)))


def empty_steps() -> Steps:
    """No step."""
    none = np.empty(0, np.int64)
    return Steps(none.astype(np.int32), none, none, none, none.astype(np.bool_))


def empty_corrections() -> Corrections:
    """No correction."""
    none, real = np.empty(0, np.int64), np.empty(0, np.float64)
    return Corrections(none.astype(np.int32), none, none, none.astype(np.int8), real, real, none)


def scaled_values(source: Source) -> Floats:
    """Readings in the unit that `scale` leads to; infinite where a double cannot hold them."""
    with np.errstate(over="ignore"):
        return source.value * source.scale


def micro_watt_hours(source: Source) -> Int64s:
    """Readings of energy as whole micro-watt-hours, at most 4 times the limit away from zero.

    Each reading is rounded by itself, so differences of a counter telescope exactly.
    """
    scaled = scaled_values(source)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -4 * ENERGY_LIMIT_UWH, 4 * ENERGY_LIMIT_UWH, out=scaled)
    return scaled.astype(np.int64)


def row_scale(source: Source, rows: Int64s) -> Floats:
    """The scale of the chosen rows."""
    scale = np.broadcast_to(np.asarray(source.scale, np.float64), len(source))
    return scale[rows]


def row_limit(source: Source, rows: Int64s) -> Floats:
    """The power limit of the chosen rows, NaN where unknown."""
    return np.full(len(rows), np.nan) if source.limit_w is None else source.limit_w[rows]


def _records(rows: Corrections) -> npt.NDArray[np.void]:
    columns = {field.name: getattr(rows, field.name) for field in fields(rows)}
    records = np.empty(len(rows), np.dtype([(name, column.dtype) for name, column in columns.items()]))
    for name, column in columns.items():
        records[name] = column
    return records
