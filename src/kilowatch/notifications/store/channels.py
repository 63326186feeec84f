"""Channels in PostgreSQL: where people and organisations are told outside of the app.

Keeps true: an address leaves here sealed only; a channel that is switched off sends nothing that waited
for it.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from kilowatch.clock import to_datetime, to_us
from kilowatch.errors import Problem
from kilowatch.notifications.breaker import Breaker
from kilowatch.notifications.severity import Severity
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor

CHANNELS_MOST = 20
"""Of one person in one organisation, and of the organisation itself."""
COLUMNS = "id, user_id, name, kind, shown, severity, enabled, failures, closed_until, created_at"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel without its address. user_id: whose it is, None: the organisation's; shown: the address as it
    may be seen; severity: the least that goes there; failures, closed_until: of its breaker."""

    id: uuid.UUID
    user_id: uuid.UUID | None
    name: str
    kind: str
    shown: str
    severity: Severity
    enabled: bool
    failures: int
    closed_until: datetime | None
    created_at: datetime

    @property
    def breaker(self) -> Breaker:
        """Its circuit breaker."""
        return Breaker(self.failures, None if self.closed_until is None else to_us(self.closed_until))


@dataclass(frozen=True, slots=True)
class NewChannel:
    """What a new channel shall be; address: sealed."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    user_id: uuid.UUID | None
    name: str
    kind: str
    address: bytes
    shown: str
    severity: Severity
    enabled: bool


async def create_channel(connection: Connection, new: NewChannel) -> Channel:
    """Makes a channel.

    Raises:
        Problem: 409 `too_many_channels`.
    """
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('channels ' || :whose, 0))"),
        {"whose": f"{new.organisation_id} {new.user_id}"},
    )
    named = {"organisation": new.organisation_id, "user": new.user_id}
    counted = await connection.execute(
        text(
            "SELECT count(*) FROM kilowatch.notification_channels WHERE organisation_id = :organisation"
            " AND user_id IS NOT DISTINCT FROM CAST(:user AS uuid)"
        ),
        named,
    )
    if counted.scalar_one() >= CHANNELS_MOST:
        detail = f"There are {CHANNELS_MOST} channels already, and no more are kept; delete one first."
        raise Problem(409, "too_many_channels", detail)
    made = await connection.execute(
        text(
            "INSERT INTO kilowatch.notification_channels"
            " (id, organisation_id, user_id, name, kind, address, shown, severity, enabled) VALUES"
            " (:id, :organisation, :user, :name, :kind, :address, :shown, :severity, :enabled)"
            " RETURNING " + COLUMNS
        ),
        {
            **named,
            "id": new.id,
            "name": new.name,
            "kind": new.kind,
            "address": new.address,
            "shown": new.shown,
            "severity": new.severity,
            "enabled": new.enabled,
        },
    )
    return Channel(**made.mappings().one())


async def list_channels(
    connection: Connection, limit: int = LIMIT_DEFAULT, cursor: str | None = None
) -> Page[Channel]:
    """The channels that the transaction sees, in the order of their ids."""
    after = None if cursor is None else read_cursor(cursor, uuid.UUID)
    found = await connection.execute(
        text(
            f"SELECT {COLUMNS} FROM kilowatch.notification_channels"  # noqa: S608
            " WHERE CAST(:after AS uuid) IS NULL OR id > :after ORDER BY id LIMIT :most"
        ),
        {"after": after, "most": check_limit(limit) + 1},
    )
    return make_page([Channel(**row) for row in found.mappings()], limit, lambda one: one.id)


async def get_channel(connection: Connection, channel_id: uuid.UUID) -> Channel:
    """The channel of this id.

    Raises:
        Problem: 404.
    """
    found = await connection.execute(
        text(f"SELECT {COLUMNS} FROM kilowatch.notification_channels WHERE id = :id"),  # noqa: S608
        {"id": channel_id},
    )
    row = found.mappings().one_or_none()
    if row is None:
        raise _absent(channel_id)
    return Channel(**row)


async def find_address(connection: Connection, channel_id: uuid.UUID) -> bytes | None:
    """The sealed address of a channel."""
    found = await connection.execute(
        text("SELECT address FROM kilowatch.notification_channels WHERE id = :id"), {"id": channel_id}
    )
    return found.scalar_one_or_none()


async def change_channel(
    connection: Connection, channel_id: uuid.UUID, changes: Mapping[str, Any], at: datetime
) -> Channel:
    """Changes `name`, `severity`, `enabled`, or `address` with `kind` and `shown`; what waits for a channel
    that is switched off is dropped, and a new address begins with a closed breaker.

    Raises:
        Problem: 404.
    """
    await get_channel(connection, channel_id)
    allowed = ("name", "severity", "enabled", "address", "kind", "shown")
    set_parts = [f"{name} = :{name}" for name in allowed if name in changes]
    if "address" in changes:
        set_parts.append("failures = 0, closed_until = NULL")
    if set_parts:
        await connection.execute(
            text(f"UPDATE kilowatch.notification_channels SET {', '.join(set_parts)} WHERE id = :id"),  # noqa: S608
            {name: changes[name] for name in allowed if name in changes} | {"id": channel_id},
        )
    if changes.get("enabled") is False:
        await connection.execute(
            text(
                "UPDATE kilowatch.deliveries SET status = 'dropped', ended_at = :at"
                " WHERE id IN (SELECT d.id FROM kilowatch.deliveries d WHERE d.channel_id = :id"
                " AND d.status = 'pending' ORDER BY d.id FOR UPDATE)"
            ),
            {"id": channel_id, "at": at},
        )
    return await get_channel(connection, channel_id)


async def delete_channel(connection: Connection, channel_id: uuid.UUID) -> Channel:
    """Deletes a channel with the log of its deliveries; returns what it was.

    Raises:
        Problem: 404.
    """
    channel = await get_channel(connection, channel_id)
    await connection.execute(
        text("DELETE FROM kilowatch.notification_channels WHERE id = :id"), {"id": channel_id}
    )
    return channel


async def set_breaker(connection: Connection, channel_id: uuid.UUID, breaker: Breaker) -> None:
    """Notes what a channel's breaker has become."""
    until = None if breaker.until_us is None else to_datetime(breaker.until_us)
    await connection.execute(
        text(
            "UPDATE kilowatch.notification_channels SET failures = :failures, closed_until = :until"
            " WHERE id = :id"
        ),
        {"id": channel_id, "failures": breaker.failures, "until": until},
    )


def _absent(channel_id: uuid.UUID) -> Problem:
    return Problem(404, "not_found", f"There is no notification channel {channel_id}.")
