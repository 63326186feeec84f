"""What is counted and measured in each interval, by counted chance around the levels. Pure.

Keeps true: the chance of an interval depends on seed, stream and the number of the interval alone, so runs
with and without modifiers differ by the modifiers only; and each event of a parent that was counted comes to
one outcome of an exclusive chain or to none, in whole events, so that what was asked for is what was answered
and what still waits.
"""

from dataclasses import dataclass, field

import numpy as np

from kilowatch.simulator.engine.chance import Floats, even, normal, poisson_of
from kilowatch.simulator.engine.run import Levels, Run
from kilowatch.simulator.engine.weaving import TINY, bounded, part_of, whole_of
from kilowatch.simulator.world.format import Chain, Stream

LEAST_SPIKE, MOST_SPIKE = 0.15, 0.35
"""How large a minor anomaly is, relative to the level."""
BELOW_ONE, ABOVE_ZERO = 1.0 - 1e-6, 1e-9
"""Chance of rounding stays between these, so that a whole number plus it never becomes another one."""


@dataclass(frozen=True)
class Realised:
    """value: shape (streams, count); waiting: by chain, how many events will still come to an outcome at the
    end of each interval, shape (count,), of those that happened on the grid."""

    value: Floats
    waiting: dict[int, Floats] = field(default_factory=dict)


def realise(run: Run, found: Levels) -> Realised:
    """What happens at these levels. Like them it is right in full from where they are."""
    return _Realising(run, found).done()


class _Realising:
    """The intervals of one grid in the making."""

    def __init__(self, run: Run, found: Levels) -> None:
        self.run, self.causes, self.found = run, run.causes, found
        self.index = found.moments.index
        self.kernels = self.causes.kernels(found.moments.step_us)
        self.paths = self.causes.paths(found.moments.step_us)
        self.value = np.zeros_like(found.value)
        self.waiting: dict[int, Floats] = {}
        self.came: dict[int, Floats] = {}

    def done(self) -> Realised:
        """All streams and chains, causes first."""
        for kind, number in self.causes.order:
            if kind == "chain":
                self._chain(number)
            else:
                stream = self.causes.streams[number]
                self.value[number] = bounded(self._stream(number, stream), stream)
        return Realised(self.value, self.waiting)

    def _stream(self, number: int, stream: Stream) -> Floats:
        name = self.causes.names[number]
        if stream.kind == "gauge":
            level: Floats = self.found.value[number]
            return level * self._stray(name, stream)
        if stream.kind == "ratio":
            return self._ratio(number, stream)
        outside: Floats = self.found.outside[number]
        value = np.zeros_like(outside)
        if outside.any():
            chance = even(self.run.seed, f"{name} count", self.index)
            value = poisson_of(chance, outside * self._stray(name, stream))
        return value + self.came[number] if number in self.came else value

    def _stray(self, name: str, stream: Stream) -> Floats:
        """The factor of noise and of minor anomalies."""
        factor = 1.0 + stream.noise * normal(self.run.seed, f"{name} noise", self.index)
        share = self.run.world.anomalies
        if share > 0.0:
            odd = even(self.run.seed, f"{name} anomaly", self.index)
            size = even(self.run.seed, f"{name} size", self.index)
            spike = LEAST_SPIKE + (MOST_SPIKE - LEAST_SPIKE) * size
            factor += np.where(odd < share, np.where(odd < share / 2.0, spike, -spike), 0.0)
        return np.maximum(factor, 0.0)

    def _ratio(self, number: int, stream: Stream) -> Floats:
        """Counted part per counted whole, moved by what is done to the ratio itself; where there is no whole,
        the level."""
        level: Floats = self.found.value[number]
        if stream.part is None or stream.whole is None:
            return level
        path = self.paths.get(number, ())
        part, whole = (self.causes.number[name] for name in (stream.part, stream.whole))
        expected = part_of(self.found.value[part], whole_of(self.found.value[whole], path))
        moved = np.divide(level, expected, out=np.ones_like(level), where=expected > 0.0)
        counted = whole_of(self.value[whole], path)
        value = np.where(counted > TINY, part_of(self.value[part], counted) * moved, level)
        return np.minimum(value, 1.0) if path else value

    def _chain(self, place: int) -> None:
        chain = self.causes.world.chains[place]
        happened = self.value[self.causes.number[chain.of]]
        chances = self._chances(place, chain)
        waits = np.zeros_like(happened)
        for outcome in chain.outcomes:
            child = self.causes.number[outcome.to]
            if child not in self.came:
                self.came[child] = np.zeros_like(happened)
        below = np.zeros_like(happened)
        for which, outcome in enumerate(chain.outcomes):
            name = f"{chain.of} {place}" if chain.exclusive else f"{chain.of} {place} {outcome.to}"
            chance = even(self.run.seed, f"{name} outcome", self.index) * BELOW_ONE + ABOVE_ZERO
            if not chain.exclusive:
                below = np.zeros_like(happened)
            self._share_out(place, which, (happened, chance, below, chances[which]), waits)
            below = below + chances[which]
        self.waiting[place] = np.cumsum(waits)

    def _share_out(
        self, place: int, which: int, given: tuple[Floats, Floats, Floats, Floats], waits: Floats
    ) -> None:
        """Whole events to the delays of one outcome: cut the line from 0 to the number of events at the
        bounds of all portions, moved by chance, and count whole numbers between the cuts (systematic
        sampling)."""
        happened, chance, below, probability = given
        came = self.came[self.causes.number[self.causes.world.chains[place].outcomes[which].to]]
        kernel, count = self.kernels[place, which], len(happened)
        cut = np.floor(happened * np.minimum(below, 1.0) + chance)
        reached = 0.0
        for lag, weight in zip(kernel.lags, kernel.weights, strict=True):
            reached = 1.0 if lag == kernel.longest else reached + weight
            bound = np.minimum(below + probability * reached, 1.0)
            following = np.floor(happened * bound + chance)
            portion = following - cut
            cut = following
            waits += portion
            if lag < count:
                came[lag:] += portion[: count - lag]
                waits[lag:] -= portion[: count - lag]

    def _chances(self, place: int, chain: Chain) -> list[Floats]:
        """The probabilities of the outcomes, each straying by the noise of its stream; together as likely as
        before where the chain is exclusive."""
        found = [self.found.probability[place, which] for which in range(len(chain.outcomes))]
        strayed = []
        for which, outcome in enumerate(chain.outcomes):
            noise = self.run.world.streams[outcome.to].noise
            stray = normal(self.run.seed, f"{chain.of} {place} {outcome.to} noise", self.index)
            strayed.append(found[which] * np.maximum(1.0 + noise * stray, 0.0))
        if not chain.exclusive:
            return [np.minimum(chances, 1.0) for chances in strayed]
        return _together(found, strayed)


def _together(found: list[Floats], strayed: list[Floats]) -> list[Floats]:
    """Strayed probabilities brought to at most 1 together, and to 1 where they were 1 together before."""
    total, reached = sum(found, np.zeros_like(found[0])), sum(strayed, np.zeros_like(found[0]))
    aim = np.where(total >= 1.0 - 1e-9, 1.0, np.minimum(reached, 1.0))
    scale = np.divide(aim, reached, out=np.ones_like(aim), where=reached > 0.0)
    chances = [one * scale for one in strayed]
    before = sum(chances[:-1], np.zeros_like(aim))
    chances[-1] = np.where(total >= 1.0 - 1e-9, 1.0 - before, chances[-1])
    return chances
