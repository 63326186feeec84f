"""The levels of one grid in the making: stream by stream and chain by chain, causes first. Pure.

Keeps true: what nothing was done to, and what follows only such, is taken over as it usually is, to the bit.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.delays import Kernel, later, spread_later
from kilowatch.simulator.engine.modifiers import Change, with_overrides
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.outcomes import Leaning, probabilities
from kilowatch.simulator.engine.run import Levels, Run
from kilowatch.simulator.engine.usual import usual_levels
from kilowatch.simulator.world.format import Influence, Stream

LEAST_RATIO, MOST_RATIO = 1e-3, 1e3
"""What influences take ratios for, at the ends."""
TINY = 1e-12


class Weaving:
    """`done`: by the name of a stream; `usual`: the levels without it, which must be there if anything is."""

    def __init__(
        self,
        run: Run,
        moments: Moments,
        done: Mapping[str, Change] | None = None,
        usual: Levels | None = None,
    ) -> None:
        self.causes, self.moments, self.usual, self.done = run.causes, moments, usual, done or {}
        self.kernels = self.causes.kernels(moments.step_us)
        self.paths = self.causes.paths(moments.step_us)
        if usual is None:
            self.outside = usual_levels(self.causes, moments, run.origin_us)
            self.value = np.zeros_like(self.outside)
            self.probability: dict[tuple[int, int], Floats] = {}
        else:
            self.outside, self.value = usual.outside.copy(), usual.value.copy()
            self.probability = dict(usual.probability)
        self.ratio = np.ones_like(self.outside)
        self.came: dict[int, Floats] = {}
        self.beyond: dict[int, Floats] = {}
        self.moved: set[tuple[str, int]] = set()

    def woven(self) -> Levels:
        """All of it."""
        for node in self._to_make():
            kind, number = node
            if kind == "chain":
                self._chain(number)
            else:
                self._stream(number)
        usual = self.value if self.usual is None else self.usual.value
        return Levels(
            self.causes.names, self.moments, self.value, usual, self.ratio, self.outside, self.probability
        )

    def _to_make(self) -> list[tuple[str, int]]:
        """What is not simply as usual: everything, or all that something was done to, and what follows it.

        All chains that lead to such a stream are made too, for they add up in it.
        """
        if self.usual is None:
            return list(self.causes.order)
        made = {("stream", self.causes.number[name]) for name in self.done}
        for node in self.causes.order:
            if made & self.causes.needs[node]:
                made.add(node)
        for kind, number in list(made):
            if kind == "stream":
                made |= {("chain", chain) for chain, _ in self.causes.arrivals.get(number, [])}
        for node in self.causes.order:
            if made & self.causes.needs[node]:
                made.add(node)
                made |= {("chain", chain) for chain, _ in self._arriving(node)}
        return [node for node in self.causes.order if node in made]

    def _arriving(self, node: tuple[str, int]) -> list[tuple[int, int]]:
        return self.causes.arrivals.get(node[1], []) if node[0] == "stream" else []

    def _stream(self, number: int) -> None:
        stream = self.causes.streams[number]
        change = self.done.get(self.causes.names[number], Change())
        unit = self.moments.days if stream.kind == "count" else 1.0
        level = self._ratio_level(number, stream) if stream.kind == "ratio" else self.outside[number]
        for factor in (change.factor, self._following(self.causes.influences.get(number, []))):
            if factor is not None:
                level = level * factor
        if change.addend is not None:
            level = level + change.addend * unit
        if stream.mean is not None or stream.kind == "ratio":
            level = with_overrides(level, change.overrides, unit)
        if stream.kind == "count":
            level = np.maximum(level, 0.0)
            if number in self.beyond:
                level = level + self.beyond[number]
            self.outside[number] = level
            if number in self.came:
                level = level + self.came[number]
        self.value[number] = bounded(level, stream)
        if self.usual is not None:
            self._compare(number, self.usual.value[number])

    def _compare(self, number: int, usual: Floats) -> None:
        value = self.value[number]
        differs = (value != usual) & (usual != 0.0)
        np.divide(value, usual, out=self.ratio[number], where=differs)

    def _ratio_level(self, number: int, stream: Stream) -> Floats:
        if stream.part is None or stream.whole is None:
            return np.zeros(self.moments.count)
        part, whole = (self.value[self.causes.number[name]] for name in (stream.part, stream.whole))
        return part_of(part, whole_of(whole, self.paths.get(number, ())))

    def _following(self, influences: Sequence[Influence]) -> Floats | None:
        """The factor that comes of what a stream or a probability follows; None is 1."""
        found: Floats | None = None
        for one in influences:
            ratio = self.ratio[self.causes.number[one.of]]
            if self.usual is None or bool((ratio == 1.0).all()):
                continue
            ratio = np.clip(later(ratio, one.delay, self.moments.step_us), LEAST_RATIO, MOST_RATIO)
            factor = np.where(ratio == 1.0, 1.0, ratio**one.elasticity)
            found = factor if found is None else found * factor
        return found

    def _chain(self, place: int) -> None:
        chain = self.causes.world.chains[place]
        parent = self.value[self.causes.number[chain.of]]
        leanings = [self._leaning(place, which) for which in range(len(chain.outcomes))]
        chances, excess = probabilities(chain, leanings, self.moments.count)
        for which, outcome in enumerate(chain.outcomes):
            kernel: Kernel = self.kernels[place, which]
            child = self.causes.number[outcome.to]
            self.probability[place, which] = chances[which]
            _add(self.came, child, spread_later(parent * chances[which], kernel))
            if excess[which].any():
                _add(self.beyond, child, spread_later(parent * excess[which], kernel))

    def _leaning(self, place: int, which: int) -> Leaning:
        """What is done to the probability of an outcome. An override of a stream that only comes of chains
        sets the probability at which about so many come of the usual number of causes."""
        child = self.causes.number[self.causes.world.chains[place].outcomes[which].to]
        change = self.done.get(self.causes.names[child], Change())
        own = change.factor
        if change.overrides and self.usual is not None and self.causes.streams[child].mean is None:
            usual = np.maximum(self.usual.value[child], TINY)
            own = np.ones(self.moments.count) if own is None else own
            for strength, value in change.overrides:
                own = own + (value * self.moments.days / usual - own) * strength
        follows = self._following(self.causes.leanings.get((place, which), []))
        return Leaning(own, change.shift, follows)


def whole_of(whole: Floats, path: Sequence[Kernel]) -> Floats:
    """That of a whole of which a part comes now, through the delays of the chains between them."""
    for kernel in path:
        whole = spread_later(whole, kernel)
    return whole


def part_of(part: Floats, whole: Floats) -> Floats:
    """The part per whole, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > TINY)


def bounded(level: Floats, stream: Stream) -> Floats:
    """The level within what the stream can be, ends inclusive."""
    if stream.least is None and stream.most is None:
        return level
    return np.clip(level, stream.least, stream.most)


def _add(to: dict[int, Floats], number: int, more: Floats) -> None:
    to[number] = to[number] + more if number in to else more
