"""One child process of the supervisor: start, watch, restart with growing pauses, stop.

Keeps true that a child does not outlive its supervisor (the kernel tells it when the supervisor dies), and
that Ctrl-C in a terminal reaches the supervisor only, which then stops the children in order.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

SET_PARENT_DEATH_SIGNAL = 1
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Before the first, second, ... start after a failure; the last goes on."""
STEADY_AFTER_S = 30.0
"""Who has run for so long is healthy: a failure after it is a first one."""
LOG_MAX_BYTES = 8 * 1024 * 1024
TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Spawn:
    """How to start a process: the command line and further options of `subprocess.Popen`."""

    argv: list[str]
    options: dict[str, Any] = field(default_factory=dict)


class Child:
    """A process that is to run until it is told to stop."""

    def __init__(
        self,
        name: str,
        spawn: Callable[[], Spawn],
        *,
        log_folder: Path | None,
        is_ready: Callable[[], bool] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_within_s: float = 15.0,
    ) -> None:
        self.name = name
        self.log = log_folder / f"{name}.log" if log_folder else None
        self.process: subprocess.Popen[bytes] | None = None
        self.restart_at: float | None = None
        self.restarts = 0
        self._spawn = spawn
        self._is_ready = is_ready
        self._stop_signal = stop_signal
        self._stop_within_s = stop_within_s
        self._failures = 0
        self._started_at = 0.0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self.process is None else self.process.pid

    def start(self) -> None:
        """Starts the process; its output goes to its log file, or to ours where it has none."""
        spawn = self._spawn()
        self.restart_at = None
        self._started_at = time.monotonic()
        with self._output() as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                spawn.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                preexec_fn=_end_with_parent(self._stop_signal),  # noqa: PLW1509 - there is one thread
                **spawn.options,
            )

    @contextlib.contextmanager
    def _output(self) -> Iterator[BinaryIO | None]:
        if self.log is None:
            yield None
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with open(self.log, "ab") as output:
            yield output

    def is_ready_when(self, is_ready: Callable[[], bool]) -> None:
        """From now on it is ready when this says so."""
        self._is_ready = is_ready

    def is_ready(self) -> bool:
        """Whether it runs and answers."""
        return self.is_alive() and (self._is_ready is None or self._is_ready())

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def look_after(self) -> str | None:
        """Starts it again when it has ended and its pause is over; says what happened, if anything did."""
        if self.process is not None and self.process.poll() is not None:
            code, self.process = self.process.returncode, None
            pause_s = self._plan_restart(time.monotonic() - self._started_at)
            said = f"{self.name} ended ({ending(code)}); starting it again"
            if pause_s:
                return f"{said} in {pause_s:g} s"
            trouble = self._restart()
            return f"{said} now" if trouble is None else f"{said}: {trouble}"
        if self.restart_at is not None and time.monotonic() >= self.restart_at:
            return self._restart()
        return None

    def _plan_restart(self, ran_s: float) -> float:
        """Sets when it is started again after it ran for so long; returns how long until then."""
        self._failures, pause_s = restart_pause(self._failures, ran_s)
        self.restart_at = time.monotonic() + pause_s
        return pause_s

    def _restart(self) -> str | None:
        """Starts it again; says why that could not be done, if so."""
        self.restarts += 1
        try:
            self.start()
        except Exception as error:  # whatever it is, the others go on and this one is tried again
            self._plan_restart(0.0)
            return f"{self.name} cannot be started: {error}"
        return None

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Asks it to end and waits; ends it by force when it takes too long or `hurry()` says so."""
        self.restart_at = None
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self._stop_signal)
            deadline = time.monotonic() + self._stop_within_s
            while self.process.poll() is None and time.monotonic() < deadline and not hurry():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.1)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def tail(self) -> str:
        """The end of its log."""
        if self.log is None:
            return ""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
                return file.read().decode(errors="replace").strip()
        except OSError:
            return ""


def restart_pause(failures: int, ran_s: float) -> tuple[int, float]:
    """How many failures in a row it is now, after `failures` before and a run of `ran_s`; and how long to
    wait before the next start."""
    failures = 1 if ran_s > STEADY_AFTER_S else failures + 1
    return failures, PAUSES_S[min(failures, len(PAUSES_S)) - 1]


def ending(code: int) -> str:
    """A return code in words."""
    if code >= 0:
        return f"code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _end_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """What the child does before it becomes its program: asks the kernel for `number` at our death."""
    if sys.platform != "linux":
        return None  # elsewhere the next start ends what is left over
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(SET_PARENT_DEATH_SIGNAL, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask
