"""A temporary instance of our own: started in a folder that is removed afterwards, asked from outside only.

Keeps true that a run touches no other instance (engines' addresses in the environment are left out), listens
on loopback at free ports, and leaves neither a process nor a file behind.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from kilowatch.cli.bench import figures
from kilowatch.cli.child import Child, Spawn

ORGANISATION = "bench"
READY_WITHIN_S = 120.0
STORED_WITHIN_S = 600.0
STOP_WITHIN_S = 60.0
POLL_S = 0.05
NOT_OURS = frozenset(
    f"KILOWATCH_{name}"
    for name in (
        "DATA", "HOST", "PORT", "MQTT_PORT", "POSTGRES_URL", "POSTGRES_APP_URL", "NATS_URL", "MQTT_NATS_URL",
        "MQTT_SYSTEM_URL", "MQTT_HOST", "LAKE_PATH", "DEMO", "WORLDS",
    )
)  # fmt: skip
"""What would lead to somebody else's engines; all other settings hold for the temporary instance as well."""


class BenchFailed(Exception):
    """The run could not be carried out; the message says what happened."""


class Instance:
    """A running `kw up`."""

    def __init__(self, folder: Path, child: Child, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._child = child
        self._environment = environment
        self.http = httpx.Client(timeout=30.0)
        self.started_in_s = 0.0

    @property
    def run(self) -> dict[str, Any]:
        """What `run.json` says now; process ids change when something is started again."""
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            with contextlib.suppress(OSError, ValueError):
                told: dict[str, Any] = json.loads((self.data / "run.json").read_text(encoding="utf-8"))
                return told
            self._check_alive(deadline, "run.json")
            time.sleep(POLL_S)

    @property
    def port(self) -> int:
        """Port of the HTTP server."""
        return int(self.run["port"])

    @property
    def url(self) -> str:
        """Address of the HTTP server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> psutil.Process:
        """The root of the tree of processes."""
        if self._child.pid is None:
            raise BenchFailed("the instance does not run")
        return psutil.Process(self._child.pid)

    def parts(self) -> dict[int, str]:
        """The names of the instance's processes."""
        return {pid: name for name, pid in self.run["pids"].items()}

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds so far, by part."""
        return figures.cpu_seconds(self.process, self.parts())

    def memory_mb(self) -> dict[str, float]:
        """Memory by part."""
        return figures.memory_mb(self.process, self.parts())

    def tool(self, *arguments: str) -> Any:
        """What a `kw` command prints as JSON about this instance.

        Raises:
            BenchFailed: if it fails.
        """
        return self.ask("kilowatch.cli.main", *arguments, "--data", str(self.data), "--json")

    def ask(self, module: str, *arguments: str) -> Any:
        """What a module of ours, run as a program, prints as JSON.

        Raises:
            BenchFailed: if it prints none.
        """
        done = subprocess.run(  # noqa: S603 - our own program, no shell
            [sys.executable, "-m", module, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=dict(self._environment),
        )
        try:
            return json.loads(done.stdout)
        except ValueError:
            said = done.stderr.strip() or done.stdout
            raise BenchFailed(f"{module} {' '.join(arguments)} failed: {said}") from None

    def create_key(self, organisation: str = ORGANISATION, scopes: str = "ingest,read,admin") -> str:
        """A new API key that may do all that a load needs."""
        wish = (
            "--organisation",
            organisation,
            "--create",
            "--scopes",
            scopes,
            "--auto-register",
        )
        return str(self.tool("key", "create", *wish)["key"])

    def health(self) -> dict[str, Any] | None:
        """The parts that `/readyz` tells of, or None while it does not answer."""
        try:
            parts: dict[str, Any] = self.http.get(f"{self.url}/readyz").json()["parts"]
        except (httpx.HTTPError, ValueError, KeyError):
            return None
        return parts

    def waiting(self) -> tuple[float, int] | None:
        """The worker's lag in seconds and the number of messages that wait, or None if nobody tells."""
        found = (self.health() or {}).get("log", {})
        return (found["lag_s"], found["messages"]) if "messages" in found else None

    def wait_until_stored(
        self, within_s: float = STORED_WITHIN_S, look: Callable[[], None] | None = None
    ) -> None:
        """Returns once nothing waits in the log; `look` is called while it does.

        Raises:
            BenchFailed: if it does not come to that.
        """
        deadline = time.monotonic() + within_s
        while True:
            waiting = self.waiting()
            if waiting is not None and waiting[1] == 0:
                return
            self._check_alive(deadline, f"an empty log (waiting: {waiting})")
            if look is not None:
                look()
            time.sleep(POLL_S)

    def log_tail(self) -> str:
        """The end of what `kw up` printed."""
        return self._child.tail()

    def _wait_until_ready(self) -> Self:
        began = time.monotonic()
        deadline = began + READY_WITHIN_S
        while True:
            self._check_alive(deadline, "a ready instance")
            if (self.data / "run.json").exists():
                health = self.health()
                if health and all(part["ok"] for part in health.values()):
                    self.started_in_s = time.monotonic() - began
                    return self
            time.sleep(POLL_S)

    def _check_alive(self, deadline: float, awaited: str) -> None:
        if not self._child.is_alive():
            raise BenchFailed(f"kw up has ended:\n{self.log_tail()}")
        if time.monotonic() > deadline:
            raise BenchFailed(f"waited in vain for {awaited}:\n{self.log_tail()}")


@contextlib.contextmanager
def temporary_folder(wanted: Path | None = None) -> Iterator[Path]:
    """A folder on a real disk, removed at the end: `wanted` says inside which one."""
    folder = Path(tempfile.mkdtemp(prefix="kilowatch-bench-", dir=wanted or choose_place()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def choose_place() -> Path:
    """Where temporary folders go: not into memory, where an fsync costs nothing."""
    usual, other = Path(tempfile.gettempdir()), Path("/var/tmp")  # noqa: S108 - a fresh folder is made in it
    if figures.file_system(usual) == "tmpfs" and other.is_dir() and figures.file_system(other) != "tmpfs":
        return other
    return usual


@contextlib.contextmanager
def running_instance(
    folder: Path, *, demo: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[Instance]:
    """`kw up` in `folder`, ready; stopped at the end. `settings` are environment variables for it.

    Raises:
        BenchFailed: if it does not become ready.
    """
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OURS} | dict(
        settings or {}
    )
    argv = [sys.executable, "-m", "kilowatch.cli.main", "up", "--data", str(folder / "data")]
    argv += ["--port", "0", "--mqtt-port", "0", *(["--demo"] if demo else [])]
    child = Child(
        "up",
        lambda: Spawn(argv, {"env": environment, "cwd": folder}),
        log_folder=folder,
        stop_within_s=STOP_WITHIN_S,
    )
    child.start()
    instance = Instance(folder, child, environment)
    try:
        yield instance._wait_until_ready()
    finally:
        instance.http.close()
        child.stop(lambda: False)
