"""How full a disk is, counted as `df` does: of what is not kept back for the system."""

import shutil
from pathlib import Path
from typing import NamedTuple


class DiskUse(NamedTuple):
    """How full a disk is."""

    used_percent: float
    free_bytes: int


def look_at_disk(folder: Path) -> DiskUse:
    """The disk that holds `folder`, or will hold it once the folder is made."""
    usage = shutil.disk_usage(nearest(folder))
    return DiskUse(100.0 * usage.used / max(1, usage.used + usage.free), usage.free)


def nearest(folder: Path) -> Path:
    """`folder`, or the nearest one above it that is there."""
    for candidate in (folder.absolute(), *folder.absolute().parents):
        if candidate.exists():
            return candidate
    return Path(folder.anchor or "/")
