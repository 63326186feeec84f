"""The names that the files of a world give, right or wrong as what bears them may be.

Keeps true: a name is known if anything was meant to bear it, so that one mistake is told once, where it is,
and not again wherever the name is used; where a file could not be read every name that it may hold is
known.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kilowatch.simulator.world.format import World

PARTS = ("streams", "shapes", "seasons", "templates", "chains", "scenarios")
Names = frozenset[str] | None
"""None: nobody knows which, so any is right."""


@dataclass(frozen=True, slots=True)
class Known:
    """The names of a world. outcomes: (stream, what may come of it); cascades: (scenario, cascade)."""

    streams: Names
    shapes: Names
    seasons: Names
    templates: Names
    regions: Names
    outcomes: frozenset[tuple[str, str]] | None
    cascades: frozenset[tuple[str, str]]
    has_fleet: bool

    def comes_of(self, parent: str, outcome: str) -> bool:
        """Whether some chain leads from the one to the other, or might if its own `from` were right."""
        if self.outcomes is None or (parent, outcome) in self.outcomes:
            return True
        parents = {of for of, to in self.outcomes if to == outcome}
        return self.streams is not None and not parents <= self.streams

    def is_outcome(self, name: str) -> bool:
        """Whether some chain leads to it."""
        return self.outcomes is None or any(outcome == name for _, outcome in self.outcomes)


def find_names(data: dict[str, Any], unread: Collection[str]) -> Known:
    """The names in the data, whatever form it has."""
    fleet = data.get("fleet")
    lost_world = "world" in unread
    regions = _texts(_member(fleet, "regions"))
    return Known(
        streams=None if "streams" in unread else _keys(data.get("streams")),
        shapes=None if lost_world else _keys(data.get("shapes")),
        seasons=None if lost_world else _keys(data.get("seasons")),
        templates=None if "templates" in unread else _keys(data.get("templates")),
        regions=None if lost_world or not regions else regions,
        outcomes=None if "chains" in unread else _outcomes(data.get("chains")),
        cascades=_cascades(data.get("scenarios")),
        has_fleet=lost_world or fleet is not None,
    )


def names_of(world: World) -> Known:
    """The names in a world that can be played."""
    return find_names(world.model_dump(by_alias=True, include={"fleet", *PARTS}), ())


def _outcomes(chains: Any) -> frozenset[tuple[str, str]]:
    return frozenset(
        (str(_member(chain, "from")), str(_member(outcome, "to")))
        for chain in _items(chains)
        for outcome in _items(_member(chain, "outcomes"))
    )


def _cascades(scenarios: Any) -> frozenset[tuple[str, str]]:
    return frozenset(
        (str(name), str(_member(cascade, "id")))
        for name, scenario in (scenarios.items() if isinstance(scenarios, dict) else ())
        for cascade in _items(_member(scenario, "cascades"))
    )


def _keys(given: Any) -> frozenset[str]:
    return frozenset(given) if isinstance(given, dict) else frozenset()


def _texts(given: Any) -> frozenset[str]:
    return frozenset(one for one in _items(given) if isinstance(one, str))


def _items(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _member(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, dict) else None
