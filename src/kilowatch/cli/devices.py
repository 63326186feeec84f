"""`kw device token`: a token for a device of the running instance."""

import json

from kilowatch.accounts.store.audit import record
from kilowatch.accounts.store.device_tokens import make_device_token
from kilowatch.accounts.store.organisations import find_organisation
from kilowatch.cli.instance import Addresses
from kilowatch.cli.keys import announce
from kilowatch.cli.places import find_addresses
from kilowatch.cli.processes import run_loop
from kilowatch.clock import rfc3339, to_us
from kilowatch.errors import StartRefused
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.wire.live import RegistryChange

ACTOR = "operator"


def make_token(settings: Settings, organisation: str, device: str, as_json: bool) -> str:
    """Makes the token; returns what to print.

    Raises:
        StartRefused: if the organisation is missing.
        Problem: if the device is.
    """
    found: list[dict[str, str]] = []

    async def make() -> None:
        found.append(await _make(find_addresses(settings), organisation, device))

    run_loop(make())
    facts = found[0]
    return json.dumps(facts if as_json else {"token": facts["token"]})


async def _make(addresses: Addresses, slug: str, device: str) -> dict[str, str]:
    database = Database(addresses.app_url, pool_size=1)
    try:
        async with database.unscoped() as connection:
            organisation = await find_organisation(connection, slug)
        if organisation is None:
            raise StartRefused(f"There is no organisation {slug!r}.")
        async with database.scope(organisation.id) as connection:
            token, made_at = await make_device_token(connection, device)
            await record(
                connection,
                "device_token.created",
                actor=ACTOR,
                organisation_id=organisation.id,
                subject=device,
            )
    finally:
        await database.close()
    await announce(addresses, RegistryChange(str(organisation.id), "devices"))
    return {
        "token": token,
        "user": f"{slug}/{device}",
        "device": device,
        "organisation": slug,
        "token_made_at": rfc3339(to_us(made_at)),
    }
