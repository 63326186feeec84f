"""Alerts as people read them and what people do with them.

Keeps true: whoever changes an alert holds it locked, so the lifecycle decides on what is really there; an
alert is read with the names of its device and site as they are now. Row-level security decides whose rows
are seen.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Select, Uuid, and_, case, func, insert, literal, select, text, tuple_, update

from kilowatch.alerts.alert import COMMENT_MAX, PER_MINUTE, Alert, Comment, Counts, is_moment, is_text
from kilowatch.alerts.lifecycle import step
from kilowatch.alerts.tables import alert_comments, alerts
from kilowatch.errors import Fault, Problem
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, Page, check_limit, make_page, read_cursor
from kilowatch.sites.tables import devices, sites
from kilowatch.telemetry.tables import metrics

SHOWN = (
    select(
        *(column for column in alerts.c if column.name != "key"),
        devices.c.id.label("device"),
        devices.c.name.label("device_name"),
        devices.c.room,
        devices.c.state,
        sites.c.name.label("site_name"),
        sites.c.time_zone,
        sites.c.voice,
        case(
            (alerts.c.metric.endswith(PER_MINUTE), func.concat(metrics.c.unit, PER_MINUTE)),
            else_=metrics.c.unit,
        ).label("unit"),
    )
    .join(sites, sites.c.id == alerts.c.site_id)
    .outerjoin(devices, devices.c.device_no == alerts.c.device_no)
    .outerjoin(
        metrics,
        and_(
            metrics.c.organisation_id == alerts.c.organisation_id,
            metrics.c.name == func.split_part(alerts.c.metric, "/", 1),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts: those that meet all that is given. start, end: of the time of raising, end excluded."""

    kind: str | None = None
    status: str | None = None
    severity: str | None = None
    site_id: uuid.UUID | None = None
    device: str | None = None
    start: datetime | None = None
    end: datetime | None = None


async def list_alerts(
    connection: Connection, wanted: Wanted, limit: int = LIMIT_DEFAULT, cursor: str | None = None
) -> Page[Alert]:
    """The alerts that are wanted, newest first."""
    newest = (alerts.c.raised_at, alerts.c.id)
    query = _narrow(SHOWN, wanted).order_by(*(column.desc() for column in newest))
    if cursor is not None:
        raised_at, alert_id = read_cursor(cursor, tuple[datetime, uuid.UUID])
        query = query.where(tuple_(*newest) < tuple_(literal(raised_at), literal(alert_id)))
    found = (await connection.execute(query.limit(check_limit(limit) + 1))).mappings()
    return make_page([Alert(**row) for row in found], limit, lambda alert: (alert.raised_at, alert.id))


async def find_rule_channels(
    connection: Connection, rule_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, list[str]]:
    """Where rules want their alerts told, beside what members wish for themselves."""
    asked = text("SELECT id, channels FROM kilowatch.rules WHERE id = ANY(CAST(:rules AS uuid[]))")
    found = await connection.execute(asked, {"rules": list(rule_ids)})
    return {row.id: list(row.channels) for row in found}


async def find_alerts(connection: Connection, alert_ids: Sequence[uuid.UUID]) -> list[Alert]:
    """Those of these that are there, in the order of their raising."""
    these = func.any(literal(list(alert_ids), ARRAY(Uuid)))
    query = SHOWN.where(alerts.c.id == these).order_by(alerts.c.raised_at, alerts.c.id)
    return [Alert(**row) for row in (await connection.execute(query)).mappings()]


async def get_alert(connection: Connection, alert_id: uuid.UUID) -> Alert:
    """The alert of this id.

    Raises:
        Problem: 404.
    """
    found = await find_alerts(connection, [alert_id])
    if not found:
        raise Problem(404, "not_found", f"There is no alert {alert_id}.")
    return found[0]


async def count_alerts(connection: Connection, wanted: Wanted) -> Counts:
    """How many of the wanted there are, by status, severity and kind."""
    words = (alerts.c.status, alerts.c.severity, alerts.c.kind)
    joined = select(*words, func.count().label("count")).outerjoin(
        devices, devices.c.device_no == alerts.c.device_no
    )
    counts = Counts({}, {}, {})
    for row in await connection.execute(_narrow(joined, wanted).group_by(*words)):
        for told, word in (
            (counts.status, row.status),
            (counts.severity, row.severity),
            (counts.kind, row.kind),
        ):
            told[word] = told.get(word, 0) + row.count
    return counts


