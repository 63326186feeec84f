"""The demo's organisation and its two keys: one that the replayed meters send with, one for the page.

Keeps true that an instance makes them once: the secrets are kept beside the instance's other secrets.
"""

import json
from pathlib import Path
from typing import Any

from kilowatch.errors import StartRefused
from kilowatch.ids import hash_secret, new_id
from kilowatch.postgres.embedded import write_secrets
from kilowatch.settings import Settings

SLUG = "demo"
SENDER_SCOPES = ["ingest", "read", "control", "admin"]
PAGE_SCOPES = ["read"]


async def make_demo_keys(settings: Settings, database: Any) -> str:
    """Makes what is missing; returns the page's key."""
    from kilowatch.accounts.store.api_keys import create_api_key, find_api_key
    from kilowatch.accounts.store.organisations import create_organisation, find_organisation

    path = _secrets(settings)
    kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    known: dict[str, str] = kept.get(SLUG, {})
    async with database.unscoped() as connection:
        organisation = await find_organisation(connection, SLUG)
    organisation_id = organisation.id if organisation else new_id()
    if organisation is None:
        async with database.scope(organisation_id) as connection:
            await create_organisation(connection, organisation_id, SLUG, "Demo")
    wanted: dict[str, str] = {}
    for name, scopes in (("sender", SENDER_SCOPES), ("page", PAGE_SCOPES)):
        secret = known.get(name)
        async with database.scope(organisation_id) as connection:
            found = None if secret is None else await find_api_key(connection, hash_secret(secret))
            if secret is None or found is None or not set(scopes) <= set(found.scopes):
                _, secret = await create_api_key(connection, organisation_id, f"demo {name}", scopes)
        wanted[name] = secret
    if wanted != known:
        kept = json.loads(path.read_text()) if path.exists() else {}
        write_secrets(path, {**kept, SLUG: wanted})
    return wanted["page"]


def read_demo_key(settings: Settings) -> str:
    """The key that the replayed meters send with.

    Raises:
        StartRefused: if the instance was not started with `--demo`.
    """
    try:
        return str(json.loads(_secrets(settings).read_text())[SLUG]["sender"])
    except (OSError, KeyError, ValueError) as error:
        raise StartRefused(f"The instance in {settings.data} has no demo; start it with --demo.") from error


def _secrets(settings: Settings) -> Path:
    return settings.data / "secrets.json"
