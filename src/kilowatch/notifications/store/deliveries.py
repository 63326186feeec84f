"""Deliveries in PostgreSQL: what is on its way to which channel, and the log of every attempt.

Keeps true: a delivery is pending until it was sent, given up or dropped; it is written in the transaction of
what it tells. Who takes a message takes it for a while only: after a crash it is due again.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text

from kilowatch.clock import to_datetime, to_us
from kilowatch.notifications.backoff import TRIES_MOST, next_try_us
from kilowatch.notifications.breaker import Breaker
from kilowatch.notifications.letter import Content
from kilowatch.notifications.preference import Bundle
from kilowatch.notifications.severity import Severity
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor

BUNDLE_MOST = 1000
Status = Literal["pending", "sent", "failed", "dropped"]


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A notification that is to go to a channel. step: of the escalation that it is sent for, 0: none."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    user_id: uuid.UUID | None
    channel_id: uuid.UUID
    notification_id: uuid.UUID
    alert_id: uuid.UUID
    step: int
    bundle: Bundle | None
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. ok: None while it lasts, and for ever where the process ended before it was over."""

    begun_at: datetime
    ended_at: datetime | None
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as its channel's log has it."""

    id: uuid.UUID
    alert_id: uuid.UUID | None
    title: str | None
    severity: Severity | None
    step: int
    bundle: Bundle | None
    status: Status
    tries: int
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None
    attempts: list[Attempt]


@dataclass(frozen=True, slots=True)
class Parcel:
    """What was taken to be sent in one message. tries: counted with this one."""

    channel_id: uuid.UUID
    address: bytes
    breaker: Breaker
    bundle: Bundle | None
    deliveries: dict[uuid.UUID, int]
    """Ids, with how often each was tried, this time included."""
    contents: list[Content]


async def add_deliveries(connection: Connection, rows: Sequence[NewDelivery], at: datetime) -> None:
    """Puts deliveries on their way; those that are there already are left as they are."""
    if not rows:
        return
    await connection.execute(
        text(
            "INSERT INTO kilowatch.deliveries (id, organisation_id, user_id, channel_id, notification_id,"
            " alert_id, step, bundle, due_at, created_at) SELECT *, :at FROM unnest(CAST(:ids AS uuid[]),"
            " CAST(:organisations AS uuid[]), CAST(:users AS uuid[]), CAST(:channels AS uuid[]),"
            " CAST(:notifications AS uuid[]), CAST(:alerts AS uuid[]), CAST(:steps AS smallint[]),"
            " CAST(:bundles AS text[]), CAST(:due AS timestamptz[]))"
            " ON CONFLICT (notification_id, channel_id, step) DO NOTHING"
        ),
        {
            "ids": [row.id for row in rows],
            "organisations": [row.organisation_id for row in rows],
            "users": [row.user_id for row in rows],
            "channels": [row.channel_id for row in rows],
            "notifications": [row.notification_id for row in rows],
            "alerts": [row.alert_id for row in rows],
            "steps": [row.step for row in rows],
            "bundles": [row.bundle for row in rows],
            "due": [row.due_at for row in rows],
            "at": at,
        },
    )


async def find_last_steps(
    connection: Connection, notification_ids: Collection[uuid.UUID]
) -> dict[tuple[uuid.UUID, uuid.UUID], int]:
    """The last step for which each of these notifications went to a channel, by notification and channel."""
    found = await connection.execute(
        text(
            "SELECT notification_id, channel_id, max(step) AS step FROM kilowatch.deliveries"
            " WHERE notification_id = ANY(CAST(:ids AS uuid[])) GROUP BY notification_id, channel_id"
        ),
        {"ids": list(notification_ids)},
    )
    return {(row.notification_id, row.channel_id): int(row.step) for row in found}


