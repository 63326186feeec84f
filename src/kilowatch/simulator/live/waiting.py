"""What will come of what happened: outcomes that wait for their time. Pure.

Keeps true: of each happening of a chain's stream at most one outcome of an exclusive chain comes, never
before it was told itself; nothing comes of what did not happen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.chance import Floats, Int64s, Mask, even
from kilowatch.simulator.engine.delays import delay_of
from kilowatch.simulator.engine.run import Run

NOBODY = -1


@dataclass(frozen=True, slots=True)
class Happenings:
    """Events of one stream, in the order of their time; columns of one length. serial: their numbers in the
    stream; of, parent: the stream (NOBODY for none) and the number of what they come of."""

    at_us: Int64s
    serial: Int64s
    of: Int64s
    parent: Int64s

    def __len__(self) -> int:
        return len(self.at_us)

    @classmethod
    def new(cls, at_us: Int64s, serial: Int64s) -> "Happenings":
        """Events that come of nothing."""
        return cls(at_us, serial, np.full(len(at_us), NOBODY), np.full(len(at_us), NOBODY))

    def take(self, rows: Int64s | Mask) -> "Happenings":
        """Some of them."""
        return Happenings(self.at_us[rows], self.serial[rows], self.of[rows], self.parent[rows])

    @classmethod
    def joined(cls, several: Sequence["Happenings"]) -> "Happenings":
        """All of them, in the order of time."""
        several = [one for one in several if len(one)]
        if not several:
            return cls.new(np.empty(0, np.int64), np.empty(0, np.int64))
        if len(several) == 1:
            return several[0]
        all_of = cls(
            np.concatenate([one.at_us for one in several]),
            np.concatenate([one.serial for one in several]),
            np.concatenate([one.of for one in several]),
            np.concatenate([one.parent for one in several]),
        )
        return all_of.take(np.lexsort((all_of.serial, all_of.at_us)))


NOTHING = Happenings.joined([])
MANY = 4000
"""So many that came lately are sorted in among the others."""
MOST_WAITING = 3_000_000
"""While so many outcomes wait, in all, nothing more is followed; a usual day of a large world has a tenth."""


@dataclass(slots=True)
class Queue:
    """What waits for one stream: most is sorted, the first `gone` of it are taken; and what came late."""

    sorted: Happenings = NOTHING
    gone: int = 0
    late: Happenings = NOTHING

    def __len__(self) -> int:
        return len(self.sorted) - self.gone + len(self.late)

    def add(self, more: Happenings) -> None:
        """Has more wait."""
        self.late = Happenings.joined([self.late, more.take(np.lexsort((more.serial, more.at_us)))])
        if len(self.late) > MANY:
            left = self.sorted.take(np.arange(self.gone, len(self.sorted)))
            self.sorted, self.gone, self.late = Happenings.joined([left, self.late]), 0, NOTHING

    def take(self, until_us: int) -> Happenings:
        """Takes out what is due until then, in the order of time."""
        first, self.gone = self.gone, int(np.searchsorted(self.sorted.at_us, until_us, "right"))
        count = int(np.searchsorted(self.late.at_us, until_us, "right"))
        due, self.late = self.late.take(np.arange(count)), self.late.take(np.arange(count, len(self.late)))
        return Happenings.joined([self.sorted.take(np.arange(first, self.gone)), due])


@dataclass(slots=True)
class Waiting:
    """Outcomes by the stream that they will be told in."""

    run: Run
    chains: dict[int, list[int]] = field(init=False)
    """By stream, the chains that begin with it."""
    by_stream: dict[int, Queue] = field(default_factory=dict)
    _next: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chains = {}
        for chain_no, chain in enumerate(self.run.world.chains):
            self.chains.setdefault(self.run.causes.number[chain.of], []).append(chain_no)

    def number(self, stream: int, count: int, last: int) -> Int64s:
        """The next `count` numbers of a stream are taken; given are the last ones of them."""
        after = self._next[stream] = self._next.get(stream, 0) + count
        return np.arange(after - last, after, dtype=np.int64)

    def spread(
        self,
        stream: int,
        happened: Happenings,
        probability: dict[tuple[int, int], Floats],
        steps: Int64s,
        told_us: int,
    ) -> None:
        """Draws what comes of these events; `probability`: by chain and outcome, in each step; `steps`: in
        which of them each happened."""
        for chain_no in self.chains.get(stream, []) if len(happened) else []:
            chain = self.run.world.chains[chain_no]
            chances = [probability[chain_no, which][steps] for which in range(len(chain.outcomes))]
            name = f"{chain.of} outcome {chain_no}"
            chosen = self._choose(name, happened.serial, chances, is_exclusive=chain.exclusive)
            for which, outcome in enumerate(chain.outcomes):
                causes = happened.take(chosen[which])
                chance = even(self.run.seed, f"{name} delay {which}", causes.serial)
                delays_us = np.floor(delay_of(outcome.delay, chance) * SECOND_US).astype(np.int64)
                due_us = np.maximum(causes.at_us + delays_us, told_us)
                self._wait(self.run.causes.number[outcome.to], stream, causes, due_us)

    def take(self, stream: int, until_us: int) -> Happenings:
        """What was waiting for this stream until then, in the order of its time."""
        queue = self.by_stream.get(stream)
        return NOTHING if queue is None else queue.take(until_us)

    def count(self) -> int:
        """How many outcomes wait."""
        return sum(map(len, self.by_stream.values()))

    def _choose(
        self, name: str, serials: Int64s, chances: Sequence[Floats], *, is_exclusive: bool
    ) -> list[Mask]:
        if is_exclusive:
            drawn = even(self.run.seed, name, serials)
            reached = np.cumsum(np.stack(chances), axis=0)
            before = np.vstack([np.zeros_like(reached[:1]), reached[:-1]])
            return [(drawn >= low) & (drawn < high) for low, high in zip(before, reached, strict=True)]
        return [
            even(self.run.seed, f"{name} {which}", serials) < chance for which, chance in enumerate(chances)
        ]

    def _wait(self, stream: int, of: int, causes: Happenings, due_us: Int64s) -> None:
        if len(causes) and self.count() < MOST_WAITING:
            own = self.number(stream, len(causes), len(causes))
            more = Happenings(due_us, own, np.full(len(causes), of), causes.serial)
            self.by_stream.setdefault(stream, Queue()).add(more)
