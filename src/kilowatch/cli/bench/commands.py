"""The sub-commands of `kw bench`. Each starts an instance of its own, stops and leaves nothing behind."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from kilowatch.cli.options import AsJson

app = typer.Typer(
    help="Measures a temporary instance of its own: ingestion, queries, live, accounting, and peers.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Where the temporary files go; the system's place for them by default.",
    ),
]
Devices = Annotated[int, typer.Option(min=1, max=999_999, help="How many devices send.")]
Metrics = Annotated[int, typer.Option(min=1, max=100, help="Metrics in each reading.")]
Seconds = Annotated[float, typer.Option(min=0.5, max=86_400, help="How long readings are sent.")]

FORMS = ("json", "ndjson", "arrow", "influx", "single", "mqtt")


def form_of(text: str) -> str:
    """A form by its name."""
    if text not in FORMS:
        raise typer.BadParameter(f"one of {', '.join(FORMS)}")
    return text


@app.command()
def ingest(
    form: Annotated[
        str, typer.Option(callback=form_of, help=f"How readings are sent: {', '.join(FORMS)}.")
    ] = "json",
    devices: Devices = 10_000,
    metrics: Metrics = 4,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Readings in one body; 5,000 (Arrow: 20,000).")
    ] = None,
    seconds: Seconds = 60.0,
    connections: Annotated[int | None, typer.Option(min=1, help="8; single: 64; mqtt: 4.")] = None,
    every_ms: Annotated[int, typer.Option(min=1, help="Time between two readings of a device.")] = 10,
    window: Annotated[
        int, typer.Option(min=1, max=60_000, help="MQTT: unacknowledged messages of a client.")
    ] = 200,
    rate: Annotated[
        float, typer.Option(min=0, help="Readings per second; 0 for as many as are taken.")
    ] = 0.0,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Sends readings as fast as they are taken: rate, acknowledgement, lag, CPU, bytes, memory."""
    from kilowatch.cli.bench import ingest as bench
    from kilowatch.cli.bench.load import Form

    wish = bench.Wish(cast(Form, form), devices, metrics, batch, connections, seconds, every_ms, window, rate)
    _report("Ingestion", lambda: bench.measure(wish, folder), bench.rows_of, as_json)


