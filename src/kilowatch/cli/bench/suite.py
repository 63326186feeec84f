"""`kw bench all`: every bench in turn, and one table of what each promise of the product came to.

The lengths scale with one number, so that a short look and a long measurement run the same things.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kilowatch.cli.bench import (
    accounting,
    control,
    idle,
    ingest,
    live,
    logins,
    peers,
    profiles,
    query,
    stage,
)
from kilowatch.cli.bench.instance import BenchFailed
from kilowatch.cli.bench.report import Row

SAMPLES_PER_S = 2_000_000
"""Samples stored for the queries, for each second of `seconds`: 100 million for 50."""
SAMPLES_MOST = 100_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One bench of the suite."""

    name: str
    run: Callable[[], dict[str, Any]]
    tell: Callable[[dict[str, Any]], str]
    """The figures that count, in a line."""


def steps(seconds: float, folder: Path | None) -> list[Step]:
    """All benches, each about `seconds` long."""

    def load(form: Any, connections: int | None = None) -> Callable[[], dict[str, Any]]:
        wish = ingest.Wish(form, connections=connections, seconds=seconds)
        return lambda: ingest.measure(wish, folder)

    samples = int(min(SAMPLES_MOST, SAMPLES_PER_S * seconds))
    account = accounting.Wish(seconds, min(5.0, seconds / 3))
    played = stage.Wish(seconds=seconds, hours=seconds / 6)
    devices = min(1000, max(8, samples // 100_000))
    return [
        Step("JSON batches", load("json"), _tell_load),
        Step("Arrow batches", load("arrow"), _tell_load),
        Step("line protocol", load("influx"), _tell_load),
        Step("single, 64 connections", load("single", 64), _tell_load),
        Step("single, 256 connections", load("single", 256), _tell_load),
        Step("MQTT QoS 1, 4 clients", load("mqtt"), _tell_load),
        Step("steady loads", lambda: profiles.measure(profiles.Wish(seconds), folder), _tell_profiles),
        Step("MQTT logins", lambda: logins.measure(logins.Wish(), folder), _tell_logins),
        Step("commands", lambda: control.measure(control.Wish(seconds=seconds), folder), _tell_commands),
        Step("live at 100,000/s", lambda: live.measure(live.Wish(seconds=seconds), folder), _tell_live),
        Step("worlds", lambda: stage.measure(played, folder), _tell_stage),
        Step("reading back", lambda: query.measure(query.Wish(samples, devices), folder), _tell_query),
        Step("idle demo", lambda: idle.measure(min(seconds, 30.0), min(seconds, 20.0), folder), _tell_idle),
        Step("accounting", lambda: accounting.measure(account, folder), _tell_account),
        Step("peers", lambda: peers.measure(ingest.Wish("influx", seconds=seconds), 1, folder), _tell_peers),
    ]


def measure(seconds: float, folder: Path | None, look: Callable[[str], None]) -> dict[str, Any]:
    """Runs every step; `look` is told the name of each before it begins. A step that cannot be carried out is
    told with its reason and does not keep the others from running."""
    results: dict[str, Any] = {}
    for step in steps(seconds, folder):
        look(step.name)
        try:
            result = step.run()
        except BenchFailed as failed:
            results[step.name] = {"failed": str(failed)}
        else:
            results[step.name] = {"told": step.tell(result), **result}
    right = all("failed" not in result and result.get("right", True) for result in results.values())
    machines = [result["machine"] for result in results.values() if "machine" in result]
    return {
        "bench": "all",
        "seconds": seconds,
        "right": right,
        "steps": results,
        "machine": machines[0] if machines else None,
    }


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    return [
        (name, one["told"] if "told" in one else f"[red]{one['failed']}[/red]")
        for name, one in result["steps"].items()
    ]


def _tell_load(result: dict[str, Any]) -> str:
    lag, ack = result["lag"], result["ack_ms"]
    cost, weight = sum(result["cpu_s_per_million"].values()), result["storage"]["bytes_per_sample"]
    return (
        f"[bold]{result['readings_per_s']:,}/s[/bold], p50 {ack['p50']:.1f}, p99 {ack['p99']:.1f} ms, "
        f"lag {lag['most_s']:.1f} s, {cost:.2f} CPU s per million, {weight:.2f} B per sample"
    )


def _tell_profiles(result: dict[str, Any]) -> str:
    return "; ".join(
        f"{one['per_minute']:,} a minute: {one['success']:.2%}, p95 [bold]{one['p95_ms']:.0f} ms[/bold]"
        for one in result["profiles"]
    )


def _tell_logins(result: dict[str, Any]) -> str:
    return (
        f"[bold]{result['logins_per_minute']:,} a minute[/bold], p99 {result['login_ms']['p99']:.0f} ms; "
        f"one ended after {result['ended_after_ms']:.0f} ms"
    )


def _tell_commands(result: dict[str, Any]) -> str:
    return (
        f"[bold]{result['delivered_per_s']:,}/s[/bold], at the device p95 "
        f"{result['to_device_ms']['p95']:.0f} ms; {result['lost']} lost"
    )


def _tell_live(result: dict[str, Any]) -> str:
    alone, batch = (result[kind]["sent_to_seen_ms"] for kind in live.KINDS)
    return f"sent to seen p95 [bold]{alone['p95']:.0f} ms[/bold] alone, {batch['p95']:.0f} ms in batches"


def _tell_stage(result: dict[str, Any]) -> str:
    real, fast = (result[name]["told_to_seen_ms"]["p95"] for name in ("real_time", "fast"))
    return (
        f"told to seen by {result['clients']} clients p95 [bold]{real:.0f} ms[/bold], {fast:.0f} ms at 600 "
        f"times; 30 days in {result['engine_ms']['thirty_days_with_statistics']:.0f} ms"
    )


def _tell_query(result: dict[str, Any]) -> str:
    day, month = result["one_day_raw_ms"], result["thirty_days_by_hour_ms"]
    return (
        f"{result['samples']:,} samples: one day raw p95 [bold]{day['p95']:.1f} ms[/bold], "
        f"30 days by hour p95 [bold]{month['p95']:.1f} ms[/bold]"
    )


def _tell_idle(result: dict[str, Any]) -> str:
    return (
        f"[bold]{result['memory_total_mb']:,.0f} MB[/bold], {sum(result['cpu_percent'].values()):.1f} % of a "
        f"core; ready in {result['ready_s']:.1f} s, again in {result['second_start_s']:.1f} s"
    )


def _tell_account(result: dict[str, Any]) -> str:
    kills, outcome = sum(result["killed"].values()), f"{result['lost']} lost, {result['twice']} twice"
    return f"{result['accepted']:,} accepted, {kills} kills: [bold]{outcome}[/bold]"


def _tell_peers(result: dict[str, Any]) -> str:
    return ", ".join(f"[bold]{ratio:.2f}[/bold] to {name}" for name, ratio in result["ratio"].items())
