"""Worlds are read from folders.

Keeps true: a world that is returned can be played; one that cannot be is refused with everything that is
wrong with it at once, however much that is and in however many files.
"""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from yaml.nodes import MappingNode, Node, SequenceNode

from kilowatch.simulator.world.checks import find_doubts
from kilowatch.simulator.world.format import Name, Scenario, Stream, Word, World
from kilowatch.simulator.world.known import find_names
from kilowatch.simulator.world.mistake import BadWorld, Mistake, Place
from kilowatch.simulator.world.pages import ENDINGS, HOMES, Pages, read_pages
from kilowatch.simulator.world.wording import word

ROUNDS: Final = 20
"""How often parts are left out of a wrong world at most, until what is left can be checked; each time at
least one level of members goes."""


class Draft(World):
    """A world of which parts may be left out, so that the rest of it can be checked."""

    name: Word = "draft"
    title: str = ""
    description: str = ""
    time_zone: str = "UTC"
    streams: dict[Name, Stream] = Field(default_factory=dict)
    scenarios: dict[Word, Scenario] = Field(default_factory=dict)


def shipped() -> Path:
    """The folder of the worlds that come with Kilowatch."""
    return Path(str(files("kilowatch.simulator") / "worlds"))


def find_worlds(folders: Iterable[Path]) -> dict[str, Path]:
    """The worlds that lie in the folders, by the names of their own folders. Of two with the same name the
    one in the later folder counts."""
    return {
        inner.name: inner
        for folder in folders
        if folder.is_dir()
        for inner in sorted(folder.iterdir())
        if any((inner / f"world{ending}").is_file() for ending in ENDINGS)
    }


def load_world(folder: Path) -> World:
    """The world in a folder.

    Raises:
        BadWorld: if it cannot be played, with all of its mistakes.
    """
    pages = read_pages(folder)
    data = pages.data()
    try:
        world = World.model_validate(data, strict=True)
    except ValidationError as error:
        raise BadWorld(folder, [*pages.mistakes, *_form(pages, error), *_rest(pages, data)]) from None
    mistakes = [*pages.mistakes, *_rest(pages, data)]
    if mistakes:
        raise BadWorld(folder, mistakes)
    return world


def _form(pages: Pages, error: ValidationError) -> list[Mistake]:
    """What has not the right form. What a file that cannot be read would have held is not asked for."""
    told = []
    for one in error.errors(include_url=False):
        place, says = word(one)
        is_lost = one["type"] == "missing" and len(place) == 1
        if is_lost and ("world" if place[0] not in HOMES else place[0]) in pages.unread:
            continue
        told.append(pages.mistake(place, says))
    return told


def _rest(pages: Pages, data: dict[str, Any]) -> list[Mistake]:
    """What is wrong with that which has the right form."""
    known = find_names(data, pages.unread)
    draft, touched = _draft(pages, data)
    told = [
        pages.mistake(doubt.place, doubt.says)
        for doubt in find_doubts(draft, known)
        if doubt.whole is None or id(pages.find(doubt.whole)[0]) not in touched
    ]
    if (
        "name" in pages.files
        and isinstance(data["name"], str)
        and data["name"] != pages.folder.resolve().name
    ):
        says = f"the folder is called `{pages.folder.resolve().name}`; give both the same name"
        told.append(pages.mistake(("name",), says))
    return told


def _draft(pages: Pages, data: dict[str, Any]) -> tuple[Draft, set[int]]:
    """What is left without the parts of a wrong form, and which nodes have lost something.

    The same parts are left out of the pages, so that places in the draft are places there.
    """
    touched: set[int] = set()
    for _ in range(ROUNDS):
        try:
            return Draft.model_validate(data, strict=True), touched
        except ValidationError as error:
            wrong = {_part_to_leave_out(one) for one in error.errors(include_url=False)}
        for place in sorted(wrong, key=_order, reverse=True):
            _leave_out(pages, place, touched)
        data = pages.data()
    return Draft(), touched


def _part_to_leave_out(error: ErrorDetails) -> Place:
    place = tuple(step for step in error["loc"] if step != "[key]")
    return place[:-1] if error["type"] == "missing" else place


def _order(place: Place) -> tuple[tuple[str, int], ...]:
    """What comes later in a list, and what is inside a part, is greater."""
    return tuple((step, 0) if isinstance(step, str) else ("", step) for step in place)


def _leave_out(pages: Pages, place: Place, touched: set[int]) -> None:
    if not place:
        return
    holder: Node = pages.find(place[:-1])[0]
    touched.add(id(holder))
    if isinstance(holder, MappingNode):
        holder.value = [pair for pair in holder.value if pair[0].value != str(place[-1])]
    elif isinstance(holder, SequenceNode) and isinstance(place[-1], int):
        del holder.value[place[-1]]
