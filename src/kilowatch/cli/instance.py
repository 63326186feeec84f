"""One instance's place: its data folder, the lock on it, and `run.json`, by which others find it.

Keeps true that at most one `kw up` works in a data folder (the kernel holds the lock, so it ends with the
process however that ends), and that `run.json` is always whole, readable by its owner only, and gone when
the instance is. Light on purpose: the supervisor, which lives as long as the instance, imports this.
"""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from kilowatch.errors import StartRefused

ADDRESSES = "KILOWATCH_ADDRESSES"
"""Environment variable with the engines' addresses, for a child that runs before `run.json` is there."""
MARK = "KILOWATCH_INSTANCE"
"""Environment variable that every child of a supervisor carries: the data folder that it belongs to."""
LOCK_WAIT_S = 0.3
"""Somebody who only looks whether an instance runs holds the lock for an instant."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the engines are, with their passwords."""

    owner_url: str = field(repr=False)
    """PostgreSQL as the owner of the tables; for migrations only."""
    app_url: str = field(repr=False)
    """PostgreSQL as the application's role."""
    worker_url: str = field(repr=False)
    """PostgreSQL as the role that sees all organisations."""
    lake_url: str = field(repr=False)
    """PostgreSQL as the role that owns the lake's catalog."""
    nats_url: str = field(repr=False)
    """The NATS of the log and the live subjects."""
    mqtt_nats_url: str = field(repr=False)
    """The NATS that serves MQTT; the same one where an external NATS does both."""
    mqtt_system_url: str | None = field(default=None, repr=False)
    """The system account of the NATS that serves MQTT; None where an external NATS decides logins itself."""


@dataclass(slots=True)
class RunFile:
    """What `run.json` says."""

    host: str
    port: int
    mqtt_port: int | None
    addresses: Addresses
    pids: dict[str, int] = field(default_factory=dict)

    def write(self, data: Path) -> None:
        """Replaces the file in one step."""
        descriptor, name = tempfile.mkstemp(dir=data, prefix=".run-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2)
        os.replace(name, run_path(data))

    @classmethod
    def read(cls, data: Path) -> "RunFile | None":
        """What the file says; None when there is none or it is of another version."""
        try:
            content: dict[str, Any] = json.loads(run_path(data).read_text(encoding="utf-8"))
            return cls(**{**content, "addresses": Addresses(**content["addresses"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def url(self) -> str:
        """Address of the HTTP server, for a browser or a client on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - compared only
        return f"http://{host}:{self.port}"


def run_path(data: Path) -> Path:
    """Where `run.json` of a data folder is."""
    return data / "run.json"


@contextlib.contextmanager
def folder_lock(data: Path) -> Iterator[None]:
    """Holds the data folder for this process.

    Raises:
        StartRefused: if another process holds it, or the folder cannot be written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = open(data / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - held until the end
    except OSError as error:
        raise StartRefused(
            f"The data folder {data} cannot be used ({error.strerror}). Choose another with --data."
        ) from error
    with file:
        deadline = time.monotonic() + LOCK_WAIT_S
        while not _locked(file, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                file.seek(0)
                raise StartRefused(
                    f"Another `kw up` (process {file.read().strip() or 'unknown'}) runs on the data folder "
                    f"{data}. Stop it, or choose another folder with --data."
                )
            time.sleep(0.02)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_running(data: Path) -> bool:
    """Whether a `kw up` holds the data folder."""
    try:
        with open(data / "lock", encoding="utf-8") as file:
            return not _locked(file, fcntl.LOCK_SH)
    except OSError:
        return False


def find_running(data: Path) -> RunFile | None:
    """The instance that runs on the data folder, or None."""
    return RunFile.read(data) if is_running(data) else None


def _locked(file: TextIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
