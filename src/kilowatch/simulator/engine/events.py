"""Events outside that may move streams: what they are, what is expected of them and what they really do.

Keeps true: a red herring has no modifier; what is expected of it is the same as of the others.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from kilowatch.errors import Fault, Problem
from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.delays import mean_delay
from kilowatch.simulator.engine.modifiers import Modifier, microseconds, modifiers_of, streams_of
from kilowatch.simulator.engine.scenario import Activation, cascades, find_scenario
from kilowatch.simulator.world.format import Chain, Domain, Effect, Severity, Template, World
from kilowatch.simulator.world.happenings import doubt_effects
from kilowatch.simulator.world.known import names_of

Origin = Literal["world", "scenario", "injected"]
Magnitude = Literal["low", "medium", "high"]
MEDIUM, HIGH = 0.25, 1.0
"""By which relative change a magnitude is medium, or high."""


@dataclass(frozen=True, slots=True)
class Event:
    """at_us: when it happens (UTC); what it may move is moved in `[begins_us, ends_us)`. moves: whether it
    really does, which is not for those who are to find out."""

    id: str
    at_us: int
    type: Domain
    title: str
    description: str
    severity: Severity
    icon: str
    link: str | None
    effects: tuple[Effect, ...]
    delay_s: float
    lasts_s: float
    origin: Origin
    moves: bool
    template: str | None = None

    @property
    def begins_us(self) -> int:
        """From when on it is felt."""
        return self.at_us + microseconds(self.delay_s)

    @property
    def ends_us(self) -> int:
        """When it is not felt any more, exclusive."""
        return self.begins_us + microseconds(self.lasts_s)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What everybody expects of an event: for each stream whether it rises (1), falls (-1) or either (0), and
    when, all within `[begins_us, ends_us)`; and about how much. kind: the template, or the event itself.
    follows: when streams of which nothing is expected may follow, as they come of those by chains."""

    event: str
    at_us: int
    begins_us: int
    ends_us: int
    directions: dict[str, int]
    spans: dict[str, tuple[int, int]]
    magnitude: Magnitude
    kind: str
    follows: dict[str, tuple[int, int]]


def expectation(event: Event, names: Sequence[str], chains: Sequence[Chain] = ()) -> Expectation:
    """What is expected of an event, whether it moves anything or not. What comes of chains, where these are
    given, is expected as much later as it comes of them."""
    directions: dict[str, int] = {}
    spans: dict[str, tuple[int, int]] = {}
    delays = _delays(chains)
    for effect in event.effects:
        first = event.begins_us + microseconds(effect.after)
        last = first + microseconds(event.lasts_s if effect.lasts is None else effect.lasts)
        for name in streams_of(effect.streams, names):
            sign = _sign(effect)
            directions[name] = sign if directions.get(name, sign) == sign else 0
            least_us, mean_us = delays.get(name, (0, 0))
            span = (first + least_us, last + mean_us)
            spans[name] = _together(spans.get(name, span), span)
    begins = min((first for first, _ in spans.values()), default=event.begins_us)
    ends = max((last for _, last in spans.values()), default=event.begins_us)
    kind = event.template or event.id
    size, follows = _magnitude(event.effects), _follows(spans, chains)
    return Expectation(event.id, event.at_us, begins, ends, directions, spans, size, kind, follows)


def _follows(spans: Mapping[str, tuple[int, int]], chains: Sequence[Chain]) -> dict[str, tuple[int, int]]:
    """When what comes of streams by one chain comes, where it has no span itself."""
    found: dict[str, tuple[int, int]] = {}
    for chain in chains:
        for outcome in chain.outcomes:
            if chain.of in spans and outcome.to not in spans:
                first_us, last_us = spans[chain.of]
                least_us, mean_us = microseconds(outcome.delay.least), microseconds(mean_delay(outcome.delay))
                span = (first_us + least_us, last_us + mean_us)
                found[outcome.to] = _together(found.get(outcome.to, span), span)
    return found


def _delays(chains: Sequence[Chain]) -> dict[str, tuple[int, int]]:
    """How much later what comes of chains comes: at least, and in the mean."""
    found: dict[str, tuple[int, int]] = {}
    for chain in chains:
        for outcome in chain.outcomes:
            least, mean = outcome.delay.least, mean_delay(outcome.delay)
            before = found.get(outcome.to, (microseconds(least), 0))
            found[outcome.to] = (min(before[0], microseconds(least)), max(before[1], microseconds(mean)))
    return found


