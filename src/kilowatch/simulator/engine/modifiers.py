"""What is done to streams over time: modifiers, how several of them come together, and where they conflict.

Keeps true: the order in which modifiers are given changes nothing, to the bit; one that multiplies by 1, adds
0 or has no time changes nothing either.

At each moment: multiplications multiply, additions and shifts add up, each by its strength; then overrides
take the place of it all, the one of the highest precedence last (of several of one precedence the one that
began last).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.settling import Course
from kilowatch.simulator.world.format import Effect, How, Settling

EXTREME = 10.0
"""Multiplications that together exceed this factor, or its inverse, are told."""


@dataclass(frozen=True, slots=True)
class Modifier:
    """`how` and `value` as in an effect, done to `streams` (names) over a course. source: the id of the
    scenario or event; followed: whether devices follow it."""

    source: str
    streams: tuple[str, ...]
    how: How
    value: float
    course: Course
    precedence: int = 0
    followed: bool = True


@dataclass(frozen=True, slots=True)
class Conflict:
    """Modifiers that get in each other's way: for people, and the streams that they share."""

    code: str
    detail: str
    streams: tuple[str, ...]


@dataclass(slots=True)
class Change:
    """What is done to one stream, shapes (count,). addend: a day of counts, otherwise in its unit; overrides:
    strength and value, the last one goes above those before it. None: nothing of the kind."""

    factor: Floats | None = None
    addend: Floats | None = None
    shift: Floats | None = None
    overrides: tuple[tuple[Floats, float], ...] = ()


def streams_of(patterns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The names that are meant, in the order of `names`."""
    return tuple(name for name in names if any(_matches(pattern, name) for pattern in patterns))


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def microseconds(span_s: float) -> int:
    """Whole microseconds of seconds."""
    return round(span_s * SECOND_US)


def modifiers_of(
    source: str,
    effects: Iterable[Effect],
    names: Sequence[str],
    span: tuple[int, int],
    *,
    settling: Settling | None = None,
    cut_us: int | None = None,
) -> list[Modifier]:
    """The modifiers of effects that belong to something in `[span)`, in microseconds.

    An effect without `lasts` is over with the span; one that begins when the span is over lasts as
    long as the span. From `cut_us` on no effect begins any more and those at work fade.
    """
    settling = settling or Settling(curve="immediate")
    begins_us, ends_us = span
    found = []
    for effect in effects:
        first = begins_us + microseconds(effect.after)
        if effect.lasts is not None:
            last = first + microseconds(effect.lasts)
        else:
            last = ends_us if first < ends_us else first + ends_us - begins_us
        if cut_us is not None:
            last = min(last, cut_us)
        if first < last:
            course = Course(first, last, settling.curve, microseconds(settling.lasts))
            meant = streams_of(effect.streams, names)
            found.append(
                Modifier(source, meant, effect.how, effect.value, course, effect.precedence, effect.followed)
            )
    return found


def changes(modifiers: Iterable[Modifier], moments: Moments) -> dict[str, Change]:
    """What is done to each stream that something is done to."""
    found: dict[str, Change] = {}
    overrides: dict[str, list[tuple[tuple[int, int, float], Floats, float]]] = {}
    for one in sorted(modifiers, key=_place):
        if one.course.over_us <= moments.start_us or one.course.begins_us >= moments.end_us:
            continue
        strength = one.course.strength(moments)
        for name in one.streams:
            change = found.setdefault(name, Change())
            if one.how == "multiply":
                factor = 1.0 + (one.value - 1.0) * strength
                change.factor = factor if change.factor is None else change.factor * factor
            elif one.how == "add":
                change.addend = _sum(change.addend, one.value * strength)
            elif one.how == "shift":
                change.shift = _sum(change.shift, one.value * strength)
            else:
                rank = (one.precedence, one.course.begins_us, one.value)
                overrides.setdefault(name, []).append((rank, strength, one.value))
    for name, several in overrides.items():
        several.sort(key=lambda one: one[0])
        found[name].overrides = tuple((strength, value) for _, strength, value in several)
    return found


def _place(one: Modifier) -> tuple[str, float, int, int, str, int, int, tuple[str, ...]]:
    """A place among modifiers that does not depend on the order in which they are given."""
    course = one.course
    return (
        one.how, one.value, course.begins_us, course.ends_us, course.curve, course.fades_us, one.precedence,
        one.streams,
    )  # fmt: skip


def _sum(before: Floats | None, more: Floats) -> Floats:
    return more if before is None else before + more


def with_overrides(level: Floats, overrides: tuple[tuple[Floats, float], ...], unit: float = 1.0) -> Floats:
    """The level with overrides in its place, each as far as it is at work; `unit`: what 1 of a value is."""
    for strength, value in overrides:
        level = np.where(strength > 0.0, level + (value * unit - level) * strength, level)
        level = np.where(strength == 1.0, value * unit, level)
    return level


def conflicts(modifiers: Sequence[Modifier]) -> list[Conflict]:
    """What is worth a warning: modifiers at work on one stream at one time that do not simply add up."""
    found: dict[tuple[str, str], list[str]] = {}
    for one, other in combinations(sorted(modifiers, key=_place), 2):
        if not _overlap(one.course, other.course):
            continue
        said = _conflict(one, other)
        if said is not None:
            found.setdefault(said, []).extend(name for name in one.streams if name in other.streams)
    extreme = _extreme(modifiers)
    return [
        Conflict(code, detail, tuple(dict.fromkeys(streams)))
        for (code, detail), streams in found.items()
        if streams
    ] + extreme


def _overlap(one: Course, other: Course) -> bool:
    return one.begins_us < other.over_us and other.begins_us < one.over_us


def _conflict(one: Modifier, other: Modifier) -> tuple[str, str] | None:
    pair = f"{one.source} ({one.how} {one.value:g}) and {other.source} ({other.how} {other.value:g})"
    hows = {one.how, other.how}
    if hows == {"override"}:
        if one.value == other.value:
            return None
        if one.precedence == other.precedence:
            return "equal_precedence", f"{pair} have one precedence; the one that begins later counts"
        return "overridden", f"of {pair} the higher precedence counts"
    if "override" in hows:
        return "overridden", f"of {pair} the override counts as long as it is at work"
    if hows == {"multiply"} and (one.value - 1.0) * (other.value - 1.0) < 0.0:
        return "opposed", f"{pair} work against each other"
    return None


def _extreme(modifiers: Sequence[Modifier]) -> list[Conflict]:
    """Streams on which multiplications that overlap come to an extreme factor."""
    found: list[Conflict] = []
    factors = [one for one in modifiers if one.how == "multiply" and one.value > 0.0]
    for name in sorted({name for one in factors for name in one.streams}):
        on = [one for one in factors if name in one.streams]
        for first in on:
            at_once = [
                one for one in on if one.course.begins_us <= first.course.begins_us < one.course.over_us
            ]
            factor = float(np.prod([one.value for one in at_once]))
            if len(at_once) > 1 and not 1.0 / EXTREME <= factor <= EXTREME:
                detail = f"{len(at_once)} multiplications of {name} come to a factor of {factor:g} together"
                found.append(Conflict("extreme", detail, (name,)))
                break
    return found
