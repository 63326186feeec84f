"""Memberships in PostgreSQL: what a user is in which organisation.

Keeps true: an organisation that had an admin has one. Whoever changes what members are holds the
organisation's row (`lock_organisation`) until the end of the transaction, so that of two at once the second
sees what the first has done.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from kilowatch.accounts.organisation import region_faults
from kilowatch.accounts.rights import Role
from kilowatch.accounts.store.organisations import lock_organisation
from kilowatch.accounts.tables import (
    memberships,
)
from kilowatch.errors import Problem
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor


@dataclass(frozen=True, slots=True)
class Membership:
    """An organisation of the user that the transaction named, and what they are in it."""

    id: uuid.UUID
    slug: str
    name: str
    role: Role
    is_personal: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in an organisation; is_personal: it is the one that came with their account."""

    user_id: uuid.UUID
    email: str
    name: str
    role: Role
    region: str | None
    is_personal: bool
    disabled_at: datetime | None
    created_at: datetime


async def add_member(
    connection: Connection,
    organisation_id: uuid.UUID,
    user_id: uuid.UUID,
    role: Role,
    is_personal: bool = False,
    region: str | None = None,
) -> bool:
    """Makes a user a member, in a transaction that names the organisation; False when they are one already,
    which changes nothing."""
    made = insert(memberships).values(
        organisation_id=organisation_id, user_id=user_id, role=role, is_personal=is_personal, region=region
    )
    added = made.on_conflict_do_nothing().returning(memberships.c.user_id)
    return (await connection.execute(added)).one_or_none() is not None


async def list_memberships(connection: Connection) -> list[Membership]:
    """The organisations of the user that the transaction names, their own first."""
    found = await connection.execute(text("SELECT * FROM kilowatch.list_memberships()"))
    return [Membership(**row) for row in found.mappings()]


async def list_members(
    connection: Connection,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    *,
    region: str | None = None,
    role: Role | None = None,
) -> Page[Member]:
    """The members of the organisation that the transaction names, in the order of their ids."""
    after = None if cursor is None else read_cursor(cursor, uuid.UUID)
    found = await _find(connection, after=after, most=check_limit(limit) + 1, region=region, role=role)
    return make_page(found, limit, lambda member: member.user_id)


async def get_member(connection: Connection, user_id: uuid.UUID) -> Member:
    """The member of this id.

    Raises:
        Problem: 404.
    """
    found = await _find(connection, user_id=user_id)
    if not found:
        raise Problem(404, "not_found", f"There is no member {user_id}.")
    return found[0]


async def is_member(connection: Connection, email: str) -> bool:
    """Whether a member of the organisation that the transaction names has this address."""
    found = await connection.execute(
        text(
            "SELECT 1 FROM kilowatch.find_user(:email) u JOIN kilowatch.memberships m ON m.user_id = u.id"
            " WHERE m.organisation_id = NULLIF(current_setting('kilowatch.organisation_id', true), '')::uuid"
        ),
        {"email": email},
    )
    return found.one_or_none() is not None


async def change_member(
    connection: Connection,
    organisation_id: uuid.UUID,
    user_id: uuid.UUID,
    *,
    role: Role | None = None,
    region: str | None = None,
    moves: bool = False,
) -> Member:
    """Gives a member another role; with `moves` another region, or none.

    Raises:
        Problem: 404; 409 `last_admin` or `personal_organisation`; 422 `unknown_region`.
    """
    organisation = await lock_organisation(connection, organisation_id)
    member = await get_member(connection, user_id)
    if moves and (faults := region_faults(region, organisation.regions)):
        raise Problem(422, "unknown_region", faults[0].detail, faults)
    wanted: dict[str, object] = {"region": region} if moves else {}
    if role is not None and role != member.role:
        await _refuse_loss(connection, organisation_id, member)
        wanted["role"] = role
    if wanted:
        await connection.execute(
            update(memberships)
            .where(memberships.c.organisation_id == organisation_id, memberships.c.user_id == user_id)
            .values(**wanted)
        )
    return await get_member(connection, user_id)


async def remove_member(connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID) -> Member:
    """Takes a member out of an organisation, with what is assigned to them; returns who it was.

    Raises:
        Problem: 404; 409 `last_admin` or `personal_organisation`.
    """
    await lock_organisation(connection, organisation_id)
    member = await get_member(connection, user_id)
    await _refuse_loss(connection, organisation_id, member)
    await connection.execute(
        delete(memberships).where(
            memberships.c.organisation_id == organisation_id, memberships.c.user_id == user_id
        )
    )
    return member


async def count_admin_places(connection: Connection, user_id: uuid.UUID) -> int:
    """Of how many organisations the user whom the transaction names is an admin."""
    query = select(func.count()).where(memberships.c.user_id == user_id, memberships.c.role == "admin")
    return int((await connection.execute(query)).scalar_one())


async def _refuse_loss(connection: Connection, organisation_id: uuid.UUID, member: Member) -> None:
    """Lets an admin be one no more while there is another, and nobody lose their own home."""
    if member.is_personal:
        detail = "This organisation came with the member's account; it goes with the account."
        raise Problem(409, "personal_organisation", detail)
    if member.role != "admin":
        return
    other = exists().where(
        memberships.c.organisation_id == organisation_id,
        memberships.c.role == "admin",
        memberships.c.user_id != member.user_id,
    )
    if not (await connection.execute(select(other))).scalar_one():
        raise Problem(
            409, "last_admin", "This is the organisation's only admin; make somebody else one first."
        )


async def _find(
    connection: Connection,
    *,
    after: uuid.UUID | None = None,
    most: int = 1,
    region: str | None = None,
    role: Role | None = None,
    user_id: uuid.UUID | None = None,
) -> list[Member]:
    found = await connection.execute(
        text(
            "SELECT * FROM kilowatch.list_members(CAST(:after AS uuid), :most, :region, :role,"
            " CAST(:user AS uuid))"
        ),
        {"after": after, "most": most, "region": region, "role": role, "user": user_id},
    )
    return [Member(**row) for row in found.mappings()]
