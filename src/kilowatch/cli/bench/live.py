"""`kw bench live`: how long it takes from sending a reading until a WebSocket client sees it, under load.

Beside a load at a given rate, marked readings are sent: alone, and at the end of batches. A marked reading
carries the moment of its sending as its value, so what the WebSocket client receives says how old it is.
Keeps true that every marked reading is looked for: one that never shows is a failure.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.progress import Progress
from websockets.asyncio.client import ClientConnection, connect

from kilowatch.cli.bench import ingest
from kilowatch.cli.bench.client import Client
from kilowatch.cli.bench.figures import describe_machine, spent_between
from kilowatch.cli.bench.instance import BenchFailed, Instance, running_instance, temporary_folder
from kilowatch.cli.bench.load import device_name
from kilowatch.cli.bench.order import Order
from kilowatch.cli.bench.report import Row, progress_bars, shares, spread
from kilowatch.cli.bench.tally import percentiles_ms
from kilowatch.clock import SystemClock, rfc3339

MARKERS = 400
"""Marked devices of each kind, used in turn, so that no marked reading is overtaken before it is told."""
MARK_EVERY_S = 0.02
COMPANY = 200
"""Other devices, whose readings make the batch of a marked one."""
WATCHED = 20
"""Devices of the load that the client watches as well."""
SEEN_WITHIN_S = 10.0
JOINED_WITHIN_S = 60.0
METRIC = "sent"
KINDS = ("alone", "in_batch")


@dataclass(slots=True)
class Marks:
    """What became of the marked readings: monotonic seconds by the value that each carries."""

    accepted: dict[float, float] = field(default_factory=dict)
    seen: dict[float, float] = field(default_factory=dict)
    kind: dict[float, str] = field(default_factory=dict)
    messages: int = 0
    """Messages of any device that the WebSocket client received."""
    refused: int = 0
    failure: str | None = None
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    awaited: int | None = None
    joined_after_s: float = 0.0
    """From subscribing until the latest state came."""

    def see(self, moment: float) -> None:
        """Notes that a marked reading was received."""
        if moment in self.kind and moment not in self.seen:
            self.seen[moment] = time.monotonic()
            self.check()

    def check(self) -> None:
        """Wakes whoever waits for the last one."""
        if self.awaited is not None and len(self.seen) >= self.awaited:
            self.complete.set()

    async def wait_for_all(self) -> None:
        """Returns once all marked readings were seen, or are overdue."""
        self.awaited = len(self.kind)
        self.check()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEEN_WITHIN_S):
                await self.complete.wait()

    def spread_of(self, kind: str) -> dict[str, Any]:
        """Percentiles from sending and from acceptance until seen."""
        moments = [moment for moment in self.seen if self.kind[moment] == kind]
        return {
            "marked": len(moments),
            "sent_to_seen_ms": percentiles_ms([self.seen[moment] - moment for moment in moments]),
            "accepted_to_seen_ms": percentiles_ms(
                [max(0.0, self.seen[moment] - self.accepted[moment]) for moment in moments]
            ),
        }


@dataclass(slots=True)
class Marker:
    """Sends marked readings, alone and in batches by turns."""

    http: httpx.AsyncClient
    url: str
    marks: Marks
    _turn: int = 0

    async def run(self, until: asyncio.Event) -> None:
        """Sends one every `MARK_EVERY_S`, not waiting for answers, until told to end."""
        sending: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not until.is_set() and self.marks.failure is None:
            task = asyncio.create_task(self.send())
            sending.add(task)
            task.add_done_callback(sending.discard)
            due = max(due + MARK_EVERY_S, loop.time())
            await asyncio.sleep(due - loop.time())
        await asyncio.gather(*sending)

    async def send(self) -> None:
        """One marked reading; one that is answered with "not now" marks nothing."""
        self._turn += 1
        kind, place = KINDS[self._turn % 2], self._turn // 2 % MARKERS
        ts = rfc3339(SystemClock().now_us())
        readings = []
        if kind == "in_batch":
            readings = [{"device": name, "ts": ts, "metrics": {"power": 1.5}} for name in company()]
        moment = time.monotonic()
        self.marks.kind[moment] = kind
        readings.append({"device": f"mark-{kind}-{place}", "ts": ts, "metrics": {METRIC: moment}})
        answer = await self.http.post(self.url, json=readings)
        if answer.status_code == 202 and answer.json()["accepted"] == len(readings):
            self.marks.accepted[moment] = time.monotonic()
            return
        del self.marks.kind[moment]
        self.marks.seen.pop(moment, None)
        self.marks.refused += 1
        if answer.status_code not in (429, 503):
            self.marks.failure = f"a marked reading was not accepted: {answer.text[:300]}"


async def watch(socket: ClientConnection, marks: Marks) -> None:
    """Follows the live feed."""
    async for text in socket:
        told = json.loads(text)
        if told["type"] == "error":
            raise BenchFailed(f"the live feed refused: {told}")
        for message in told.get("messages", ()):
            marks.messages += 1
            sent = message["data"].get("metrics", {}).get(METRIC)
            if sent is not None and message["type"] == "reading":
                marks.see(sent)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say."""

    rate: float = 100_000.0
    """Readings per second of the load."""
    seconds: float = 30.0
    devices: int = 10_000


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Starts an instance, loads it, and watches.

    Raises:
        BenchFailed: if a marked reading was refused or never seen.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        starting = bars.add_task("starting an instance", total=None, said="")
        with running_instance(place) as instance:
            bars.remove_task(starting)
            result = asyncio.run(watch_instance(instance, wish, bars))
    return {"bench": "live", **result, "machine": machine}


