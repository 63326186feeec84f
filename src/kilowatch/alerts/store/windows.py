"""Maintenance windows in PostgreSQL.

Keeps true: a new or changed window holds at once also for alerts that are open, and one that is removed or
shortened hides nothing any more. Row-level security decides whose rows are seen.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, literal, or_, select, tuple_, update

from kilowatch.alerts.alert import MaintenanceWindow, window_faults
from kilowatch.alerts.tables import alerts, maintenance_windows
from kilowatch.errors import Fault, Problem
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor
from kilowatch.sites.store import get_device, get_site
from kilowatch.sites.tables import devices

COLUMNS = [column for column in maintenance_windows.c if column.name != "device_no"]
SHOWN = select(*COLUMNS, devices.c.id.label("device")).outerjoin(
    devices, devices.c.device_no == maintenance_windows.c.device_no
)
CHANGEABLE = frozenset({"starts_at", "ends_at", "reason"})


async def create_window(
    connection: Connection, organisation_id: uuid.UUID, made_by: str, now: datetime, **values: Any
) -> MaintenanceWindow:
    """A new window; `values` are its fields but for those that are given here.

    Raises:
        Problem: 422 with all that is wrong, `unknown_device` or `unknown_site`.
    """
    _refuse(window_faults(values))
    device = values.pop("device", None)
    values["device_no"] = None if device is None else await _device_no(connection, device)
    if values.get("site_id") is not None:
        await _check_site(connection, values["site_id"])
    window_id = new_id()
    made = insert(maintenance_windows).values(
        id=window_id, organisation_id=organisation_id, made_by=made_by, **values
    )
    await connection.execute(made)
    await apply_window(connection, window_id, now)
    return await get_window(connection, window_id)


async def list_windows(
    connection: Connection,
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
    after: datetime | None = None,
) -> Page[MaintenanceWindow]:
    """The windows, those that begin last first; with `after` those that end later than that."""
    order = (maintenance_windows.c.starts_at, maintenance_windows.c.id)
    query = SHOWN.order_by(*(column.desc() for column in order)).limit(check_limit(limit) + 1)
    if after is not None:
        query = query.where(maintenance_windows.c.ends_at > after)
    if cursor is not None:
        starts_at, window_id = read_cursor(cursor, tuple[datetime, uuid.UUID])
        query = query.where(tuple_(*order) < tuple_(literal(starts_at), literal(window_id)))
    found = [MaintenanceWindow(**row) for row in (await connection.execute(query)).mappings()]
    return make_page(found, limit, lambda window: (window.starts_at, window.id))


async def get_window(connection: Connection, window_id: uuid.UUID) -> MaintenanceWindow:
    """The window of this id.

    Raises:
        Problem: 404.
    """
    query = SHOWN.where(maintenance_windows.c.id == window_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise _no_window(window_id)
    return MaintenanceWindow(**row)


async def update_window(
    connection: Connection, window_id: uuid.UUID, changes: Mapping[str, Any], now: datetime
) -> MaintenanceWindow:
    """Changes when a window holds, or why.

    Raises:
        Problem: 404, or 422 with all that is wrong.
    """
    window = await get_window(connection, window_id)
    span = {"starts_at": window.starts_at, "ends_at": window.ends_at}
    unknown = [
        Fault("unknown_field", f"{name} cannot be set.", pointer=f"/{name}")
        for name in changes
        if name not in CHANGEABLE
    ]
    _refuse(unknown + window_faults(span | dict(changes)))
    if changes:
        changed = update(maintenance_windows).where(maintenance_windows.c.id == window_id)
        await connection.execute(changed.values(**changes))
        await _lift(connection, window_id, now)
        await apply_window(connection, window_id, now)
    return await get_window(connection, window_id)


async def delete_window(connection: Connection, window_id: uuid.UUID, now: datetime) -> None:
    """Removes a window; what it hid is open again with the worker's next turn.

    Raises:
        Problem: 404.
    """
    await _lift(connection, window_id, now)
    gone = await connection.execute(delete(maintenance_windows).where(maintenance_windows.c.id == window_id))
    if gone.rowcount == 0:
        raise _no_window(window_id)


async def apply_window(connection: Connection, window_id: uuid.UUID, now: datetime) -> None:
    """Suppresses the open alerts that a window which holds now is about."""
    w = maintenance_windows.c
    same = ((w.device_no, alerts.c.device_no), (w.site_id, alerts.c.site_id), (w.kind, alerts.c.kind))
    about = [or_(mine.is_(None), mine == its) for mine, its in (*same, (w.rule_id, alerts.c.rule_id))]
    hidden = (
        update(alerts)
        .where(w.id == window_id, w.organisation_id == alerts.c.organisation_id, *about)
        .where(w.starts_at <= now, w.ends_at > now, alerts.c.status == "open")
        .values(status="suppressed", suppressed_by=f"window:{window_id}", suppressed_until=w.ends_at)
    )
    await connection.execute(hidden)


async def list_hidden(connection: Connection, window_id: uuid.UUID) -> list[uuid.UUID]:
    """The alerts that a window hides."""
    hidden = select(alerts.c.id).where(_hidden_by(window_id)).order_by(alerts.c.id)
    return list((await connection.execute(hidden)).scalars())


def _hidden_by(window_id: uuid.UUID) -> ColumnElement[bool]:
    return and_(alerts.c.status == "suppressed", alerts.c.suppressed_by == f"window:{window_id}")


async def _lift(connection: Connection, window_id: uuid.UUID, now: datetime) -> None:
    """Has what this window hides be judged anew with the worker's next turn: what a window still hides stays
    hidden, and people are told of the rest."""
    over = update(alerts).where(_hidden_by(window_id))
    await connection.execute(over.values(suppressed_until=now))


async def _device_no(connection: Connection, device: str) -> int:
    try:
        return (await get_device(connection, device)).device_no
    except Problem as error:
        raise Problem(
            422, "unknown_device", error.detail, [Fault("unknown_device", error.detail, pointer="/device_id")]
        ) from error


async def _check_site(connection: Connection, site_id: uuid.UUID) -> None:
    try:
        await get_site(connection, site_id)
    except Problem as error:
        raise Problem(
            422, "unknown_site", error.detail, [Fault("unknown_site", error.detail, pointer="/site_id")]
        ) from error


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise Problem(422, "invalid", "The window cannot be like this.", faults)


def _no_window(window_id: uuid.UUID) -> Problem:
    return Problem(404, "not_found", f"There is no maintenance window {window_id}.")
