"""`kw bench rules`: what looking at readings with many rules costs the worker, under load.

Makes rules over HTTP as people would, spread over the devices of a load, and reads from `/metrics` how much
processor time went into looking; and how long alerts take from a reading to those who listen, before the
load and under it. Keeps true that every rule is at work before the load begins: a marked one
on each end of the list has raised its alert.
"""

import asyncio
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kilowatch.cli.bench import ingest
from kilowatch.cli.bench.alarm import listening
from kilowatch.cli.bench.api import NO_LIMITS
from kilowatch.cli.bench.client import Client
from kilowatch.cli.bench.figures import describe_machine, spent_between
from kilowatch.cli.bench.instance import BenchFailed, Instance, running_instance, temporary_folder
from kilowatch.cli.bench.load import device_name
from kilowatch.cli.bench.order import Order
from kilowatch.cli.bench.report import Row, progress_bars, shares, spread
from kilowatch.clock import rfc3339

AT_ONCE = 16
PAGE = 1000
BATCHES_PER_S = 80
IDLE_S = 10.0
"""How long alerts are timed before the load."""
TAKEN_WITHIN_S = 30.0
FIGURE = re.compile(r"^kilowatch_(lookout_seconds|findings)_total\{([^}]*)\} (\S+)$", re.MULTILINE)
LIMITS = (
    {"threshold": 1e9},
    {"threshold": 250.0, "clear_threshold": 50.0, "for_s": 60},
    {"threshold": 299.0, "clear_threshold": 1.0, "cooldown_s": 3600},
    {"threshold": 1e9, "input": "rate_per_minute"},
)
"""The rules in turn: most of the load's readings change nothing, a few begin a breach."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options say."""

    rules: int = 10_000
    rate: float = 100_000.0
    seconds: float = 30.0
    devices: int = 10_000


