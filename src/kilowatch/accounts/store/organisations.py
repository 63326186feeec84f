"""Organisations in PostgreSQL: who owns sites, devices and readings.

Keeps true: row-level security decides whose rows are seen, so only what creates rows names the organisation.
"""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text, update

from kilowatch.accounts.organisation import organisation_faults
from kilowatch.accounts.tables import memberships, organisations
from kilowatch.errors import Fault, Problem
from kilowatch.ids import ORGANISATION_SLUG, name_faults
from kilowatch.postgres.engine import Connection


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
    regions: list[str]


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


async def lock_organisation(connection: Connection, organisation_id: uuid.UUID) -> Organisation:
    """The organisation, which nobody else changes until the transaction ends, nor who its members are.

    Raises:
        Problem: 404.
    """
    # What only refers to it (a new device) need not wait.
    query = select(organisations).where(organisations.c.id == organisation_id).with_for_update(key_share=True)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise Problem(404, "not_found", f"There is no organisation {organisation_id}.")
    return Organisation(**row)


async def is_there(connection: Connection, organisation_id: uuid.UUID) -> bool:
    """Whether the organisation exists; if so, nobody deletes it until the transaction ends."""
    query = select(organisations.c.id).where(organisations.c.id == organisation_id)
    shared = query.with_for_update(read=True, key_share=True)
    return (await connection.execute(shared)).one_or_none() is not None


async def update_organisation(
    connection: Connection, organisation_id: uuid.UUID, changes: Mapping[str, Any]
) -> Organisation:
    """Changes name, regions and retention.

    Raises:
        Problem: 404, or 422 with all that is wrong.
    """
    kept = await lock_organisation(connection, organisation_id)
    faults = organisation_faults(changes) or organisation_faults(asdict(kept) | dict(changes))
    if faults:
        raise Problem(422, "invalid", "The organisation cannot be changed like this.", faults)
    if not changes:
        return kept
    changed = update(organisations).where(organisations.c.id == organisation_id).values(**changes)
    row = (await connection.execute(changed.returning(organisations))).mappings().one()
    return Organisation(**row)


async def delete_organisation(connection: Connection, organisation_id: uuid.UUID) -> None:
    """Removes an organisation and everything that is its own. Somebody's own home goes with their account and
    not before, whoever else is an admin of it.

    Raises:
        Problem: 404; 409 `personal_organisation`.
    """
    home = select(memberships.c.user_id).where(
        memberships.c.organisation_id == organisation_id, memberships.c.is_personal
    )
    if (await connection.execute(home)).first() is not None:
        detail = "This organisation came with a member's account; it goes with the account."
        raise Problem(409, "personal_organisation", detail)
    gone = await connection.execute(delete(organisations).where(organisations.c.id == organisation_id))
    if gone.rowcount == 0:
        raise Problem(404, "not_found", f"There is no organisation {organisation_id}.")


async def list_organisations(connection: Connection) -> list[Organisation]:
    """All that the transaction may see, oldest first: its own, or every one for the worker unscoped."""
    order = select(organisations).order_by(organisations.c.created_at, organisations.c.id)
    return [Organisation(**row) for row in (await connection.execute(order)).mappings()]


def _slug_fault(slug: str) -> Fault:
    detail = f"slug {slug[:80]!r} must be 1 to 63 of a-z, 0-9 and '-', not starting with '-'."
    return Fault("bad_slug", detail, pointer="/slug")
