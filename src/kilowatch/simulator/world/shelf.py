"""The worlds that can be played, as their files have them now.

Keeps true: a world that can be played stays on the shelf; when its files are changed to something that cannot
be, or go, the last good one is kept, and what is wrong is told. One that never was good does not hide another
of the same name.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from kilowatch.simulator.world.format import World
from kilowatch.simulator.world.loading import find_places, load_world
from kilowatch.simulator.world.mistake import BadWorld, Mistake

Looks = tuple[tuple[str, int, int], ...]
"""Name, time of change and length of each file."""


class Shelf:
    """The worlds in some folders of worlds; of two with the same name the one in the later folder counts."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._worlds: dict[str, World] = {}
        self._from: dict[str, Path] = {}
        self._mistakes: dict[str, list[Mistake]] = {}
        self._seen: dict[str, tuple[tuple[Path, Looks], ...]] = {}
        self.refresh()

    @property
    def worlds(self) -> Mapping[str, World]:
        """The good worlds by their names, those of later folders first."""
        return MappingProxyType(self._worlds)

    @property
    def places(self) -> Mapping[str, Path]:
        """The folders that the good worlds were read from."""
        return MappingProxyType(self._from)

    @property
    def mistakes(self) -> Mapping[str, list[Mistake]]:
        """What is wrong with the files of worlds now, by the names of their folders."""
        return MappingProxyType(self._mistakes)

    def refresh(self) -> frozenset[str]:
        """Reads again what has changed on disk; the names of worlds that are other ones now."""
        found = find_places(self._folders)
        for name in self._seen.keys() - found.keys():
            del self._seen[name]
            self._mistakes[name] = [Mistake(name, 0, "the folder is gone; the last good world is played on")]
            if name not in self._worlds:
                del self._mistakes[name]
        changed = frozenset(name for name, places in found.items() if self._read(name, places))
        order = [*found, *(self._worlds.keys() - found.keys())]
        self._worlds = {name: self._worlds[name] for name in order if name in self._worlds}
        return changed

    def _read(self, name: str, places: Sequence[Path]) -> bool:
        """Takes the first place whose files are good, unless a good world came from an earlier one before."""
        looks = tuple((place, _look(place)) for place in places)
        if self._seen.get(name) == looks:
            return False
        self._seen[name] = looks
        self._mistakes.pop(name, None)
        before = self._worlds.get(name)
        for place in places:
            try:
                self._worlds[name] = load_world(place)
            except BadWorld as bad:
                self._mistakes.setdefault(name, bad.mistakes)
                if self._from.get(name) == place:
                    return False
                continue
            self._from[name] = place
            return self._worlds[name] != before
        return False


def _look(folder: Path) -> Looks:
    seen = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            with contextlib.suppress(OSError):
                status = path.stat()
                seen.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(seen)
