"""Who is to be told of what: members, what is assigned to them, their wishes and their channels.

Keeps true: of a site or device that is gone nobody is told, and none that is told of goes before the end
of the transaction.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text

from kilowatch.accounts.rights import Role
from kilowatch.clock import to_datetime, to_us
from kilowatch.notifications.preference import Preferences
from kilowatch.notifications.severity import Severity
from kilowatch.notifications.store.preferences import COLUMNS, read_preferences
from kilowatch.notifications.storm import Flow, Guard
from kilowatch.postgres.engine import Connection

Named = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listener:
    """A member who may be told."""

    user_id: uuid.UUID
    role: Role
    preferences: Preferences


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """A channel, as far as it decides what goes there."""

    id: uuid.UUID
    name: str
    kind: str
    severity: Severity


@dataclass(slots=True)
class Audience:
    """Everything that decides who is told what, by which channel and when."""

    members: dict[uuid.UUID, list[Listener]]
    """By organisation."""
    zones: dict[uuid.UUID, str]
    """Time zones of the sites that are there."""
    devices: set[int]
    """Devices that are there."""
    assigned_sites: set[tuple[uuid.UUID, uuid.UUID]]
    assigned_devices: set[tuple[uuid.UUID, int]]
    channels: dict[tuple[uuid.UUID, uuid.UUID | None], list[OpenChannel]]
    """By organisation and person; None: the organisation's own."""
    known: dict[uuid.UUID, list[OpenChannel]]
    """By organisation, everybody's, with those that are switched off."""
    flows: dict[uuid.UUID, Flow] = field(default_factory=dict)


async def find_audience(
    connection: Connection,
    organisations: Collection[uuid.UUID],
    sites: Collection[uuid.UUID],
    devices: Collection[int],
    now_us: int,
) -> Audience:
    """The audience of these organisations for what happened at these sites and devices."""
    named: Named = {"organisations": list(organisations), "sites": list(sites), "devices": list(devices)}
    audience = Audience(
        await _members(connection, named),
        await _zones(connection, named),
        await _devices(connection, named),
        *(await _assigned(connection, named)),
        *(await _channels(connection, named)),
    )
    audience.flows = await _flows(connection, audience, now_us)
    return audience


async def _members(connection: Connection, named: Named) -> dict[uuid.UUID, list[Listener]]:
    columns = ", ".join(f"p.{name}" for name in COLUMNS)
    found = await connection.execute(
        text(
            f"SELECT m.organisation_id, m.user_id, m.role, p.user_id AS said, {columns}"  # noqa: S608
            " FROM kilowatch.memberships m"
            " JOIN kilowatch.users u ON u.id = m.user_id AND u.disabled_at IS NULL"
            " LEFT JOIN kilowatch.notification_preferences p"
            " ON p.organisation_id = m.organisation_id AND p.user_id = m.user_id"
            " WHERE m.organisation_id = ANY(:organisations)"
            " ORDER BY m.organisation_id, m.user_id FOR KEY SHARE OF m"
        ),
        {"organisations": named["organisations"]},
    )
    members: defaultdict[uuid.UUID, list[Listener]] = defaultdict(list)
    for row in found.mappings():
        preferences = Preferences() if row["said"] is None else read_preferences(row)
        members[row["organisation_id"]].append(Listener(row["user_id"], row["role"], preferences))
    return dict(members)


async def _zones(connection: Connection, named: Named) -> dict[uuid.UUID, str]:
    found = await connection.execute(
        text(
            "SELECT id, time_zone FROM kilowatch.sites WHERE organisation_id = ANY(:organisations)"
            " AND id = ANY(CAST(:sites AS uuid[])) ORDER BY id FOR KEY SHARE"
        ),
        {"organisations": named["organisations"], "sites": named["sites"]},
    )
    return {row.id: row.time_zone for row in found}


async def _devices(connection: Connection, named: Named) -> set[int]:
    found = await connection.execute(
        text(
            "SELECT device_no FROM kilowatch.devices WHERE organisation_id = ANY(:organisations)"
            " AND device_no = ANY(CAST(:devices AS integer[])) ORDER BY device_no FOR KEY SHARE"
        ),
        {"organisations": named["organisations"], "devices": named["devices"]},
    )
    return set(found.scalars())


