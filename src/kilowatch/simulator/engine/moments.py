"""Even grids of time, and what the local calendar shows on them. Pure.

Keeps true: a grid is aligned to 1970-01-01T00:00Z, so each interval has one number (`index`) in every grid of
its step, whatever window it is asked in. All times are int64 microseconds, intervals are `[ts, ts + step)`.
"""

from dataclasses import dataclass

import numpy as np

from kilowatch.period import DAY_US, HOUR_US, offset_periods
from kilowatch.simulator.engine.chance import Floats, Int64s, Mask

MONDAY_OF_1970 = 3
"""1970 began on a Thursday."""


@dataclass(frozen=True, slots=True)
class Moments:
    """`count` intervals of `step_us`, the first beginning at `start_us`, which is a multiple of the step."""

    start_us: int
    step_us: int
    count: int

    def __post_init__(self) -> None:
        if self.step_us <= 0 or self.count < 0:
            raise ValueError("a grid of time has a step above 0 and a count of at least 0")
        if self.start_us % self.step_us:
            raise ValueError("a grid of time begins at a multiple of its step since 1970")

    @classmethod
    def covering(cls, start_us: int, end_us: int, step_us: int) -> "Moments":
        """The smallest grid that holds all of `[start_us, end_us)`."""
        first, last = start_us // step_us, -(-end_us // step_us)
        return cls(first * step_us, step_us, max(last - first, 0))

    @property
    def end_us(self) -> int:
        """Where the last interval ends, exclusive."""
        return self.start_us + self.count * self.step_us

    @property
    def ts_us(self) -> Int64s:
        """The beginnings of the intervals."""
        return self.start_us + np.arange(self.count, dtype=np.int64) * self.step_us

    @property
    def index(self) -> Int64s:
        """The numbers of the intervals: intervals of this length since 1970."""
        return self.start_us // self.step_us + np.arange(self.count, dtype=np.int64)

    @property
    def days(self) -> float:
        """How long an interval is."""
        return self.step_us / DAY_US

    def earlier(self, steps: int) -> "Moments":
        """The same grid with so many intervals more before it."""
        return Moments(self.start_us - steps * self.step_us, self.step_us, self.count + steps)

    def finer(self, parts: int) -> "Moments":
        """Each interval cut into so many equal ones; the step must be divisible."""
        return Moments(self.start_us, self.step_us // parts, self.count * parts)

    def place(self, at_us: int) -> int:
        """The position of the interval that holds an instant; below 0 or from `count` on where none does."""
        return (at_us - self.start_us) // self.step_us


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the clock on the wall shows in the middle of each interval. hour: 0 to 24; weekend: Saturday or
    Sunday; month_day: month * 100 + day; day: number of the local day since 1970-01-01."""

    hour: Floats
    weekend: Mask
    month_day: Int64s
    day: Int64s

    @property
    def weekday(self) -> Int64s:
        """0 is Monday."""
        return (self.day + MONDAY_OF_1970) % 7


def calendar(moments: Moments, zone: str) -> Calendar:
    """The local calendar of a grid in an IANA zone. Shapes: (count,)."""
    middle = moments.ts_us + moments.step_us // 2
    if moments.count == 0:
        return calendar_at(middle, zone)
    starts, offsets = offset_periods(zone, int(middle[0]), int(middle[-1]))
    return calendar_at(middle + offsets[np.searchsorted(starts, middle, "right") - 1], zone, is_local=True)


def calendar_at(at_us: Int64s, zone: str, *, is_local: bool = False) -> Calendar:
    """The local calendar at instants, in UTC or already in local time. Shapes: (len(at_us),)."""
    local = at_us
    if not is_local and len(at_us):
        starts, offsets = offset_periods(zone, int(at_us.min()), int(at_us.max()))
        local = at_us + offsets[np.searchsorted(starts, at_us, "right") - 1]
    day = local // DAY_US
    low, high = (int(day.min()), int(day.max())) if len(day) else (0, 0)
    dates = np.arange(low, high + 1).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    of_month = (dates - months).astype(np.int64) + 1
    codes = (months.astype(np.int64) % 12 + 1) * 100 + of_month
    return Calendar(
        hour=(local % DAY_US) / HOUR_US,
        weekend=(day + MONDAY_OF_1970) % 7 >= 5,
        month_day=codes[day - low],
        day=day,
    )
