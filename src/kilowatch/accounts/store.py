"""Organisations, API keys and people in PostgreSQL.

Keeps true: a key's secret leaves `create_api_key` once and is nowhere else; row-level security decides
whose rows are seen, so only what creates rows names the organisation.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, insert, select, text, update

from kilowatch.accounts.tables import (
    api_keys,
    memberships,
    organisations,
    refresh_tokens,
    sessions,
    user_codes,
    users,
)
from kilowatch.errors import Fault, Problem
from kilowatch.ids import KEY_PREFIX, ORGANISATION_SLUG, hash_secret, new_id, new_secret
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor

SCOPES = ("ingest", "read", "control", "admin")
NAME_MAX = 200
PREFIX_SHOWN = len(KEY_PREFIX) + 6


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who owns sites, devices and readings; retention is in days per tier."""

    id: uuid.UUID
    slug: str
    name: str
    retention_raw_days: int
    retention_hourly_days: int
    retention_daily_days: int
    created_at: datetime


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


async def create_organisation(
    connection: Connection, organisation_id: uuid.UUID, slug: str, name: str
) -> Organisation:
    """A new organisation, in a transaction scoped to its own (new) id.

    Raises:
        Problem: 422 for a slug or name that is none, 409 `slug_taken`.
    """
    faults = [] if ORGANISATION_SLUG.fullmatch(slug) else [_slug_fault(slug)]
    faults += name_faults(name)
    if faults:
        raise Problem(422, "invalid", "The organisation cannot be made like this.", faults)
    found = await connection.execute(
        text(
            "INSERT INTO kilowatch.organisations (id, slug, name) VALUES (:id, :slug, :name)"
            " ON CONFLICT (slug) DO NOTHING RETURNING *"
        ),
        {"id": organisation_id, "slug": slug, "name": name},
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise Problem(409, "slug_taken", f"There is an organisation {slug!r} already; choose another slug.")
    return Organisation(**row)


async def find_organisation(connection: Connection, slug: str) -> Organisation | None:
    """The organisation of this slug; works in an unscoped transaction of any role."""
    if not ORGANISATION_SLUG.fullmatch(slug):
        return None
    found = await connection.execute(text("SELECT * FROM kilowatch.find_organisation(:slug)"), {"slug": slug})
    row = found.mappings().one_or_none()
    return None if row is None else Organisation(**row)


async def get_organisation(connection: Connection, organisation_id: uuid.UUID) -> Organisation:
    """The organisation of this id.

    Raises:
        Problem: 404.
    """
    found = await connection.execute(select(organisations).where(organisations.c.id == organisation_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise Problem(404, "not_found", f"There is no organisation {organisation_id}.")
    return Organisation(**row)


async def list_organisations(connection: Connection) -> list[Organisation]:
    """All that the transaction may see, oldest first: its own, or every one for the worker unscoped."""
    order = select(organisations).order_by(organisations.c.created_at, organisations.c.id)
    return [Organisation(**row) for row in (await connection.execute(order)).mappings()]


async def create_api_key(
    connection: Connection,
    organisation_id: uuid.UUID,
    name: str,
    scopes: Collection[str],
    auto_register: bool = False,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be had again.

    Raises:
        Problem: 422 for no or unknown scopes, or a name that is none.
    """
    faults = name_faults(name)
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        detail = f"scopes are some of {', '.join(SCOPES)}; given: {', '.join(unknown) or 'none'}."
        faults.append(Fault("unknown_scope", detail, pointer="/scopes"))
    if expires_at is not None and expires_at.tzinfo is None:
        faults.append(Fault("bad_timestamp", "expires_at needs a time zone.", pointer="/expires_at"))
    if faults:
        raise Problem(422, "invalid", "The key cannot be made like this.", faults)
    secret = new_secret()
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


def name_faults(name: object) -> list[Fault]:
    """What is wrong with a name that people read; empty when nothing is."""
    if isinstance(name, str) and 1 <= len(name) <= NAME_MAX and name.isprintable() and name.strip() == name:
        return []
    detail = f"name has 1 to {NAME_MAX} printable characters and no blanks around it."
    return [Fault("bad_name", detail, pointer="/name")]


def _slug_fault(slug: str) -> Fault:
    detail = f"slug {slug[:80]!r} must be 1 to 63 of a-z, 0-9 and '-', not starting with '-'."
    return Fault("bad_slug", detail, pointer="/slug")


# --- people ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in; verified once they have shown that the address is theirs."""

    id: uuid.UUID
    email: str
    name: str
    password_hash: str
    verified_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """An organisation of the user that the transaction named, and what they are in it."""

    id: uuid.UUID
    slug: str
    name: str
    role: str
    is_personal: bool


@dataclass(frozen=True, slots=True)
class ShownToken:
    """A refresh token that somebody showed: whose it is, whether it was used, and how its session is."""

    user_id: uuid.UUID
    session_id: uuid.UUID
    used_at: datetime | None
    expires_at: datetime
    ended_at: datetime | None


Purpose = Literal["verify", "reset"]
CODE_TRIES = 5
CODE_MINUTES = 15


async def find_user(connection: Connection, email: str) -> User | None:
    """The user of this address; works in an unscoped transaction of any role."""
    found = await connection.execute(
        text("SELECT * FROM kilowatch.find_user(:email)"), {"email": email.lower()}
    )
    row = found.mappings().one_or_none()
    return None if row is None else User(**row)


async def get_user(connection: Connection, user_id: uuid.UUID) -> User | None:
    """The user of this id, in a transaction of their own."""
    row = (await connection.execute(select(users).where(users.c.id == user_id))).mappings().one_or_none()
    return None if row is None else User(**row)


async def create_user(
    connection: Connection, user_id: uuid.UUID, email: str, name: str, password_hash: str
) -> bool:
    """Makes a user, in a transaction of their (new) id; False when the address is taken."""
    made = await connection.execute(
        text(
            "INSERT INTO kilowatch.users (id, email, name, password_hash)"
            " VALUES (:id, :email, :name, :hash) ON CONFLICT (email) DO NOTHING"
        ),
        {"id": user_id, "email": email.lower(), "name": name, "hash": password_hash},
    )
    return made.rowcount == 1


async def change_user(connection: Connection, user_id: uuid.UUID, **changes: object) -> None:
    """Changes columns of a user."""
    await connection.execute(update(users).where(users.c.id == user_id).values(**changes))


async def add_member(
    connection: Connection,
    organisation_id: uuid.UUID,
    user_id: uuid.UUID,
    role: str,
    is_personal: bool = False,
) -> None:
    """Makes a user a member, in a transaction that names the organisation."""
    await connection.execute(
        insert(memberships).values(
            organisation_id=organisation_id, user_id=user_id, role=role, is_personal=is_personal
        )
    )


async def list_memberships(connection: Connection) -> list[Membership]:
    """The organisations of the user that the transaction names, their own first."""
    found = await connection.execute(text("SELECT * FROM kilowatch.list_memberships()"))
    return [Membership(**row) for row in found.mappings()]


async def set_code(connection: Connection, user_id: uuid.UUID, purpose: Purpose, code: str) -> None:
    """Replaces the user's code for a purpose by a new one."""
    await connection.execute(
        text(
            "INSERT INTO kilowatch.user_codes (user_id, purpose, code_hash, expires_at)"
            " VALUES (:user, :purpose, :hash, now() + make_interval(mins => :minutes))"
            " ON CONFLICT (user_id, purpose) DO UPDATE SET code_hash = excluded.code_hash, tries = 0,"
            " expires_at = excluded.expires_at"
        ),
        {"user": user_id, "purpose": purpose, "hash": _code_hash(user_id, code), "minutes": CODE_MINUTES},
    )


async def has_code(connection: Connection, user_id: uuid.UUID, purpose: Purpose) -> bool:
    """Whether a code for this purpose is still good."""
    found = await connection.execute(
        select(user_codes.c.user_id).where(
            user_codes.c.user_id == user_id,
            user_codes.c.purpose == purpose,
            user_codes.c.expires_at > func.now(),
        )
    )
    return found.one_or_none() is not None


async def use_code(connection: Connection, user_id: uuid.UUID, purpose: Purpose, code: str) -> bool:
    """Whether this is the user's code; a right one is used up, and after some wrong ones none is right."""
    known = {"user": user_id, "purpose": purpose, "hash": _code_hash(user_id, code), "most": CODE_TRIES}
    counted = await connection.execute(
        text(
            "UPDATE kilowatch.user_codes SET tries = tries + 1 WHERE user_id = :user AND purpose = :purpose"
            " AND tries < :most AND expires_at > now() RETURNING code_hash = :hash AS is_right"
        ),
        known,
    )
    row = counted.one_or_none()
    if row is None or not row.is_right:
        return False
    await connection.execute(
        text("DELETE FROM kilowatch.user_codes WHERE user_id = :user AND purpose = :purpose"), known
    )
    return True


def _code_hash(user_id: uuid.UUID, code: str) -> bytes:
    return hash_secret(f"{user_id}:{code}")


async def start_session(
    connection: Connection, user_id: uuid.UUID, session_id: uuid.UUID, days: int, token: str
) -> None:
    """A new session with its first refresh token."""
    await connection.execute(
        text(
            "INSERT INTO kilowatch.sessions (id, user_id, expires_at)"
            " VALUES (:id, :user, now() + make_interval(days => :days))"
        ),
        {"id": session_id, "user": user_id, "days": days},
    )
    await add_refresh_token(connection, user_id, session_id, token)


async def add_refresh_token(
    connection: Connection, user_id: uuid.UUID, session_id: uuid.UUID, token: str
) -> None:
    """A further refresh token of a session."""
    await connection.execute(
        insert(refresh_tokens).values(token_hash=hash_secret(token), user_id=user_id, session_id=session_id)
    )


async def find_refresh_token(connection: Connection, token: str) -> ShownToken | None:
    """What is known of a refresh token; works in an unscoped transaction of any role."""
    found = await connection.execute(
        text("SELECT * FROM kilowatch.find_refresh_token(:hash)"), {"hash": hash_secret(token)}
    )
    row = found.mappings().one_or_none()
    return None if row is None else ShownToken(**row)


async def use_refresh_token(connection: Connection, token: str) -> bool:
    """Marks a token as used; False when it was already, perhaps this very moment by somebody else."""
    used = await connection.execute(
        update(refresh_tokens)
        .where(refresh_tokens.c.token_hash == hash_secret(token), refresh_tokens.c.used_at.is_(None))
        .values(used_at=func.now())
    )
    return used.rowcount == 1


async def end_sessions(
    connection: Connection, user_id: uuid.UUID, only: uuid.UUID | None = None, but: uuid.UUID | None = None
) -> None:
    """Ends a user's sessions: all, `only` one, or all `but` one."""
    ended = update(sessions).where(sessions.c.user_id == user_id, sessions.c.ended_at.is_(None))
    if only is not None:
        ended = ended.where(sessions.c.id == only)
    if but is not None:
        ended = ended.where(sessions.c.id != but)
    await connection.execute(ended.values(ended_at=func.now()))


async def is_session_open(connection: Connection, session_id: uuid.UUID) -> bool:
    """Whether a session of the user that the transaction names goes on."""
    found = await connection.execute(
        select(sessions.c.id).where(
            sessions.c.id == session_id, sessions.c.ended_at.is_(None), sessions.c.expires_at > func.now()
        )
    )
    return found.one_or_none() is not None