async def _assigned(
    connection: Connection, named: Named
) -> tuple[set[tuple[uuid.UUID, uuid.UUID]], set[tuple[uuid.UUID, int]]]:
    sites = await connection.execute(
        text(
            "SELECT user_id, site_id FROM kilowatch.site_assignments"
            " WHERE organisation_id = ANY(:organisations) AND site_id = ANY(CAST(:sites AS uuid[]))"
        ),
        {"organisations": named["organisations"], "sites": named["sites"]},
    )
    devices = await connection.execute(
        text(
            "SELECT user_id, device_no FROM kilowatch.device_assignments"
            " WHERE organisation_id = ANY(:organisations) AND device_no = ANY(CAST(:devices AS integer[]))"
        ),
        {"organisations": named["organisations"], "devices": named["devices"]},
    )
    return (
        {(row.user_id, row.site_id) for row in sites},
        {(row.user_id, row.device_no) for row in devices},
    )


async def _channels(
    connection: Connection, named: Named
) -> tuple[dict[tuple[uuid.UUID, uuid.UUID | None], list[OpenChannel]], dict[uuid.UUID, list[OpenChannel]]]:
    found = await connection.execute(
        text(
            "SELECT organisation_id, user_id, id, name, kind, severity, enabled"
            " FROM kilowatch.notification_channels"
            " WHERE organisation_id = ANY(:organisations) ORDER BY id FOR KEY SHARE"
        ),
        {"organisations": named["organisations"]},
    )
    channels: defaultdict[tuple[uuid.UUID, uuid.UUID | None], list[OpenChannel]] = defaultdict(list)
    known: defaultdict[uuid.UUID, list[OpenChannel]] = defaultdict(list)
    for row in found:
        channel = OpenChannel(row.id, row.name, row.kind, row.severity)
        known[row.organisation_id].append(channel)
        if row.enabled:
            channels[row.organisation_id, row.user_id].append(channel)
    return dict(channels), dict(known)


async def _flows(connection: Connection, audience: Audience, now_us: int) -> dict[uuid.UUID, Flow]:
    """How much each channel was given within its guard's span."""
    guards: dict[tuple[uuid.UUID, uuid.UUID | None], Guard] = {
        (organisation, member.user_id): member.preferences.storm
        for organisation, members in audience.members.items()
        for member in members
    }
    ids: list[uuid.UUID] = []
    since: list[datetime] = []
    for whose, channels in audience.channels.items():
        span_us = guards.get(whose, Guard()).span_us
        ids += [channel.id for channel in channels]
        since += [to_datetime(now_us - span_us)] * len(channels)
    return await _count(connection, ids, since, to_datetime(now_us))


async def _count(
    connection: Connection, ids: Sequence[uuid.UUID], since: Sequence[datetime], now: datetime
) -> dict[uuid.UUID, Flow]:
    found = await connection.execute(
        text(
            "SELECT w.id, c.given, c.summary FROM unnest(CAST(:ids AS uuid[]), CAST(:since AS timestamptz[]))"
            " AS w(id, since) CROSS JOIN LATERAL (SELECT"
            " count(*) FILTER (WHERE d.created_at > w.since) AS given,"
            " max(d.due_at) FILTER (WHERE d.bundle = 'storm' AND d.tries = 0 AND d.due_at > :now) AS summary"
            " FROM kilowatch.notification_channels c JOIN kilowatch.deliveries d"
            " ON d.organisation_id = c.organisation_id AND d.channel_id = c.id"
            " WHERE c.id = w.id AND d.created_at > w.since AND d.notification_id IS NOT NULL"
            " AND (d.bundle IS NULL OR d.bundle = 'storm')) c"
        ),
        {"ids": list(ids), "since": list(since), "now": now},
    )
    return {
        row.id: Flow(int(row.given), None if row.summary is None else to_us(row.summary)) for row in found
    }
