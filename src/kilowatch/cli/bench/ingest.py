"""`kw bench ingest`: how many readings an instance takes, how fast it answers, and what that costs.

The worker's lag is watched during the load, and the run ends only when everything is stored: a rate counts
as sustained when the lag stays small.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from kilowatch.cli.bench.client import Client, Outcome
from kilowatch.cli.bench.figures import describe_machine, spent_between
from kilowatch.cli.bench.instance import (
    ORGANISATION,
    POLL_S,
    STORED_WITHIN_S,
    BenchFailed,
    Instance,
    running_instance,
    temporary_folder,
)
from kilowatch.cli.bench.load import Form, Shape
from kilowatch.cli.bench.order import Order, Target
from kilowatch.cli.bench.report import Row, progress_bars, shares, spread
from kilowatch.clock import SystemClock, rfc3339

RATE_MOST = 4_000_000
"""No load is faster than this; it decides how far back times begin, so that they end before now."""
MARGIN_US = 10_000_000
PATHS: dict[Form, tuple[str, str]] = {
    "json": ("/api/v1/readings", "application/json"),
    "single": ("/api/v1/readings", "application/json"),
    "mqtt": ("/api/v1/readings", "application/json"),
    "ndjson": ("/api/v1/readings", "application/x-ndjson"),
    "arrow": ("/api/v1/readings", "application/vnd.apache.arrow.stream"),
    "influx": ("/api/v2/write?precision=ns", "text/plain; charset=utf-8"),
}
BATCHES: dict[Form, int] = {
    "json": 5000,
    "ndjson": 5000,
    "arrow": 20_000,
    "influx": 5000,
    "single": 1,
    "mqtt": 1,
}
CONNECTIONS: dict[Form, int] = {"json": 8, "ndjson": 8, "arrow": 8, "influx": 8, "single": 64, "mqtt": 4}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say; None where the form decides."""

    form: Form
    devices: int = 10_000
    metrics: int = 4
    batch: int | None = None
    connections: int | None = None
    seconds: float = 60.0
    every_ms: int = 10
    window: int = 200
    pace: float = 0.0
    first_device: int = 0
    """Number of the first device: two loads of one instance need devices of their own."""

    def shape(self) -> Shape:
        """The load, ending about now."""
        span_us = RATE_MOST * self.seconds / self.devices * self.every_ms * 1000 + MARGIN_US
        return Shape(
            self.form,
            self.devices,
            self.metrics,
            BATCHES[self.form] if self.batch is None else self.batch,
            min(self.devices, CONNECTIONS[self.form] if self.connections is None else self.connections),
            (SystemClock().now_us() - int(span_us)) // 1_000_000 * 1_000_000,
            self.every_ms * 1000,
            first_device=self.first_device,
        )


@dataclass(slots=True)
class Watch:
    """The worker's lag over time."""

    began: float = field(default_factory=time.monotonic)
    looks: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the beginning, and the lag in seconds."""
    messages_most: int = 0

    def look(self, instance: Instance) -> None:
        """Asks for the lag now."""
        waiting = instance.waiting()
        if waiting is not None:
            self.looks.append((round(time.monotonic() - self.began, 2), waiting[0]))
            self.messages_most = max(self.messages_most, waiting[1])

    def result(self, stored_after_s: float) -> dict[str, Any]:
        """The lag as JSON members."""
        lags = [lag for _, lag in self.looks] or [0.0]
        return {
            "p50_s": round(float(np.median(lags)), 3),
            "most_s": round(max(lags), 3),
            "end_s": round(lags[-1], 3),
            "stored_after_s": round(stored_after_s, 3),
            "messages_most": self.messages_most,
            "over_time": self.looks,
        }


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Starts an instance, loads it, and returns all figures.

    Raises:
        BenchFailed: if a reading was refused for good, or the instance did not keep up to its end.
    """
    with temporary_folder(folder) as place:
        machine = describe_machine(place)
        with progress_bars() as bars:
            starting = bars.add_task("starting an instance", total=None, said="")
            with running_instance(place) as instance:
                bars.remove_task(starting)
                result = load_instance(instance, wish, bars)
                merging = bars.add_task("merging files", total=None, said="")
                result["memory_mb"] = instance.memory_mb()
                result["storage"] = instance.ask("kilowatch.cli.bench.storage", str(instance.data))
                bars.remove_task(merging)
    expected = (result["accepted"] + result["registered"]) * wish.metrics
    if result["storage"]["samples"] != expected:
        raise BenchFailed(f"{expected} values were accepted, {result['storage']['samples']} are stored")
    return {"bench": "ingest", **result, "machine": machine}


