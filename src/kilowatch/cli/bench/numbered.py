"""Numbered readings: each has a number of its own, from which its device, its time and its value follow.

What is read back therefore tells by itself which reading it is. Senders behave as a careful client does:
a request without an answer, or with "not now", is sent again as it was until it is settled. Keeps true that
the state of a number says no more than what the sender knows: accepted only with an acknowledgement, refused
only when every answer promised that nothing of it was taken.
"""

import asyncio
import json
import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import aiomqtt
import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.clock import rfc3339

DoorName = Literal["json", "ndjson", "arrow", "influx", "single", "mqtt"]
DOORS: tuple[DoorName, ...] = ("json", "ndjson", "arrow", "influx", "single", "mqtt")
METRIC = "number"
DEVICES = 8
STEP_US = 1000
BATCH: dict[DoorName, int] = {
    "json": 500, "ndjson": 300, "arrow": 1000, "influx": 500, "single": 1, "mqtt": 5,
}  # fmt: skip
SENDERS: dict[DoorName, int] = {"json": 2, "ndjson": 1, "arrow": 1, "influx": 2, "single": 8, "mqtt": 4}
PAUSE_S: dict[DoorName, float] = {
    "json": 0.1, "ndjson": 0.1, "arrow": 0.2, "influx": 0.1, "single": 0.02, "mqtt": 0.02,
}  # fmt: skip
BAD_EVERY = 50
"""One reading of so many in a JSON batch has a time in the far future and must be rejected."""
FAR_US = 4_102_444_800_000_000
GIVE_UP_SHARE = 0.1
"""This share of senders that are told "not now" does not come again."""
CERTAIN_REFUSALS = frozenset({"log_full", "disk_full", "worker_behind"})
"""Refusals before anything was taken; after any other answer a request may have been taken or not."""
ANSWER_WITHIN_S = 10.0
RETRY_S = 0.2
UNSENT, ACCEPTED, REFUSED, UNKNOWN = 0, 1, 2, 3
_quiet = logging.getLogger(__name__)
"""The MQTT library tells of every broken connection, and breaking them is what we do."""
_quiet.disabled = True
States = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Door:
    """One way in, its numbers from 0 on, and what its senders know of each."""

    name: DoorName
    start_us: int
    next: int = 0
    states: States = field(default_factory=lambda: np.zeros(1 << 16, np.uint8))
    retries: int = 0
    bad: int = 0

    def device(self, number: int) -> str:
        """The device of a number. A message over MQTT is from one device, so its numbers share one."""
        group = number // BATCH["mqtt"] if self.name == "mqtt" else number
        return f"{self.name}-{group % DEVICES}"

    def devices(self) -> list[str]:
        """All devices of this door."""
        return [f"{self.name}-{place}" for place in range(DEVICES)]

    def time_us(self, number: int) -> int:
        """The time of a number."""
        return self.start_us + number * STEP_US

    def is_bad(self, number: int) -> bool:
        """Whether the number is sent with an impossible time."""
        return self.name in ("json", "ndjson") and number % BAD_EVERY == BAD_EVERY - 1

    def take(self) -> range:
        """The next request's numbers."""
        first = self.next
        self.next = first + BATCH[self.name]
        if self.next > len(self.states):
            self.states = np.concatenate([self.states, np.zeros_like(self.states)])
        return range(first, self.next)

    def settle(self, numbers: range, state: int) -> None:
        """Notes what became of a request."""
        for number in numbers:
            bad = self.is_bad(number) and state == ACCEPTED
            self.states[number] = REFUSED if bad else state
            self.bad += bad

    def reading(self, number: int) -> dict[str, object]:
        """A number as JSON."""
        shown_us = FAR_US + number if self.is_bad(number) else self.time_us(number)
        return {"device": self.device(number), "ts": rfc3339(shown_us), "metrics": {METRIC: float(number)}}


Until = Callable[[], bool]
"""Whether the time for new requests is up."""


