"""The worlds that can be played, as their files have them now.

Keeps true: a world that can be played stays on the shelf; when its files are changed to something that cannot
be, or go, the last good one is kept, and what is wrong is told.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from kilowatch.simulator.world.format import World
from kilowatch.simulator.world.loading import find_worlds, load_world
from kilowatch.simulator.world.mistake import BadWorld, Mistake

Looks = tuple[tuple[str, int, int], ...]
"""Name, time of change and length of each file."""


class Shelf:
    """The worlds in some folders of worlds."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)
        self._worlds: dict[str, World] = {}
        self._mistakes: dict[str, list[Mistake]] = {}
        self._seen: dict[str, tuple[Path, Looks]] = {}
        self.refresh()

    @property
    def worlds(self) -> Mapping[str, World]:
        """The good worlds by their names."""
        return MappingProxyType(self._worlds)

    @property
    def mistakes(self) -> Mapping[str, list[Mistake]]:
        """What is wrong with the files of worlds now, by the names of their folders."""
        return MappingProxyType(self._mistakes)

    def refresh(self) -> frozenset[str]:
        """Reads again what has changed on disk; the names of worlds that are other ones now."""
        found = find_worlds(self._folders)
        for name in self._seen.keys() - found.keys():
            del self._seen[name]
            self._mistakes[name] = [Mistake(name, 0, "the folder is gone; the last good world is played on")]
            if name not in self._worlds:
                del self._mistakes[name]
        return frozenset(name for name, folder in found.items() if self._read(name, folder))

    def _read(self, name: str, folder: Path) -> bool:
        looks = (folder, _look(folder))
        if self._seen.get(name) == looks:
            return False
        self._seen[name] = looks
        before = self._worlds.get(name)
        try:
            self._worlds[name] = load_world(folder)
        except BadWorld as bad:
            self._mistakes[name] = bad.mistakes
            return False
        self._mistakes.pop(name, None)
        return self._worlds[name] != before


def _look(folder: Path) -> Looks:
    seen = []
    for path in sorted(folder.iterdir()):
        try:
            status = path.stat()
        except OSError:
            continue
        seen.append((path.name, status.st_mtime_ns, status.st_size))
    return tuple(seen)
