"""What the commands about people and organisations share: the instance's database, telling its processes, and
how facts are printed."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from rich.console import Console
from rich.table import Table

from kilowatch.accounts.store.organisations import Organisation, find_organisation
from kilowatch.cli.instance import Addresses
from kilowatch.cli.places import find_addresses
from kilowatch.cli.processes import run_loop
from kilowatch.errors import EngineUnavailable, StartRefused
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange

Done = TypeVar("Done")
ACTOR = "operator"
"""The command line, in the audit log."""


def run_with(settings: Settings, work: Callable[[Addresses], Awaitable[Done]]) -> Done:
    """Does the work with the addresses of the running instance, and returns what it returns.

    Raises:
        StartRefused: if there is none.
    """
    found: list[Done] = []

    async def main() -> None:
        found.append(await work(find_addresses(settings)))

    run_loop(main())
    return found[0]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """The database under this address, closed at the end."""
    database = Database(url, pool_size=1)
    try:
        yield database
    finally:
        await database.close()


async def organisation_of(database: Database, slug: str) -> Organisation:
    """The organisation of this slug.

    Raises:
        StartRefused: if there is none.
    """
    async with database.unscoped() as connection:
        found = await find_organisation(connection, slug)
    if found is None:
        raise StartRefused(f"There is no organisation {slug!r}; `kw org list` shows them.")
    return found


async def announce(
    addresses: Addresses, organisation_id: object, kind: Literal["organisations", "keys", "devices"]
) -> None:
    """Tells running processes; those that cannot be reached look for themselves within a second."""
    try:
        client = await Client.connect(addresses.nats_url, name="kw", timeout_s=2.0)
        await client.publish(REGISTRY_SUBJECT, RegistryChange(str(organisation_id), kind).encode())
        await client.close()
    except EngineUnavailable:
        return


def show_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    """Prints facts as JSON, or some of their columns as a table."""
    console = Console()
    if as_json:
        console.print_json(json.dumps(rows))
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in columns))
    console.print(table)


def show_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Prints the facts about one thing as JSON, or a line for each."""
    console = Console()
    if as_json:
        console.print_json(json.dumps(facts))
        return
    for name, value in facts.items():
        if value is not None:
            console.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