@app.command()
def query(
    samples: Annotated[int, typer.Option(min=1000, help="How many values are stored first.")] = 10_000_000,
    devices: Devices = 1000,
    metrics: Metrics = 4,
    days: Annotated[int, typer.Option(min=31, max=80, help="Over how many days they are spread.")] = 35,
    questions: Annotated[int, typer.Option(min=2, help="Questions of each kind.")] = 100,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Fills an instance, then reads one series back: one day raw, and 30 days by the hour."""
    from kilowatch.cli.bench import query as bench

    wish = bench.Wish(samples, devices, metrics, days, questions)
    _report("Reading back", lambda: bench.measure(wish, folder), bench.rows_of, as_json)


@app.command()
def live(
    rate: Annotated[float, typer.Option(min=1, help="Readings per second meanwhile.")] = 100_000.0,
    seconds: Seconds = 30.0,
    devices: Devices = 10_000,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Measures how long a reading takes from its sender to a WebSocket client, under load."""
    from kilowatch.cli.bench import live as bench

    wish = bench.Wish(rate, seconds, devices)
    _report("Live", lambda: bench.measure(wish, folder), bench.rows_of, as_json)


@app.command()
def rules(
    count: Annotated[int, typer.Option("--rules", min=1, help="How many rules there are.")] = 10_000,
    rate: Annotated[float, typer.Option(min=1, help="Readings per second meanwhile.")] = 100_000.0,
    seconds: Seconds = 30.0,
    devices: Devices = 10_000,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Measures what looking at readings with many rules costs the worker, under load."""
    from kilowatch.cli.bench import rules as bench

    wish = bench.Wish(count, rate, seconds, devices)
    _report("Rules", lambda: bench.measure(wish, folder), bench.rows_of, as_json)


@app.command()
def accounting(
    seconds: Annotated[float, typer.Option(min=1, help="How long readings are sent.")] = 300.0,
    kill_every: Annotated[float, typer.Option(min=0.5, help="Seconds between two kills.")] = 5.0,
    postgres: Annotated[bool, typer.Option("--postgres", help="Kill PostgreSQL as well.")] = False,
    seed: Annotated[int, typer.Option(help="Decides who is killed.")] = 1,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Proves that each accepted reading is stored once, while processes are killed; exit code 1 if not."""
    from kilowatch.cli.bench import accounting as bench

    wish = bench.Wish(seconds, kill_every, postgres, seed)
    result = _report("Accounting", lambda: bench.measure(wish, folder), bench.rows_of, as_json)
    if not result["right"]:
        raise typer.Exit(1)


@app.command()
def peers(
    devices: Devices = 10_000,
    metrics: Metrics = 4,
    seconds: Seconds = 20.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often each system is loaded.")] = 1,
    connections: Annotated[int, typer.Option(min=1, help="Connections to each system.")] = 8,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Sends the same line protocol to VictoriaMetrics, InfluxDB and Kilowatch, and prints the ratio."""
    from kilowatch.cli.bench import peers as bench
    from kilowatch.cli.bench.ingest import Wish

    wish = Wish("influx", devices, metrics, connections=connections, seconds=seconds)
    _report("Peers", lambda: bench.measure(wish, rounds, folder), bench.rows_of, as_json)


@app.command()
def api(
    clients: Annotated[int, typer.Option(min=1, max=1000, help="Connections that ask at once.")] = 50,
    rounds: Annotated[int, typer.Option(min=2, help="Questions of each connection.")] = 40,
    devices: Devices = 10_000,
    logins: Annotated[int, typer.Option(min=2, help="How often somebody signs in.")] = 100,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Lets people sign in and look: how long they wait when many ask at once."""
    from kilowatch.cli.bench import api as bench

    wish = bench.Wish(clients, rounds, devices, logins)
    _report("People", lambda: bench.measure(wish, folder), bench.rows_of, as_json)


@app.command()
def logins(
    devices: Annotated[int, typer.Option(min=1, max=15_000, help="How many devices log in.")] = 5000,
    at_a_time: Annotated[int, typer.Option(min=1, help="Devices that log in at the same time.")] = 64,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Lets devices log in over MQTT, each with its token, and ends one: how fast, and at what cost."""
    from kilowatch.cli.bench import logins as bench

    wish = bench.Wish(devices, at_a_time)
    _report("MQTT logins", lambda: bench.measure(wish, folder), bench.rows_of, as_json)


@app.command()
def stage(
    clients: Annotated[int, typer.Option(min=1, max=500, help="WebSocket clients on all streams.")] = 50,
    seconds: Seconds = 30.0,
    hours: Annotated[float, typer.Option(min=0, help="Simulated hours that memory is watched for.")] = 24.0,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Plays the largest world for many clients: how soon they see it, what it costs, and memory."""
    from kilowatch.cli.bench import stage as bench

    wish = bench.Wish(clients, seconds, hours)
    _report("Worlds", lambda: bench.measure(wish, folder), bench.rows_of, as_json)


@app.command("commands")
def control(
    devices: Annotated[int, typer.Option(min=1, max=15_000, help="How many devices are told.")] = 1000,
    connections: Annotated[int, typer.Option(min=1, max=1000, help="Connections that send.")] = 64,
    seconds: Seconds = 20.0,
    rate: Annotated[
        float, typer.Option(min=0, help="Commands per second; 0 for as many as are taken.")
    ] = 0.0,
    kill_every: Annotated[
        float, typer.Option(min=0, help="Seconds between two kills of worker, nats or mqtt; 0 for none.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides who is killed.")] = 1,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Sends commands to devices that answer at once: rates and times; exit code 1 if one is lost."""
    from kilowatch.cli.bench import control as bench

    wish = bench.Wish(devices, connections, seconds, rate, kill_every, seed)
    result = _report("Commands", lambda: bench.measure(wish, folder), bench.rows_of, as_json)
    if not result["right"]:
        raise typer.Exit(1)


@app.command()
def load(
    seconds: Annotated[float, typer.Option(min=0.5, max=86_400, help="How long each load lasts.")] = 300.0,
    beyond: Annotated[
        bool, typer.Option("--beyond", help="Then many times as much, until it is too much.")
    ] = False,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Sends 10,000 readings a minute one by one, and 100,000 in hundreds; exit code 1 if that is too much."""
    from kilowatch.cli.bench import profiles as bench

    wish = bench.Wish(seconds, beyond)
    result = _report("Load", lambda: bench.measure(wish, folder), bench.rows_of, as_json)
    if not result["right"]:
        raise typer.Exit(1)


@app.command()
def idle(
    seconds: Seconds = 30.0,
    settle: Annotated[float, typer.Option(min=0, help="Seconds to wait before, once it is live.")] = 20.0,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Starts the demo and measures what it needs while it plays: time to start, memory, CPU."""
    from kilowatch.cli.bench import idle as bench

    _report("Idle demo", lambda: bench.measure(seconds, settle, folder), bench.rows_of, as_json)


@app.command("all")
def run_all(seconds: Seconds = 5.0, folder: Folder = None, as_json: AsJson = False) -> None:
    """Runs everything, each for about the given time: a short look by default, a measurement with 60."""
    from kilowatch.cli.bench import suite as bench

    def tell(name: str) -> None:
        sys.stderr.write(f"{name} ...\n")

    result = _report("Everything", lambda: bench.measure(seconds, folder, tell), bench.rows_of, as_json)
    if not result["right"]:
        raise typer.Exit(1)


def _report(
    title: str,
    measure: Callable[[], dict[str, Any]],
    rows_of: Callable[[dict[str, Any]], Sequence[tuple[str, str]]],
    as_json: bool,
) -> dict[str, Any]:
    """Runs a bench and shows its result; exit code 1 with one message when it cannot be carried out."""
    from kilowatch.cli.bench.instance import BenchFailed
    from kilowatch.cli.bench.report import show

    try:
        with _told_to_stop():
            result = measure()
    except BenchFailed as failed:
        sys.stderr.write(f"kw bench: {failed}\n")
        raise typer.Exit(1) from None
    show(title, result, rows_of(result), as_json)
    return result


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """SIGTERM and SIGHUP end a run the way Ctrl-C does: children are stopped, files removed."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
