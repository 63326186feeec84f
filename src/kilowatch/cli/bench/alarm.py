"""How long it takes from sending a reading until the alert that it raises is told over WebSocket.

Devices of its own have a rule each; in turn they send a value beyond it, later one within it, so that every
alert is raised and is over again. Keeps true that every alert is looked for: one that is never told is a
failure, and so is one that does not stand in the list of alerts.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from kilowatch.cli.bench.instance import BenchFailed, Instance
from kilowatch.cli.bench.tally import percentiles_ms
from kilowatch.clock import SystemClock, rfc3339

DEVICES = 10
EVERY_S = 0.25
TOLD_WITHIN_S = 10.0
METRIC = "sent"
PREFIX = "alarm-"
NOT_NOW = (429, 503)


@dataclass(slots=True)
class Moments:
    """Monotonic seconds of each marked reading, by the value that it carries."""

    accepted: dict[float, float] = field(default_factory=dict)
    told: dict[float, float] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """How long it took, in all marked readings.

        Raises:
            BenchFailed: if an alert was never told.
        """
        missing = len(self.accepted) - len(self.told)
        if missing:
            raise BenchFailed(f"{missing} of {len(self.accepted)} alerts were never told")
        return {
            "alerts": len(self.told),
            "sent_to_told_ms": percentiles_ms([self.told[one] - one for one in self.told]),
            "accepted_to_told_ms": percentiles_ms(
                [max(0.0, self.told[one] - self.accepted[one]) for one in self.told]
            ),
        }


@dataclass(slots=True)
class Alarm:
    """The marked devices, and who listens. alert_ids: all alerts of theirs that were told."""

    http: httpx.AsyncClient
    moments: Moments = field(default_factory=Moments)
    alert_ids: set[str] = field(default_factory=set)
    _turn: int = 0
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def prepare(self) -> None:
        """Makes the devices and their rules.

        Raises:
            BenchFailed: if one is refused.
        """
        ts = rfc3339(SystemClock().now_us() - 60_000_000)
        names = [device_name(place) for place in range(DEVICES)]
        readings = [{"device": name, "ts": ts, "metrics": {METRIC: 0.0}} for name in names]
        _require(await self.http.post("/api/v1/readings", json=readings), 202)
        for name in names:
            rule = {"name": name, "device_id": name, "metric": METRIC, "operator": ">", "threshold": 0.0}
            _require(await self.http.post("/api/v1/rules", json=rule), 201)

    async def wait_until_at_work(self) -> None:
        """Returns once the last rule has raised an alert that was told.

        Raises:
            BenchFailed: if that takes too long.
        """
        reading = {"device": device_name(DEVICES - 1), "metrics": {METRIC: 1.0}}
        try:
            async with asyncio.timeout(TOLD_WITHIN_S):
                while not self.alert_ids:
                    _require(await self.http.post("/api/v1/readings", json=reading), 202)
                    await asyncio.sleep(EVERY_S)
        except TimeoutError:
            raise BenchFailed(f"the rules were not at work within {TOLD_WITHIN_S:.0f} s") from None
        _require(await self.http.post("/api/v1/readings", json=reading | {"metrics": {METRIC: 0.0}}), 202)

    async def send(self, until: Callable[[], bool]) -> dict[str, Any]:
        """Sends marked readings until then, and waits until all their alerts are told; how long each took.

        Raises:
            BenchFailed: if a reading is refused, or an alert is never told.
        """
        self.moments = moments = Moments()
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not until() or self._turn % (2 * DEVICES):
            await self._send_next()
            due = max(due + EVERY_S, loop.time())
            await asyncio.sleep(due - loop.time())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TOLD_WITHIN_S):
                while len(moments.told) < len(moments.accepted):
                    self._heard.clear()
                    await self._heard.wait()
        return moments.summary()

    async def _send_next(self) -> None:
        is_beyond, place = self._turn % (2 * DEVICES) < DEVICES, self._turn % DEVICES
        self._turn += 1
        moment = time.monotonic()
        value = moment if is_beyond else 0.0
        reading = {"device": device_name(place), "metrics": {METRIC: value}}
        if is_beyond:
            self.moments.accepted[moment] = moment
        answer = await self.http.post("/api/v1/readings", json=reading)
        while answer.status_code in NOT_NOW:
            await asyncio.sleep(EVERY_S)
            answer = await self.http.post("/api/v1/readings", json=reading)
        _require(answer, 202)
        if is_beyond:
            self.moments.accepted[moment] = time.monotonic()

    async def listen(self, socket: ClientConnection) -> None:
        """Notes when each alert is told."""
        async for text in socket:
            told = json.loads(text)
            if told["type"] == "error":
                raise BenchFailed(f"the live feed refused: {told}")
            for message in told.get("messages", ()):
                alert = message["data"]
                if alert.get("status") != "open" or not (alert["device"] or "").startswith(PREFIX):
                    continue
                self.alert_ids.add(alert["id"])
                if alert["value"] in self.moments.accepted:
                    self.moments.told.setdefault(alert["value"], time.monotonic())
                    self._heard.set()

    async def count_stored(self) -> int:
        """How many alerts of these devices stand in the list.

        Raises:
            BenchFailed: if the list is refused.
        """
        found: int = 0
        cursor = ""
        while True:
            given = {"kind": "rule", "limit": "500"} | ({"cursor": cursor} if cursor else {})
            answer = await self.http.get("/api/v1/alerts", params=given)
            _require(answer, 200)
            page = answer.json()
            found += len([one for one in page["items"] if (one["device"] or "").startswith(PREFIX)])
            cursor = page["next_cursor"] or ""
            if not cursor:
                return found


@contextlib.asynccontextmanager
async def listening(instance: Instance, key: str) -> AsyncIterator[Alarm]:
    """The marked devices of an instance, ready to send, with somebody who listens to alerts.

    Raises:
        BenchFailed: if a device or a rule is refused.
    """
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=instance.url, headers=headers, timeout=60.0) as http:
        alarm = Alarm(http)
        await alarm.prepare()
        address = f"ws://127.0.0.1:{instance.port}/api/v1/live"
        async with connect(address, additional_headers=headers, max_size=None) as socket:
            await _join(socket)
            hearing = asyncio.create_task(alarm.listen(socket))
            try:
                await alarm.wait_until_at_work()
                yield alarm
            finally:
                hearing.cancel()


async def _join(socket: ClientConnection) -> None:
    """Subscribes to alerts; what is told before the feed has taken it would be missed."""
    for message in ({"type": "subscribe", "topics": ["alerts"]}, {"type": "ping"}):
        await socket.send(json.dumps(message))
    while json.loads(await socket.recv())["type"] != "pong":
        """What comes before belongs to nobody's mark."""


def device_name(place: int) -> str:
    """A marked device."""
    return f"{PREFIX}{place}"


def _require(answer: httpx.Response, status: int) -> None:
    if answer.status_code != status:
        raise BenchFailed(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:300]}")
