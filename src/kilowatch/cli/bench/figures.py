"""What processes cost: CPU seconds and memory of a tree of processes, and what machine it was.

Keeps true that nothing is counted twice and nothing is missed: a live process counts by itself, an ended one
through the parent that reaped it; memory is PSS, so that pages which processes share count once.
"""

import contextlib
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

MIB = 1024 * 1024


def cpu_seconds(root: psutil.Process, parts: Mapping[int, str]) -> dict[str, float]:
    """CPU seconds of the tree so far, by part (`parts` names processes; the others count with the nearest
    named one above them)."""
    used: dict[str, float] = {}
    for process, part in _tree(root, parts):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            own = times.user + times.system + times.children_user + times.children_system
            used[part] = used.get(part, 0.0) + own
    return used


def memory_mb(root: psutil.Process, parts: Mapping[int, str]) -> dict[str, float]:
    """PSS of the tree in MB, by part."""
    held: dict[str, float] = {}
    for process, part in _tree(root, parts):
        with contextlib.suppress(psutil.Error):
            held[part] = held.get(part, 0.0) + process.memory_full_info().pss / MIB
    return {part: round(mb, 1) for part, mb in held.items()}


def spent_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds by part from one look to the next. A part whose process was replaced starts anew."""
    return {part: max(0.0, now - before.get(part, 0.0)) for part, now in after.items()}


def _tree(root: psutil.Process, parts: Mapping[int, str]) -> list[tuple[psutil.Process, str]]:
    """Every process of the tree with the part that it belongs to."""
    found: list[tuple[psutil.Process, str]] = []
    try:
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return found
    part_of: dict[int, str] = {}
    for process in processes:  # parents come before their children
        with contextlib.suppress(psutil.Error):
            above = part_of.get(process.ppid(), "other") if process.pid != root.pid else "other"
            part_of[process.pid] = parts.get(process.pid, above)
            found.append((process, part_of[process.pid]))
    return found


def describe_machine(folder: Path) -> dict[str, Any]:
    """What the figures were measured on, and how busy it was before."""
    return {
        "kilowatch": version("kilowatch"),
        "python": platform.python_version(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1024**3, 1),
        "file_system": file_system(folder),
        "load_before": round(os.getloadavg()[0], 2),
    }


def file_system(folder: Path) -> str:
    """The type of the file system that holds a folder, such as `ext4`."""
    best, kind = -1, "unknown"
    for partition in psutil.disk_partitions(all=True):
        mount = Path(partition.mountpoint)
        if (mount == folder or mount in folder.parents) and len(mount.parts) > best:
            best, kind = len(mount.parts), partition.fstype
    return kind


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
