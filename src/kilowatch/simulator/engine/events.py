"""Events outside that may move streams: what they are, what is expected of them and what they really do.

Keeps true: a red herring has no modifier; what is expected of it is the same as of the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from kilowatch.errors import Fault, Problem
from kilowatch.simulator.engine.modifiers import Modifier, microseconds, modifiers_of, streams_of
from kilowatch.simulator.engine.scenario import Activation, find_scenario
from kilowatch.simulator.world.format import Domain, Effect, Severity, Template, World

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
    """What everybody expects of an event: for each stream whether it rises (1), falls (-1) or either (0), in
    `[begins_us, ends_us)`, and about how much. kind: the template, or the event itself."""

    event: str
    at_us: int
    begins_us: int
    ends_us: int
    directions: dict[str, int]
    magnitude: Magnitude
    kind: str


def expectation(event: Event, names: Sequence[str]) -> Expectation:
    """What is expected of an event, whether it moves anything or not."""
    directions: dict[str, int] = {}
    for effect in event.effects:
        for name in streams_of(effect.streams, names):
            sign = _sign(effect)
            directions[name] = sign if directions.get(name, sign) == sign else 0
    spans = [(effect.after, effect.lasts) for effect in event.effects]
    begins = event.begins_us + microseconds(min((after for after, _ in spans), default=0.0))
    longest = max(
        (after + (event.lasts_s if lasts is None else lasts) for after, lasts in spans), default=0.0
    )
    ends = event.begins_us + microseconds(longest)
    return Expectation(
        event.id, event.at_us, begins, ends, directions, _magnitude(event.effects), event.template or event.id
    )


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
    names = list(world.streams)
    faults = [
        Fault(
            "unknown_stream", f"no stream is called {pattern!r}", pointer=f"/effects/{number}/streams/{place}"
        )
        for number, effect in enumerate(template.effects)
        for place, pattern in enumerate(effect.streams)
        if not streams_of([pattern], names)
    ]
    if faults:
        raise Problem(422, "invalid_event", "the event names streams that the world does not have", faults)
    return made_from(template, None, at_us, event_id=event_id, origin="injected", moves=True)
