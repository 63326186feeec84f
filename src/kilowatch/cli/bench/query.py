"""`kw bench query`: how fast one series is read back when many samples are stored.

Fills an instance through the Arrow door with readings spread over weeks, waits until all is stored and
merged, then asks over HTTP as a chart does: one series of one day raw, and one series of 30 days by the hour,
of random devices and moments.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
from rich.progress import Progress

from kilowatch.cli.bench.client import Client
from kilowatch.cli.bench.figures import describe_machine
from kilowatch.cli.bench.ingest import PATHS
from kilowatch.cli.bench.instance import BenchFailed, Instance, running_instance, temporary_folder
from kilowatch.cli.bench.load import Shape, device_name, metric_names
from kilowatch.cli.bench.order import Order, Target
from kilowatch.cli.bench.report import Row, progress_bars, spread
from kilowatch.cli.bench.tally import percentiles_ms
from kilowatch.clock import SystemClock, rfc3339

BATCH = 20_000
CONNECTIONS = 8
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
MONTH_DAYS = 30
MARGIN_US = 60 * SECOND_US
QUESTIONS: dict[str, tuple[int, Literal["raw", "1h"]]] = {
    "one_day_raw": (DAY_US, "raw"),
    "thirty_days_by_hour": (MONTH_DAYS * DAY_US, "1h"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say."""

    samples: int
    devices: int = 1000
    metrics: int = 4
    days: int = 35
    questions: int = 100


@dataclass(frozen=True, slots=True)
class Filling:
    """What is stored before the questions."""

    shape: Shape
    bodies: int
    """From each connection."""
    span_us: int

    @property
    def readings(self) -> int:
        """All of them."""
        return self.bodies * self.shape.rows * self.shape.connections


def plan_filling(wish: Wish, now_us: int) -> Filling:
    """Readings at one distance over the whole span, about as many as wished."""
    connections = min(CONNECTIONS, wish.devices)
    wanted = max(1, wish.samples // (wish.devices * wish.metrics))
    largest = Shape("arrow", wish.devices, wish.metrics, BATCH, connections, 0, 0)
    groups = -(-wanted // largest.rounds)  # so many bodies hold a device's rounds
    rounds = wanted // groups
    span_us = wish.days * DAY_US
    every_us = span_us // (groups * rounds) // 1000 * 1000
    start_us = (now_us - span_us - MARGIN_US) // SECOND_US * SECOND_US
    batch = BATCH if largest.parts > 1 else rounds * largest.width
    shape = Shape("arrow", wish.devices, wish.metrics, batch, connections, start_us, every_us)
    return Filling(shape, groups * largest.parts, span_us)


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Fills, merges, asks.

    Raises:
        BenchFailed: if a question is refused or answered with nothing.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        starting = bars.add_task("starting an instance", total=None, said="")
        with running_instance(place) as instance:
            bars.remove_task(starting)
            headers = {"Authorization": f"Bearer {instance.create_key()}"}
            filling = plan_filling(wish, SystemClock().now_us())
            filled = fill(instance, filling, headers, bars)
            storage = instance.ask("kilowatch.cli.bench.storage", str(instance.data))
            asked = ask_all(instance, filling, wish, headers, bars)
            memory = instance.memory_mb()
    return {
        "bench": "query",
        "samples": storage["samples"],
        "devices": filling.shape.used_devices,
        "metrics": wish.metrics,
        "days": wish.days,
        "every_s": filling.shape.every_us / SECOND_US,
        "filled_in_s": filled,
        **asked,
        "storage": storage,
        "memory_mb": memory,
        "machine": machine,
    }


def fill(instance: Instance, filling: Filling, headers: dict[str, str], bars: Progress) -> float:
    """Sends everything and waits until it is stored; returns the seconds that it took."""
    path, kind = PATHS["arrow"]
    target = Target("127.0.0.1", instance.port, instance.port, path, {**headers, "Content-Type": kind})
    bar = bars.add_task("filling", total=filling.readings, said="")
    with Client(Order(target, filling.shape, 0.0, bodies=filling.bodies)) as client:
        client.wait_until_ready()
        began = time.monotonic()
        for accepted in client.go():
            rate = accepted * filling.shape.metrics / max(time.monotonic() - began, 1e-9)
            bars.update(bar, completed=accepted, said=f"{rate:,.0f} samples/s")
    bars.update(bar, description="storing", total=None, said="")
    instance.wait_until_stored()
    bars.update(bar, description="merging files")
    return round(time.monotonic() - began, 1)


def ask_all(
    instance: Instance, filling: Filling, wish: Wish, headers: dict[str, str], bars: Progress
) -> dict[str, Any]:
    """The spread of the answers to each kind of question, and the time of the very first answer."""
    asker = Asker(instance, filling, headers)
    bar = bars.add_task("asking", total=wish.questions * len(QUESTIONS), said="")
    result: dict[str, Any] = {"questions": wish.questions}
    for name, (span_us, resolution) in QUESTIONS.items():
        waits, points = [], 0
        for _ in range(wish.questions):
            waited_s, count = asker.ask(span_us, resolution)
            waits.append(waited_s)
            points += count
            bars.update(bar, advance=1, said=name.replace("_", " "))
        first, *others = waits
        result[f"{name}_ms"] = percentiles_ms(others or waits)
        result[f"{name}_first_ms"] = round(first * 1000, 3)
        result[f"{name}_points"] = round(points / wish.questions)
    return result


class Asker:
    """Asks random questions over one connection."""

    def __init__(self, instance: Instance, filling: Filling, headers: dict[str, str]) -> None:
        self._http, self._url = instance.http, instance.url
        self._filling, self._headers = filling, headers
        self._names = metric_names(filling.shape.metrics)
        self._rng = random.Random(filling.shape.seed)  # noqa: S311 - no secret

    def ask(self, span_us: int, resolution: str) -> tuple[float, int]:
        """Seconds until the whole answer was there, and how many points it has.

        Raises:
            BenchFailed: if it is refused or empty.
        """
        shape = self._filling.shape
        device = device_name(self._rng.randrange(shape.used_devices))
        room_us = max(1, self._filling.span_us - span_us)
        start_us = shape.start_us + self._rng.randrange(room_us)
        question = {
            "metrics": self._rng.choice(self._names),
            "start": rfc3339(start_us),
            "end": rfc3339(start_us + span_us),
            "resolution": resolution,
        }
        began = time.perf_counter()
        try:
            answer = self._http.get(
                f"{self._url}/api/v1/devices/{device}/readings", params=question, headers=self._headers
            )
        except httpx.HTTPError as error:
            raise BenchFailed(f"{question}: {error!r}") from error
        waited_s = time.perf_counter() - began
        points = len(answer.json()["series"][0]["points"]) if answer.is_success else 0
        if not points:
            raise BenchFailed(f"{device} {question}: {answer.status_code} {answer.text[:300]}")
        return waited_s, points


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    rows = [
        (
            "stored",
            f"{result['samples']:,} samples: {result['devices']:,} devices, {result['metrics']} metrics, "
            f"{result['days']} days, every {result['every_s']:g} s",
        ),
        ("filled in", f"{result['filled_in_s']:.1f} s"),
        ("bytes per sample, merged", f"{result['storage']['bytes_per_sample']:.2f}"),
    ]
    for name in QUESTIONS:
        first, points = result[f"{name}_first_ms"], result[f"{name}_points"]
        line = f"{spread(result[f'{name}_ms'])}; the first {first:.1f} ms; {points:,} points"
        rows.append((name.replace("_", " "), line))
    return rows
