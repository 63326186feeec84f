"""The command `kw`: every sub-command, registered in one list, and how errors are told.

Keeps true that a mistake ends with one clear message on standard error and exit code 1 (2 for a wrong
option), never with a traceback; and that `kw --help` imports no engine.
"""

import sys
from typing import Annotated

import typer

from kilowatch.cli.bench.commands import app as bench
from kilowatch.cli.control_commands import commands
from kilowatch.cli.options import AsJson, Data, Page
from kilowatch.cli.registry_commands import organisations, users
from kilowatch.cli.simulate_command import simulate
from kilowatch.cli.up import up
from kilowatch.cli.world_commands import worlds
from kilowatch.errors import EngineUnavailable, Problem, StartRefused
from kilowatch.settings import load_settings

app = typer.Typer(
    name="kw",
    help="Kilowatch: readings of meters, homes and machines, kept for ever and shown live.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys, name="key")
app.add_typer(users, name="user")
app.add_typer(organisations, name="org")
devices = typer.Typer(help="Devices.", no_args_is_help=True)
app.add_typer(devices, name="device")
app.add_typer(commands, name="command")
app.add_typer(worlds, name="world")
app.add_typer(bench, name="bench")
app.command()(up)

Port = Annotated[int | None, typer.Option(help="Port of the HTTP server; 0 takes any free one.")]


@app.command()
def serve(
    data: Data = None,
    port: Port = None,
    demo: Annotated[
        bool, typer.Option("--demo", envvar="KILOWATCH_DEMO", help="Sign in browsers of this machine.")
    ] = False,
) -> None:
    """Runs the HTTP server: doors, API, live feed and page."""
    from kilowatch.cli import processes

    processes.serve(load_settings(data=data, port=port), doors_only=False, demo=demo)


@app.command()
def ingest(data: Data = None, port: Port = None) -> None:
    """Runs the front doors only: HTTP readings, line protocol, the inbox of devices."""
    from kilowatch.cli import processes

    processes.serve(load_settings(data=data, port=port), doors_only=True, demo=False)


@app.command()
def worker(
    data: Data = None,
    partitions: Annotated[
        str | None, typer.Option(help="Which of how many, as in 0-7/16; without it all of them.")
    ] = None,
    with_jobs: Annotated[bool, typer.Option("--jobs", help="Runs the scheduled jobs, too.")] = False,
) -> None:
    """Runs a worker: from the log into the lake."""
    from kilowatch.cli import processes
    from kilowatch.cli.partitions import parse_partitions

    settings = load_settings(data=data)
    numbers = parse_partitions(partitions, settings.partitions)
    processes.work(settings, numbers, with_jobs=with_jobs)


@app.command()
def jobs(data: Data = None) -> None:
    """Runs the scheduled jobs (merging, retention, clean-up), and sends commands to devices."""
    from kilowatch.cli import processes

    processes.keep(load_settings(data=data))


@app.command()
def migrate(data: Data = None) -> None:
    """Brings tables, lake and streams to what this version needs."""
    from kilowatch.cli import processes

    typer.echo(f"at revision {processes.migrate(load_settings(data=data))}")


app.command()(simulate)


@app.command()
def openapi() -> None:
    """Prints the OpenAPI document of the API, as it is served and as it lies in docs/reference."""
    from kilowatch.ingest.documented import PATHS
    from kilowatch.server.app import build_document

    typer.echo(build_document(PATHS), nl=False)


@app.command()
def reference(page: Annotated[Page, typer.Argument(help="Which page.")]) -> None:
    """Prints a page of docs/reference as the code has it: settings, commands, figures, roles, or the JSON
    Schema of worlds."""
    from kilowatch.cli.reference import write_page

    typer.echo(write_page(page, app), nl=False)


@app.command()
def settings(data: Data = None, as_json: AsJson = False) -> None:
    """Lists every setting: its value, its default, what it means."""
    from kilowatch.cli.facts import show_settings

    show_settings(load_settings(data=data), as_json)


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Checks a data folder, running or not, and says what to do about what it finds."""
    from kilowatch.cli.doctor import examine

    if not examine(load_settings(data=data), as_json):
        raise typer.Exit(1)


@app.command()
def verify(
    data: Data = None,
    start: Annotated[str | None, typer.Option(help="From this time on; without it from the first.")] = None,
    end: Annotated[str | None, typer.Option(help="Up to this time; without it up to now.")] = None,
    organisation: Annotated[str | None, typer.Option(help="Only this organisation, by its slug.")] = None,
    device: Annotated[str | None, typer.Option(help="Only devices with this id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Proves that everything accepted is stored once, a repeat or a dead letter, and that all tiers agree."""
    from kilowatch.cli import verify as proof

    scope = proof.Scope(proof.read_span(start, end), organisation, device)
    if not proof.verify(load_settings(data=data), scope, as_json):
        raise typer.Exit(1)


@app.command()
def storage(
    data: Data = None,
    merge: Annotated[bool, typer.Option("--merge", help="Merge small files first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows what the lake weighs: rows, files and bytes per table, bytes per sample, samples per metric."""
    from kilowatch.cli.storage import show_storage

    show_storage(load_settings(data=data), merge=merge, as_json=as_json)


@app.command()
def mail(
    data: Data = None,
    all_letters: Annotated[bool, typer.Option("--all", help="Show every letter, not the last one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Shows the mail to people that was written to the data folder, where no mail server is set."""
    from kilowatch.cli.mail import show_mail

    show_mail(load_settings(data=data), all_letters=all_letters, as_json=as_json)


@keys.command("create")
def create_key(
    organisation: Annotated[str, typer.Option(help="Slug of the organisation.")],
    scopes: Annotated[str, typer.Option(help="Comma-separated: ingest, read, control, admin.")],
    data: Data = None,
    create: Annotated[bool, typer.Option("--create", help="Make the organisation if missing.")] = False,
    auto_register: Annotated[
        bool, typer.Option("--auto-register", help="Devices not seen before are made.")
    ] = False,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "made by kw",
    as_json: AsJson = False,
) -> None:
    """Makes an API key and prints it, once."""
    from kilowatch.cli.keys import Wish, make_key

    wish = Wish(organisation, scopes, name, create=create, auto_register=auto_register)
    typer.echo(make_key(load_settings(data=data), wish, as_json))


@devices.command("token")
def make_device_token(
    device: Annotated[str, typer.Argument(help="The device's id.")],
    organisation: Annotated[str, typer.Option(help="Slug of the organisation.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Makes a token that the device logs in with, and prints it, once. The one before ends."""
    from kilowatch.cli.devices import make_token

    typer.echo(make_token(load_settings(data=data), organisation, device, as_json))


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except (StartRefused, EngineUnavailable) as error:
        _fail(str(error))
    except Problem as problem:
        _fail("\n  ".join([problem.detail, *(fault.detail for fault in problem.errors)]))


def _fail(message: str) -> None:
    sys.stderr.write(f"kw: {message}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