def _together(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The span from the beginning of the one to the end of the other, whichever is which."""
    return min(one[0], other[0]), max(one[1], other[1])


def _sign(effect: Effect) -> int:
    if effect.how == "override":
        return 0
    off = effect.value - (1.0 if effect.how == "multiply" else 0.0)
    return (off > 0.0) - (off < 0.0)


def _magnitude(effects: Iterable[Effect]) -> Magnitude:
    sizes = [
        abs(effect.value - 1.0) if effect.how == "multiply" else HIGH if effect.how == "override" else MEDIUM
        for effect in effects
    ]
    size = max(sizes, default=0.0)
    return "high" if size >= HIGH else "medium" if size >= MEDIUM else "low"


def event_modifiers(
    events: Iterable[Event], names: Sequence[str], cut_us: int | None = None
) -> tuple[Modifier, ...]:
    """What events really do to streams; from `cut_us` on they do nothing any more."""
    found: list[Modifier] = []
    for event in events:
        if event.moves:
            span = (event.begins_us, event.ends_us)
            found += modifiers_of(event.id, event.effects, names, span, cut_us=cut_us)
    return tuple(found)


def planned_events(world: World, activation: Activation) -> tuple[Event, ...]:
    """The events that a scenario brings; one that was stopped brings no more."""
    planned = find_scenario(world, activation.scenario).events
    found = [
        from_template(
            world,
            one.template,
            activation.begins_us + microseconds(one.at),
            event_id=f"{activation.id}/{number}",
            origin="scenario",
        )
        for number, one in enumerate(planned)
    ]
    return tuple(event for event in found if not activation.is_stopped or event.at_us < activation.ends_us)


def scenario_event(world: World, activation: Activation) -> Event:
    """The beginning of a scenario as an event, with all that it does itself; what it does comes of its own
    modifiers, so this one is to be told and judged only."""
    scenario = find_scenario(world, activation.scenario)
    whole_s = scenario.lasts
    until_s = (activation.ends_us - activation.begins_us) / SECOND_US if activation.is_stopped else math.inf
    effects: list[Effect] = []
    for delay_s, several in ((0.0, scenario.effects), *cascades(scenario)):
        for effect in several:
            after_s = delay_s + effect.after
            lasts_s = effect.lasts or (whole_s - after_s if after_s < whole_s else whole_s)
            lasts_s = min(lasts_s, until_s - after_s)
            if lasts_s > 0.0:
                effects.append(effect.model_copy(update={"after": after_s, "lasts": lasts_s}))
    return Event(
        id=activation.id,
        at_us=activation.begins_us,
        type="operational" if world.fleet is None else "energy",
        title=scenario.name,
        description=scenario.description,
        severity="warning" if effects else "info",
        icon="",
        link=None,
        effects=tuple(effects),
        delay_s=0.0,
        lasts_s=(activation.ends_us - activation.begins_us) / SECOND_US,
        origin="scenario",
        moves=bool(effects),
    )


def from_template(
    world: World, template: str, at_us: int, *, event_id: str, origin: Origin = "injected", moves: bool = True
) -> Event:
    """An event as the library describes it.

    Raises:
        Problem: 404 `unknown_template`.
    """
    if template not in world.templates:
        known = ", ".join(sorted(world.templates)) or "none"
        detail = f"the world {world.name} has no event {template!r}; it has {known}"
        raise Problem(404, "unknown_template", detail)
    return made_from(
        world.templates[template], template, at_us, event_id=event_id, origin=origin, moves=moves
    )


def made_from(
    of: Template, name: str | None, at_us: int, *, event_id: str, origin: Origin, moves: bool
) -> Event:
    """An event of a template; one without effects moves nothing."""
    return Event(
        id=event_id,
        at_us=at_us,
        type=of.type,
        title=of.title,
        description=of.description,
        severity=of.severity,
        icon=of.icon,
        link=of.link,
        effects=tuple(of.effects),
        delay_s=of.delay,
        lasts_s=of.lasts,
        origin=origin,
        moves=moves and bool(of.effects),
        template=name,
    )


def injected_event(world: World, described: dict[str, Any], at_us: int, *, event_id: str) -> Event:
    """An event that somebody describes in the form of a template.

    Raises:
        Problem: 422 `invalid_event`, with all that is wrong, each with its place.
    """
    try:
        template = Template.model_validate(described)
    except ValidationError as wrong:
        faults = [
            Fault("invalid", error["msg"], pointer="/" + "/".join(str(part) for part in error["loc"]))
            for error in wrong.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Problem(
            422, "invalid_event", "the event does not have the form of a template", faults
        ) from None
    faults = [
        Fault(
            "unknown_stream" if doubt.whole is None else "invalid_effect",
            doubt.says,
            pointer="/" + "/".join(str(part) for part in doubt.place),
        )
        for doubt in doubt_effects(template.effects, ("effects",), names_of(world))
    ]
    if faults:
        raise Problem(422, "invalid_event", "the world cannot be moved as the event says", faults)
    return made_from(template, None, at_us, event_id=event_id, origin="injected", moves=True)
