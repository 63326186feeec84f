"""Device tokens in PostgreSQL.

Keeps true: a token leaves `make_device_token` once and is nowhere else; a device has one token at most, and
none of a device that is inactive opens anything.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from kilowatch.accounts.store.api_keys import ApiKey, create_api_key, list_api_keys
from kilowatch.errors import Problem
from kilowatch.ids import DEVICE_TOKEN_PREFIX, hash_secret, new_secret
from kilowatch.postgres.engine import Connection

INACTIVE = "inactive"
"""The status of a device that may not log in."""


@dataclass(frozen=True, slots=True)
class DeviceOfToken:
    """The device that a token belongs to."""

    organisation_id: uuid.UUID
    slug: str
    device_no: int
    id: str


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """What decides whether a device may log in."""

    organisation_id: uuid.UUID
    device_no: int
    status: str
    token_hash: bytes | None


async def make_device_token(connection: Connection, device_id: str) -> tuple[str, datetime]:
    """A new token of a device, which ends the one before, and when it was made. It cannot be had again.

    Raises:
        Problem: 404.
    """
    token = new_secret(DEVICE_TOKEN_PREFIX)
    made = await connection.execute(
        text(
            "UPDATE kilowatch.devices SET token_hash = :hash, token_made_at = now()"
            " WHERE id = :id RETURNING token_made_at"
        ),
        {"hash": hash_secret(token), "id": device_id},
    )
    made_at: datetime | None = made.scalar_one_or_none()
    if made_at is None:
        raise _no_device(device_id)
    return token, made_at


async def end_device_token(connection: Connection, device_id: str) -> None:
    """Takes a device its token, if it has one.

    Raises:
        Problem: 404.
    """
    ended = await connection.execute(
        text(
            "UPDATE kilowatch.devices SET token_hash = NULL, token_made_at = NULL"
            " WHERE id = :id RETURNING device_no"
        ),
        {"id": device_id},
    )
    if ended.scalar_one_or_none() is None:
        raise _no_device(device_id)


async def find_device_token(connection: Connection, token_hash: bytes) -> DeviceOfToken | None:
    """The active device whose token has this hash; works in an unscoped transaction of any role."""
    found = await connection.execute(
        text("SELECT * FROM kilowatch.find_device_token(:hash)"), {"hash": token_hash}
    )
    row = found.mappings().one_or_none()
    return None if row is None else DeviceOfToken(**row)


async def find_device_login(connection: Connection, slug: str, device_id: str) -> DeviceLogin | None:
    """The device of an organisation; works in an unscoped transaction of any role."""
    found = await connection.execute(
        text("SELECT * FROM kilowatch.find_device_login(:slug, :id)"), {"slug": slug, "id": device_id}
    )
    row = found.mappings().one_or_none()
    return None if row is None else DeviceLogin(**row)


async def find_good_tokens(connection: Connection, ids: Sequence[str]) -> dict[str, bytes]:
    """Id -> hash of the token, for those of these devices that have one and are not inactive."""
    found = await connection.execute(
        text(
            "SELECT id, token_hash FROM kilowatch.devices WHERE id = ANY(CAST(:ids AS text[]))"
            " AND token_hash IS NOT NULL AND status <> :inactive"
        ),
        {"ids": list(ids), "inactive": INACTIVE},
    )
    return {row.id: bytes(row.token_hash) for row in found}


async def find_good_keys(connection: Connection, key_nos: Collection[int]) -> set[int]:
    """Those of these keys that still let readings in."""
    found = await connection.execute(
        text(
            "SELECT key_no FROM kilowatch.api_keys WHERE key_no = ANY(CAST(:numbers AS integer[]))"
            " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
            " AND 'ingest' = ANY(scopes)"
        ),
        {"numbers": list(key_nos)},
    )
    return set(found.scalars())


async def ensure_counting_key(connection: Connection, organisation_id: uuid.UUID, name: str) -> ApiKey:
    """The key under whose number the ledger counts what comes without an API key, made if there is none; its
    secret is shown to nobody."""
    cursor: str | None = None
    while True:
        page = await list_api_keys(connection, 500, cursor)
        for key in page.items:
            if key.name == name and key.revoked_at is None:
                return key
        cursor = page.next_cursor
        if cursor is None:
            return (await create_api_key(connection, organisation_id, name, ["ingest"]))[0]


def _no_device(device_id: str) -> Problem:
    return Problem(404, "not_found", f"There is no device {device_id[:80]!r}.")
