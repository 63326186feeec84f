"""What is wrong with a world that has the right form: names that lead nowhere, circles, sums that cannot be.

Keeps true: a world without doubts can be played: everything that is named exists, every stream gets its
values from somewhere, and what follows from what has an order. Pure; `known` has also the names of what was
left out because its form is wrong.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from kilowatch.simulator.world.bounds import doubt_bounds
from kilowatch.simulator.world.circle import find_circles
from kilowatch.simulator.world.doubt import Doubt, doubt_name
from kilowatch.simulator.world.format import Chain, Influence, Shape, Stream, World
from kilowatch.simulator.world.happenings import doubt_scenarios, doubt_templates
from kilowatch.simulator.world.known import Known
from kilowatch.simulator.world.mistake import Place

SLACK: Final = 1e-9
"""How far probabilities that are written in decimals may miss their sum."""
LEAP_YEAR: Final = 2024
CHAIN: Final = "chain "
"""Begins what stands for a chain among names of streams, which have no spaces."""


def find_doubts(world: World, known: Known) -> Iterator[Doubt]:
    """Everything that is wrong with the world."""
    yield from doubt_bounds(world)
    yield from _doubt_zone(world)
    for name, seasons in world.seasons.items():
        for index, season in enumerate(seasons):
            for end, day in (("from", season.first), ("to", season.last)):
                yield from _doubt_day(("seasons", name, index, end), day)
    for name, shape in world.shapes.items():
        yield from _doubt_shape(("shapes", name), shape)
    for name, stream in world.streams.items():
        yield from _doubt_stream(name, stream, world, known)
    for index, chain in enumerate(world.chains):
        yield from _doubt_chain(("chains", index), chain, world, known)
    for index, influence in enumerate(world.influences):
        yield from _doubt_influence(("influences", index), influence, known)
    yield from _doubt_order(world)
    yield from doubt_templates(world, known)
    yield from doubt_scenarios(world, known)


def _doubt_zone(world: World) -> Iterator[Doubt]:
    try:
        ZoneInfo(world.time_zone)
    except (KeyError, OSError, ValueError):  # not found, a folder of zones, not a name of a file
        says = f"there is no time zone `{world.time_zone}`; write one such as Europe/Berlin or UTC"
        yield Doubt(("time_zone",), says)


def _doubt_day(place: Place, day: str) -> Iterator[Doubt]:
    try:
        date.fromisoformat(f"{LEAP_YEAR}-{day}")
    except ValueError:
        yield Doubt(place, f"there is no day {day}; write a month and a day of it, such as 05-31")


def _doubt_shape(place: Place, shape: Shape) -> Iterator[Doubt]:
    for member, hours in (("hours", shape.hours), ("weekend_hours", shape.weekend_hours)):
        if hours is not None and not any(hours):
            yield Doubt((*place, member), "all hours weigh nothing; give at least one a weight")


def _doubt_stream(name: str, stream: Stream, world: World, known: Known) -> Iterator[Doubt]:
    place: Place = ("streams", name)
    yield from doubt_name((*place, "shape"), "shape", stream.shape, known.shapes)
    for season in stream.seasons:
        yield from doubt_name((*place, "seasons", season), "season", season, known.seasons)
    if stream.least is not None and stream.most is not None and stream.least > stream.most:
        yield Doubt((*place, "least"), f"`least` is above `most` ({stream.most:g}); exchange them")
    if stream.kind == "ratio":
        yield from _doubt_ratio(place, stream, world, known)
        return
    for member in ("part", "whole"):
        if getattr(stream, member) is not None:
            yield Doubt(
                (*place, member), f"only a ratio has `{member}`; take it away, or write `kind: ratio`", place
            )
    is_made = known.is_outcome(name)
    if stream.mean is None and not is_made:
        yield Doubt(place, f"nothing makes `{name}`; give it a `mean`, or let a chain lead to it", place)
    if stream.mean is not None and is_made and known.outcomes is not None:
        says = f"chains lead to `{name}` and say how many there are; take away its `mean`"
        yield Doubt((*place, "mean"), says)


def _doubt_ratio(place: Place, stream: Stream, world: World, known: Known) -> Iterator[Doubt]:
    for member in ("part", "whole"):
        name = getattr(stream, member)
        if name is None:
            yield Doubt(place, f"a ratio needs `{member}`; add the stream that is counted there", place)
            continue
        yield from doubt_name((*place, member), "stream", name, known.streams)
        if name in world.streams and world.streams[name].kind == "ratio":
            yield Doubt((*place, member), f"`{name}` is a ratio itself; name what is counted or measured")
    if stream.part is not None and stream.part == stream.whole:
        yield Doubt((*place, "whole"), "`part` and `whole` are the same stream; name two")
    for member in ("mean", "shape", "growth_per_month"):
        if getattr(stream, member) is not None:
            yield Doubt((*place, member), f"a ratio follows its part and whole; take away `{member}`", place)


def _doubt_chain(place: Place, chain: Chain, world: World, known: Known) -> Iterator[Doubt]:
    for at, name in (((*place, "from"), chain.of), *_named_outcomes(place, chain)):
        yield from doubt_name(at, "stream", name, known.streams)
        if name in world.streams and world.streams[name].kind != "count":
            says = f"`{name}` is not counted but measured, so no single events make a chain; use an influence"
            yield Doubt(at, says)
    for index, outcome in enumerate(chain.outcomes):
        if outcome.delay.least > outcome.delay.most:
            at = (*place, "outcomes", index, "delay")
            yield Doubt(at, "the delay ends before it begins; exchange `from` and `to`", whole=at)
    total = sum(outcome.probability for outcome in chain.outcomes)
    if chain.exclusive and total > 1 + SLACK:
        says = (
            f"probabilities of outcomes of which one happens sum to {total:g}, above 1;"
            " lower them, or write `exclusive: false`"
        )
        yield Doubt((*place, "outcomes"), says, whole=place)


def _named_outcomes(place: Place, chain: Chain) -> Iterator[tuple[Place, str]]:
    for index, outcome in enumerate(chain.outcomes):
        yield (*place, "outcomes", index, "to"), outcome.to


def _doubt_influence(place: Place, influence: Influence, known: Known) -> Iterator[Doubt]:
    named = (("from", influence.of), ("on", influence.on), ("outcome", influence.outcome))
    wrong = [
        one for member, name in named for one in doubt_name((*place, member), "stream", name, known.streams)
    ]
    yield from wrong
    outcome = influence.outcome
    if outcome is not None and not wrong and not known.comes_of(influence.on, outcome):
        says = f"no chain leads from `{influence.on}` to `{outcome}`; add the chain, or correct `on`"
        yield Doubt((*place, "outcome"), says, whole=place)


def _doubt_order(world: World) -> Iterator[Doubt]:
    """Circles of chains, influences and ratios: each stream must follow only from earlier ones."""
    steps = dict(_steps(world))
    follows: dict[str, set[str]] = defaultdict(set)
    for of, on in steps:
        follows[on].add(of)
    for circle in find_circles(follows):
        names = [one for one in circle[1:] if not one.startswith(CHAIN)]
        way = " -> ".join(f"`{one}`" for one in (names[-1], *names))
        says = f"streams follow from each other in a circle: {way}; take away one of these steps"
        yield Doubt(steps[circle[0], circle[1]], says)


def _steps(world: World) -> Iterator[tuple[tuple[str, str], Place]]:
    """What follows from what, and where that is written. Between a stream and what comes of it stands the
    chain, which follows also from what its probabilities follow."""
    leading_to: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for index, chain in enumerate(world.chains):
        yield (chain.of, f"{CHAIN}{index}"), ("chains", index)
        for place, name in _named_outcomes(("chains", index), chain):
            yield (f"{CHAIN}{index}", name), place
            leading_to[name].append((chain.of, f"{CHAIN}{index}"))
    for index, influence in enumerate(world.influences):
        chains = leading_to[influence.outcome or influence.on]
        meant = [chain for of, chain in chains if influence.outcome is None or of == influence.on]
        for on in meant or [influence.on]:
            yield (influence.of, on), ("influences", index)
    for name, stream in world.streams.items():
        for member in ("part", "whole"):
            source = getattr(stream, member)
            if source is not None and stream.kind == "ratio":
                yield (source, name), ("streams", name, member)