async def end_deliveries(connection: Connection, alert_ids: Collection[uuid.UUID], at: datetime) -> None:
    """Drops what is still to be sent of these alerts; the daily digest tells of them all the same."""
    await connection.execute(
        text(
            "UPDATE kilowatch.deliveries SET status = 'dropped', ended_at = :at"
            " WHERE id IN (SELECT d.id FROM kilowatch.deliveries d"
            " WHERE d.alert_id = ANY(CAST(:alerts AS uuid[])) AND d.status = 'pending'"
            " AND d.bundle IS DISTINCT FROM 'digest' ORDER BY d.id FOR UPDATE)"
        ),
        {"alerts": list(alert_ids), "at": at},
    )


async def resume_deliveries(connection: Connection, alert_ids: Collection[uuid.UUID], at: datetime) -> None:
    """Has what was dropped of these alerts before it was tried be sent after all, by channels that are on."""
    await connection.execute(
        text(
            "UPDATE kilowatch.deliveries SET status = 'pending', ended_at = NULL,"
            " due_at = greatest(due_at, :at) WHERE id IN (SELECT d.id FROM kilowatch.deliveries d"
            " JOIN kilowatch.notification_channels c ON c.id = d.channel_id AND c.enabled"
            " WHERE d.alert_id = ANY(CAST(:alerts AS uuid[])) AND d.status = 'dropped' AND d.tries = 0"
            " ORDER BY d.id FOR UPDATE OF d)"
        ),
        {"alerts": list(alert_ids), "at": at},
    )


async def list_due_channels(
    connection: Connection, now: datetime, busy: Collection[uuid.UUID], most: int
) -> list[uuid.UUID]:
    """Channels for which something is due and that may be tried, those that are busy and those of disabled
    people aside."""
    found = await connection.execute(
        text(
            "SELECT d.channel_id FROM kilowatch.deliveries d"
            " JOIN kilowatch.notification_channels c ON c.id = d.channel_id"
            " LEFT JOIN kilowatch.users u ON u.id = c.user_id"
            " WHERE d.status = 'pending' AND d.due_at <= :now AND c.enabled AND u.disabled_at IS NULL"
            " AND (c.closed_until IS NULL OR c.closed_until <= :now)"
            " AND d.channel_id <> ALL(CAST(:busy AS uuid[]))"
            " GROUP BY d.channel_id ORDER BY min(d.due_at) LIMIT :most"
        ),
        {"now": now, "busy": list(busy), "most": most},
    )
    return list(found.scalars())


async def take_parcel(
    connection: Connection, channel_id: uuid.UUID, now: datetime, lease_until: datetime
) -> Parcel | None:
    """The next message of a channel, taken until `lease_until`, with the beginning of its attempt in the log;
    None when nothing is due or somebody else is at it."""
    found = await connection.execute(
        text(
            "SELECT address, failures, closed_until FROM kilowatch.notification_channels"
            " WHERE id = :id AND enabled AND (closed_until IS NULL OR closed_until <= :now)"
            " FOR NO KEY UPDATE SKIP LOCKED"
        ),
        {"id": channel_id, "now": now},
    )
    channel = found.one_or_none()
    if channel is None:
        return None
    await _give_up(connection, channel_id, now)
    await _drop_withdrawn(connection, channel_id, now)
    chosen, bundle = await _choose(connection, channel_id, now)
    if not chosen:
        return None
    tries = await _begin(connection, chosen, now, lease_until)
    closed_until = channel.closed_until
    breaker = Breaker(channel.failures, None if closed_until is None else to_us(closed_until))
    if closed_until is not None:  # one message decides; the others wait for it
        await connection.execute(
            text("UPDATE kilowatch.notification_channels SET closed_until = :until WHERE id = :id"),
            {"id": channel_id, "until": lease_until},
        )
    contents = await _contents(connection, chosen)
    return Parcel(channel_id, channel.address, breaker, bundle, tries, contents)


