"""Tokens for many devices at once, made where the instance's database is.

A program of its own (`python -m kilowatch.cli.bench.tokens DATA ORGANISATION DEVICES`), so that it sees the
environment of the temporary instance and not that of whoever started the bench.
"""

import asyncio
import json
import sys
from pathlib import Path

from kilowatch.accounts.store.device_tokens import make_device_token
from kilowatch.accounts.store.organisations import find_organisation
from kilowatch.cli.places import find_addresses
from kilowatch.errors import StartRefused
from kilowatch.postgres.engine import Database
from kilowatch.settings import load_settings
from kilowatch.sites.store import register_devices


async def make_tokens(data: Path, slug: str, devices: int) -> dict[str, str]:
    """Device -> its token, for new devices."""
    database = Database(find_addresses(load_settings(data=data)).app_url, pool_size=1)
    try:
        async with database.unscoped() as connection:
            organisation = await find_organisation(connection, slug)
        if organisation is None:
            raise StartRefused(f"There is no organisation {slug!r}.")
        names = [f"login-{number:06}" for number in range(devices)]
        async with database.scope(organisation.id) as connection:
            await register_devices(connection, organisation.id, names)
            return {name: (await make_device_token(connection, name))[0] for name in names}
    finally:
        await database.close()


if __name__ == "__main__":
    made = asyncio.run(make_tokens(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
    sys.stdout.write(json.dumps(made))
