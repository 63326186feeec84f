"""Users and the codes that are mailed to them, in PostgreSQL.

Keeps true: a code is good once, for a short while, and after some wrong ones for nobody.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, func, select, text, update

from kilowatch.accounts.rights import Role
from kilowatch.accounts.store.sessions import end_sessions
from kilowatch.accounts.tables import (
    memberships,
    organisations,
    user_codes,
    users,
)
from kilowatch.ids import hash_secret
from kilowatch.observe.request import ORIGIN
from kilowatch.postgres.engine import Connection


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can sign in; verified once they have shown that the address is theirs."""

    id: uuid.UUID
    email: str
    name: str
    password_hash: str
    verified_at: datetime | None
    created_at: datetime
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UserPlace:
    """A user and one organisation of theirs; without it all of it is None."""

    id: uuid.UUID
    email: str
    name: str
    verified_at: datetime | None
    created_at: datetime
    disabled_at: datetime | None
    organisation: str | None
    role: Role | None
    region: str | None


@dataclass(frozen=True, slots=True)
class Parting:
    """What became of an organisation of somebody who was forgotten, or why they cannot be."""

    outcome: Literal["left", "deleted", "needs_admin"]
    organisation_id: uuid.UUID
    slug: str


Purpose = Literal["verify", "reset"]


CODE_TRIES = 5


CODE_MINUTES = 15


CODE_KEPT_MINUTES = 1
"""For so long a code is not replaced, so that asking twice does not make worthless what is on its way."""


async def find_user(connection: Connection, email: str) -> User | None:
    """The user of this address; works in an unscoped transaction of any role."""
    if "\0" in email:  # PostgreSQL has no such text
        return None
    found = await connection.execute(
        text("SELECT * FROM kilowatch.find_user(:email)"), {"email": email.lower()}
    )
    row = found.mappings().one_or_none()
    return None if row is None else User(**row)


async def get_user(connection: Connection, user_id: uuid.UUID) -> User | None:
    """The user of this id, in a transaction of their own."""
    row = (await connection.execute(select(users).where(users.c.id == user_id))).mappings().one_or_none()
    return None if row is None else User(**row)


async def lock_user(connection: Connection, user_id: uuid.UUID) -> None:
    """Holds a user's row until the transaction ends, for what one person must not do twice at once."""
    await connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update(key_share=True))


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


async def verify_user(connection: Connection, user_id: uuid.UUID) -> None:
    """Notes that the user has shown the address to be theirs, unless they have before."""
    verified = update(users).where(users.c.id == user_id, users.c.verified_at.is_(None))
    await connection.execute(verified.values(verified_at=func.now()))


async def disable(connection: Connection, user_id: uuid.UUID, *, disabled: bool = True) -> None:
    """Shuts a user out and ends their sessions, or lets them in again."""
    at = func.coalesce(users.c.disabled_at, func.now()) if disabled else None
    await connection.execute(update(users).where(users.c.id == user_id).values(disabled_at=at))
    if disabled:
        await end_sessions(connection, user_id)
        await drop_codes(connection, user_id)


async def forget_person(connection: Connection) -> list[Parting]:
    """Removes the user whom the transaction names, with everything that is theirs alone, and says what became
    of their organisations. Where members of another would be left without an admin, nothing happens, and
    those organisations are named. What is left is a line in the audit log of each organisation that goes on,
    and one for whoever runs the instance."""
    origin = ORIGIN.get()
    found = await connection.execute(
        text("SELECT * FROM kilowatch.forget_person(:sender, :request)"),
        {"sender": origin.address, "request": origin.request_id},
    )
    return [Parting(**row) for row in found.mappings()]


async def list_users(
    connection: Connection, organisation: str | None = None, region: str | None = None
) -> list[UserPlace]:
    """Every user that the transaction may see with each of their organisations, by address; for the worker
    all of the instance."""
    query = (
        select(
            users.c.id, users.c.email, users.c.name, users.c.verified_at, users.c.created_at,
            users.c.disabled_at, organisations.c.slug.label("organisation"), memberships.c.role,
            memberships.c.region,
        )
        .outerjoin(memberships, memberships.c.user_id == users.c.id)
        .outerjoin(organisations, organisations.c.id == memberships.c.organisation_id)
        .order_by(users.c.email, organisations.c.slug)
    )  # fmt: skip
    if organisation is not None:
        query = query.where(organisations.c.slug == organisation)
    if region is not None:
        query = query.where(memberships.c.region == region)
    return [UserPlace(**row) for row in (await connection.execute(query)).mappings()]


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


async def drop_codes(connection: Connection, user_id: uuid.UUID) -> None:
    """Makes all codes worthless that were mailed to the user."""
    await connection.execute(delete(user_codes).where(user_codes.c.user_id == user_id))


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


async def has_young_code(connection: Connection, user_id: uuid.UUID, purpose: Purpose) -> bool:
    """Whether a code for this purpose was made this very minute, used up by wrong tries or not."""
    young = func.make_interval(0, 0, 0, 0, 0, CODE_MINUTES - CODE_KEPT_MINUTES)
    found = await connection.execute(
        select(user_codes.c.user_id).where(
            user_codes.c.user_id == user_id,
            user_codes.c.purpose == purpose,
            user_codes.c.expires_at > func.now() + young,
        )
    )
    return found.one_or_none() is not None


async def drop_code(connection: Connection, user_id: uuid.UUID, purpose: Purpose, code: str) -> None:
    """Takes back a code that could not be sent; one that came after it stays."""
    await connection.execute(
        delete(user_codes).where(
            user_codes.c.user_id == user_id,
            user_codes.c.purpose == purpose,
            user_codes.c.code_hash == _code_hash(user_id, code),
        )
    )


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