class HttpSender:
    """Sends one door's requests over HTTP, one after the other."""

    def __init__(self, door: Door, http: httpx.AsyncClient, url: str, seed: str) -> None:
        self._door, self._http, self._url = door, http, url
        self._rng = random.Random(seed)  # noqa: S311 - no secret

    async def run(self, is_over: Until) -> None:
        """Sends until the time is up and everything that was begun is settled.

        Raises:
            Mistaken: if an answer makes no sense.
        """
        while not is_over():
            numbers = self._door.take()
            self._door.settle(numbers, await self._send(numbers))
            await asyncio.sleep(PAUSE_S[self._door.name])

    async def _send(self, numbers: range) -> int:
        path, headers, body = encode(self._door, numbers)
        if self._rng.random() < 0.5:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        certain = True
        while True:
            try:
                answer = await self._http.post(self._url + path, content=body, headers=headers)
            except httpx.TransportError:
                certain = False
                await self._pause()
                continue
            if answer.status_code in (429, 503):
                certain = certain and problem_code(answer) in CERTAIN_REFUSALS
                if self._rng.random() < GIVE_UP_SHARE:
                    return REFUSED if certain else UNKNOWN
                await self._pause()
                continue
            self._check(answer, numbers)
            return ACCEPTED

    async def _pause(self) -> None:
        self._door.retries += 1
        await asyncio.sleep(RETRY_S)

    def _check(self, answer: httpx.Response, numbers: range) -> None:
        bad = [place for place, number in enumerate(numbers) if self._door.is_bad(number)]
        if answer.status_code == 204 and not bad:
            return
        told = answer.json() if answer.status_code == 202 else {}
        rejected = [one["index"] for one in told.get("rejected", ())]
        if told.get("accepted") != len(numbers) - len(bad) or rejected != bad:
            raise Mistaken(f"{self._door.name}: {answer.status_code} {answer.text[:500]}")


class Mistaken(Exception):
    """An answer that a request of ours must never get; the message says which."""


def problem_code(answer: httpx.Response) -> str:
    """The code of a refusal, in the shape of any door."""
    try:
        told = answer.json()
    except ValueError:
        return ""
    return str(told.get("type", "")).rpartition(":")[2] or str(told.get("code", ""))


def encode(door: Door, numbers: range) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body of a request."""
    path = "/api/v1/readings"
    match door.name:
        case "influx":
            lines = [f"count,device={door.device(n)} {METRIC}={n} {door.time_us(n) * 1000}" for n in numbers]
            return "/api/v2/write", {"Content-Type": "text/plain"}, "\n".join(lines).encode()
        case "arrow":
            return path, {"Content-Type": "application/vnd.apache.arrow.stream"}, _arrow(door, numbers)
        case "ndjson":
            lines = [json.dumps(door.reading(number)) for number in numbers]
            return path, {"Content-Type": "application/x-ndjson"}, "\n".join(lines).encode()
        case "single":
            return path, {"Content-Type": "application/json"}, json.dumps(door.reading(numbers[0])).encode()
        case _:
            readings = [door.reading(number) for number in numbers]
            return path, {"Content-Type": "application/json"}, json.dumps(readings).encode()


def _arrow(door: Door, numbers: range) -> bytes:
    times = [door.time_us(number) for number in numbers]
    batch = pa.record_batch(
        {
            "device": pa.array([door.device(number) for number in numbers]),
            "ts": pa.array(times, pa.timestamp("us", tz="UTC")),
            METRIC: pa.array([float(number) for number in numbers]),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


class MqttSender:
    """Publishes one door's requests at QoS 1, each an array of readings of one device."""

    def __init__(self, door: Door, port: int, organisation: str, password: str) -> None:
        self._door, self._port, self._organisation, self._password = door, port, organisation, password
        self._open: range | None = None

    async def run(self, is_over: Until) -> None:
        """Publishes until the time is up and everything that was begun is acknowledged."""
        while self._open is not None or not is_over():
            try:
                await self._publish(is_over)
            except (aiomqtt.MqttError, OSError):
                self._door.retries += 1
                await asyncio.sleep(RETRY_S)

    async def _publish(self, is_over: Until) -> None:
        async with aiomqtt.Client(
            "127.0.0.1",
            self._port,
            username=self._organisation,
            password=self._password,
            timeout=ANSWER_WITHIN_S,
            logger=_quiet,
        ) as mqtt:
            while self._open is not None or not is_over():
                numbers = self._open = self._open if self._open is not None else self._door.take()
                topic = f"{self._organisation}/devices/{self._door.device(numbers[0])}/telemetry"
                readings = [self._door.reading(number) for number in numbers]
                payload = [{"ts": one["ts"], "metrics": one["metrics"]} for one in readings]
                await mqtt.publish(topic, json.dumps(payload), qos=1)
                self._door.settle(numbers, ACCEPTED)
                self._open = None
                await asyncio.sleep(PAUSE_S["mqtt"])
