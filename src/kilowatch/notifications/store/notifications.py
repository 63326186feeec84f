"""Notifications in PostgreSQL: what each person was told, and what they have read.

Keeps true: a page and the count beside it are of one moment; who marks something read twice marks it once;
what was told once is not told again, whoever tells it.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from kilowatch.clock import to_datetime, to_us
from kilowatch.errors import Problem
from kilowatch.notifications.severity import Severity
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor

COLUMNS = ", ".join(
    f"n.{name}"
    for name in (
        *("id", "alert_id", "site_id", "severity", "title", "body", "remedy"),
        *("happened_at", "created_at", "read_at"),
    )
)


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that somebody was told."""

    id: uuid.UUID
    alert_id: uuid.UUID
    site_id: uuid.UUID | None
    severity: Severity
    title: str
    body: str
    remedy: str
    happened_at: datetime
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewNotification:
    """What is to be told to somebody, or to the organisation's own channels where `user_id` is None."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    user_id: uuid.UUID | None
    alert_id: uuid.UUID
    site_id: uuid.UUID | None
    device_no: int | None
    severity: Severity
    title: str
    body: str
    remedy: str
    happened_at: datetime


@dataclass(frozen=True, slots=True)
class Inbox:
    """A page of notifications, and how many are unread in all."""

    page: Page[Notification]
    unread: int


async def add_notifications(
    connection: Connection, rows: Sequence[NewNotification], at: datetime
) -> set[uuid.UUID]:
    """Keeps what is new; the ids of that."""
    if not rows:
        return set()
    named = {
        "ids": [row.id for row in rows],
        "organisations": [row.organisation_id for row in rows],
        "users": [row.user_id for row in rows],
        "alerts": [row.alert_id for row in rows],
        "sites": [row.site_id for row in rows],
        "devices": [row.device_no for row in rows],
        "severities": [row.severity for row in rows],
        "titles": [row.title for row in rows],
        "bodies": [row.body for row in rows],
        "remedies": [row.remedy for row in rows],
        "happened": [row.happened_at for row in rows],
        "at": at,
    }
    added = await connection.execute(
        text(
            "INSERT INTO kilowatch.notifications (id, organisation_id, user_id, alert_id, site_id, device_no,"
            " severity, title, body, remedy, happened_at, created_at)"
            " SELECT *, :at FROM unnest(CAST(:ids AS uuid[]), CAST(:organisations AS uuid[]),"
            " CAST(:users AS uuid[]), CAST(:alerts AS uuid[]), CAST(:sites AS uuid[]),"
            " CAST(:devices AS integer[]), CAST(:severities AS text[]), CAST(:titles AS text[]),"
            " CAST(:bodies AS text[]), CAST(:remedies AS text[]), CAST(:happened AS timestamptz[]))"
            " ON CONFLICT (id) DO NOTHING RETURNING id"
        ),
        named,
    )
    return set(added.scalars())


async def list_notifications(
    connection: Connection, user_id: uuid.UUID, limit: int = LIMIT_DEFAULT, cursor: str | None = None
) -> Inbox:
    """What somebody was told in the organisation that the transaction names, unread first, then newest."""
    read, at, last = (False, None, None) if cursor is None else _place(cursor)
    found = await connection.execute(
        text(
            "SELECT unread.count AS unread, n.* FROM (SELECT count(*) FROM kilowatch.notifications"  # noqa: S608
            " WHERE user_id = :user AND read_at IS NULL AND dismissed_at IS NULL) unread"
            f" LEFT JOIN LATERAL (SELECT {COLUMNS} FROM kilowatch.notifications n"
            " WHERE n.user_id = :user AND n.dismissed_at IS NULL"
            " AND (CAST(:at AS timestamptz) IS NULL OR (n.read_at IS NOT NULL) > :read"
            " OR ((n.read_at IS NOT NULL) = :read AND (n.created_at, n.id) < (:at, CAST(:last AS uuid))))"
            " ORDER BY n.read_at IS NOT NULL, n.created_at DESC, n.id DESC LIMIT :most) n ON true"
        ),
        {"user": user_id, "read": read, "at": at, "last": last, "most": check_limit(limit) + 1},
    )
    rows = [dict(row) for row in found.mappings()]
    unread = int(rows[0]["unread"])
    items = [
        Notification(**{name: value for name, value in row.items() if name != "unread"})
        for row in rows
        if row["id"] is not None
    ]
    page = make_page(items, limit, lambda one: (one.read_at is not None, to_us(one.created_at), one.id))
    return Inbox(page, unread)


def _place(cursor: str) -> tuple[bool, datetime, uuid.UUID]:
    read, at_us, last = read_cursor(cursor, tuple[bool, int, uuid.UUID])
    try:
        return read, to_datetime(at_us), last
    except (OverflowError, ValueError, OSError) as error:
        raise Problem(
            400, "bad_cursor", "cursor is not one that this list gave; start without it."
        ) from error


async def count_unread(connection: Connection, user_id: uuid.UUID) -> int:
    """How many somebody has not read."""
    found = await connection.execute(
        text(
            "SELECT count(*) FROM kilowatch.notifications"
            " WHERE user_id = :user AND read_at IS NULL AND dismissed_at IS NULL"
        ),
        {"user": user_id},
    )
    return int(found.scalar_one())


async def mark_read(
    connection: Connection, user_id: uuid.UUID, notification_id: uuid.UUID, at: datetime
) -> Notification:
    """Marks one as read; harmless when it is.

    Raises:
        Problem: 404.
    """
    found = await connection.execute(
        text(
            "UPDATE kilowatch.notifications n SET read_at = COALESCE(n.read_at, :at)"  # noqa: S608
            f" WHERE n.id = :id AND n.user_id = :user AND n.dismissed_at IS NULL RETURNING {COLUMNS}"
        ),
        {"id": notification_id, "user": user_id, "at": at},
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise _absent(notification_id)
    return Notification(**row)


async def mark_all_read(connection: Connection, user_id: uuid.UUID, at: datetime) -> int:
    """Marks all as read that are there now; how many that were."""
    marked = await connection.execute(
        text(
            "UPDATE kilowatch.notifications SET read_at = :at WHERE id IN (SELECT n.id"
            " FROM kilowatch.notifications n WHERE n.user_id = :user AND n.read_at IS NULL"
            " AND n.dismissed_at IS NULL ORDER BY n.id FOR UPDATE)"
        ),
        {"user": user_id, "at": at},
    )
    return marked.rowcount


async def dismiss(
    connection: Connection, user_id: uuid.UUID, notification_id: uuid.UUID, at: datetime
) -> None:
    """Takes one out of somebody's list. What is on its way by other channels goes on.

    Raises:
        Problem: 404.
    """
    gone = await connection.execute(
        text(
            "UPDATE kilowatch.notifications SET dismissed_at = :at"
            " WHERE id = :id AND user_id = :user AND dismissed_at IS NULL"
        ),
        {"id": notification_id, "user": user_id, "at": at},
    )
    if gone.rowcount == 0:
        raise _absent(notification_id)


async def forget_notifications(connection: Connection, before: datetime) -> int:
    """Deletes what was told before, with its deliveries; how many that were."""
    gone = await connection.execute(
        text("DELETE FROM kilowatch.notifications WHERE created_at < :before"), {"before": before}
    )
    return gone.rowcount


def _absent(notification_id: uuid.UUID) -> Problem:
    return Problem(404, "not_found", f"There is no notification {notification_id}.")
