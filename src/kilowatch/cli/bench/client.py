"""The client process as the bench sees it: started, told to go, listened to."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from kilowatch.cli.bench.instance import BenchFailed
from kilowatch.cli.bench.order import Order

STOP_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a load came to."""

    accepted: int
    seconds: float
    """From the first request to the last acknowledgement."""
    refused: int
    ack_ms: dict[str, float]
    client_cpu_s: float
    last_at: float
    """When the last acknowledgement came, monotonic clock."""
    newest: list[tuple[str, int]]
    """For each MQTT connection the last device and time that it sent."""
    attempted: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    """Of a load that bears errors: readings that were sent, and those that were not taken."""

    @property
    def rate(self) -> float:
        """Accepted readings per second."""
        return self.accepted / self.seconds

    @property
    def client(self) -> dict[str, float]:
        """What the client process used."""
        return {
            "cpu_s": round(self.client_cpu_s, 3),
            "us_per_reading": round(self.client_cpu_s / max(1, self.accepted) * 1e6, 4),
        }


class Client:
    """A process that carries out one order."""

    def __init__(self, order: Order) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kilowatch.cli.bench.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._tell(order.encode())
        self.registered = 0
        self.outcome: Outcome | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until_ready(self) -> None:
        """Returns once every device has sent its first reading.

        Raises:
            BenchFailed: if one was refused.
        """
        told = self._listen()
        if told["event"] != "ready":
            raise BenchFailed("\n".join(told["failures"]))
        self.registered = told["accepted"]

    def go(self) -> Iterator[int]:
        """Lets the load begin; yields the accepted readings about twice a second, then sets `outcome`.

        Raises:
            BenchFailed: if anything but "accepted" or "not now" was answered.
        """
        self._tell(b"go\n")
        while (told := self._listen())["event"] == "progress":
            yield told["accepted"]
        self.outcome = Outcome(
            told["accepted"],
            told["seconds"],
            told["refused"],
            told["ack_ms"],
            told["cpu_s"],
            told["last_at"],
            [(device, ts_us) for device, ts_us in told["newest"]],
            told["attempted"],
            told["errors"],
        )

    def _tell(self, line: bytes) -> None:
        if self._process.stdin is None:
            raise BenchFailed("the client process takes no orders")
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise BenchFailed("the client process has ended") from None

    def _listen(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise BenchFailed("the client process has ended without a result")
        told: dict[str, Any] = json.loads(line)
        if told.get("failures"):
            raise BenchFailed("the load failed: " + "\n".join(told["failures"]))
        return told
