"""The group `kw command`: its options, as typer takes them."""

from typing import Annotated

import typer

from kilowatch.cli.options import AsJson, Data
from kilowatch.control.lifecycle import Status
from kilowatch.settings import load_settings

commands = typer.Typer(help="Commands to devices.", no_args_is_help=True)

Slug = Annotated[str, typer.Option("--organisation", help="Slug of the organisation.")]


@commands.command("send")
def send(
    device: Annotated[str, typer.Argument(help="The device's id.")],
    name: Annotated[str, typer.Argument(help="set_state, toggle, set_power, or a name of the device's own.")],
    organisation: Slug,
    data: Data = None,
    arguments: Annotated[str, typer.Option(help="A JSON object.")] = "{}",
    expires_in: Annotated[int, typer.Option(help="Seconds for which it is worth trying.")] = 300,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its end; exit code 1 unless it succeeds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stores a command for a device, which gets it in its turn."""
    from kilowatch.cli import control
    from kilowatch.cli.registry import show_facts

    wanted = control.read_arguments(arguments)
    told = control.send(load_settings(data=data), organisation, device, name, wanted, expires_in, wait=wait)
    show_facts(told, as_json)
    if wait and told["status"] != "succeeded":
        raise typer.Exit(1)


@commands.command("list")
def list_commands(
    organisation: Slug,
    data: Data = None,
    device: Annotated[str | None, typer.Option(help="Only commands to this device.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only commands that are this now.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Lists the newest commands."""
    from kilowatch.cli import control
    from kilowatch.cli.registry import show_rows

    columns = ("created_at", "device", "name", "status", "tries", "detail", "requested_by", "id")
    show_rows(control.find(load_settings(data=data), organisation, device, status, limit), columns, as_json)