def measure(wish: Wish, folder: Path | None = None) -> dict[str, Any]:
    """Starts an instance, makes the rules, and loads it.

    Raises:
        BenchFailed: if a rule or a reading is refused, or rules do not come to work.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        starting = bars.add_task("starting an instance", total=None, said="")
        with running_instance(place, settings=NO_LIMITS) as instance:
            bars.update(starting, description=f"making {wish.rules:,} rules")
            batch = max(10, round(wish.rate / BATCHES_PER_S))
            load = ingest.Wish("json", wish.devices, seconds=wish.seconds, pace=wish.rate, batch=batch)
            key = instance.create_key()
            order = Order(ingest.target_of(instance, load, key), load.shape(), wish.seconds, wish.rate)
            began = time.monotonic()
            asyncio.run(make_rules(instance, key, wish, order.shape.start_us))
            made_in_s = time.monotonic() - began
            with Client(order) as client:
                client.wait_until_ready()
                instance.wait_until_stored()
                bars.update(starting, description="alerts, then the load", total=None)
                result = asyncio.run(_watch(instance, key, client, min(IDLE_S, wish.seconds)))
    return {
        "bench": "rules",
        "rules": wish.rules,
        "made_in_s": round(made_in_s, 1),
        **result,
        "machine": machine,
    }


async def make_rules(instance: Instance, key: str, wish: Wish, before_us: int) -> None:
    """Devices, by readings from before the load, and the rules, one device after the other; then waits until
    the last one is at work."""
    headers = {"Authorization": f"Bearer {key}"}
    turn = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=instance.url, headers=headers, timeout=60.0) as http:

        async def make(number: int, device: str, **more: Any) -> None:
            rule = {"name": f"Rule {number}", "device_id": device, "metric": "power", "operator": ">", **more}
            async with turn:
                answer = await http.post("/api/v1/rules", json=rule)
            if answer.status_code != 201:
                raise BenchFailed(f"a rule was refused: {answer.text[:300]}")

        ts = rfc3339(before_us - 60_000_000)
        for first in range(0, wish.devices, PAGE):
            some = range(first, min(first + PAGE, wish.devices))
            readings = [{"device": device_name(one), "ts": ts, "metrics": {"power": 0.0}} for one in some]
            answer = await http.post("/api/v1/readings", json=readings)
            if answer.status_code != 202:
                raise BenchFailed(f"the devices were not registered: {answer.text[:300]}")
        names = [device_name(number % wish.devices) for number in range(wish.rules)]
        await asyncio.gather(
            *(make(number, name, **LIMITS[number % len(LIMITS)]) for number, name in enumerate(names))
        )
        probe = {"device": "probe", "metrics": {"power": 1.0}}
        await http.post("/api/v1/readings", json=[probe])
        await make(wish.rules, "probe", threshold=0.0)
        deadline = time.monotonic() + TAKEN_WITHIN_S
        before = figures(instance)["raised"]
        while figures(instance)["raised"] == before:
            if time.monotonic() > deadline:
                raise BenchFailed(f"the rules were not at work within {TAKEN_WITHIN_S:.0f} s")
            await http.post("/api/v1/readings", json=[probe])
            await asyncio.sleep(0.5)


def figures(instance: Instance) -> dict[str, float]:
    """What the worker has told so far."""
    found = {"seconds": 0.0, "raised": 0.0, "cleared": 0.0}
    for name, labels, value in FIGURE.findall(instance.http.get(f"{instance.url}/metrics").text):
        change = re.search(r'change="(\w+)"', labels)
        found["seconds" if name == "lookout_seconds" else change[1] if change else ""] += float(value)
    return found


async def _watch(instance: Instance, key: str, client: Client, idle_s: float) -> dict[str, Any]:
    """The load, with alerts timed for `idle_s` before it, and under it."""
    async with listening(instance, key) as alarm:
        idle_until = time.monotonic() + idle_s
        idle = await alarm.send(lambda: time.monotonic() > idle_until)
        ended = threading.Event()
        loading = asyncio.create_task(asyncio.to_thread(_load, instance, client, ended))
        loaded = await alarm.send(ended.is_set)
        result = await loading
        stored, told = await alarm.count_stored(), len(alarm.alert_ids)
    if stored != told:
        raise BenchFailed(f"{told} alerts were told and {stored} are in the list")
    return {**result, "alerts_idle": idle, "alerts_loaded": loaded}


def _load(instance: Instance, client: Client, ended: threading.Event) -> dict[str, Any]:
    before, told_before = instance.cpu_seconds(), figures(instance)
    try:
        for _ in client.go():
            """Until the load has ended."""
    finally:
        ended.set()
    instance.wait_until_stored()
    time.sleep(2.0)
    spent, told = spent_between(before, instance.cpu_seconds()), figures(instance)
    outcome = client.outcome
    if outcome is None or not outcome.accepted:
        raise BenchFailed("nothing was accepted")
    looking_s = told["seconds"] - told_before["seconds"]
    worker_s = sum(used for part, used in spent.items() if part.startswith("worker"))
    return {
        "readings_per_s": round(outcome.rate),
        "seconds": round(outcome.seconds, 2),
        "refused": outcome.refused,
        "ack_ms": outcome.ack_ms,
        "raised": round(told["raised"] - told_before["raised"]),
        "cleared": round(told["cleared"] - told_before["cleared"]),
        "looking_s": round(looking_s, 3),
        "share_of_worker": round(looking_s / worker_s, 4) if worker_s else 0.0,
        "cpu_cores": {part: round(used / outcome.seconds, 3) for part, used in spent.items()},
    }


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    share = f"[bold]{100 * result['share_of_worker']:.1f} %[/bold] of the worker's processor time"
    return [
        ("rules", f"{result['rules']:,}, made over HTTP in {result['made_in_s']:.1f} s"),
        ("load", f"{result['readings_per_s']:,} readings/s"),
        ("acknowledgement", spread(result["ack_ms"])),
        ("looking at them", f"{share} ({result['looking_s']:.2f} s)"),
        ("found", f"{result['raised']:,} raised, {result['cleared']:,} cleared"),
        ("an alert, idle: accepted to told", spread(result["alerts_idle"]["accepted_to_told_ms"])),
        ("an alert, under load", spread(result["alerts_loaded"]["accepted_to_told_ms"])),
        ("cores busy", shares(result["cpu_cores"], "", 2)),
    ]