def _narrow(query: Select[Any], wanted: Wanted) -> Select[Any]:
    same = {
        alerts.c.kind: wanted.kind,
        alerts.c.status: wanted.status,
        alerts.c.severity: wanted.severity,
        alerts.c.site_id: wanted.site_id,
        devices.c.id: wanted.device,
    }
    query = query.where(*(column == value for column, value in same.items() if value is not None))
    if wanted.start is not None:
        query = query.where(alerts.c.raised_at >= wanted.start)
    if wanted.end is not None:
        query = query.where(alerts.c.raised_at < wanted.end)
    return query


# --- what people do --------------------------------------------------------------------------------------


async def acknowledge_alert(connection: Connection, alert_id: uuid.UUID, actor: str, now: datetime) -> Alert:
    """Notes who looks after the alert; a second time it changes nothing.

    Raises:
        Problem: 404; 409 when it is resolved or suppressed.
    """
    if (status := await _locked_status(connection, alert_id)) != step(status, "acknowledge"):
        await _set(connection, alert_id, status="acknowledged", acknowledged_at=now, acknowledged_by=actor)
    return await get_alert(connection, alert_id)


async def resolve_alert(connection: Connection, alert_id: uuid.UUID, actor: str, now: datetime) -> Alert:
    """Ends the alert; a second time it changes nothing.

    Raises:
        Problem: 404.
    """
    if (status := await _locked_status(connection, alert_id)) != step(status, "resolve"):
        await _set(connection, alert_id, status="resolved", resolved_at=now, resolved_by=actor, how="by_hand")
    return await get_alert(connection, alert_id)


async def suppress_alert(
    connection: Connection, alert_id: uuid.UUID, actor: str, now: datetime, until: datetime | None
) -> Alert:
    """Has nobody told of the alert until this moment, or for as long as it lives.

    Raises:
        Problem: 404; 409 when it is resolved; 422 for a moment that is past.
    """
    if until is not None and (not is_moment(until) or until <= now):
        fault = Fault("bad_time", "until is a time with its zone that is still to come.", pointer="/until")
        raise Problem(422, "invalid", "The alert cannot be suppressed like this.", [fault])
    step(await _locked_status(connection, alert_id), "suppress")
    await _set(
        connection, alert_id, status="suppressed", suppressed_by=actor, suppressed_until=until, parent_id=None
    )
    return await get_alert(connection, alert_id)


async def lift_alert(connection: Connection, alert_id: uuid.UUID) -> Alert:
    """Ends a suppression before its time; one that is not suppressed stays as it is.

    Raises:
        Problem: 404.
    """
    if (status := await _locked_status(connection, alert_id)) != step(status, "lift"):
        await _set(
            connection, alert_id, status="open", suppressed_by=None, suppressed_until=None, parent_id=None
        )
    return await get_alert(connection, alert_id)


async def _locked_status(connection: Connection, alert_id: uuid.UUID) -> Any:
    query = select(alerts.c.status).where(alerts.c.id == alert_id).with_for_update()
    status = (await connection.execute(query)).scalar_one_or_none()
    if status is None:
        raise Problem(404, "not_found", f"There is no alert {alert_id}.")
    return status


async def _set(connection: Connection, alert_id: uuid.UUID, **values: Any) -> None:
    await connection.execute(update(alerts).where(alerts.c.id == alert_id).values(**values))


# --- comments --------------------------------------------------------------------------------------------


async def add_comment(
    connection: Connection, alert_id: uuid.UUID, actor: str, now: datetime, text: str
) -> Comment:
    """Writes something beside an alert, living or not.

    Raises:
        Problem: 404; 422.
    """
    if not is_text(text, COMMENT_MAX):
        detail = f"A comment has 1 to {COMMENT_MAX} characters, none of them NUL."
        raise Problem(422, "invalid", detail, [Fault("bad_text", detail, pointer="/comment")])
    alert = await get_alert(connection, alert_id)
    comment = Comment(new_id(), now, actor, text)
    await connection.execute(
        insert(alert_comments).values(
            id=comment.id,
            organisation_id=alert.organisation_id,
            alert_id=alert_id,
            at=now,
            actor=actor,
            text=text,
        )
    )
    return comment


async def list_comments(connection: Connection, alert_id: uuid.UUID) -> list[Comment]:
    """What was written beside an alert, in order; the newest 500."""
    shown = (alert_comments.c.id, alert_comments.c.at, alert_comments.c.actor, alert_comments.c.text)
    newest = (alert_comments.c.at.desc(), alert_comments.c.id.desc())
    query = select(*shown).where(alert_comments.c.alert_id == alert_id).order_by(*newest).limit(500)
    found = [Comment(**row) for row in (await connection.execute(query)).mappings()]
    return found[::-1]
