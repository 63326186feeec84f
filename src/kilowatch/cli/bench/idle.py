"""`kw bench idle`: what the demo costs while it plays: time to start, memory and CPU of all processes.

Watches from outside until the three meters are live (their history is filled in and new readings arrive),
then looks at the processes for a while; the medians count. A second start on the same data is timed as well.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from kilowatch.cli.bench.figures import describe_machine, spent_between
from kilowatch.cli.bench.instance import POLL_S, BenchFailed, Instance, running_instance, temporary_folder
from kilowatch.cli.bench.report import Row, progress_bars, shares

DEMO = "demo"
METERS = 3
LIVE_WITHIN_S = 300.0
FRESH_S = 10.0
LOOK_EVERY_S = 1.0


def measure(seconds: float, settle_s: float, folder: Path | None = None) -> dict[str, Any]:
    """Starts the demo, waits until it is live, looks for `seconds` after `settle_s`, starts it again.

    Raises:
        BenchFailed: if it does not come alive.
    """
    with temporary_folder(folder) as place, progress_bars() as bars:
        machine = describe_machine(place)
        bar = bars.add_task("starting the demo", total=None, said="")
        with running_instance(place, demo=True) as instance:
            ready_s = instance.started_in_s
            bars.update(bar, description="waiting until the meters are live")
            live_s = _wait_until_live(instance)
            bars.update(bar, description="letting it settle")
            _spend(settle_s)
            before, began = instance.cpu_seconds(), time.monotonic()
            looks = []
            bars.update(bar, description="looking", total=seconds)
            while (passed := time.monotonic() - began) < seconds:
                looks.append(instance.memory_mb())
                bars.update(bar, completed=passed, said=f"{sum(looks[-1].values()):,.0f} MB")
                _spend(LOOK_EVERY_S)
            spent = spent_between(before, instance.cpu_seconds())
            took_s = time.monotonic() - began
        bars.update(bar, description="starting it again", total=None, said="")
        with running_instance(place, demo=True) as instance:
            again_s = instance.started_in_s
    typical = sorted(looks, key=lambda look: sum(look.values()))[len(looks) // 2]
    return {
        "bench": "idle",
        "ready_s": round(ready_s, 2),
        "live_s": round(ready_s + live_s, 2),
        "second_start_s": round(again_s, 2),
        "memory_mb": typical,
        "memory_total_mb": round(median(sum(look.values()) for look in looks), 1),
        "cpu_percent": {part: round(used / took_s * 100, 2) for part, used in spent.items()},
        "machine": machine,
    }


def _wait_until_live(instance: Instance) -> float:
    """Returns the seconds until every meter has a fresh reading and nothing waits to be stored."""
    began = time.monotonic()
    key = instance.tool("key", "create", "--organisation", DEMO, "--scopes", "read")["key"]
    while True:
        fresh = _fresh_meters(instance, {"Authorization": f"Bearer {key}"})
        if fresh >= METERS:
            instance.wait_until_stored()
            return time.monotonic() - began
        if time.monotonic() - began > LIVE_WITHIN_S:
            raise BenchFailed(f"only {fresh} meters are live after {LIVE_WITHIN_S:.0f} s")
        time.sleep(POLL_S)


def _fresh_meters(instance: Instance, headers: dict[str, str]) -> int:
    try:
        answer = instance.http.get(f"{instance.url}/api/v1/readings/latest", headers=headers)
        items = answer.json()["items"]
    except (httpx.HTTPError, ValueError, KeyError):
        return 0
    now = datetime.now(UTC)
    times = [[one["ts"] for one in item["metrics"]] for item in items]
    return sum(any(_age_s(ts, now) < FRESH_S for ts in of_device) for of_device in times)


def _age_s(text: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(text)).total_seconds()


def _spend(seconds: float) -> None:
    """Lets time pass that is itself what is measured."""
    time.sleep(seconds)


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    return [
        (
            "ready",
            f"{result['ready_s']:.1f} s after the command; the second time {result['second_start_s']:.1f} s",
        ),
        ("live", f"{result['live_s']:.1f} s after the command, history included"),
        (
            "memory (PSS)",
            f"[bold]{result['memory_total_mb']:,.0f} MB[/bold]: {shares(result['memory_mb'], 'MB', 0)}",
        ),
        ("CPU", shares(result["cpu_percent"], "% of a core", 1)),
    ]
