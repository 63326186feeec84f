"""API keys in PostgreSQL.

Keeps true: a key's secret leaves `create_api_key` once and is nowhere else.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, insert, select, text, update

from kilowatch.accounts.tables import (
    api_keys,
)
from kilowatch.errors import Fault, Problem
from kilowatch.ids import KEY_PREFIX, hash_secret, name_faults, new_id, new_secret
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor

SCOPES = ("ingest", "read", "control", "admin")


PREFIX_SHOWN = len(KEY_PREFIX) + 6


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret; `prefix` is the secret's beginning, to tell keys apart."""

    key_no: int
    id: uuid.UUID
    organisation_id: uuid.UUID
    name: str
    prefix: str
    scopes: list[str]
    auto_register: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyRights:
    """What somebody who shows a key may do, and until when."""

    key_no: int
    organisation_id: uuid.UUID
    slug: str
    scopes: list[str]
    auto_register: bool
    expires_at: datetime | None


API_KEY_COLUMNS = [column for column in api_keys.c if column.name != "secret_hash"]


async def create_api_key(
    connection: Connection,
    organisation_id: uuid.UUID,
    name: str,
    scopes: Collection[str],
    auto_register: bool = False,
    expires_at: datetime | None = None,
    secret: str | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be had again; `secret` is one that was derived.

    Raises:
        Problem: 422 for no or unknown scopes, or a name that is none.
    """
    faults = name_faults(name)
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        detail = f"scopes are some of {', '.join(SCOPES)}; given: {', '.join(unknown) or 'none'}."
        faults.append(Fault("unknown_scope", detail, pointer="/scopes"))
    if expires_at is not None and not _is_moment(expires_at):
        detail = "expires_at needs a time zone, and lies in the years 1 to 9999 in UTC."
        faults.append(Fault("bad_timestamp", detail, pointer="/expires_at"))
    if faults:
        raise Problem(422, "invalid", "The key cannot be made like this.", faults)
    secret = secret or new_secret()
    made = insert(api_keys).values(
        id=new_id(),
        organisation_id=organisation_id,
        name=name,
        prefix=secret[:PREFIX_SHOWN],
        secret_hash=hash_secret(secret),
        scopes=[scope for scope in SCOPES if scope in scopes],
        auto_register=auto_register,
        expires_at=expires_at,
    )
    row = (await connection.execute(made.returning(*API_KEY_COLUMNS))).mappings().one()
    return ApiKey(**row), secret


def _is_moment(time: datetime) -> bool:
    """Whether this is one that comes back from PostgreSQL, which answers in UTC."""
    try:
        return time.tzinfo is not None and time.astimezone(UTC) is not None
    except OverflowError:
        return False


async def list_api_keys(
    connection: Connection, limit: int = LIMIT_DEFAULT, cursor: str | None = None
) -> Page[ApiKey]:
    """The keys in the order of their making, revoked ones too."""
    query = select(*API_KEY_COLUMNS).order_by(api_keys.c.key_no).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(api_keys.c.key_no > read_cursor(cursor, int))
    keys = [ApiKey(**row) for row in (await connection.execute(query)).mappings()]
    return make_page(keys, limit, lambda key: key.key_no)


async def revoke_api_key(connection: Connection, key_id: uuid.UUID) -> ApiKey:
    """Ends a key; one that has ended already keeps its time.

    Raises:
        Problem: 404.
    """
    ended = (
        update(api_keys)
        .where(api_keys.c.id == key_id)
        .values(revoked_at=func.coalesce(api_keys.c.revoked_at, func.now()))
        .returning(*API_KEY_COLUMNS)
    )
    row = (await connection.execute(ended)).mappings().one_or_none()
    if row is None:
        raise Problem(404, "not_found", f"There is no API key {key_id}.")
    return ApiKey(**row)


async def delete_api_key(connection: Connection, key_no: int) -> None:
    """Removes a key and all that was remembered of its requests."""
    await connection.execute(delete(api_keys).where(api_keys.c.key_no == key_no))


async def find_api_key(connection: Connection, secret_hash: bytes) -> KeyRights | None:
    """The rights of the key with this hash, unless revoked; works in an unscoped transaction of any role.
    Whether the key has expired is the caller's to see."""
    found = await connection.execute(
        text("SELECT * FROM kilowatch.find_api_key(:hash)"), {"hash": secret_hash}
    )
    row = found.mappings().one_or_none()
    return None if row is None else KeyRights(**row)


async def find_key_owners(connection: Connection, key_nos: Sequence[int]) -> dict[int, uuid.UUID]:
    """Key number -> organisation, for those keys that the transaction may see."""
    found = await connection.execute(
        text(
            "SELECT key_no, organisation_id FROM kilowatch.api_keys"
            " WHERE key_no = ANY(CAST(:numbers AS integer[]))"
        ),
        {"numbers": list(key_nos)},
    )
    return {row.key_no: row.organisation_id for row in found}
