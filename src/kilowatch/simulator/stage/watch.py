"""The simulated clock: runs at a speed, can be held, and moved on; and what it showed at which real time.

Keeps true: it never goes back, and what it has shown stays on record until that is forgotten.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from kilowatch.clock import Clock
from kilowatch.simulator.fleet.happening import NEVER_US
from kilowatch.simulator.home.moments import Int64s


@dataclass(frozen=True, slots=True)
class Knot:
    """From a real moment on: the simulated time shown then, and simulated seconds in a real one."""

    real_us: int
    shown_us: int
    speed: float


@dataclass(frozen=True)
class Timeline:
    """Which simulated time is shown at which real time, as far as it is known now: straight between knots,
    which are in order, and beyond the last one."""

    knots: tuple[Knot, ...]

    def shown(self, real_us: Int64s) -> Int64s:
        """The simulated times at real ones; before the first knot that of the first knot."""
        reals, shows, speeds = self._columns
        place = np.maximum(np.searchsorted(reals, real_us, "right") - 1, 0)
        passed = np.maximum(real_us - reals[place], 0)
        found: Int64s = shows[place] + np.rint(passed * speeds[place]).astype(np.int64)
        return found

    def shown_at(self, real_us: int) -> int:
        """The simulated time at one real moment."""
        return int(self.shown(np.array([real_us], np.int64))[0])

    def real_of(self, shown_us: int) -> int:
        """The first real moment at which so much was shown or is going to be; `NEVER_US` if none is."""
        for number, knot in enumerate(self.knots):
            if knot.shown_us >= shown_us:
                return knot.real_us
            if knot.speed <= 0.0:
                continue
            is_last = number + 1 == len(self.knots)
            end_us = _surely(knot, shown_us) if is_last else self.knots[number + 1].real_us
            reals = range(knot.real_us, end_us)
            place = bisect_left(reals, shown_us, key=partial(_shows, knot))
            if place < len(reals):
                return reals[place]
        return NEVER_US

    @property
    def _columns(self) -> "tuple[Int64s, Int64s, np.ndarray[tuple[int], np.dtype[np.float64]]]":
        reals = np.array([knot.real_us for knot in self.knots], np.int64)
        shows = np.array([knot.shown_us for knot in self.knots], np.int64)
        return reals, shows, np.array([knot.speed for knot in self.knots], np.float64)

    @classmethod
    def of(cls, knots: Iterable[Knot]) -> "Timeline":
        """Of several knots at one real moment the last one counts."""
        kept: dict[int, Knot] = {knot.real_us: knot for knot in knots}
        return cls(tuple(kept.values()))


def _surely(knot: Knot, shown_us: int) -> int:
    """A real moment by which so much is shown, if there is one before the end of time."""
    lasts_us = 2.0 * (shown_us - knot.shown_us + 1) / knot.speed + 2.0
    return knot.real_us + int(lasts_us) if lasts_us < NEVER_US / 2 else knot.real_us


def _shows(knot: Knot, real_us: int) -> int:
    return knot.shown_us + round((real_us - knot.real_us) * knot.speed)


@dataclass(slots=True)
class Watch:
    """Shows simulated time, epoch microseconds UTC; begins with the real one."""

    clock: Clock
    speed: float = 1.0
    _knots: list[Knot] = field(default_factory=list)

    def __post_init__(self) -> None:
        now_us = self.clock.now_us()
        self._knots.append(Knot(now_us, now_us, self.speed))

    @property
    def timeline(self) -> Timeline:
        """What it has shown since it last forgot, and what it is going to show if nobody touches it."""
        return Timeline.of(self._knots)

    @property
    def is_turned(self) -> bool:
        """Whether it shows, or goes on to show, another time than the real one."""
        last = self._knots[-1]
        return last.speed != 1.0 or last.shown_us != last.real_us

    def now_us(self) -> int:
        """The simulated time."""
        return self.look()[1]

    def look(self) -> tuple[int, int]:
        """The real time, which never goes back here either, and the simulated time then."""
        last = self._knots[-1]
        real_us = max(self.clock.now_us(), last.real_us)
        return real_us, _shows(last, real_us)

    def run_at(self, speed: float) -> None:
        """Goes on from now at another speed; 0 holds it."""
        self.speed = speed
        self._knots.append(Knot(*self.look(), speed))

    def step(self, by_us: int) -> None:
        """Moves on by so much at once."""
        real_us, shown_us = self.look()
        self._knots.append(Knot(real_us, shown_us + by_us, self.speed))

    def forget(self) -> None:
        """Keeps no record of what it showed before now."""
        self._knots = [Knot(*self.look(), self.speed)]
