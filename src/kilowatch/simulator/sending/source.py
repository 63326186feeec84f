"""Where the readings of a run come from: a fleet, moment after moment.

Keeps true: the same start, interval and number of cycles give the same readings, however fast they are sent.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from kilowatch.simulator.fleet.delivery import arriving
from kilowatch.simulator.fleet.rows import USUAL, Circumstances, Fleet, Readings


@dataclass(frozen=True, slots=True)
class Cycle:
    """What is sent at one moment of the simulated clock."""

    moment_us: int
    readings: Iterable[Readings]


class Source(Protocol):
    """Readings in cycles. ids: the names of all devices; metrics: all that there may be."""

    ids: pa.StringArray
    metrics: tuple[str, ...]

    def cycles(self) -> Iterator[Cycle]:
        """All cycles, in the order of their moments."""


class FleetSource:
    """A fleet that reports at even moments; `around` is asked for at each of them."""

    def __init__(
        self,
        fleet: Fleet,
        start_us: int,
        interval_us: int,
        iterations: int | None,
        rows: int,
        around: Callable[[], Circumstances] = lambda: USUAL,
    ) -> None:
        self.ids = pa.array(fleet.roster.ids)
        self.metrics = fleet.metrics
        self._fleet, self._around, self._rows = fleet, around, rows
        self._start_us, self._interval_us, self._iterations = start_us, interval_us, iterations

    def cycles(self) -> Iterator[Cycle]:
        """See `Source`."""
        number = 0
        while self._iterations is None or number < self._iterations:
            moment_us = self._start_us + number * self._interval_us
            yield Cycle(moment_us, self._arriving(moment_us))
            number += 1

    def _arriving(self, moment_us: int) -> Iterator[Readings]:
        """What surrounds the fleet is asked for when the readings are made, not when they are planned."""
        yield from arriving(self._fleet, moment_us, self._interval_us, self._around(), self._rows)
