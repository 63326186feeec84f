"""`kw bench peers`: the same line protocol into VictoriaMetrics, InfluxDB 1.x and Kilowatch.

All get the same bodies from the same client, one after the other, each alone in a fresh folder, and each says
afterwards how much it counted. What an acknowledgement means differs between them and is told.
"""

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
from rich.progress import Progress, TaskID

from kilowatch.cli.bench import figures, ingest
from kilowatch.cli.bench.client import Client, Outcome
from kilowatch.cli.bench.instance import POLL_S, BenchFailed, running_instance, temporary_folder
from kilowatch.cli.bench.load import Shape
from kilowatch.cli.bench.order import Order, Target
from kilowatch.cli.bench.report import Row, progress_bars, spread
from kilowatch.cli.child import Child, Spawn
from kilowatch.stream.embedded import choose_port

KILOWATCH, VICTORIA, INFLUX = "Kilowatch", "VictoriaMetrics", "InfluxDB"
PACKAGES = {VICTORIA: "victoria-metrics", INFLUX: "influxdb"}
PROGRAMS = {VICTORIA: "victoria-metrics", INFLUX: "influxd"}
SYNC = {
    KILOWATCH: "answers once the log is fsynced",
    VICTORIA: "answers from memory, writes later, does not fsync a request (it has no such setting)",
    INFLUX: "answers once its write-ahead log is fsynced (wal-fsync-delay 0s, its default)",
}
READY_WITHIN_S = 30.0
INFLUX_CONFIGURATION = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
wal-fsync-delay = "0s"
cache-max-memory-size = "8g"
max-series-per-database = 0
max-values-per-tag = 0
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
[monitor]
store-enabled = false
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running database of somebody else."""

    port: int
    path: str
    process: psutil.Process
    count: Callable[[httpx.Client], int]
    """Readings that it says it has taken."""


def measure(wish: ingest.Wish, rounds: int, folder: Path | None = None) -> dict[str, Any]:
    """Loads every system `rounds` times in turn; the medians make the ratios.

    Raises:
        BenchFailed: if no peer is installed, or one did not take all that it acknowledged.
    """
    installed = [name for name in PROGRAMS if shutil.which(PROGRAMS[name])]
    if not installed:
        raise BenchFailed(
            "neither VictoriaMetrics nor InfluxDB is installed; on Debian: "
            f"apt-get install {' '.join(PACKAGES.values())}"
        )
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in (*installed, KILOWATCH)}
    shape = wish.shape()
    with progress_bars() as bars:
        for turn in range(rounds):
            names = list(found)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                with temporary_folder(folder) as place:
                    machine = figures.describe_machine(place)
                    bar = bars.add_task(f"{name}, round {turn + 1} of {rounds}", total=wish.seconds, said="")
                    if name == KILOWATCH:
                        found[name].append(_load_kilowatch(place, wish, bars))
                    else:
                        found[name].append(_load_peer(name, place, wish, shape, bars, bar))
                    bars.remove_task(bar)
    rates = {name: median(one["readings_per_s"] for one in runs) for name, runs in found.items()}
    return {
        "bench": "peers",
        "rounds": rounds,
        "seconds": wish.seconds,
        "devices": shape.used_devices,
        "metrics": shape.metrics,
        "connections": shape.connections,
        "batch": shape.rows,
        "readings_per_s": rates,
        "ratio": {name: round(rates[KILOWATCH] / rates[name], 3) for name in installed},
        "versions": {KILOWATCH: machine["kilowatch"]} | {name: version_of(name) for name in installed},
        "acknowledgement": {name: SYNC[name] for name in found},
        "missing": [PACKAGES[name] for name in PROGRAMS if name not in installed],
        "runs": found,
        "machine": machine,
    }


def _load_kilowatch(place: Path, wish: ingest.Wish, bars: Progress) -> dict[str, Any]:
    with running_instance(place) as instance:
        return ingest.load_instance(instance, wish, bars)


def _load_peer(
    name: str, place: Path, wish: ingest.Wish, shape: Shape, bars: Progress, bar: TaskID
) -> dict[str, Any]:
    start = start_victoria if name == VICTORIA else start_influx
    with (
        start(place, shape.metrics) as peer,
        httpx.Client(timeout=60.0, base_url=f"http://127.0.0.1:{peer.port}") as http,
    ):
        kind = {"Content-Type": "text/plain; charset=utf-8"}
        order = Order(Target("127.0.0.1", peer.port, peer.port, peer.path, kind), shape, wish.seconds)
        with Client(order) as client:
            client.wait_until_ready()
            before, began = figures.cpu_seconds(peer.process, {}), time.monotonic()
            for accepted in client.go():
                passed = time.monotonic() - began
                bars.update(bar, completed=passed, said=f"{accepted / max(passed, 1e-9):,.0f}/s")
        spent = figures.spent_between(before, figures.cpu_seconds(peer.process, {}))
        outcome = client.outcome
        if outcome is None or not outcome.accepted:
            raise BenchFailed(f"{name} accepted nothing")
        _check_count(name, peer, http, outcome.accepted + client.registered)
        memory = figures.memory_mb(peer.process, {})
    return _figures(order, outcome, client.registered, spent) | {"memory_mb": memory}


def _http(port: int) -> httpx.Client:
    return httpx.Client(timeout=60.0, base_url=f"http://127.0.0.1:{port}")


def _figures(order: Order, outcome: Outcome, registered: int, spent: dict[str, float]) -> dict[str, Any]:
    return ingest.figures_of(order, outcome, registered, {"server": sum(spent.values())})


def _check_count(name: str, peer: Peer, http: httpx.Client, expected: int) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while (counted := peer.count(http)) != expected:
        if time.monotonic() > deadline:
            raise BenchFailed(f"{name} acknowledged {expected} readings and counts {counted}")
        time.sleep(POLL_S)


@contextlib.contextmanager
def start_victoria(folder: Path, metrics: int) -> Iterator[Peer]:
    """VictoriaMetrics as Debian packages it, with its defaults, on loopback."""
    port = choose_port(0, "")
    argv = [
        PROGRAMS[VICTORIA],
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder / 'victoria'}",
        "-retentionPeriod=10y",
        "-loggerLevel=ERROR",
    ]

    def count(http: httpx.Client) -> int:
        found = re.search(r'^vm_rows_inserted_total\{type="influx"\} (\d+)', http.get("/metrics").text, re.M)
        return int(found[1]) // metrics if found else 0  # it counts values

    with _running(argv, folder, port, "/health") as process:
        yield Peer(port, "/write?precision=ns", process, count)


@contextlib.contextmanager
def start_influx(folder: Path, _metrics: int) -> Iterator[Peer]:
    """InfluxDB 1.x as Debian packages it, on loopback, with room in its cache."""
    port = choose_port(0, "")
    configuration = folder / "influxdb.conf"
    text = INFLUX_CONFIGURATION.format(rpc_port=choose_port(0, ""), port=port, folder=folder / "influx")
    configuration.write_text(text, encoding="utf-8")

    def count(http: httpx.Client) -> int:
        told = http.get("/debug/vars").json()
        doors = [part["values"] for name, part in told.items() if name.startswith("httpd:")]
        return int(sum(door.get("pointsWrittenOK", 0) for door in doors))

    with _running([PROGRAMS[INFLUX], "-config", str(configuration)], folder, port, "/ping") as process:
        answer = httpx.post(f"http://127.0.0.1:{port}/query", params={"q": "CREATE DATABASE bench"})
        if not answer.is_success:
            raise BenchFailed(f"InfluxDB made no database: {answer.text[:300]}")
        yield Peer(port, "/write?db=bench&precision=ns", process, count)


@contextlib.contextmanager
def _running(argv: list[str], folder: Path, port: int, path: str) -> Iterator[psutil.Process]:
    child = Child(Path(argv[0]).name, lambda: Spawn(argv, {"cwd": folder}), log_folder=folder)
    child.start()
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}{path}").is_success:
                    break
            if not child.is_alive() or time.monotonic() > deadline:
                raise BenchFailed(f"{argv[0]} did not become ready:\n{child.tail()}")
            time.sleep(POLL_S)
        if child.pid is None:
            raise BenchFailed(f"{argv[0]} has ended")
        yield psutil.Process(child.pid)
    finally:
        child.stop(lambda: False)


def version_of(name: str) -> str:
    """The package's version, or that of the program where no package knows it."""
    query = shutil.which("dpkg-query")
    commands = [[PROGRAMS[name], "version" if name == INFLUX else "--version"]]
    if query:
        commands.insert(0, [query, "--showformat=${Version}", "--show", PACKAGES[name]])
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return "unknown"


def rows_of(result: dict[str, Any]) -> Sequence[Row]:
    """The table."""
    load = (
        f"line protocol, {result['devices']:,} devices, {result['metrics']} metrics, "
        f"{result['connections']} connections, {result['batch']:,} readings a body, {result['seconds']:g} s"
    )
    rows = [("load", f"{load}, {result['rounds']} rounds")]
    for name, rate in result["readings_per_s"].items():
        runs = result["runs"][name]
        spent = median(sum(run["cpu_s_per_million"].values()) for run in runs)
        fast = f"[bold]{rate:,.0f} readings/s[/bold], {spent:.2f} CPU s per million"
        rows.append((f"{name} {result['versions'][name]}", fast))
        rows.append(("", spread(runs[-1]["ack_ms"])))
        rows.append(("", result["acknowledgement"][name]))
    for name, ratio in result["ratio"].items():
        rows.append((f"Kilowatch to {name}", f"[bold]{ratio:.2f}[/bold]"))
    if result["missing"]:
        rows.append(("not installed", f"apt-get install {' '.join(result['missing'])}"))
    return rows