async def _give_up(connection: Connection, channel_id: uuid.UUID, now: datetime) -> None:
    """Ends what was taken as often as is tried and never came back: it may be what ends every courier."""
    await connection.execute(
        text(
            "UPDATE kilowatch.deliveries SET status = 'failed', ended_at = :now WHERE id IN (SELECT d.id"
            " FROM kilowatch.deliveries d WHERE d.channel_id = :id AND d.status = 'pending'"
            " AND d.due_at <= :now AND d.tries >= :most ORDER BY d.id FOR UPDATE SKIP LOCKED)"
        ),
        {"id": channel_id, "now": now, "most": TRIES_MOST},
    )


async def _drop_withdrawn(connection: Connection, channel_id: uuid.UUID, now: datetime) -> None:
    """Drops what would tell a customer of something that was taken from them since."""
    await connection.execute(
        text(
            "UPDATE kilowatch.deliveries SET status = 'dropped', ended_at = :now WHERE id IN (SELECT d.id"
            " FROM kilowatch.deliveries d JOIN kilowatch.notifications n ON n.id = d.notification_id"
            " JOIN kilowatch.memberships m ON m.organisation_id = d.organisation_id"
            " AND m.user_id = d.user_id AND m.role = 'customer'"
            " WHERE d.channel_id = :id AND d.status = 'pending' AND d.due_at <= :now"
            " AND NOT EXISTS (SELECT FROM kilowatch.site_assignments a"
            " WHERE a.user_id = d.user_id AND a.site_id = n.site_id)"
            " AND NOT EXISTS (SELECT FROM kilowatch.device_assignments a"
            " WHERE a.user_id = d.user_id AND a.device_no = n.device_no)"
            " ORDER BY d.id FOR UPDATE OF d SKIP LOCKED)"
        ),
        {"id": channel_id, "now": now},
    )


async def _choose(
    connection: Connection, channel_id: uuid.UUID, now: datetime
) -> tuple[list[uuid.UUID], Bundle | None]:
    due = (
        "SELECT id, bundle FROM kilowatch.deliveries WHERE channel_id = :id AND status = 'pending'"
        " AND due_at <= :now"
    )
    order = " ORDER BY due_at, created_at, id LIMIT :most FOR UPDATE SKIP LOCKED"
    named = {"id": channel_id, "now": now}
    first = (await connection.execute(text(due + order), {**named, "most": 1})).one_or_none()
    if first is None:
        return [], None
    if first.bundle is None:
        return [first.id], None
    together = await connection.execute(
        text(due + " AND bundle = :bundle" + order),
        {**named, "bundle": first.bundle, "most": BUNDLE_MOST},
    )
    return list(together.scalars()), first.bundle


async def _begin(
    connection: Connection, chosen: Sequence[uuid.UUID], now: datetime, lease_until: datetime
) -> dict[uuid.UUID, int]:
    taken = await connection.execute(
        text(
            "UPDATE kilowatch.deliveries SET due_at = :until, tries = tries + 1"
            " WHERE id = ANY(:ids) RETURNING id, tries"
        ),
        {"ids": list(chosen), "until": lease_until},
    )
    tries = {row.id: int(row.tries) for row in taken}
    await connection.execute(
        text(
            "INSERT INTO kilowatch.delivery_attempts (organisation_id, user_id, delivery_id, begun_at)"
            " SELECT organisation_id, user_id, id, :now FROM kilowatch.deliveries WHERE id = ANY(:ids)"
        ),
        {"ids": list(chosen), "now": now},
    )
    return tries


async def _contents(connection: Connection, chosen: Sequence[uuid.UUID]) -> list[Content]:
    """What these deliveries tell; once what waited together with steps of its own escalation."""
    found = await connection.execute(
        text(
            "SELECT n.severity, n.title, n.body, n.remedy, n.happened_at, max(d.step) AS step"
            " FROM kilowatch.deliveries d JOIN kilowatch.notifications n ON n.id = d.notification_id"
            " WHERE d.id = ANY(:ids) GROUP BY n.id ORDER BY n.happened_at, n.id"
        ),
        {"ids": list(chosen)},
    )
    return [
        Content(row.severity, row.title, row.body, row.remedy, to_us(row.happened_at), row.step)
        for row in found
    ]


