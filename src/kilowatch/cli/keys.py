"""`kw key create`: a key for an organisation of the running instance."""

import json
from dataclasses import dataclass

from kilowatch.accounts.store.api_keys import create_api_key
from kilowatch.accounts.store.audit import record
from kilowatch.accounts.store.organisations import find_organisation
from kilowatch.cli.instance import Addresses
from kilowatch.cli.places import find_addresses
from kilowatch.cli.processes import run_loop
from kilowatch.cli.registry import ACTOR, announce
from kilowatch.errors import StartRefused
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.sites.store import create_organisation_with_home


@dataclass(frozen=True, slots=True)
class Wish:
    """The key that somebody wants."""

    organisation: str
    scopes: str
    name: str
    create: bool
    auto_register: bool


def make_key(settings: Settings, wish: Wish, as_json: bool) -> str:
    """Makes the key; returns what to print.

    Raises:
        StartRefused: if the organisation is missing and is not to be made.
        Problem: if slug or scopes are wrong.
    """
    found: list[dict[str, object]] = []

    async def make() -> None:
        found.append(await _make(find_addresses(settings), wish))

    run_loop(make())
    facts = found[0]
    return json.dumps(facts if as_json else {"key": facts["key"]})


async def _make(addresses: Addresses, wish: Wish) -> dict[str, object]:
    database = Database(addresses.app_url, pool_size=1)
    try:
        async with database.unscoped() as connection:
            organisation = await find_organisation(connection, wish.organisation)
        if organisation is None and not wish.create:
            raise StartRefused(
                f"There is no organisation {wish.organisation!r}; --create makes it together with the key."
            )
        organisation_id = organisation.id if organisation else new_id()
        scopes = [scope.strip() for scope in wish.scopes.split(",") if scope.strip()]
        async with database.scope(organisation_id) as connection:
            if organisation is None:
                await create_organisation_with_home(
                    connection, organisation_id, wish.organisation, wish.organisation
                )
                await record(
                    connection, "organisation.created", actor=ACTOR, organisation_id=organisation_id,
                    subject=organisation_id, detail={"slug": wish.organisation},
                )  # fmt: skip
            key, secret = await create_api_key(
                connection, organisation_id, wish.name, scopes, wish.auto_register
            )
            await record(
                connection, "api_key.created", actor=ACTOR, organisation_id=organisation_id,
                subject=key.id, detail={"name": key.name, "scopes": key.scopes},
            )  # fmt: skip
    finally:
        await database.close()
    await announce(addresses, organisation_id, "keys")
    return {
        "key": secret,
        "id": str(key.id),
        "organisation": wish.organisation,
        "scopes": key.scopes,
        "auto_register": key.auto_register,
    }
