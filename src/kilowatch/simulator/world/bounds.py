"""Numbers of a world that have the right form and are too great, or too small, to be played.

Keeps true: in a world without doubts no time lies beyond the calendar, no history is longer than memory has
room for, and no level is beyond what numbers can tell apart. Pure.
"""

from collections.abc import Iterator
from typing import Any, Final

from kilowatch.simulator.world.doubt import Doubt
from kilowatch.simulator.world.format import Fault, FaultKind, Part, World
from kilowatch.simulator.world.mistake import Place

DAY_S: Final = 86_400.0
MOST_VALUE: Final = 1e9
"""What streams can be moved by, or be: beyond it numbers are no levels of anything."""
LONGEST_S: Final = 90 * DAY_S
LONGEST_DELAY_S: Final = 31 * DAY_S
"""What follows what is worked out from so long ago on."""
INTERVAL_S: Final = (60.0, DAY_S)
REPORTS_S: Final = (0.1, DAY_S)
MOST_WEIGHT: Final = 1e6
MOST_PRECEDENCE: Final = 1_000_000
MOST_FAULT: Final = 1e6
MOST_REPEATED: Final = 100.0
NOT_NEGATIVE: Final[frozenset[FaultKind]] = frozenset(["late", "out_of_order", "repeated", "walk", "wear"])
LENGTHS: Final = frozenset(["after", "lasts", "delay", "at", "from", "to"])


def doubt_bounds(world: World) -> Iterator[Doubt]:
    """Every number that is beyond what can be played."""
    yield from _doubt_between(("interval",), world.interval, INTERVAL_S, "the interval of history")
    if world.fleet is not None:
        what = "the interval of a fleet"
        yield from _doubt_between(("fleet", "interval"), world.fleet.interval, REPORTS_S, what)
    for name, shape in world.shapes.items():
        for member, hours in (("hours", shape.hours), ("weekend_hours", shape.weekend_hours)):
            if max(hours or [0.0]) > MOST_WEIGHT:
                yield Doubt(("shapes", name, member), f"an hour weighs at most {MOST_WEIGHT:g}; write less")
    for name, stream in world.streams.items():
        for member in ("mean", "least", "most"):
            value = getattr(stream, member)
            if value is not None and abs(value) > MOST_VALUE:
                says = f"{value:g} is more than anything is; write at most {MOST_VALUE:g}"
                yield Doubt(("streams", name, member), says)
    for member in ("chains", "influences", "templates", "scenarios"):
        longest_s = LONGEST_DELAY_S if member in ("chains", "influences") else LONGEST_S
        yield from _doubt_parts(getattr(world, member), (member,), longest_s)


def _doubt_between(place: Place, value_s: float, bounds_s: tuple[float, float], what: str) -> Iterator[Doubt]:
    least_s, most_s = bounds_s
    if not least_s <= value_s <= most_s:
        yield Doubt(place, f"{what} is {least_s:g} s at least and {most_s / DAY_S:g} day at most")


def _doubt_parts(part: Any, place: Place, longest_s: float) -> Iterator[Doubt]:
    """Lengths of time, precedences and faults, wherever they stand in a part."""
    if isinstance(part, dict):
        for name, inner in part.items():
            yield from _doubt_parts(inner, (*place, name), longest_s)
    elif isinstance(part, list):
        for number, inner in enumerate(part):
            yield from _doubt_parts(inner, (*place, number), longest_s)
    elif isinstance(part, Part):
        if isinstance(part, Fault):
            yield from _doubt_fault(part, place)
        for name, member in type(part).model_fields.items():
            shown = member.alias or name
            yield from _doubt_parts(getattr(part, name), (*place, shown), longest_s)
    elif isinstance(part, float) and place[-1] in LENGTHS and abs(part) > longest_s:
        yield Doubt(place, f"that is longer than {longest_s / DAY_S:g} days; write less")
    elif place[-1] == "precedence" and abs(part) > MOST_PRECEDENCE:
        yield Doubt(place, f"a precedence lies between -{MOST_PRECEDENCE:,} and {MOST_PRECEDENCE:,}")


def _doubt_fault(fault: Fault, place: Place) -> Iterator[Doubt]:
    most = MOST_REPEATED if fault.kind == "repeated" else MOST_FAULT
    least = 0.0 if fault.kind in NOT_NEGATIVE else -most
    if not least <= fault.value <= most:
        says = f"the value of `{fault.kind}` lies between {least:g} and {most:g}, unlike {fault.value:g}"
        yield Doubt((*place, "value"), says)
