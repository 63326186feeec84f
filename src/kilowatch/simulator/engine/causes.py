"""Which stream depends on which: a world arranged so that causes come before consequences. Pure.

Keeps true: each stream and each chain stands behind everything that it depends on; a world in which something
depends on itself has no such order and is refused.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.delays import Kernel, kernel_of
from kilowatch.simulator.world.format import Chain, Influence, Stream, World

Node = tuple[str, int]
"""("stream" or "chain", its number)."""


@dataclass(frozen=True)
class Causes:
    """A world arranged. order: streams and chains, causes first; influences: by the stream that follows;
    leanings: by chain and outcome, what its probability follows; arrivals: by stream, the chains and outcomes
    that it comes of; needs: what each stream or chain depends on directly."""

    world: World
    names: tuple[str, ...]
    order: tuple[Node, ...]
    influences: dict[int, list[Influence]]
    leanings: dict[tuple[int, int], list[Influence]]
    arrivals: dict[int, list[tuple[int, int]]]
    needs: dict[Node, set[Node]]

    @cached_property
    def number(self) -> dict[str, int]:
        """Name of a stream -> its number."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """The streams by number."""
        return tuple(self.world.streams.values())

    def kernels(self, step_us: int) -> dict[tuple[int, int], Kernel]:
        """The delays of all outcomes in intervals of this length, by chain and outcome."""
        return {
            (place, number): kernel_of(outcome.delay, step_us)
            for place, chain in enumerate(self.world.chains)
            for number, outcome in enumerate(chain.outcomes)
        }

    def memory(self, step_us: int) -> int:
        """How many intervals back anything can still be felt, through all delays in a row.

        An override of an outcome looks at its usual level when its cause happened, so that adds to its chain.
        """
        usual = self._depths(step_us, {})
        depths = self._depths(step_us, usual)
        ratios = [sum(kernel.longest for kernel in path) for path in self.paths(step_us).values()]
        return max(depths.values(), default=0) + max(ratios, default=0)

    def _depths(self, step_us: int, usual: dict[Node, int]) -> dict[Node, int]:
        depth: dict[Node, int] = {}
        kernels = self.kernels(step_us)
        for kind, number in self.order:
            if kind == "chain":
                depth[kind, number] = self._depth_of_chain(number, depth, usual, step_us)
                continue
            reached = [
                depth["chain", chain] + kernels[chain, outcome].longest
                for chain, outcome in self.arrivals.get(number, [])
            ]
            reached += [depth["stream", self.number[name]] for name in _line(self.streams[number])]
            reached += self._followed(self.influences.get(number, []), depth, step_us)
            depth[kind, number] = max(reached, default=0)
        return depth

    def _depth_of_chain(
        self, number: int, depth: dict[Node, int], usual: dict[Node, int], step_us: int
    ) -> int:
        chain = self.world.chains[number]
        reached = [depth["stream", self.number[chain.of]]]
        reached += [usual.get(("stream", self.number[outcome.to]), 0) for outcome in chain.outcomes]
        for outcome in range(len(chain.outcomes)):
            reached += self._followed(self.leanings.get((number, outcome), []), depth, step_us)
        return max(reached)

    def _followed(self, influences: Iterable[Influence], depth: dict[Node, int], step_us: int) -> list[int]:
        return [
            depth["stream", self.number[one.of]] + int(one.delay * SECOND_US / step_us) + 1
            for one in influences
        ]

    def paths(self, step_us: int) -> dict[int, tuple[Kernel, ...]]:
        """For ratios whose part comes of their whole through chains: the delays on the shortest way."""
        kernels = self.kernels(step_us)
        found: dict[int, tuple[Kernel, ...]] = {}
        for number, stream in enumerate(self.streams):
            if stream.part is None or stream.whole is None:
                continue
            way = self._way(self.number[stream.whole], self.number[stream.part])
            if way:
                found[number] = tuple(kernels[step] for step in way)
        return found

    def _way(self, start: int, end: int) -> tuple[tuple[int, int], ...]:
        """The outcomes on the shortest way from one stream to another; empty where there is none."""
        reached: dict[int, tuple[tuple[int, int], ...]] = {end: ()}
        front = [end]
        while front and start not in reached:
            behind: list[int] = []
            for stream in front:
                for chain, outcome in self.arrivals.get(stream, []):
                    parent = self.number[self.world.chains[chain].of]
                    if parent not in reached:
                        reached[parent] = ((chain, outcome), *reached[stream])
                        behind.append(parent)
            front = behind
        return reached.get(start, ())


def arrange(world: World) -> Causes:
    """The order of causes of a world.

    Raises:
        ValueError: if something depends on itself; the message names the streams.
    """
    names = tuple(world.streams)
    number = {name: place for place, name in enumerate(names)}
    arrivals: dict[int, list[tuple[int, int]]] = defaultdict(list)
    influences: dict[int, list[Influence]] = defaultdict(list)
    leanings: dict[tuple[int, int], list[Influence]] = defaultdict(list)
    for place, chain in enumerate(world.chains):
        for which, outcome in enumerate(chain.outcomes):
            arrivals[number[outcome.to]].append((place, which))
    for one in world.influences:
        if one.outcome is None:
            influences[number[one.on]].append(one)
            for arrival in arrivals.get(number[one.on], []):
                leanings[arrival].append(one)
        else:
            for arrival in arrivals.get(number[one.outcome], []):
                if world.chains[arrival[0]].of == one.on:
                    leanings[arrival].append(one)
    needs = _needs(world, number, arrivals, influences, leanings)
    return Causes(world, names, _sorted(needs, names, world.chains), influences, leanings, arrivals, needs)


def _needs(
    world: World,
    number: dict[str, int],
    arrivals: dict[int, list[tuple[int, int]]],
    influences: dict[int, list[Influence]],
    leanings: dict[tuple[int, int], list[Influence]],
) -> dict[Node, set[Node]]:
    needs: dict[Node, set[Node]] = {("stream", place): set() for place in range(len(number))}
    for place, chain in enumerate(world.chains):
        needs["chain", place] = {("stream", number[chain.of])}
    for (place, _), follows in leanings.items():
        needs["chain", place] |= {("stream", number[one.of]) for one in follows}
    for stream, comes_of in arrivals.items():
        needs["stream", stream] |= {("chain", chain) for chain, _ in comes_of}
    for stream, follows in influences.items():
        needs["stream", stream] |= {("stream", number[one.of]) for one in follows}
    for name, stream_of in world.streams.items():
        needs["stream", number[name]] |= {("stream", number[other]) for other in _line(stream_of)}
    return needs


def _line(stream: Stream) -> list[str]:
    """What stands above and below the line of a ratio."""
    return [name for name in (stream.part, stream.whole) if name is not None]


def _sorted(needs: dict[Node, set[Node]], names: tuple[str, ...], chains: list[Chain]) -> tuple[Node, ...]:
    order: list[Node] = []
    placed: set[Node] = set()
    left = list(needs)
    while left:
        ready = [node for node in left if needs[node] <= placed]
        if not ready:
            circle = sorted(
                names[at] if kind == "stream" else f"what comes of {chains[at].of}" for kind, at in left
            )
            raise ValueError(f"these depend on each other in a circle: {', '.join(circle)}")
        order += ready
        placed.update(ready)
        left = [node for node in left if node not in placed]
    return tuple(order)
