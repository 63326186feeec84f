"""What is assigned to whom, in PostgreSQL: the sites and devices that a customer sees.

Keeps true: only a customer of the organisation is assigned something, and only what is the organisation's. A
site stands for all of its devices, also those that come later. What stays assigned to somebody who is no
customer any more narrows nothing, and holds again when they become one.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text

from kilowatch.accounts.store.members import get_member
from kilowatch.accounts.store.organisations import lock_organisation
from kilowatch.errors import Problem
from kilowatch.ids import require_device_id
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor

Kind = Literal["site", "device"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A site (by its UUID) or a device (by its id) that a member was assigned."""

    user_id: uuid.UUID
    kind: Kind
    id: str
    created_at: datetime


async def assign_site(
    connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID, site_id: uuid.UUID
) -> Assignment:
    """Lets a customer see a site; harmless when they do already.

    Raises:
        Problem: 404 where site or member are not there; 422 `no_customer`.
    """
    await _require_customer(connection, organisation_id, user_id)
    made = await connection.execute(
        text(
            "INSERT INTO kilowatch.site_assignments AS a (organisation_id, user_id, site_id)"
            " SELECT s.organisation_id, :user, s.id FROM kilowatch.sites s"
            " WHERE s.organisation_id = :organisation AND s.id = :site"
            " ON CONFLICT (user_id, site_id) DO UPDATE SET created_at = a.created_at RETURNING created_at"
        ),
        {"organisation": organisation_id, "user": user_id, "site": site_id},
    )
    return _made(user_id, "site", str(site_id), made.scalar_one_or_none())


async def assign_device(
    connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID, device_id: str
) -> Assignment:
    """Lets a customer see a device; harmless when they do already.

    Raises:
        Problem: 404 where device or member are not there; 422 `no_customer`.
    """
    require_device_id(device_id)
    await _require_customer(connection, organisation_id, user_id)
    made = await connection.execute(
        text(
            "INSERT INTO kilowatch.device_assignments AS a (organisation_id, user_id, device_no)"
            " SELECT d.organisation_id, :user, d.device_no FROM kilowatch.devices d"
            " WHERE d.organisation_id = :organisation AND d.id = :device"
            " ON CONFLICT (user_id, device_no) DO UPDATE SET created_at = a.created_at RETURNING created_at"
        ),
        {"organisation": organisation_id, "user": user_id, "device": device_id},
    )
    return _made(user_id, "device", device_id, made.scalar_one_or_none())


async def withdraw_site(
    connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID, site_id: uuid.UUID
) -> None:
    """Takes a site from somebody.

    Raises:
        Problem: 404 where it was not assigned.
    """
    gone = await connection.execute(
        text(
            "DELETE FROM kilowatch.site_assignments"
            " WHERE organisation_id = :organisation AND user_id = :user AND site_id = :site"
        ),
        {"organisation": organisation_id, "user": user_id, "site": site_id},
    )
    if gone.rowcount == 0:
        raise _absent("site", str(site_id))


async def withdraw_device(
    connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID, device_id: str
) -> None:
    """Takes a device from somebody.

    Raises:
        Problem: 404 where it was not assigned.
    """
    require_device_id(device_id)
    gone = await connection.execute(
        text(
            "DELETE FROM kilowatch.device_assignments a USING kilowatch.devices d"
            " WHERE a.organisation_id = :organisation AND a.user_id = :user"
            " AND d.device_no = a.device_no AND d.id = :device"
        ),
        {"organisation": organisation_id, "user": user_id, "device": device_id},
    )
    if gone.rowcount == 0:
        raise _absent("device", device_id)


async def list_assignments(
    connection: Connection, user_id: uuid.UUID, limit: int = LIMIT_DEFAULT, cursor: str | None = None
) -> Page[Assignment]:
    """What is assigned to a member, devices before sites.

    Raises:
        Problem: 404.
    """
    await get_member(connection, user_id)
    kind, last = read_cursor(cursor, tuple[Kind, str]) if cursor is not None else ("", "")
    found = await connection.execute(
        text(
            "SELECT user_id, kind, id, created_at FROM ("
            "SELECT a.user_id, 'device' AS kind, d.id, a.created_at FROM kilowatch.device_assignments a"
            " JOIN kilowatch.devices d ON d.device_no = a.device_no WHERE a.user_id = :user"
            " UNION ALL SELECT a.user_id, 'site', a.site_id::text, a.created_at"
            " FROM kilowatch.site_assignments a WHERE a.user_id = :user) every"
            ' WHERE (kind COLLATE "C", id COLLATE "C") > (:kind, :last)'
            ' ORDER BY kind COLLATE "C", id COLLATE "C" LIMIT :most'
        ),
        {"user": user_id, "kind": kind, "last": last.replace("\x00", ""), "most": check_limit(limit) + 1},
    )
    return make_page([Assignment(**row) for row in found.mappings()], limit, lambda one: (one.kind, one.id))


async def _require_customer(connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID) -> None:
    """Lets customers pass, who stay what they are until the transaction ends."""
    await lock_organisation(connection, organisation_id)
    member = await get_member(connection, user_id)
    if member.role != "customer":
        detail = f"Something is assigned to customers; as {member.role} this member sees everything."
        raise Problem(422, "no_customer", detail)


def _made(user_id: uuid.UUID, kind: Kind, name: str, created_at: datetime | None) -> Assignment:
    if created_at is None:
        raise _absent(kind, name)
    return Assignment(user_id, kind, name, created_at)


def _absent(kind: Kind, name: str) -> Problem:
    return Problem(404, "not_found", f"There is no {kind} {name[:80]!r}.")
