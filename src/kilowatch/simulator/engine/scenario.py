"""The life of a scenario: active, then settling, then settled. Pure.

Keeps true: a scenario that was begun is over in the end, whatever is done to it: when the modifiers that it
brought have faded, nothing of it is at work. It is `active` until it ends or is stopped, `settling` while any
stream that it acts on itself is more than 5 % from its usual level because of it, and then `settled`. What
follows through chains may come for longer: of more payments, more refunds days later.

One is active at a time; whoever holds the state asks `begin` with what there is. While one is only settling
another may begin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kilowatch.errors import Problem
from kilowatch.period import DAY_US
from kilowatch.simulator.engine.levels import remembered
from kilowatch.simulator.engine.modifiers import (
    Conflict,
    Modifier,
    conflicts,
    microseconds,
    modifiers_of,
    streams_of,
)
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Levels, Run
from kilowatch.simulator.engine.settling import NEAR, Course
from kilowatch.simulator.world.format import Effect, Scenario, World

Phase = Literal["active", "settling", "settled"]
LONGEST_US = 200 * DAY_US
"""How far ahead it is looked for when a scenario has settled."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A scenario that was begun. id: of this activation; ends_us: when it stops by itself or was stopped,
    exclusive; settled_us: from when on all is within 5 % of usual."""

    id: str
    scenario: str
    begins_us: int
    ends_us: int
    settled_us: int
    is_stopped: bool = False

    def phase(self, at_us: int) -> Phase:
        """Where it stands at a moment."""
        if at_us < self.ends_us:
            return "active"
        return "settling" if at_us < self.settled_us else "settled"

    def remaining_us(self, at_us: int) -> int:
        """How long the phase in which it is goes on; 0 of one that has settled."""
        until = self.ends_us if at_us < self.ends_us else self.settled_us
        return max(until - at_us, 0)


@dataclass(frozen=True, slots=True)
class Begun:
    """What came of beginning a scenario: its activation, what it does, the levels that come of it from its
    beginning until it has settled, and what is worth a warning."""

    activation: Activation
    modifiers: tuple[Modifier, ...]
    levels: Levels
    warnings: tuple[Conflict, ...]


def find_scenario(world: World, scenario: str) -> Scenario:
    """The scenario of that id.

    Raises:
        Problem: 404 `unknown_scenario`.
    """
    if scenario not in world.scenarios:
        known = ", ".join(sorted(world.scenarios))
        detail = f"the world {world.name} has no scenario {scenario!r}; it has {known}"
        raise Problem(404, "unknown_scenario", detail)
    return world.scenarios[scenario]


def begin(
    run: Run, scenario: str, now_us: int, there: Sequence[Activation] = (), others: Sequence[Modifier] = ()
) -> Begun:
    """Begins a scenario now. `there`: those begun before; `others`: what else is at work, to be warned of.

    Raises:
        Problem: 404 for one that the world does not have, 409 `scenario_active` while another is active.
    """
    found = find_scenario(run.world, scenario)
    active = active_of(there, now_us)
    if active is not None:
        name = run.world.scenarios[active.scenario].name
        minutes = -(-active.remaining_us(now_us) // 60_000_000)
        detail = (
            f"{name!r} is active for {minutes} more minutes, and one scenario is active at a time; stop it, "
            "reset, or wait"
        )
        raise Problem(409, "scenario_active", detail)
    end_us = now_us + microseconds(found.lasts)
    activation = Activation(f"{scenario}@{now_us}", scenario, now_us, end_us, end_us)
    return _settled(run, activation, others)


def stop(run: Run, there: Sequence[Activation], now_us: int, others: Sequence[Modifier] = ()) -> Begun:
    """Ends the active scenario now: what has begun settles, what has not will not begin.

    Raises:
        Problem: 409 `no_scenario_active` where none is active.
    """
    active = active_of(there, now_us)
    if active is None:
        settling = [one.scenario for one in there if one.phase(now_us) == "settling"]
        said = f"{', '.join(settling)} is settling already" if settling else "nothing is to be stopped"
        raise Problem(409, "no_scenario_active", f"no scenario is active: {said}")
    return _settled(run, replace(active, ends_us=now_us, settled_us=now_us, is_stopped=True), others)


def active_of(there: Sequence[Activation], now_us: int) -> Activation | None:
    """The one that is active now."""
    return next((one for one in there if one.phase(now_us) == "active"), None)


def scenario_modifiers(world: World, activation: Activation) -> tuple[Modifier, ...]:
    """All that a scenario does to streams: its effects, its cascades and the backlog after it."""
    scenario, names = find_scenario(world, activation.scenario), list(world.streams)
    cut_us = activation.ends_us if activation.is_stopped else None
    begins_us = activation.begins_us
    span = (begins_us, begins_us + microseconds(scenario.lasts))
    found = modifiers_of(
        activation.id, scenario.effects, names, span, settling=scenario.settling, cut_us=cut_us
    )
    for delay_s, effects in cascades(scenario):
        delayed = [effect.model_copy(update={"after": effect.after + delay_s}) for effect in effects]
        found += modifiers_of(activation.id, delayed, names, span, settling=scenario.settling, cut_us=cut_us)
    backlog = scenario.settling.backlog
    if backlog is not None:
        course = Course(activation.ends_us, activation.ends_us + microseconds(backlog.lasts))
        streams = streams_of(backlog.streams, names)
        found.append(Modifier(activation.id, streams, "multiply", backlog.factor, course))
    return tuple(found)


def cascades(scenario: Scenario) -> list[tuple[float, list[Effect]]]:
    """The effects of cascades, with the delay in seconds from the scenario's beginning on."""
    known = {cascade.id: cascade for cascade in scenario.cascades}
    found = []
    for cascade in scenario.cascades:
        delay_s, behind, seen = cascade.delay, cascade.after, {cascade.id}
        while behind is not None and behind in known and behind not in seen:
            seen.add(behind)
            delay_s += known[behind].delay
            behind = known[behind].after
        found.append((delay_s, cascade.effects))
    return found


def settling_levels(run: Run, activation: Activation, step_us: int) -> tuple[Levels, int]:
    """The levels from the beginning of a scenario, with its own modifiers only, until nothing of it can be
    felt any more; and from when on all streams that it acts on are near usual (the end of the last interval
    in which one is not)."""
    modifiers = scenario_modifiers(run.world, activation)
    over_us = max([one.course.over_us for one in modifiers], default=activation.ends_us)
    echo_us = (run.causes.memory(step_us) + 1) * step_us
    end_us = min(max(over_us, activation.ends_us) + echo_us, activation.begins_us + LONGEST_US)
    moments = Moments.covering(activation.begins_us, end_us, step_us)
    found = remembered(run, moments, modifiers).last(moments.count)
    acted_on = sorted({run.causes.number[name] for one in modifiers for name in one.streams})
    away = np.flatnonzero((np.abs(found.ratio[acted_on] - 1.0) > NEAR).any(axis=0))
    last_us = moments.start_us + (int(away[-1]) + 1) * step_us if len(away) else activation.ends_us
    settled_us = max(last_us, activation.ends_us)
    return found, settled_us


def _settled(run: Run, activation: Activation, others: Sequence[Modifier]) -> Begun:
    step_us = microseconds(run.world.interval)
    found, settled_us = settling_levels(run, activation, step_us)
    activation = replace(activation, settled_us=settled_us)
    modifiers = scenario_modifiers(run.world, activation)
    return Begun(activation, modifiers, found, tuple(conflicts((*others, *modifiers))))
