"""`kw device token`: a token for a device of the running instance."""

import json

from kilowatch.accounts.store.audit import record
from kilowatch.accounts.store.device_tokens import make_device_token
from kilowatch.cli.instance import Addresses
from kilowatch.cli.registry import ACTOR, announce, opened, organisation_of, run_with
from kilowatch.clock import rfc3339, to_us
from kilowatch.settings import Settings


def make_token(settings: Settings, organisation: str, device: str, as_json: bool) -> str:
    """Makes the token; returns what to print.

    Raises:
        StartRefused: if the organisation is missing.
        Problem: if the device is.
    """

    async def make(addresses: Addresses) -> dict[str, str]:
        return await _make(addresses, organisation, device)

    facts = run_with(settings, make)
    return json.dumps(facts if as_json else {"token": facts["token"]})


async def _make(addresses: Addresses, slug: str, device: str) -> dict[str, str]:
    async with opened(addresses.app_url) as database:
        organisation = await organisation_of(database, slug)
        async with database.scope(organisation.id) as connection:
            token, made_at = await make_device_token(connection, device)
            await record(
                connection,
                "device_token.created",
                actor=ACTOR,
                organisation_id=organisation.id,
                subject=device,
            )
    await announce(addresses, organisation.id, "devices")
    return {
        "token": token,
        "user": f"{slug}/{device}",
        "device": device,
        "organisation": slug,
        "token_made_at": rfc3339(to_us(made_at)),
    }
