"""The format of worlds as a tree that can be walked by places.

Keeps true: what `stand_in` gives for a place has the form that is asked for there.
"""

from functools import lru_cache
from itertools import count
from typing import Any, Final

from kilowatch.simulator.world.format import MONTH_DAY, World
from kilowatch.simulator.world.mistake import Place

NUMBER: Final = 0.5
"""Lies within the bounds of every number in the format that has no least value of its own."""
numbers = count(1)


def members_of(place: Place) -> frozenset[str]:
    """The members that a part at this place may have."""
    return frozenset(_part_at(place).get("properties", {}))


def stand_in(place: Place) -> Any:
    """A value for what is missing at a place; names are such as nothing else has."""
    return _invent(_part_at(place))


def _invent(part: dict[str, Any]) -> Any:
    part = _resolve(part)
    part = part["anyOf"][0] if "anyOf" in part else part
    match part.get("type"):
        case "object":
            required = part.get("required", [])
            return {name: _invent(part["properties"][name]) for name in required}
        case "array":
            return [_invent(part["items"]) for _ in range(part.get("minItems", 0))]
        case "string" if "enum" in part:
            return part["enum"][0]
        case "string":
            return "01-01" if part.get("pattern") == MONTH_DAY else f"x{next(numbers)}"
    return part.get("minimum", NUMBER)


def _part_at(place: Place) -> dict[str, Any]:
    part = _schema()
    for step in place:
        part = _resolve(part)
        if isinstance(step, int):
            part = part.get("items", {})
        else:
            named = part.get("properties", {}).get(step)
            part = named or next(iter(part.get("patternProperties", {}).values()), {})
    return _resolve(part)


@lru_cache(1)
def _schema() -> dict[str, Any]:
    return World.model_json_schema()


def _resolve(part: dict[str, Any]) -> dict[str, Any]:
    """What a reference, or one beside null, stands for."""
    for one in part.get("anyOf", [part]):
        if "$ref" in one:
            named: dict[str, Any] = _schema()["$defs"][one["$ref"].rsplit("/", 1)[-1]]
            return named
    return part
