"""What is wrong with the files of a world, told so that somebody can mend it.

Keeps true: a world that cannot be played is refused once, with everything that is wrong with it, each with
the file, the line and what to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

Step = str | int
Place = tuple[Step, ...]
"""The way to a part of a world: names of members and, in lists, numbers from 0."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One wrong thing. line: from 1; 0 where it is about the file as a whole."""

    file: str
    line: int
    says: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.says}"


class BadWorld(Exception):
    """A world that cannot be played, with all of its mistakes in the order of its files and lines."""

    def __init__(self, folder: Path, mistakes: Sequence[Mistake]) -> None:
        self.folder = folder
        self.mistakes = sorted(set(mistakes))
        count = f"{len(self.mistakes)} mistake{'s' if len(self.mistakes) != 1 else ''}"
        told = "".join(f"\n  {mistake}" for mistake in self.mistakes)
        super().__init__(f"the world in {folder} has {count}:{told}")


def name_place(place: Place) -> str:
    """A place as a person reads it: `scenarios.heat_wave.effects[0].value`."""
    shown = ""
    for step in place:
        shown += f"[{step}]" if isinstance(step, int) else f".{step}" if shown else step
    return shown


def suggest(name: str, known: Sequence[str] | frozenset[str]) -> str:
    """What to do about a name that nothing has: the nearest one that there is, or all where they are few."""
    nearest = get_close_matches(name, known, 1)
    if nearest:
        return f"did you mean `{nearest[0]}`?"
    if known and len(known) <= 12:
        return f"there are {', '.join(f'`{one}`' for one in sorted(known))}"
    return "correct its name, or add it"
