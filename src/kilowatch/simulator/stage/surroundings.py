"""What surrounds the devices of a world that is played: how far streams are from usual, and faults. Pure.

People act at real moments, and what follows goes by the simulated clock; readings are stamped with real time
and take what was so at the simulated moment that was shown then. Keeps true: what was said of a real moment
never changes by what is done after it, for registers count on it; only when all is taken back, everything is
as if nothing had been. What happens by itself in a world leaves its devices as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.events import Event, event_modifiers, planned_events
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import Activation, find_scenario, scenario_modifiers
from kilowatch.simulator.fleet.happening import NEVER_US, Happening, happen
from kilowatch.simulator.fleet.rows import USUAL, Circumstances
from kilowatch.simulator.home.moments import Int64s
from kilowatch.simulator.stage.watch import Timeline

STEP_US = 10 * SECOND_US
"""Levels hold for so long of simulated time."""
BLOCK = 1080
"""Steps that are worked out at once."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What people did at a real moment: they began or stopped a scenario, or had an event happen. what: as it
    was known then."""

    real_us: int
    what: Activation | Event


def surroundings(run: Run, deeds: Sequence[Deed], timeline: Timeline) -> Circumstances:
    """What surrounds devices, in real time, after deeds in the order in which they were done."""
    if not deeds:
        return USUAL
    chapters = _chapters(run, deeds)
    begins_us = np.array([chapter.begins_us for chapter in chapters], np.int64)

    def ratio(stream: str, ts_us: Int64s) -> Floats:
        found = np.ones(len(ts_us))
        number = run.causes.number.get(stream)
        if number is None:
            return found
        place = np.searchsorted(begins_us, ts_us, "right") - 1
        shown_us = timeline.shown(ts_us)
        for one in np.unique(place[place >= 0]).tolist():
            rows = np.flatnonzero(place == one)
            found[rows] = chapters[one].ratio(number, shown_us[rows])
        return found

    return Circumstances(ratio, deeds[0].real_us, _faults(run, deeds, timeline))


@dataclass(slots=True)
class _Chapter:
    """From a real moment on until something else is done: the modifiers that are known of. span: simulated
    time outside of which everything is as usual."""

    run: Run
    begins_us: int
    modifiers: tuple[Modifier, ...]
    span: tuple[int, int]
    _blocks: dict[int, Floats] = field(default_factory=dict)

    def ratio(self, stream: int, shown_us: Int64s) -> Floats:
        """Level of a stream at simulated moments, as a part of the usual."""
        found = np.ones(len(shown_us))
        felt = np.flatnonzero((shown_us >= self.span[0]) & (shown_us < self.span[1]))
        block, step = np.divmod(shown_us[felt] // STEP_US, BLOCK)
        for number in np.unique(block).tolist():
            here = block == number
            found[felt[here]] = self._block(number)[stream, step[here]]
        return found

    def _block(self, number: int) -> Floats:
        if number not in self._blocks:
            moments = Moments(number * BLOCK * STEP_US, STEP_US, BLOCK)
            self._blocks[number] = levels(self.run, moments, self.modifiers).ratio
        return self._blocks[number]


def _chapters(run: Run, deeds: Sequence[Deed]) -> list[_Chapter]:
    """What was known after each deed; of several at one moment only what was known after the last."""
    begun: dict[str, Activation] = {}
    injected: list[Event] = []
    found: dict[int, _Chapter] = {}
    echo_us = (run.causes.memory(STEP_US) + 1) * STEP_US
    for deed in deeds:
        if isinstance(deed.what, Event):
            injected.append(deed.what)
        else:
            begun[deed.what.id] = deed.what
        modifiers = _modifiers(run, list(begun.values()), injected)
        first = min((one.course.begins_us for one in modifiers), default=0)
        last = max((one.course.over_us + echo_us for one in modifiers), default=0)
        span = first // STEP_US * STEP_US, last
        found[deed.real_us] = _Chapter(run, deed.real_us, modifiers, span)
    return list(found.values())


def _modifiers(run: Run, begun: Sequence[Activation], injected: Sequence[Event]) -> tuple[Modifier, ...]:
    """What people do to streams that devices follow."""
    found: tuple[Modifier, ...] = ()
    events = [event for one in begun for event in planned_events(run.world, one)]
    for one in begun:
        found += scenario_modifiers(run.world, one)
    found += event_modifiers([*events, *injected], run.causes.names)
    return tuple(one for one in found if one.followed)


def _faults(run: Run, deeds: Sequence[Deed], timeline: Timeline) -> tuple[Happening, ...]:
    """The faults of all scenarios that were begun, at the real moments of their simulated ones."""
    found: list[tuple[str, Happening]] = []
    for deed in deeds:
        if isinstance(deed.what, Event):
            continue
        if deed.what.is_stopped:
            found = [
                (of, replace(one, ends_us=min(one.ends_us, deed.real_us)) if of == deed.what.id else one)
                for of, one in found
            ]
        else:
            found += [(deed.what.id, one) for one in _faults_of(run, deed.real_us, deed.what, timeline)]
    return tuple(one for _, one in found if one.begins_us < one.ends_us)


def _faults_of(run: Run, real_us: int, begun: Activation, timeline: Timeline) -> list[Happening]:
    found = []
    for number, fault in enumerate(find_scenario(run.world, begun.scenario).faults):
        shown = happen(fault, begun.begins_us, begun.ends_us, number)
        begins_us = max(timeline.real_of(shown.begins_us), real_us)
        ends_us = NEVER_US if shown.ends_us == NEVER_US else timeline.real_of(shown.ends_us)
        found.append(replace(shown, begins_us=begins_us, ends_us=ends_us, goes_by=timeline.shown))
    return found
