"""A world as it is played, and what its levels are on a grid. Pure.

Keeps true: world, seed and origin say all that a run is; there is no state beside them.
"""

from dataclasses import dataclass, field, replace

from kilowatch.simulator.engine.causes import Causes, arrange
from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.world.format import World

ORIGIN_US = 1_767_225_600_000_000
"""2026-01-01T00:00Z: from when on streams grow, where nothing else is said."""


@dataclass(frozen=True)
class Run:
    """A world as it is played: arranged, with the seed of its chance and the moment (UTC) at which its means
    hold."""

    causes: Causes
    seed: int = 0
    origin_us: int = ORIGIN_US

    @classmethod
    def of(cls, world: World, seed: int = 0, origin_us: int = ORIGIN_US) -> "Run":
        """A world to be played.

        Raises:
            ValueError: if streams depend on each other in a circle.
        """
        return cls(arrange(world), seed, origin_us)

    @property
    def world(self) -> World:
        """What is played."""
        return self.causes.world


@dataclass(frozen=True)
class Levels:
    """Levels on a grid; shapes (streams, count) in the order of `names`.

    value, usual: expected numbers in the interval, or levels of gauges and ratios, with and without what is
    done; ratio: value / usual; outside: what of a count does not come of a chain; probability: by chain and
    outcome, of events of the interval to come to it, shape (count,).
    """

    names: tuple[str, ...]
    moments: Moments
    value: Floats
    usual: Floats
    ratio: Floats
    outside: Floats
    probability: dict[tuple[int, int], Floats] = field(default_factory=dict)

    def last(self, count: int) -> "Levels":
        """The last intervals of the grid only."""
        cut = self.moments.count - count
        moments = Moments(self.moments.start_us + cut * self.moments.step_us, self.moments.step_us, count)
        return replace(
            self,
            moments=moments,
            value=self.value[:, cut:],
            usual=self.usual[:, cut:],
            ratio=self.ratio[:, cut:],
            outside=self.outside[:, cut:],
            probability={place: chances[cut:] for place, chances in self.probability.items()},
        )

    def of(self, name: str) -> Floats:
        """The level of one stream."""
        found: Floats = self.value[self.names.index(name)]
        return found
