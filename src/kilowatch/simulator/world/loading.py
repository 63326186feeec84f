"""Worlds are read from folders.

Keeps true: a world that is returned can be played; one that cannot be is refused with everything that is
wrong with it at once, however much that is and in however many files.
"""

import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kilowatch.simulator.world.checks import find_doubts
from kilowatch.simulator.world.draft import mend
from kilowatch.simulator.world.format import World
from kilowatch.simulator.world.known import find_names
from kilowatch.simulator.world.mistake import BadWorld, Mistake
from kilowatch.simulator.world.pages import ENDINGS, HOMES, STEMS, Pages, read_pages
from kilowatch.simulator.world.wording import word


def shipped() -> Path:
    """The folder of the worlds that come with Kilowatch."""
    return Path(str(files("kilowatch.simulator") / "worlds"))


def find_worlds(folders: Iterable[Path]) -> dict[str, Path]:
    """The worlds that lie in the folders, by the names of their own folders. Of two with the same name the
    one in the later folder counts."""
    return {name: places[0] for name, places in find_places(folders).items()}


def find_places(folders: Iterable[Path]) -> dict[str, list[Path]]:
    """Where worlds of each name lie, those in later folders first."""
    found: dict[str, list[Path]] = {}
    for folder in reversed(list(folders)):
        for inner in _within(folder):
            if is_world(inner):
                found.setdefault(inner.name, []).append(inner)
    return found


def is_world(folder: Path) -> bool:
    """Whether a folder has any file of a world, `world.yaml` or not: what is missing is to be told."""
    return any((folder / f"{stem}{ending}").is_file() for stem in STEMS for ending in ENDINGS)


def _within(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


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
    mended = mend(pages, data)
    told = [
        pages.mistake(doubt.place, doubt.says)
        for doubt in find_doubts(mended.world, known)
        if mended.tells(doubt)
    ]
    folder = Path(os.path.abspath(pages.folder)).name  # of a link its own name
    if isinstance(data.get("name"), str) and data["name"] != folder:
        told.append(pages.mistake(("name",), f"the folder is called `{folder}`; give both the same name"))
    return told
