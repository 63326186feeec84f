"""Health: whether the process lives, whether it can serve, and its figures for Prometheus.

Keeps true that `/readyz` asks every engine now and names the one that does not answer; that it never waits
long; and that it tells strangers nothing but states and figures.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

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

Probe = Callable[[], Awaitable[dict[str, Any]]]
"""Asks one part; returns figures to show.

Raises:
    EngineUnavailable: if the part cannot do its work now.
"""

WITHIN_S = 3.0
log = structlog.get_logger()


def make_routes(probes: Mapping[str, Probe]) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`."""
    routes = APIRouter()

    @routes.get("/healthz", tags=["health"])
    async def is_alive() -> dict[str, str]:
        """Says that the process lives."""
        return {"status": "alive"}

    @routes.get("/readyz", tags=["health"], responses={503: {"description": "A part is not able now."}})
    async def is_ready() -> Response:
        """Asks every engine, and shows the lag of the worker and the room on the disk."""
        parts = await _ask_all(probes)
        ready = all(part["ok"] for part in parts.values())
        body = {"status": "ready" if ready else "not ready", "parts": parts}
        return JSONResponse(body, 200 if ready else 503, None if ready else {"Retry-After": "2"})

    @routes.get("/metrics", tags=["health"], response_class=Response)
    async def get_figures() -> Response:
        """Figures of this process and of what waits in the engines, in the format of Prometheus."""
        await _ask_all(probes)
        return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)

    return routes


async def _ask_all(probes: Mapping[str, Probe]) -> dict[str, dict[str, Any]]:
    found = await asyncio.gather(*(_ask(name, probe) for name, probe in probes.items()))
    for name, part in zip(probes, found, strict=True):
        metrics.PART_ABLE.labels(name).set(part["ok"])
    return dict(zip(probes, found, strict=True))


async def _ask(name: str, probe: Probe) -> dict[str, Any]:
    try:
        async with asyncio.timeout(WITHIN_S):
            return {"ok": True, **await probe()}
    except (EngineUnavailable, TimeoutError, OSError) as error:
        log.warning("probe.failed", part=name, reason=str(error) or type(error).__name__)
        return {"ok": False}


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
