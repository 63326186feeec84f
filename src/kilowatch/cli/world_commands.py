"""The group `kw world`: its options, as typer takes them."""

from typing import Annotated

import typer

from kilowatch.cli.options import AsJson, Data
from kilowatch.settings import load_settings

worlds = typer.Typer(help="Worlds of the simulator, one's own among them.", no_args_is_help=True)


@worlds.command("list")
def list_worlds(data: Data = None, as_json: AsJson = False) -> None:
    """Lists every world, those of one's own first, and how many problems its files have."""
    from kilowatch.cli import worlds as shelf

    shelf.show_worlds(load_settings(data=data), as_json)


@worlds.command("show")
def show(
    name: Annotated[str, typer.Argument(help="The world's name.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Shows the streams and scenarios of a world."""
    from kilowatch.cli import worlds as shelf

    shelf.show_world(load_settings(data=data), name, as_json)


@worlds.command("check")
def check(
    which: Annotated[
        str | None, typer.Argument(help="A world's name, its folder, or a folder of worlds; without it all.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Reads worlds and tells everything that is wrong, with file and line; exit code 1 if anything is."""
    from kilowatch.cli import worlds as shelf

    if not shelf.check_worlds(load_settings(data=data), which, as_json):
        raise typer.Exit(1)


@worlds.command("schema")
def schema() -> None:
    """Prints the JSON Schema of worlds, for editors."""
    from kilowatch.simulator.world.schema import write_schema

    typer.echo(write_schema(), nl=False)
