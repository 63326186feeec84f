"""What is left of a wrong world, so that the rest of it can be checked as well.

Keeps true: a draft holds every part of the files that has the right form; what has not is left out, and where
it cannot be left out something stands in for it, about which nothing is said.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import Field, ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kilowatch.simulator.world.doubt import Doubt
from kilowatch.simulator.world.format import Name, Scenario, Stream, Word, World
from kilowatch.simulator.world.mistake import Place
from kilowatch.simulator.world.outline import stand_in
from kilowatch.simulator.world.pages import Pages, name_tag

ROUNDS: Final = 20
"""How often the draft is mended at most; each time whatever is wrong in it is."""


class Draft(World):
    """A world of which all may be left out."""

    name: Word = "draft"
    title: str = ""
    description: str = ""
    time_zone: str = "UTC"
    streams: dict[Name, Stream] = Field(default_factory=dict)
    scenarios: dict[Word, Scenario] = Field(default_factory=dict)


@dataclass(slots=True)
class Mended:
    """A draft of what the pages hold, which are changed with it. touched: the nodes that have lost or been
    given something; invented: those that stand in."""

    pages: Pages
    world: World = field(default_factory=Draft)
    touched: set[int] = field(default_factory=set)
    invented: set[int] = field(default_factory=set)

    def tells(self, doubt: Doubt) -> bool:
        """Whether a doubt is about what somebody wrote."""
        if any(id(node) in self.invented for node in self.pages.way(doubt.place)):
            return False
        return doubt.whole is None or id(self.pages.find(doubt.whole)[0]) not in self.touched

    def leave_out(self, place: Place) -> None:
        """Takes a part away."""
        holder = self.pages.find(place[:-1])[0]
        self.touched.add(id(holder))
        if isinstance(holder, MappingNode):
            holder.value = [pair for pair in holder.value if pair[0].value != str(place[-1])]
        elif isinstance(holder, SequenceNode) and isinstance(place[-1], int):
            del holder.value[place[-1]]

    def fill_in(self, place: Place) -> None:
        """Puts something where a part is missing."""
        holder = self.pages.find(place[:-1])[0]
        if not isinstance(holder, MappingNode):
            return
        node = _node_of(stand_in(place), holder)
        self.touched.add(id(holder))
        self.invented.add(id(node))
        holder.value = [*holder.value, (_node_of(str(place[-1]), holder), node)]


def mend(pages: Pages, data: dict[str, Any]) -> Mended:
    """A draft of the pages, from what they hold."""
    mended = Mended(pages)
    for _ in range(ROUNDS):
        try:
            mended.world = Draft.model_validate(data, strict=True)
        except ValidationError as error:
            wrong = {_place(one["loc"]): one["type"] for one in error.errors(include_url=False)}
        else:
            break
        for place in sorted(wrong, key=_order, reverse=True):
            (mended.fill_in if wrong[place] == "missing" else mended.leave_out)(place)
        data = pages.data()
    return mended


def _place(way: tuple[str | int, ...]) -> Place:
    return tuple(step for step in way if step != "[key]")


def _order(place: Place) -> tuple[tuple[str, int], ...]:
    """What comes later in a list, and what is inside a part, is greater."""
    return tuple((step, 0) if isinstance(step, str) else ("", step) for step in place)


def _node_of(value: Any, like: Node) -> Node:
    """The node of a value, standing where another does."""
    marks = (like.start_mark, like.end_mark)
    if isinstance(value, dict):
        pairs = [(_node_of(name, like), _node_of(one, like)) for name, one in value.items()]
        return MappingNode(name_tag("map"), pairs, *marks)
    if isinstance(value, list):
        return SequenceNode(name_tag("seq"), [_node_of(one, like) for one in value], *marks)
    return ScalarNode(name_tag("str" if isinstance(value, str) else "float"), str(value), *marks)
