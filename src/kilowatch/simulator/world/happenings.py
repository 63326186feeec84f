"""Checks of what may happen in a world: effects, scenarios with their cascades and faults, and templates.

Keeps true: an effect moves at least one stream, in a way that streams can be moved, and each cascade follows
from its scenario in the end. Pure.
"""

from collections.abc import Iterator
from typing import Final

from kilowatch.simulator.world.bounds import MOST_VALUE
from kilowatch.simulator.world.circle import find_circles
from kilowatch.simulator.world.doubt import Doubt, doubt_name
from kilowatch.simulator.world.format import Cascade, Effect, Fault, Scenario, World
from kilowatch.simulator.world.known import Known, Names
from kilowatch.simulator.world.mistake import Place, suggest

MOST_FACTOR: Final = 1000.0


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern of streams means this one."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def doubt_scenarios(world: World, known: Known) -> Iterator[Doubt]:
    """What is wrong with the scenarios."""
    for name, scenario in world.scenarios.items():
        place: Place = ("scenarios", name)
        yield from doubt_effects(scenario.effects, (*place, "effects"), known)
        yield from _doubt_cascades(name, scenario, known)
        for index, fault in enumerate(scenario.faults):
            yield from _doubt_fault(fault, (*place, "faults", index), known)
        for index, planned in enumerate(scenario.events):
            at = (*place, "events", index, "template")
            yield from doubt_name(at, "template", planned.template, known.templates)
        backlog = scenario.settling.backlog
        if backlog is not None:
            yield from _doubt_patterns(
                backlog.streams, (*place, "settling", "backlog", "streams"), known.streams
            )


def doubt_templates(world: World, known: Known) -> Iterator[Doubt]:
    """What is wrong with the library of events."""
    for name, template in world.templates.items():
        yield from doubt_effects(template.effects, ("templates", name, "effects"), known)
        for index, season in enumerate(template.timing.seasons):
            at = ("templates", name, "timing", "seasons", index)
            yield from doubt_name(at, "season", season, known.seasons)


def _doubt_patterns(patterns: list[str], place: Place, streams: Names) -> Iterator[Doubt]:
    for index, pattern in enumerate(patterns):
        if streams is not None and not any(matches(pattern, name) for name in streams):
            advice = suggest(pattern.rstrip("*"), streams)
            yield Doubt((*place, index), f"`{pattern}` means no stream; {advice}")


def doubt_effects(effects: list[Effect], place: Place, known: Known) -> Iterator[Doubt]:
    """What is wrong with effects."""
    for index, effect in enumerate(effects):
        at = (*place, index)
        yield from _doubt_patterns(effect.streams, (*at, "streams"), known.streams)
        if effect.how == "shift":
            yield from _doubt_shift(effect, at, known)
        else:
            yield from _doubt_value(effect, at)


def _doubt_value(effect: Effect, place: Place) -> Iterator[Doubt]:
    says = None
    if effect.how == "multiply" and effect.value < 0:
        says = f"a factor must not be negative, as {effect.value:g} is; write 0.5 for half, 0 for nothing"
    elif effect.how == "multiply" and effect.value > MOST_FACTOR:
        says = (
            f"a factor is at most {MOST_FACTOR:g}, not {effect.value:g}; for a level of its own use override"
        )
    elif abs(effect.value) > MOST_VALUE:
        says = f"{effect.value:g} is more than anything is; write at most {MOST_VALUE:g}"
    if says is not None:
        yield Doubt((*place, "value"), says, whole=place)


def _doubt_shift(effect: Effect, place: Place, known: Known) -> Iterator[Doubt]:
    if not -1 <= effect.value <= 1:
        says = f"a probability is shifted by -1 to 1, not by {effect.value:g}; write 0.1 for ten in a hundred"
        yield Doubt((*place, "value"), says, whole=place)
    for index, pattern in enumerate(effect.streams):
        meant = sorted(name for name in known.streams or () if matches(pattern, name))
        wrong = [name for name in meant if not known.is_outcome(name)]
        if wrong:
            also = "" if wrong == [pattern] else f"`{pattern}` means `{wrong[0]}` too, and "
            says = (
                f"{also}`{wrong[0]}` is the outcome of no chain, so no probability can shift;"
                " use another `how`"
            )
            yield Doubt((*place, "streams", index), says, whole=place)


def _doubt_cascades(name: str, scenario: Scenario, known: Known) -> Iterator[Doubt]:
    place: Place = ("scenarios", name, "cascades")
    ids = frozenset(cascade for of, cascade in known.cascades if of == name)
    lines: dict[str, int] = {}
    for index, cascade in enumerate(scenario.cascades):
        yield from doubt_effects(cascade.effects, (*place, index, "effects"), known)
        yield from doubt_name((*place, index, "after"), "cascade", cascade.after, ids)
        if cascade.id in lines:
            says = f"`{cascade.id}` is the name of an earlier cascade of the scenario; choose another"
            yield Doubt((*place, index, "id"), says)
        lines.setdefault(cascade.id, index)
    yield from _doubt_order(scenario.cascades, place)


def _doubt_order(cascades: list[Cascade], place: Place) -> Iterator[Doubt]:
    follows = {cascade.id: {cascade.after} for cascade in cascades if cascade.after is not None}
    at = {cascade.id: index for index, cascade in enumerate(cascades)}
    for circle in find_circles(follows):
        way = " -> ".join(f"`{one}`" for one in circle)
        says = f"cascades follow each other in a circle: {way}; take away one `after`"
        yield Doubt((*place, at[circle[1]], "after"), says)


def _doubt_fault(fault: Fault, place: Place, known: Known) -> Iterator[Doubt]:
    if not known.has_fleet:
        yield Doubt(place, "a fault needs devices, and the world has none; add `fleet` to world.yaml")
    yield from doubt_name((*place, "where", "region"), "region", fault.where.region, known.regions)