async def note_outcome(
    connection: Connection, tries: dict[uuid.UUID, int], *, ok: bool, detail: str, now_us: int
) -> None:
    """Notes how the newest attempt of these deliveries ended: sent, to be tried again, or given up."""
    now = to_datetime(now_us)
    ids = list(tries)
    await connection.execute(
        text("SELECT id FROM kilowatch.deliveries WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"), {"ids": ids}
    )
    await connection.execute(
        text(
            "UPDATE kilowatch.delivery_attempts SET ended_at = :now, ok = :ok, detail = :detail"
            " WHERE no IN (SELECT max(no) FROM kilowatch.delivery_attempts WHERE delivery_id = ANY(:ids)"
            " GROUP BY delivery_id)"
        ),
        {"ids": ids, "now": now, "ok": ok, "detail": detail},
    )
    if ok:
        await connection.execute(
            text("UPDATE kilowatch.deliveries SET status = 'sent', ended_at = :now WHERE id = ANY(:ids)"),
            {"ids": ids, "now": now},
        )
        return
    due = [next_try_us(min(tries[one], TRIES_MOST), now_us) for one in ids]
    await connection.execute(
        text(
            "UPDATE kilowatch.deliveries d SET due_at = COALESCE(w.due, d.due_at),"
            " status = CASE WHEN w.due IS NULL THEN 'failed' ELSE 'pending' END,"
            " ended_at = CASE WHEN w.due IS NULL THEN CAST(:now AS timestamptz) END"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:due AS timestamptz[])) AS w(id, due)"
            " WHERE d.id = w.id AND d.status = 'pending'"
        ),
        {"ids": ids, "due": [None if one is None else to_datetime(one) for one in due], "now": now},
    )


async def list_deliveries(
    connection: Connection, channel_id: uuid.UUID, limit: int = LIMIT_DEFAULT, cursor: str | None = None
) -> Page[Delivery]:
    """What went to a channel that the transaction sees, newest first, with every attempt. Titles are those
    that the transaction's person was told themselves."""
    at, last = (None, None) if cursor is None else read_cursor(cursor, tuple[datetime, uuid.UUID])
    found = await connection.execute(
        text(
            "SELECT d.id, d.alert_id, n.title, n.severity, d.step, d.bundle, d.status, d.tries, d.due_at,"
            " d.created_at, d.ended_at, (SELECT array_agg(json_build_array(a.begun_at, a.ended_at, a.ok,"
            " a.detail) ORDER BY a.no) FROM kilowatch.delivery_attempts a WHERE a.delivery_id = d.id)"
            " AS attempts FROM kilowatch.deliveries d"
            " JOIN kilowatch.notification_channels c ON c.id = d.channel_id"
            " LEFT JOIN kilowatch.notifications n ON n.id = d.notification_id"
            " WHERE d.channel_id = :channel AND (CAST(:at AS timestamptz) IS NULL"
            " OR (d.created_at, d.id) < (:at, CAST(:last AS uuid)))"
            " ORDER BY d.created_at DESC, d.id DESC LIMIT :most"
        ),
        {"channel": channel_id, "at": at, "last": last, "most": check_limit(limit) + 1},
    )
    rows = [_delivery(dict(row)) for row in found.mappings()]
    return make_page(rows, limit, lambda one: (one.created_at, one.id))


def _delivery(row: dict[str, Any]) -> Delivery:
    tried = row.pop("attempts") or []
    attempts = [
        Attempt(
            datetime.fromisoformat(begun), None if ended is None else datetime.fromisoformat(ended), *rest
        )
        for begun, ended, *rest in tried
    ]
    return Delivery(**row, attempts=attempts)


async def forget_deliveries(connection: Connection, before: datetime) -> int:
    """Deletes the log of what ended before; how many deliveries that were."""
    gone = await connection.execute(
        text("DELETE FROM kilowatch.deliveries WHERE status <> 'pending' AND ended_at < :before"),
        {"before": before},
    )
    return gone.rowcount