def load_instance(instance: Instance, wish: Wish, bars: Progress) -> dict[str, Any]:
    """One load on a running instance, until everything is stored."""
    order = Order(target_of(instance, wish, instance.create_key()), wish.shape(), wish.seconds, wish.pace)
    bar = bars.add_task(f"{wish.form}: registering {order.shape.used_devices:,} devices", total=None, said="")
    with Client(order) as client:
        client.wait_until_ready()
        instance.wait_until_stored()
        before, watch = instance.cpu_seconds(), Watch()
        bars.update(bar, description=f"{wish.form}: sending", total=wish.seconds)
        for accepted in client.go():
            watch.look(instance)
            passed = time.monotonic() - watch.began
            bars.update(bar, completed=passed, said=f"{accepted / max(passed, 1e-9):,.0f}/s")
        outcome = client.outcome
    if outcome is None or not outcome.accepted:
        raise BenchFailed("nothing was accepted")
    bars.update(bar, description=f"{wish.form}: waiting until all is stored", total=None)
    instance.wait_until_stored(look=lambda: watch.look(instance))
    wait_until_seen(instance, order, outcome)
    stored_after_s = time.monotonic() - outcome.last_at
    spent = spent_between(before, instance.cpu_seconds())
    bars.remove_task(bar)
    return figures_of(order, outcome, client.registered, spent) | {"lag": watch.result(stored_after_s)}


def target_of(instance: Instance, wish: Wish, key: str) -> Target:
    """Where the load goes."""
    told = instance.run
    path, kind = PATHS[wish.form]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
    if wish.form == "mqtt":
        return Target(
            "127.0.0.1",
            told["mqtt_port"],
            told["port"],
            path,
            headers,
            user=ORGANISATION,
            password=key,
            topic=f"{ORGANISATION}/devices/{{device}}/telemetry",
            window=wish.window,
        )
    return Target("127.0.0.1", told["port"], told["port"], path, headers)


def figures_of(order: Order, outcome: Outcome, registered: int, spent: dict[str, float]) -> dict[str, Any]:
    """What a load came to, as JSON members."""
    shape = order.shape
    return {
        "form": shape.form,
        "devices": shape.used_devices,
        "metrics": shape.metrics,
        "batch": shape.rows,
        "connections": shape.connections,
        "registered": registered,
        "accepted": outcome.accepted,
        "seconds": round(outcome.seconds, 3),
        "readings_per_s": round(outcome.rate),
        "refused": outcome.refused,
        "ack_ms": outcome.ack_ms,
        "client": outcome.client,
        "cpu_s_per_million": {part: round(s / outcome.accepted * 1e6, 3) for part, s in spent.items()},
    }


def wait_until_seen(instance: Instance, order: Order, outcome: Outcome) -> None:
    """Returns once the last reading of every MQTT connection can be read back: the inbox is emptied in order,
    so then nothing waits there either.

    Raises:
        BenchFailed: if one does not appear.
    """
    deadline = time.monotonic() + STORED_WITHIN_S
    for device, ts_us in outcome.newest:
        while not is_stored(instance, order.target.headers, device, ts_us):
            if time.monotonic() > deadline:
                raise BenchFailed(f"an acknowledged reading of {device} at {rfc3339(ts_us)} did not appear")
            time.sleep(POLL_S)
    instance.wait_until_stored()


def is_stored(instance: Instance, headers: dict[str, str], device: str, ts_us: int) -> bool:
    """Whether a device has a reading at this moment."""
    span = {"start": rfc3339(ts_us), "end": rfc3339(ts_us + 1000), "resolution": "raw", "metrics": "power"}
    answer = instance.http.get(
        f"{instance.url}/api/v1/devices/{device}/readings", params=span, headers=headers
    )
    return answer.is_success and any(series["points"] for series in answer.json()["series"])


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    lag, storage, client = result["lag"], result["storage"], result["client"]
    load = f"{result['devices']:,} devices, {result['metrics']} metrics, {result['connections']} connections"
    if result["batch"] > 1:
        load += f", {result['batch']:,} readings a body"
    took = f"{result['accepted']:,} in {result['seconds']:.1f} s"
    late = f"p50 {lag['p50_s']:.2f} s, most {lag['most_s']:.2f} s"
    stored = f"all stored {lag['stored_after_s']:.2f} s after the last answer"
    everything = storage["bytes_per_sample_with_all_tables"]
    return [
        ("load", f"{result['form']}: {load}"),
        ("accepted", f"[bold]{result['readings_per_s']:,} readings/s[/bold] ({took})"),
        ("refused for a moment", f"{result['refused']:,} requests"),
        ("acknowledgement", spread(result["ack_ms"])),
        ("worker's lag", f"{late}; {stored}"),
        ("CPU per million readings", shares(result["cpu_s_per_million"], "s", 2)),
        ("client", f"{client['us_per_reading']:.3f} µs per reading, {client['cpu_s']:.1f} s"),
        ("bytes per sample, merged", f"{storage['bytes_per_sample']:.2f} ({everything:.2f} with all tables)"),
        ("memory (PSS)", shares(result["memory_mb"], "MB", 0)),
    ]
