"""The groups `kw user` and `kw org`: their options, as typer takes them."""

import sys
from typing import Annotated

import typer

from kilowatch.accounts.rights import Role
from kilowatch.cli.options import AsJson, Data
from kilowatch.settings import load_settings

users = typer.Typer(help="People.", no_args_is_help=True)
organisations = typer.Typer(help="Organisations.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="Address of the user.")]
Slug = Annotated[str, typer.Argument(help="Slug of the organisation.")]
InSlug = Annotated[str | None, typer.Option("--organisation", help="Slug of the organisation.")]


@users.command("create")
def create_user(
    email: Email,
    data: Data = None,
    name: Annotated[str | None, typer.Option(help="Without it the address.")] = None,
    organisation: InSlug = None,
    role: Annotated[Role, typer.Option(help="What they are in that organisation.")] = "viewer",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Makes a user who can sign in at once; without a password one is made up and shown, once."""
    from kilowatch.cli.people import Newcomer, make_user
    from kilowatch.cli.registry import show_facts

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    if password == "":
        raise typer.BadParameter("standard input has no password", param_hint="--password-stdin")
    wanted = Newcomer(email, name or email, password, organisation, role)
    show_facts(make_user(load_settings(data=data), wanted), as_json)


@users.command("list")
def list_users(
    data: Data = None,
    organisation: InSlug = None,
    region: Annotated[str | None, typer.Option(help="Only members with this region.")] = None,
    as_json: AsJson = False,
) -> None:
    """Lists users, with a line for each of their organisations."""
    from kilowatch.cli import people
    from kilowatch.cli.registry import show_rows

    columns = ("email", "name", "organisation", "role", "region", "verified", "disabled")
    show_rows(people.list_users(load_settings(data=data), organisation, region), columns, as_json)


@users.command("role")
def appoint(
    email: Email,
    role: Annotated[Role, typer.Argument(help="The new role.")],
    organisation: Annotated[str, typer.Option(help="Slug of the organisation.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Gives a user a role in an organisation; who is no member becomes one."""
    from kilowatch.cli import people
    from kilowatch.cli.registry import show_facts

    show_facts(people.appoint(load_settings(data=data), email, organisation, role), as_json)


@users.command("disable")
def disable(
    email: Email,
    data: Data = None,
    enable: Annotated[bool, typer.Option("--enable", help="Let them in again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ends a user's sessions and lets them in no more; what is theirs stays."""
    from kilowatch.cli import people
    from kilowatch.cli.registry import show_facts

    show_facts(people.shut_out(load_settings(data=data), email, enable=enable), as_json)


@users.command("second-factor")
def second_factor(
    email: Email,
    data: Data = None,
    off: Annotated[bool, typer.Option("--off", help="Take it away, with its recovery codes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tells whether a user has a second factor; takes a lost one away with --off."""
    from kilowatch.cli import people
    from kilowatch.cli.registry import show_facts

    show_facts(people.second_factor_of(load_settings(data=data), email, off=off), as_json)


@organisations.command("create")
def create_organisation(
    slug: Slug,
    data: Data = None,
    name: Annotated[str | None, typer.Option(help="Without it the slug.")] = None,
    as_json: AsJson = False,
) -> None:
    """Makes an organisation with a first site."""
    from kilowatch.cli.organisations import make_organisation
    from kilowatch.cli.registry import show_facts

    show_facts(make_organisation(load_settings(data=data), slug, name), as_json)


@organisations.command("list")
def list_organisations(data: Data = None, as_json: AsJson = False) -> None:
    """Lists organisations."""
    from kilowatch.cli import organisations
    from kilowatch.cli.registry import show_rows

    columns = ("slug", "name", "id", "created_at")
    show_rows(organisations.list_organisations(load_settings(data=data)), columns, as_json)


@organisations.command("delete")
def delete_organisation(
    slug: Slug,
    data: Data = None,
    yes: Annotated[bool, typer.Option("--yes", help="It is meant.")] = False,
    as_json: AsJson = False,
) -> None:
    """Deletes an organisation with its sites, devices, readings, keys and members."""
    from kilowatch.cli.organisations import drop_organisation
    from kilowatch.cli.registry import show_facts

    show_facts(drop_organisation(load_settings(data=data), slug, yes=yes), as_json)
