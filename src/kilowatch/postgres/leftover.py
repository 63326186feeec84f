"""What a killed predecessor left of a cluster's server: processes that still run, and its lock file.

Keeps true: two servers never touch one cluster. A lock file is removed only once no process works in the
cluster's folder any more; PostgreSQL itself would refuse to start when the dead server's number has been
given to some other process meanwhile (usual after a container's restart).
"""

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

from kilowatch.errors import StartRefused

# Fast shutdown first; then as after a crash, which loses nothing that was committed; then by force.
SIGNALS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
LOOK_EVERY_S = 0.02


def end_leftover(cluster: Path) -> None:
    """Ends every server process of the cluster, then removes the lock file.

    Raises:
        StartRefused: if one of them does not end.
    """
    lock = cluster / "postmaster.pid"
    if not lock.exists():
        return
    for number, wait_s in SIGNALS:
        if not _ended(cluster, number, wait_s):
            continue
        lock.unlink(missing_ok=True)
        return
    raise StartRefused(f"A PostgreSQL of {cluster} still runs and does not end; stop it and start again.")


def server_processes(cluster: Path) -> list[psutil.Process]:
    """The processes that work in the cluster's folder: the server and its children all go there first."""
    place = cluster.stat()
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != "postgres":
            continue
        with contextlib.suppress(OSError, psutil.Error):
            here = os.stat(f"/proc/{process.pid}/cwd") if os.path.isdir("/proc") else os.stat(process.cwd())
            if (here.st_dev, here.st_ino) == (place.st_dev, place.st_ino):
                found.append(process)
    return found


def _ended(cluster: Path, number: signal.Signals, wait_s: float) -> bool:
    """Sends the signal to the oldest process (the others follow it) and waits until none is left."""
    deadline = time.monotonic() + wait_s
    running = server_processes(cluster)
    told: set[int] = set()
    while running:
        # By force only to the server itself first: its children notice and end by themselves.
        first = min(running, key=lambda process: process.create_time())
        if first.pid not in told:
            told.add(first.pid)
            with contextlib.suppress(psutil.Error):
                first.send_signal(number)
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_S)
        running = server_processes(cluster)
    return True
