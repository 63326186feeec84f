"""A world as it is played for one organisation: its clock, its streams, what was begun and what was injected.

Keeps true: all that a play says follows from the world, the seed, the simulated time and what people began
and injected; with these taken back it is the baseline again, to the bit.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kilowatch.clock import Clock
from kilowatch.errors import Problem
from kilowatch.period import DAY_US, SECOND_US
from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.correlation import Correlation, correlate
from kilowatch.simulator.engine.events import (
    Event,
    event_modifiers,
    expectation,
    planned_events,
    scenario_event,
)
from kilowatch.simulator.engine.happenings import background, happening
from kilowatch.simulator.engine.history import happened
from kilowatch.simulator.engine.modifiers import Conflict, Modifier, microseconds
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.normalise import flag_of, normalised
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import Activation, begin, scenario_modifiers, stop
from kilowatch.simulator.engine.statistics import StreamStatistics, statistics
from kilowatch.simulator.fleet.rows import USUAL, Circumstances
from kilowatch.simulator.live.streams import Streams, Told
from kilowatch.simulator.stage.surroundings import Deed, surroundings
from kilowatch.simulator.stage.watch import Timeline, Watch
from kilowatch.simulator.world.format import World

HISTORY_US = 30 * DAY_US
ANOMALIES = 20
LEAP_PARTS = 20
"""So often each stream tells at most of one leap."""
MOST_DEEDS, MOST_TURNS = 1_000, 1_000
"""What people did in a play, and how its clock was moved meanwhile, is kept until the play is reset: so much
of it at most."""
LEAST_PAUSE_S = 0.2
"""A stream tells no more often than this in real time, however fast the clock is."""


@dataclass
class Play:
    """One world at play. begun: scenarios, the last one last; injected: events of people; deeds: how these
    came about, in real time; begun_us: when the play began, in simulated time."""

    world: World
    seed: int
    clock: Clock
    watch: Watch = field(init=False)
    run: Run = field(init=False)
    begun_us: int = field(init=False)
    statistics: dict[str, StreamStatistics] = field(init=False)
    streams: Streams = field(init=False)
    begun: list[Activation] = field(default_factory=list)
    injected: list[Event] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    warnings: tuple[Conflict, ...] = ()
    anomalies: deque[Told] = field(default_factory=lambda: deque(maxlen=ANOMALIES))
    latest: dict[str, Told] = field(default_factory=dict)
    modified_us: int = field(init=False)
    _advanced_us: int = field(init=False)
    _correlated: tuple[object, Correlation] | None = None
    _around: tuple[int, Timeline, Circumstances] | None = None

    def __post_init__(self) -> None:
        self.watch = Watch(self.clock)
        self.run = Run.of(self.world, self.seed)
        self.begun_us = self.modified_us = self._advanced_us = self.watch.now_us()
        moments = self.grid(self.begun_us - HISTORY_US, self.begun_us)
        usual = happened(self.run, moments, background(self.run, moments))
        self.statistics = statistics(self.names, moments, usual, self.world.time_zone)
        self.streams = Streams.beginning(self.run, self.statistics, self.modifiers, self.begun_us)
        self.latest = self._last_of_history(moments, usual)

    def _last_of_history(self, moments: Moments, value: Floats) -> dict[str, Told]:
        """What each stream told last before the play began: some tell their first word after an hour."""
        at_us, ratios = int(moments.ts_us[-1]), self.streams.ratios(self.begun_us)
        last = {}
        for (name, stream), one in zip(self.world.streams.items(), value[:, -1].tolist(), strict=True):
            of = self.statistics[name]
            shown, flag = float(normalised(np.array([one]), of)[0]), flag_of(one, of)
            last[name] = Told(name, stream.cadence, at_us, one, shown, flag, ratios[name], 0, ())
        return last

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The streams."""
        return tuple(self.world.streams)

    @property
    def step_us(self) -> int:
        """The interval of the world's history."""
        return microseconds(self.world.interval)

    def grid(self, start_us: int, end_us: int) -> Moments:
        """The whole intervals of history in `[start_us, end_us)`."""
        first, last = -(-start_us // self.step_us), end_us // self.step_us
        return Moments(first * self.step_us, self.step_us, max(last - first, 0))

    def advance(self) -> list[Told]:
        """What streams tell up to now; of a leap in time each tells a few times only."""
        now_us = self.watch.now_us()
        pace_us = round(LEAST_PAUSE_S * self.watch.speed * SECOND_US)
        self.streams.cadences.least_us = max(pace_us, (now_us - self._advanced_us) // LEAP_PARTS)
        told = self.streams.advance(now_us)
        self._advanced_us = now_us
        for one in told:
            self.latest[one.stream] = one
            if one.flag != "normal":
                self.anomalies.append(one)
        return told

    def run_at(self, speed: float) -> None:
        """Lets the clock run faster or slower.

        Raises:
            Problem: 409 where it was changed too often.
        """
        self._look_before_turning()
        self.watch.run_at(speed)

    def step(self, by_us: int) -> None:
        """Moves the clock on by so much at once.

        Raises:
            Problem: 409 where it was changed too often.
        """
        self._look_before_turning()
        self.watch.step(by_us)

    # What is done

    @property
    def events_of_people(self) -> list[Event]:
        """What scenarios planned and people injected."""
        planned = [event for one in self.begun for event in planned_events(self.world, one)]
        return [*planned, *self.injected]

    def modifiers(self, moments: Moments, *, of_people: bool = True) -> tuple[Modifier, ...]:
        """All that is done to streams on a grid; without what people did the baseline."""
        found = background(self.run, moments)
        if of_people:
            for one in self.begun:
                found += scenario_modifiers(self.world, one)
            found += event_modifiers(self.events_of_people, self.names)
        return found

    def begin(self, scenario: str) -> Activation:
        """Begins a scenario.

        Raises:
            Problem: 404, or 409 while another one is active, or where too much was done.
        """
        self._refuse_more_deeds()
        real_us, now_us = self._look()
        others = event_modifiers(self.injected, self.names)
        made = begin(self.run, scenario, now_us, self.begun, others)
        self.begun.append(made.activation)
        self.warnings = made.warnings
        self._note(real_us, made.activation)
        return made.activation

    def stop(self) -> Activation:
        """Lets the active scenario settle.

        Raises:
            Problem: 409 where none is active.
        """
        real_us, now_us = self._look()
        made = stop(self.run, self.begun, now_us)
        self.begun = [one for one in self.begun if one.id != made.activation.id] + [made.activation]
        self._note(real_us, made.activation)
        return made.activation

    def inject(self, event: Event) -> None:
        """Has an event happen.

        Raises:
            Problem: 409 where too much was done.
        """
        self._refuse_more_deeds()
        self.injected.append(event)
        self._note(self._look()[0], event)

    def reset(self) -> None:
        """Takes everything back that people did."""
        self.begun, self.injected, self.deeds, self.warnings = [], [], [], ()
        self.anomalies.clear()
        self._around = None
        self._changed()

    def surroundings(self) -> Circumstances:
        """What surrounds the devices of this world, in real time; the same object until something changes."""
        if not self.deeds:
            return USUAL
        deeds, timeline = list(self.deeds), self.watch.timeline
        if self._around is None or self._around[:2] != (len(deeds), timeline):
            self._around = len(deeds), timeline, surroundings(self.run, deeds, timeline)
        return self._around[2]

    def _look(self) -> tuple[int, int]:
        """Real and simulated time; the record of these begins with the first deed."""
        if not self.deeds:
            self.watch.forget()
        return self.watch.look()

    def _look_before_turning(self) -> None:
        self._look()
        _refuse_more(len(self.watch.timeline.knots), MOST_TURNS, "The clock was changed")

    def _refuse_more_deeds(self) -> None:
        _refuse_more(len(self.deeds), MOST_DEEDS, "Scenarios were begun and events injected")

    def _note(self, real_us: int, what: Activation | Event) -> None:
        self.deeds.append(Deed(real_us, what))
        self._changed()

    def _changed(self) -> None:
        self.modified_us = self.watch.now_us()
        self.streams.change()

    # What happened

    def events(self, start_us: int, end_us: int) -> list[Event]:
        """All events in `[start_us, end_us)`, in order of time; that a scenario began is one of them."""
        known = [*self.events_of_people, *(scenario_event(self.world, one) for one in self.begun)]
        own = [one for one in known if start_us <= one.at_us < end_us]
        return sorted([*happening(self.run, start_us, end_us), *own], key=lambda one: (one.at_us, one.id))

    def values(self, moments: Moments, *, of_people: bool = True) -> Floats:
        """What each stream was, in each interval. Shape (streams, count)."""
        return happened(self.run, moments, self.modifiers(moments, of_people=of_people))

    def correlation(self, start_us: int, end_us: int) -> tuple[list[Event], Correlation]:
        """What moved what, of the events in `[start_us, end_us)`, from the values of a month before until a
        month after, or now."""
        until_us = min(self.watch.now_us(), end_us + HISTORY_US)
        moments = self.grid(min(until_us - HISTORY_US, start_us), until_us)
        events = self.events(moments.start_us, moments.end_us)
        key = (moments, len(self.begun), len(self.injected), self.modified_us)
        if self._correlated is None or self._correlated[0] != key:
            expected = [expectation(one, self.names, self.world.chains) for one in events]
            found = correlate(self.names, moments, self.values(moments), self.world.time_zone, expected)
            self._correlated = (key, found)
        return [one for one in events if start_us <= one.at_us < end_us], self._correlated[1]


def _refuse_more(count: int, most: int, what: str) -> None:
    if count >= most:
        raise Problem(409, "too_many_changes", f"{what} {most:,} times; reset the simulation first.")
