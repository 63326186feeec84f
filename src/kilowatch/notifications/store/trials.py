"""Trials of channels in PostgreSQL: in the log of deliveries like what is sent for an alert.

Keeps true: a trial is never pending, so that no courier sends it; one that was broken off has failed.
"""

import uuid
from datetime import datetime

from sqlalchemy import text

from kilowatch.postgres.engine import Connection


async def add_trial(connection: Connection, channel_id: uuid.UUID, now: datetime) -> uuid.UUID | None:
    """A delivery that tries a channel, with the beginning of its attempt; nothing waits for it and it waits
    for nothing. None where there is no such channel."""
    made = await connection.execute(
        text(
            "INSERT INTO kilowatch.deliveries (id, organisation_id, user_id, channel_id, status, tries,"
            " due_at, created_at, ended_at)"
            " SELECT :delivery, organisation_id, user_id, id, 'failed', 1, :now, :now, :now"
            " FROM kilowatch.notification_channels WHERE id = :channel RETURNING id"
        ),
        {"delivery": uuid.uuid4(), "channel": channel_id, "now": now},
    )
    delivery = made.scalar_one_or_none()
    if delivery is not None:
        await connection.execute(
            text(
                "INSERT INTO kilowatch.delivery_attempts (organisation_id, user_id, delivery_id, begun_at)"
                " SELECT organisation_id, user_id, id, :now FROM kilowatch.deliveries WHERE id = :id"
            ),
            {"id": delivery, "now": now},
        )
    return delivery


async def end_trial(
    connection: Connection, delivery_id: uuid.UUID, ok: bool, detail: str, now: datetime
) -> None:
    """Notes how a channel's trial went."""
    named = {"id": delivery_id, "status": "sent" if ok else "failed", "now": now, "ok": ok, "detail": detail}
    await connection.execute(
        text("UPDATE kilowatch.deliveries SET status = :status, ended_at = :now WHERE id = :id"), named
    )
    await connection.execute(
        text(
            "UPDATE kilowatch.delivery_attempts SET ended_at = :now, ok = :ok, detail = :detail"
            " WHERE delivery_id = :id"
        ),
        named,
    )
