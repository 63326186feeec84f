"""Whether readings can be taken just now: the disk, the log, the worker and the two engines.

Keeps true that a reading is refused before anything of it is accepted, and that taking goes on by itself once
the cause is gone. Each probe runs by itself about twice a second, so that one engine's time-out does not hide
another; an error met in use counts at once and holds until its probe succeeds again.

Long before anything must be refused, senders that outrun the worker are slowed down: what waits in the log is
seen by nobody, so answers to whole batches are held back a little, the more the further the worker is behind.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from kilowatch.clock import Clock
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.observe import metrics
from kilowatch.observe.disk import look_at_disk
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.stream.log import Log, LogFull, LogState

Probe = Callable[[], Awaitable[Problem | None]]
"""Looks once; returns why readings must be refused, or None. `EngineUnavailable` counts as a refusal too."""

POSTGRES, LOG, DISK = "postgres", "log", "disk"
EVERY_S = 0.5
PROBE_WITHIN_S = 10.0
"""An engine that is gone says so at once; one that is only slow on a busy machine is given this long."""
LOG_NEARLY_FULL = 0.95
AWAY_RETRY_S, FULL_RETRY_S, DISK_RETRY_S = 2, 5, 30

HELD_PER_S = 0.1
HELD_AT_MOST_S = 0.5
LAG_LEEWAY_S = 1.2
"""Answers are held back by this part of what the lag exceeds the time between commits and the leeway."""

_log = structlog.get_logger(__name__)


def held_back_s(lag_s: float, commit_s: float) -> float:
    """For how long an answer is held back when the oldest reading in the log has waited for `lag_s`."""
    return min(HELD_AT_MOST_S, max(0.0, lag_s - commit_s - LAG_LEEWAY_S) * HELD_PER_S)


@dataclass(slots=True)
class Brake:
    """How long answers are held back now, so that senders do not outrun the worker."""

    held_s: float = 0.0

    async def hold(self) -> None:
        """Waits that long."""
        if self.held_s:
            await asyncio.sleep(self.held_s)


class Pressure:
    """The present refusals, by the name of their probe. `start` has looked at everything when it returns."""

    def __init__(
        self, probes: Mapping[str, Probe], every_s: float = EVERY_S, brake: Brake | None = None
    ) -> None:
        self.brake = brake or Brake()
        self._probes = dict(probes)
        self._every_s = every_s
        self._refusals: dict[str, Problem] = {}
        self._watching: list[asyncio.Task[None]] = []
        self._watched = {name: asyncio.Event() for name in self._probes}

    @property
    def refusal(self) -> Problem | None:
        """Why readings are refused now, or None. A new object each time, fit to be raised."""
        if not self._refusals:
            return None
        cause = next(iter(self._refusals.values()))
        return Problem(cause.status, cause.code, cause.detail, retry_after_s=cause.retry_after_s)

    def check(self) -> None:
        """Returns when readings can be taken.

        Raises:
            Problem: 503 when they cannot.
        """
        if self._refusals:
            refusal = self.refusal
            if refusal is not None:
                raise refusal

    def note(self, error: EngineUnavailable, name: str) -> Problem:
        """Takes down an error met in use as a refusal under the probe `name`, which looks again at once, and
        returns it as the answer to the one who met it."""
        refusal = problem_of(error)
        if name in self._watched:
            self._set(name, refusal)
            self._watched[name].set()
        return refusal

    async def start(self) -> None:
        """Looks once, then goes on looking until `stop`."""
        await asyncio.gather(*(self._look(name) for name in self._probes))
        self._watching = [
            asyncio.create_task(self._watch(name), name=f"probe {name}") for name in self._probes
        ]

    async def stop(self) -> None:
        """Stops looking."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self._watching = []

    async def _watch(self, name: str) -> None:
        hint = self._watched[name]
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await hint.wait()
                # A refusal must last a moment even when the probe succeeds, or each use would wake it anew.
                await asyncio.sleep(self._every_s / 4)
            hint.clear()
            await self._look(name)

    async def _look(self, name: str) -> None:
        try:
            async with asyncio.timeout(PROBE_WITHIN_S):
                refusal = await self._probes[name]()
        except EngineUnavailable as error:
            refusal = problem_of(error)
        except TimeoutError:
            refusal = problem_of(EngineUnavailable(f"{name} does not answer within {PROBE_WITHIN_S:g} s"))
        except Exception:
            _log.exception("probe_failed", probe=name)
            refusal = problem_of(EngineUnavailable(f"looking at {name} failed"))
        self._set(name, refusal)

    def _set(self, name: str, refusal: Problem | None) -> None:
        before = self._refusals.get(name)
        if refusal is None:
            if self._refusals.pop(name, None) is not None:
                _log.info("taking_readings_again", probe=name)
            return
        self._refusals[name] = refusal
        if before is None or before.code != refusal.code:
            _log.warning("refusing_readings", probe=name, code=refusal.code, detail=refusal.detail)


def problem_of(error: EngineUnavailable) -> Problem:
    """The 503 that an engine's absence means to a sender. What the engine said stays in our own log."""
    if isinstance(error, LogFull):
        return Problem(
            503, "log_full", "the log is full until readings are stored", retry_after_s=FULL_RETRY_S
        )
    return Problem(
        503, "unavailable", "an engine of this instance does not answer now", retry_after_s=AWAY_RETRY_S
    )


def probe_postgres(database: Database) -> Probe:
    """Refuses while PostgreSQL does not answer."""

    async def look() -> Problem | None:
        await database.ping(PROBE_WITHIN_S)
        return None

    return look


def probe_disk(folder: Path, full_percent: float) -> Probe:
    """Refuses while the disk that holds `folder` is filled to `full_percent`, counted as `df` does."""

    async def look() -> Problem | None:
        percent = look_at_disk(folder).used_percent
        if percent < full_percent:
            return None
        detail = f"the disk is {percent:.1f} % full; readings are taken below {full_percent:g} %"
        return Problem(503, "disk_full", detail, retry_after_s=DISK_RETRY_S)

    return look


def probe_log(log: Log, clock: Clock, settings: Settings, brake: Brake) -> Probe:
    """Refuses while the log is away, nearly full, or its oldest message waits for too long; sets the brake
    before it comes to that."""

    async def look() -> Problem | None:
        state, now_us = await log.state(), clock.now_us()
        brake.held_s = held_back_s(state.lag_s(now_us), settings.commit_s)
        metrics.HELD_BACK_SECONDS.set(brake.held_s)
        return refusal_of_log(state, now_us, settings.lag_max_s)

    return look


def refusal_of_log(state: LogState, now_us: int, lag_max_s: float) -> Problem | None:
    """What the log's state means to senders."""
    if state.max_bytes > 0 and state.bytes >= LOG_NEARLY_FULL * state.max_bytes:
        detail = f"the log holds {state.bytes} of {state.max_bytes} bytes until readings are stored"
        return Problem(503, "log_full", detail, retry_after_s=FULL_RETRY_S)
    lag_s = state.lag_s(now_us)
    if lag_s > lag_max_s:
        detail = f"readings wait {lag_s:.0f} s to be stored, longer than {lag_max_s:g} s"
        return Problem(503, "worker_behind", detail, retry_after_s=FULL_RETRY_S)
    return None
