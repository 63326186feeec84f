"""When each stream tells something. Pure.

Keeps true: a stream tells in its own time, with pauses that differ, so that no two of them keep step; when it
does depends on seed, stream and count alone.
"""

from dataclasses import dataclass

import numpy as np

from kilowatch.simulator.engine.chance import Int64s, even
from kilowatch.simulator.engine.modifiers import microseconds
from kilowatch.simulator.world.format import Cadence, Stream

PAUSES_S: dict[Cadence, tuple[float, float]] = {
    "high": (1.0, 10.0),
    "medium": (60.0, 300.0),
    "low": (1800.0, 3600.0),
}
"""The shortest and the longest pause of each group, in simulated seconds."""


@dataclass(slots=True)
class Cadences:
    """Which stream tells next. next_us: by stream, when it does; turn: how often it has."""

    seed: int
    names: tuple[str, ...]
    pauses_s: tuple[tuple[float, float], ...]
    next_us: Int64s
    turn: Int64s
    least_us: int = 0
    """Pauses are never shorter; a fast clock would tell more than anybody can read."""

    @classmethod
    def of(cls, streams: dict[str, Stream], seed: int, now_us: int) -> "Cadences":
        """All streams, each at some place of its first pause."""
        names = tuple(streams)
        pauses = tuple(PAUSES_S[stream.cadence] for stream in streams.values())
        first = [
            now_us + microseconds(pause[1] * float(even(seed, f"{name} begins", np.zeros(1, np.int64))[0]))
            for name, pause in zip(names, pauses, strict=True)
        ]
        return cls(seed, names, pauses, np.array(first, np.int64), np.zeros(len(names), np.int64))

    def due(self, until_us: int) -> int | None:
        """The stream that tells next, if that is not after `until_us`; of several the first."""
        place = int(np.argmin(self.next_us))
        return place if self.next_us[place] <= until_us else None

    def pass_on(self, place: int) -> None:
        """Moves a stream on to its next turn."""
        shortest, longest = self.pauses_s[place]
        chance = float(even(self.seed, f"{self.names[place]} pause", self.turn[place : place + 1])[0])
        pause_us = microseconds(shortest + (longest - shortest) * chance)
        if pause_us < self.least_us:
            pause_us = self.least_us + microseconds(chance * self.least_us / 4e6)
        self.next_us[place] += pause_us
        self.turn[place] += 1
