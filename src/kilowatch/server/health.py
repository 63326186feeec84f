"""Health: whether the process lives, whether it can serve, and its figures for Prometheus.

Keeps true that `/readyz` names the engine that does not answer; that it never waits long; that it tells
strangers nothing but states and figures; and that however many of them ask, the engines are asked by one at
a time and a few times a second.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from kilowatch.clock import Clock
from kilowatch.errors import EngineUnavailable
from kilowatch.observe import metrics
from kilowatch.observe.disk import look_at_disk
from kilowatch.postgres.engine import Database
from kilowatch.stream.log import Log
from kilowatch.stream.mqtt import MqttInbox
from kilowatch.telemetry.query import Lake
from kilowatch.wire.figures import WorkerFigures

Probe = Callable[[], Awaitable[dict[str, Any]]]
"""Asks one part; returns figures to show.

Raises:
    EngineUnavailable: if the part cannot do its work now.
"""

WITHIN_S = 3.0
KEPT_S = 0.25
"""For so long the answers to a round of questions serve whoever asks."""
log = structlog.get_logger()


def make_routes(probes: Mapping[str, Probe]) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`."""
    rounds = Rounds(probes)
    routes = APIRouter()

    @routes.get("/healthz", tags=["health"])
    async def is_alive() -> dict[str, str]:
        """Says that the process lives."""
        return {"status": "alive"}

    @routes.get("/readyz", tags=["health"], responses={503: {"description": "A part is not able now."}})
    async def is_ready() -> Response:
        """Asks every engine, and shows the lag of the worker and the room on the disk."""
        parts = (await rounds.ask()).parts
        ready = all(part["ok"] for part in parts.values())
        body = {"status": "ready" if ready else "not ready", "parts": parts}
        return JSONResponse(body, 200 if ready else 503, None if ready else {"Retry-After": "2"})

    @routes.get("/metrics", tags=["health"], response_class=Response)
    async def get_figures() -> Response:
        """Figures of this process and of what waits in the engines, in the format of Prometheus."""
        return Response((await rounds.ask()).figures, media_type=metrics.CONTENT_TYPE)

    return routes


@dataclass(frozen=True, slots=True)
class Found:
    """What a round of questions brought: the state of each part, and the figures as they were then."""

    parts: dict[str, dict[str, Any]]
    figures: bytes


class Rounds:
    """Asks all parts at once, one round at a time, for all who want to know at that time."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = dict(probes)
        self._round: asyncio.Task[Found] | None = None
        self._fresh_until = 0.0

    async def ask(self) -> Found:
        """The answers of the round that is under way or has just ended, or else of a new one."""
        running = self._round
        if running is None or (running.done() and not self._is_fresh(running)):
            running = self._round = asyncio.create_task(self._ask_all(), name="health round")
        # Who goes away meanwhile must not end the round for the others.
        return await asyncio.shield(running)

    def _is_fresh(self, ended: asyncio.Task[Found]) -> bool:
        """Whether answers may still be told; a round that failed has none."""
        failed = ended.cancelled() or ended.exception() is not None
        return not failed and time.monotonic() < self._fresh_until

    async def _ask_all(self) -> Found:
        found = await asyncio.gather(*(_ask(name, probe) for name, probe in self._probes.items()))
        for name, part in zip(self._probes, found, strict=True):
            metrics.PART_ABLE.labels(name).set(part["ok"])
        self._fresh_until = time.monotonic() + KEPT_S
        return Found(dict(zip(self._probes, found, strict=True)), metrics.render())


async def _ask(name: str, probe: Probe) -> dict[str, Any]:
    try:
        async with asyncio.timeout(WITHIN_S):
            return {"ok": True, **await probe()}
    except (EngineUnavailable, TimeoutError, OSError) as error:
        log.warning("probe.failed", part=name, reason=str(error) or type(error).__name__)
        return {"ok": False}


def hear_worker(message: bytes) -> None:
    """Takes one message of `worker.figures`, to be shown with our own."""
    try:
        metrics.WORKERS.hear(WorkerFigures.decode(message))
    except msgspec.MsgspecError:
        log.warning("figures.bad_message", size=len(message))


def probe_postgres(database: Database) -> Probe:
    """Asks PostgreSQL for an answer."""

    async def ask() -> dict[str, Any]:
        await database.ping()
        return {}

    return ask


def probe_lake(lake: Lake) -> Probe:
    """Asks the lake's catalog for an answer."""

    async def ask() -> dict[str, Any]:
        await asyncio.to_thread(lake.ask)
        return {}

    return ask


def probe_log(source: Log, clock: Clock, lag_max_s: float) -> Probe:
    """Asks the log how much waits in it, and for how long."""

    async def ask() -> dict[str, Any]:
        state = await source.state()
        lag_s = round(state.lag_s(clock.now_us()), 3)
        metrics.LOG_MESSAGES.set(state.messages)
        metrics.LOG_BYTES.set(state.bytes)
        metrics.WORKER_LAG_SECONDS.set(lag_s)
        shown = {"lag_s": lag_s, "messages": state.messages, "bytes": state.bytes}
        return {**shown, "ok": lag_s <= lag_max_s}

    return ask


def probe_inbox(inbox: MqttInbox, clock: Clock) -> Probe:
    """Asks the inbox of devices how much waits in it, and for how long."""

    async def ask() -> dict[str, Any]:
        state = await inbox.state()
        oldest_s = round(state.lag_s(clock.now_us()), 3)
        metrics.MQTT_MESSAGES.set(state.messages)
        metrics.MQTT_OLDEST_SECONDS.set(oldest_s)
        return {"oldest_s": oldest_s, "messages": state.messages}

    return ask


def probe_disk(folder: Path, full_percent: float) -> Probe:
    """Looks how full the disk is, counted as `df` does."""

    async def ask() -> dict[str, Any]:
        use = look_at_disk(folder)
        shown = {"used_percent": round(use.used_percent, 1), "free_bytes": use.free_bytes}
        return {**shown, "ok": use.used_percent < full_percent}

    return ask
