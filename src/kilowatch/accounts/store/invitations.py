"""Invitations in PostgreSQL: an address, and what its reader may become in an organisation.

Keeps true: an address has one invitation to an organisation at a time, and it is good for a while; whoever
accepts or declines it has shown that the address is theirs, and uses it up. It is there for its reader only
while whoever made it could still make it.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from kilowatch.accounts.rights import ROLES, Role, may_appoint
from kilowatch.accounts.tables import (
    invitations,
)
from kilowatch.errors import Problem
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor

INVITATION_DAYS = 14
INVITATIONS_MOST = 10_000
"""As many may be open in one organisation."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What somebody is invited to be; invited_by: the member who made it."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    email: str
    role: Role
    region: str | None
    invited_by: uuid.UUID
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OwnInvitation:
    """An invitation to the user whom the transaction names."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    slug: str
    name: str
    role: Role
    region: str | None
    expires_at: datetime


async def invite(
    connection: Connection,
    organisation_id: uuid.UUID,
    email: str,
    role: Role,
    *,
    invited_by: uuid.UUID,
    region: str | None = None,
) -> Invitation:
    """Invites an address, or renews its invitation with what is said now.

    Raises:
        Problem: 409 `too_many_invitations`.
    """
    count = select(func.count()).where(invitations.c.organisation_id == organisation_id)
    if (await connection.execute(count)).scalar_one() >= INVITATIONS_MOST:
        raise Problem(409, "too_many_invitations", "Withdraw invitations that nobody takes up first.")
    said = {"role": role, "region": region, "invited_by": invited_by}
    ends = func.now() + func.make_interval(0, 0, 0, INVITATION_DAYS)
    made = insert(invitations).values(
        id=new_id(), organisation_id=organisation_id, email=email, expires_at=ends, **said
    )
    renewed = made.on_conflict_do_update(
        index_elements=["organisation_id", "email"], set_={**said, "expires_at": made.excluded.expires_at}
    )
    row = (await connection.execute(renewed.returning(invitations))).mappings().one()
    return Invitation(**row)


async def list_invitations(
    connection: Connection, limit: int = LIMIT_DEFAULT, cursor: str | None = None
) -> Page[Invitation]:
    """The invitations that the transaction sees, also those that have run out."""
    query = select(invitations).order_by(invitations.c.id).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(invitations.c.id > read_cursor(cursor, uuid.UUID))
    found = [Invitation(**row) for row in (await connection.execute(query)).mappings()]
    return make_page(found, limit, lambda invitation: invitation.id)


async def find_invitation(
    connection: Connection, *, email: str | None = None, invitation_id: uuid.UUID | None = None
) -> Invitation | None:
    """The invitation of this address or id that the transaction sees."""
    query = select(invitations)
    if email is not None:
        query = query.where(invitations.c.email == email)
    if invitation_id is not None:
        query = query.where(invitations.c.id == invitation_id)
    row = (await connection.execute(query.limit(1))).mappings().one_or_none()
    return None if row is None else Invitation(**row)


async def list_own_invitations(connection: Connection) -> list[OwnInvitation]:
    """The invitations to the verified address of the user whom the transaction names."""
    found = await connection.execute(text("SELECT * FROM kilowatch.list_own_invitations()"))
    return [OwnInvitation(**row) for row in found.mappings()]


async def use_invitation(connection: Connection, invitation_id: uuid.UUID) -> Invitation:
    """Uses an invitation up, whether it is taken, declined or withdrawn; of two at once one gets it.

    Raises:
        Problem: 404.
    """
    gone = delete(invitations).where(invitations.c.id == invitation_id).returning(invitations)
    row = (await connection.execute(gone)).mappings().one_or_none()
    if row is None:
        raise no_invitation(invitation_id)
    return Invitation(**row)


async def withdraw_beyond(
    connection: Connection, invited_by: uuid.UUID, role: Role | None
) -> list[Invitation]:
    """Removes what somebody offers that they may not offer any more, who is a `role` now, or no member; says
    what it was."""
    kept = [one for one in ROLES if role is not None and may_appoint(role, one)]
    gone = delete(invitations).where(invitations.c.invited_by == invited_by, invitations.c.role.not_in(kept))
    found = await connection.execute(gone.returning(invitations))
    return [Invitation(**row) for row in found.mappings()]


def no_invitation(invitation_id: uuid.UUID) -> Problem:
    """The refusal for one that is not there, or not for the caller."""
    return Problem(404, "not_found", f"There is no invitation {invitation_id}.")