async def watch_instance(instance: Instance, wish: Wish, bars: Progress) -> dict[str, Any]:
    """The load, the marked readings and the watcher on a running instance."""
    load = ingest.Wish("json", wish.devices, seconds=wish.seconds, pace=wish.rate, batch=1250)
    key = instance.create_key()
    order = Order(ingest.target_of(instance, load, key), load.shape(), wish.seconds, wish.rate)
    headers = {"Authorization": f"Bearer {key}"}
    bar = bars.add_task("registering devices", total=None, said="")
    with Client(order) as client:
        await asyncio.to_thread(client.wait_until_ready)
        async with httpx.AsyncClient(headers=headers, timeout=30.0) as http:
            marks = Marks()
            marker = Marker(http, f"{instance.url}/api/v1/readings", marks)
            await _register(marker)
            await asyncio.to_thread(instance.wait_until_stored)
            bars.update(bar, description="live", total=wish.seconds)
            address = f"ws://127.0.0.1:{instance.port}/api/v1/live"
            async with connect(address, additional_headers=headers, max_size=None) as socket:
                await _join(socket, marks)
                before = instance.cpu_seconds()
                await _follow(socket, client, marker, lambda passed: bars.update(bar, completed=passed))
    outcome = client.outcome
    if outcome is None:
        raise BenchFailed("the load came to nothing")
    if marks.failure is not None:
        raise BenchFailed(marks.failure)
    missing = len(marks.kind) - len(marks.seen)
    if missing:
        raise BenchFailed(f"{missing} of {len(marks.kind)} marked readings were accepted and never seen")
    spent = spent_between(before, instance.cpu_seconds())
    return {
        "asked_readings_per_s": wish.rate,
        "readings_per_s": round(outcome.rate),
        "seconds": round(outcome.seconds, 2),
        "refused": outcome.refused,
        "ack_ms": outcome.ack_ms,
        "marked": len(marks.kind),
        "marked_refused": marks.refused,
        "watched_messages": marks.messages,
        "joined_after_s": round(marks.joined_after_s, 3),
        **{kind: marks.spread_of(kind) for kind in KINDS},
        "cpu_cores": {part: round(spent_s / outcome.seconds, 3) for part, spent_s in spent.items()},
    }


async def _register(marker: Marker) -> None:
    """Makes all marked devices and their company known."""
    names = [f"mark-{kind}-{place}" for kind in KINDS for place in range(MARKERS)]
    readings = [{"device": name, "metrics": {METRIC: 0.0}} for name in names]
    readings += [{"device": name, "metrics": {"power": 0.0}} for name in company()]
    answer = await marker.http.post(marker.url, json=readings)
    if answer.status_code != 202:
        raise BenchFailed(f"the marked devices were not registered: {answer.text[:300]}")


def company() -> list[str]:
    """The other devices of a batch."""
    return [f"company-{number}" for number in range(COMPANY)]


async def _join(socket: ClientConnection, marks: Marks) -> None:
    """Subscribes to the marked devices and some of the load's, and waits for their latest state."""
    topics = ["devices.mark-*", *(f"devices.{device_name(number)}" for number in range(WATCHED))]
    began = time.monotonic()
    await socket.send(json.dumps({"type": "subscribe", "topics": topics}))
    try:
        async with asyncio.timeout(JOINED_WITHIN_S):
            await socket.recv()
    except TimeoutError:
        raise BenchFailed(f"the live feed told no latest state within {JOINED_WITHIN_S:.0f} s") from None
    marks.joined_after_s = time.monotonic() - began


async def _follow(
    socket: ClientConnection, client: Client, marker: Marker, look: Callable[[float], None]
) -> None:
    """Runs load, marker and watcher together, until the last marked reading was seen or is overdue."""
    marks, ended = marker.marks, asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch(socket, marks))
            marking = group.create_task(marker.run(ended))
            await asyncio.to_thread(_send, client, look)
            ended.set()
            await marking
            await marks.wait_for_all()
            watching.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _send(client: Client, look: Callable[[float], None]) -> None:
    began = time.monotonic()
    for _ in client.go():
        look(time.monotonic() - began)


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    asked = f"{result['asked_readings_per_s']:,.0f} asked for"
    rows = [
        ("load", f"{result['readings_per_s']:,} readings/s ({asked})"),
        ("acknowledgement", spread(result["ack_ms"])),
    ]
    for kind, name in zip(KINDS, ("a reading sent alone", f"the last of {COMPANY + 1}"), strict=True):
        found = result[kind]
        rows.append((f"{name}: sent to seen", spread(found["sent_to_seen_ms"])))
        rows.append(("  accepted to seen", spread(found["accepted_to_seen_ms"])))
    refused = f"; {result['marked_refused']:,} more were refused" if result["marked_refused"] else ""
    rows.append(("marked readings", f"{result['marked']:,}, all seen{refused}"))
    rows.append(("joining", f"latest state {result['joined_after_s']:.2f} s after subscribing"))
    rows.append(("cores busy", shares(result["cpu_cores"], "", 2)))
    return rows
