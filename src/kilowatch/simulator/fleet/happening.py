"""A fault of a scenario at its place on the time line. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.home.moments import Int64s, Mask
from kilowatch.simulator.world.format import Fault, FaultKind, Where

EVERYWHERE = Where()
NEVER_US = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class Happening:
    """A fault from one moment until another. number: tells faults of one kind apart where chance chooses
    their devices; goes_by: the clock by which it grows, where that is another than that of its moments."""

    kind: FaultKind
    begins_us: int
    ends_us: int = NEVER_US
    value: float = 0.0
    where: Where = EVERYWHERE
    number: int = 0
    goes_by: Callable[[Int64s], Int64s] | None = None

    def lasted_us(self, ts_us: Int64s) -> Int64s:
        """How long it has gone on at moments that lie in it."""
        if self.goes_by is None:
            return ts_us - self.begins_us
        began = self.goes_by(np.array([self.begins_us], np.int64))
        return self.goes_by(ts_us) - began

    def covers(self, ts_us: Int64s) -> Mask:
        """Which moments lie in it."""
        return (ts_us >= self.begins_us) & (ts_us < self.ends_us)


def happen(fault: Fault, began_us: int, ends_us: int | None = None, number: int = 0) -> Happening:
    """A fault of a scenario that began at a moment; without a length of its own it ends with the scenario."""
    begins_us = began_us + round(fault.after * SECOND_US)
    ends = NEVER_US if ends_us is None else ends_us
    if fault.lasts is not None:
        ends = min(ends, begins_us + round(fault.lasts * SECOND_US))
    return Happening(fault.kind, begins_us, ends, fault.value, fault.where, number)
