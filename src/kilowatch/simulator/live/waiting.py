"""What will come of what happened: outcomes that wait for their time. Pure.

Keeps true: of each happening of a chain's stream at most one outcome of an exclusive chain comes, never before
it was told itself; nothing comes of what did not happen.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.chance import Floats, Int64s, Mask, even
from kilowatch.simulator.engine.delays import delay_of
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.world.format import Delay


@dataclass(frozen=True, slots=True, order=True)
class Happening:
    """One event of a stream. id: of its own; parent: of what it comes of, if of anything."""

    at_us: int
    id: str
    parent: str | None = None


@dataclass(slots=True)
class Waiting:
    """Outcomes by the stream that they will be told in, the next first."""

    run: Run
    heaps: dict[int, list[Happening]] = field(default_factory=dict)
    _serial: dict[int, int] = field(default_factory=dict)

    def name(self, stream: int, count: int) -> list[str]:
        """Ids for so many new happenings of a stream."""
        first = self._serial.get(stream, 0)
        self._serial[stream] = first + count
        name = self.run.causes.names[stream]
        return [f"{name}#{number}" for number in range(first, first + count)]

    def serials(self, stream: int, count: int) -> Int64s:
        """The numbers of the happenings that were named last."""
        last = self._serial.get(stream, 0)
        return np.arange(last - count, last, dtype=np.int64)

    def spread(
        self,
        stream: int,
        happened: Sequence[Happening],
        serials: Int64s,
        probability: dict[tuple[int, int], Floats],
        told_us: int,
    ) -> None:
        """Draws what comes of these happenings; `probability`: by chain and outcome, of each of them."""
        for chain_no, chain in enumerate(self.run.world.chains):
            if self.run.causes.number[chain.of] != stream or not happened:
                continue
            chances = [probability[chain_no, which] for which in range(len(chain.outcomes))]
            chosen = self._choose(f"{chain.of} outcome {chain_no}", serials, chances, chain.exclusive)
            for which, outcome in enumerate(chain.outcomes):
                places = np.flatnonzero(chosen[which])
                self._wait(
                    self.run.causes.number[outcome.to],
                    [happened[place] for place in places.tolist()],
                    self._delays_us(f"{chain.of} delay {chain_no} {which}", serials[places], outcome.delay),
                    told_us,
                )

    def take(self, stream: int, until_us: int) -> list[Happening]:
        """What was waiting for this stream until then, in the order of its time."""
        heap = self.heaps.get(stream, [])
        taken = []
        while heap and heap[0].at_us <= until_us:
            taken.append(heapq.heappop(heap))
        return taken

    def count(self) -> int:
        """How many outcomes wait."""
        return sum(map(len, self.heaps.values()))

    def _choose(
        self, name: str, serials: Int64s, chances: Sequence[Floats], is_exclusive: bool
    ) -> list[Mask]:
        if is_exclusive:
            drawn = even(self.run.seed, name, serials)
            reached = np.cumsum(np.stack(chances), axis=0)
            before = np.vstack([np.zeros_like(reached[:1]), reached[:-1]])
            return [(drawn >= low) & (drawn < high) for low, high in zip(before, reached, strict=True)]
        return [
            even(self.run.seed, f"{name} {which}", serials) < chance for which, chance in enumerate(chances)
        ]

    def _delays_us(self, name: str, serials: Int64s, delay: Delay) -> Int64s:
        delays_s = delay_of(delay, even(self.run.seed, name, serials))
        found: Int64s = np.floor(delays_s * SECOND_US).astype(np.int64)
        return found

    def _wait(self, stream: int, causes: Sequence[Happening], delays_us: Int64s, told_us: int) -> None:
        heap = self.heaps.setdefault(stream, [])
        ids = self.name(stream, len(causes))
        for cause, delay_us, own in zip(causes, delays_us.tolist(), ids, strict=True):
            heapq.heappush(heap, Happening(max(cause.at_us + delay_us, told_us), own, cause.id))
