"""Escalations in PostgreSQL: whom to tell next of an alert that nobody acknowledges.

Keeps true: a step is taken once, however many processes look for steps that are due.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from kilowatch.notifications.severity import Severity
from kilowatch.postgres.engine import Connection


@dataclass(frozen=True, slots=True)
class NewEscalation:
    """A step that is to come: to the person's own channel, or to another member."""

    organisation_id: uuid.UUID
    user_id: uuid.UUID
    notification_id: uuid.UUID
    alert_id: uuid.UUID
    step: int
    channel_id: uuid.UUID | None
    target_id: uuid.UUID | None
    due_at: datetime


@dataclass(frozen=True, slots=True)
class DueEscalation:
    """A step that has come, with what is to be told."""

    organisation_id: uuid.UUID
    user_id: uuid.UUID
    notification_id: uuid.UUID
    step: int
    channel_id: uuid.UUID | None
    target_id: uuid.UUID | None
    alert_id: uuid.UUID
    site_id: uuid.UUID | None
    device_no: int | None
    severity: Severity
    title: str
    body: str
    remedy: str
    happened_at: datetime


async def add_escalations(connection: Connection, rows: Sequence[NewEscalation]) -> None:
    """Notes steps that are to come."""
    if not rows:
        return
    await connection.execute(
        text(
            "INSERT INTO kilowatch.escalations (organisation_id, user_id, notification_id, alert_id, step,"
            " channel_id, target_id, due_at) SELECT * FROM unnest(CAST(:organisations AS uuid[]),"
            " CAST(:users AS uuid[]), CAST(:notifications AS uuid[]), CAST(:alerts AS uuid[]),"
            " CAST(:steps AS smallint[]), CAST(:channels AS uuid[]), CAST(:targets AS uuid[]),"
            " CAST(:due AS timestamptz[]))"
        ),
        {
            "organisations": [row.organisation_id for row in rows],
            "users": [row.user_id for row in rows],
            "notifications": [row.notification_id for row in rows],
            "alerts": [row.alert_id for row in rows],
            "steps": [row.step for row in rows],
            "channels": [row.channel_id for row in rows],
            "targets": [row.target_id for row in rows],
            "due": [row.due_at for row in rows],
        },
    )


async def end_escalations(connection: Connection, alert_ids: Collection[uuid.UUID], at: datetime) -> None:
    """Takes no further step for these alerts."""
    await connection.execute(
        text(
            "UPDATE kilowatch.escalations SET ended_at = :at"
            " WHERE no IN (SELECT e.no FROM kilowatch.escalations e"
            " WHERE e.alert_id = ANY(CAST(:alerts AS uuid[])) AND e.ended_at IS NULL"
            " ORDER BY e.no FOR UPDATE)"
        ),
        {"alerts": list(alert_ids), "at": at},
    )


async def resume_escalations(connection: Connection, alert_ids: Collection[uuid.UUID], at: datetime) -> None:
    """Takes the steps that were ended before their time after all, as much later as they were ended."""
    await connection.execute(
        text(
            "UPDATE kilowatch.escalations SET ended_at = NULL, due_at = due_at + (:at - ended_at)"
            " WHERE no IN (SELECT e.no FROM kilowatch.escalations e"
            " WHERE e.alert_id = ANY(CAST(:alerts AS uuid[])) AND e.ended_at < e.due_at"
            " ORDER BY e.no FOR UPDATE)"
        ),
        {"alerts": list(alert_ids), "at": at},
    )


async def take_escalations(connection: Connection, now: datetime, most: int) -> list[DueEscalation]:
    """Steps that have come, which are the transaction's own from now on."""
    found = await connection.execute(
        text(
            "WITH due AS (SELECT no FROM kilowatch.escalations WHERE ended_at IS NULL AND due_at <= :now"
            " ORDER BY due_at, no LIMIT :most FOR UPDATE SKIP LOCKED),"
            " taken AS (UPDATE kilowatch.escalations e SET ended_at = :now FROM due WHERE e.no = due.no"
            " RETURNING e.*)"
            " SELECT t.organisation_id, t.user_id, t.notification_id, t.step, t.channel_id, t.target_id,"
            " n.alert_id, n.site_id, n.device_no, n.severity, n.title, n.body, n.remedy, n.happened_at"
            " FROM taken t JOIN kilowatch.notifications n ON n.id = t.notification_id ORDER BY t.due_at, t.no"
        ),
        {"now": now, "most": most},
    )
    return [DueEscalation(**row) for row in found.mappings()]
