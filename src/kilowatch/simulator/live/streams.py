"""What streams tell as time goes on: levels with their noise, and single happenings with their causes. Pure.

Keeps true: what is told does not depend on how far the clock moves at once; a happening that comes of another
is told after it; and what happened before the beginning goes on to have its outcomes. However long a stream
was silent, it happened as often, and when, as its level of the whole time since says.

Of one stream at most `MOST_FOLLOWED` happenings between two words of it are followed to their outcomes, far
more than any world on its usual days has; their number is told in any case.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kilowatch.period import DAY_US, SECOND_US
from kilowatch.simulator.engine.chance import Floats, Int64s, even, last_of, normal, poisson_of
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.normalise import Flag, flag_of, normalised
from kilowatch.simulator.engine.run import Levels, Run
from kilowatch.simulator.engine.statistics import StreamStatistics
from kilowatch.simulator.live.cadence import Cadences
from kilowatch.simulator.live.waiting import NOBODY, NOTHING, Happenings, Waiting
from kilowatch.simulator.world.format import Cadence

STEP_US = 300 * SECOND_US
AHEAD = 24
"""So many steps of levels are worked out at once."""
LONGEST_BEFORE_US = 7 * DAY_US
"""Outcomes of what happened longer ago are not waited for."""
MOST_SHOWN = 20
"""Most happenings that one message names; it always says how many there were."""

MOST_FOLLOWED = 200_000
MOST_REMEMBERED = 1_000_000
"""Happenings of one stream before the beginning, at most."""

ModifiersOf = Callable[[Moments], Sequence[Modifier]]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event as it is told. id: its own; parent: of what it comes of, if of anything."""

    at_us: int
    id: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a stream told. at_us: the simulated time; value: the number in an interval of the world's history
    at this pace, or the level; ratio: of what is usual; count: how often it happened since it last told."""

    stream: str
    frequency: Cadence
    at_us: int
    value: float
    normalised: float
    flag: Flag
    ratio: float
    count: int
    happenings: tuple[Happening, ...]


@dataclass(slots=True)
class Streams:
    """All streams of a run, told up to some moment."""

    run: Run
    statistics: dict[str, StreamStatistics]
    modifiers_of: ModifiersOf
    cadences: Cadences
    waiting: Waiting
    told_us: list[int]
    _levels: Levels | None = field(default=None)
    _until_us: int = 0

    @classmethod
    def beginning(
        cls, run: Run, statistics: dict[str, StreamStatistics], modifiers_of: ModifiersOf, now_us: int
    ) -> "Streams":
        """The streams from now on."""
        cadences = Cadences.of(run.world.streams, run.seed, now_us)
        count = len(cadences.names)
        streams = cls(run, statistics, modifiers_of, cadences, Waiting(run), [now_us] * count)
        streams._remember(now_us)
        return streams

    def change(self) -> None:
        """Works out the levels anew: something was begun, stopped or taken back."""
        self._levels = None

    def advance(self, until_us: int) -> list[Told]:
        """What is told up to this moment, inclusive, in order of time."""
        told = []
        self._until_us = until_us
        while (place := self.cadences.due(until_us)) is not None:
            told.append(self._tell(place, int(self.cadences.next_us[place])))
            self.cadences.pass_on(place)
        return told

    def ratios(self, at_us: int) -> dict[str, float]:
        """How much of its usual level each stream has at a moment."""
        found, place = self._at(at_us)
        return dict(zip(found.names, found.ratio[:, place].tolist(), strict=True))

    def _tell(self, place: int, at_us: int) -> Told:
        levels_now, step = self._at(at_us)
        name, stream = self.cadences.names[place], self.run.causes.streams[place]
        turn = self.cadences.turn[place : place + 1]
        level = float(levels_now.value[place, step])
        if stream.kind == "count":
            level *= self.run.world.interval * SECOND_US / STEP_US
        value = level * (1.0 + stream.noise * float(normal(self.run.seed, f"{name} live", turn)[0]))
        least = 0.0 if stream.kind == "count" else stream.least
        value = value if least is None else max(value, least)
        value = value if stream.most is None else min(value, stream.most)
        count, happened = self._happen(place, at_us, levels_now) if stream.kind == "count" else (0, NOTHING)
        self.told_us[place] = at_us
        of = self.statistics[name]
        shown = float(normalised(np.array([value]), of)[0])
        ratio, named = float(levels_now.ratio[place, step]), self._named(place, happened)
        return Told(name, stream.cadence, at_us, value, shown, flag_of(value, of), ratio, count, named)

    def _happen(self, place: int, at_us: int, found: Levels) -> tuple[int, Happenings]:
        """How often it happened in this stream since it last told, and what of it is followed or named; what
        will come of it is drawn."""
        is_followed = place in self.waiting.chains
        count, times = self._began(place, at_us, found, MOST_FOLLOWED if is_followed else MOST_SHOWN)
        new = Happenings.new(times, self.waiting.number(place, count, len(times)))
        due = self.waiting.take(place, at_us)
        happened = Happenings.joined([due, new])
        if is_followed:
            moments = found.moments
            steps = np.clip((happened.at_us - moments.start_us) // STEP_US, 0, moments.count - 1)
            self.waiting.spread(place, happened, found.probability, steps, at_us)
        return len(due) + count, happened

    def _began(self, place: int, at_us: int, found: Levels, most: int) -> tuple[int, Int64s]:
        """How often something happened of itself since the stream last told, and when, in order: as often as
        the level of all that time says, and more where it was higher. Of more than `most` these are any of
        them where they are followed, and the last ones where they are only named."""
        edges, reached = self._reached(place, at_us, found)
        if reached[-1] <= 0.0:
            return 0, np.empty(0, np.int64)
        name, turn = self.cadences.names[place], self.cadences.turn[place : place + 1]
        chance = even(self.run.seed, f"{name} happens", turn)
        count = int(poisson_of(chance, reached[-1:])[0])
        drawn = f"{name} moment {int(turn[0])}"
        if most == MOST_SHOWN:
            share = last_of(count, most, self.run.seed, drawn)
        else:
            share = np.sort(even(self.run.seed, drawn, np.arange(min(count, most), dtype=np.int64)))
        return count, np.ceil(np.interp(share * reached[-1], reached, edges)).astype(np.int64)

    def _reached(self, place: int, at_us: int, found: Levels) -> tuple[Floats, Floats]:
        """The moments from its last word to this one at which the level of a stream changes, and how often it
        is to be expected to have happened by each of them."""
        since_us, moments = self.told_us[place], found.moments
        first, last = moments.place(since_us), moments.place(max(at_us - 1, since_us))
        level = np.maximum(found.outside[place, first : last + 1], 0.0) / STEP_US
        if first == last:
            return np.array([since_us, at_us], np.float64), np.array([0.0, level[0] * (at_us - since_us)])
        edges = moments.start_us + np.arange(first, last + 2, dtype=np.int64) * STEP_US
        edges[0], edges[-1] = since_us, at_us
        return edges.astype(np.float64), np.concatenate([[0.0], np.cumsum(level * np.diff(edges))])

    def _at(self, at_us: int) -> tuple[Levels, int]:
        """Levels that hold this moment and all since any stream told, and the place of its step."""
        if self._levels is None or not 0 <= self._levels.moments.place(at_us) < self._levels.moments.count:
            first = min(at_us, *self.told_us) // STEP_US
            last = max(at_us, self._until_us) // STEP_US + AHEAD
            moments = Moments(first * STEP_US, STEP_US, last - first)
            self._levels = levels(self.run, moments, self.modifiers_of(moments))
        return self._levels, self._levels.moments.place(at_us)

    def _remember(self, now_us: int) -> None:
        """Has happen, untold, what happened before now and has outcomes that are still to come."""
        world = self.run.world
        longest_s = max((one.delay.most for chain in world.chains for one in chain.outcomes), default=0.0)
        before_us = min(int(longest_s * SECOND_US), LONGEST_BEFORE_US) // STEP_US * STEP_US
        if before_us == 0:
            return
        moments = Moments((now_us - before_us) // STEP_US * STEP_US, STEP_US, before_us // STEP_US)
        found = levels(self.run, moments, self.modifiers_of(moments))
        for kind, place in self.run.causes.order:
            if kind == "stream" and self.run.causes.streams[place].kind == "count":
                self._remember_stream(place, found, now_us)

    def _remember_stream(self, place: int, found: Levels, now_us: int) -> None:
        if place not in self.waiting.chains:
            self.waiting.take(place, now_us)
            return
        name, moments = self.cadences.names[place], found.moments
        chance = even(self.run.seed, f"{name} before", moments.index)
        levels_before = np.maximum(found.outside[place], 0.0)
        levels_before *= min(1.0, MOST_REMEMBERED / max(float(levels_before.sum()), 1.0))
        counts = poisson_of(chance, levels_before).astype(np.int64)
        times = np.repeat(moments.ts_us + STEP_US // 2, counts)
        new = Happenings.new(times, self.waiting.number(place, len(times), len(times)))
        happened = Happenings.joined([self.waiting.take(place, now_us), new])
        steps = np.clip((happened.at_us - moments.start_us) // STEP_US, 0, moments.count - 1)
        self.waiting.spread(place, happened, found.probability, steps, 0)

    def _named(self, place: int, happened: Happenings) -> tuple[Happening, ...]:
        """The last of these events, as they are told."""
        names, few = self.cadences.names, happened.take(np.arange(len(happened))[-MOST_SHOWN:])
        columns = (few.at_us, few.serial, few.of, few.parent)
        return tuple(
            Happening(at_us, f"{names[place]}#{own}", None if of == NOBODY else f"{names[of]}#{parent}")
            for at_us, own, of, parent in zip(*(one.tolist() for one in columns), strict=True)
        )
