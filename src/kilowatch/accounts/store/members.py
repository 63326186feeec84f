"""Memberships in PostgreSQL: what a user is in which organisation."""

import uuid
from dataclasses import dataclass

from sqlalchemy import insert, text

from kilowatch.accounts.rights import Role
from kilowatch.accounts.tables import (
    memberships,
)
from kilowatch.postgres.engine import Connection


@dataclass(frozen=True, slots=True)
class Membership:
    """An organisation of the user that the transaction named, and what they are in it."""

    id: uuid.UUID
    slug: str
    name: str
    role: Role
    is_personal: bool


async def add_member(
    connection: Connection,
    organisation_id: uuid.UUID,
    user_id: uuid.UUID,
    role: Role,
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
