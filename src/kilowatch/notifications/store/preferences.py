"""Preferences in PostgreSQL: what each person wants to be told in an organisation."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from kilowatch.notifications.digest import Digest
from kilowatch.notifications.escalation import Step
from kilowatch.notifications.preference import Preferences, QuietHours
from kilowatch.notifications.storm import Guard
from kilowatch.postgres.engine import Connection

COLUMNS = (
    *("severity", "quiet_start", "quiet_end", "quiet_lets_through", "digest_minute", "digest_severity"),
    *("storm_most", "storm_minutes", "escalation", "time_zone"),
)


async def get_preferences(
    connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID
) -> Preferences:
    """What somebody wants; what everybody wants where they have not said."""
    found = await connection.execute(
        text(
            f"SELECT {', '.join(COLUMNS)} FROM kilowatch.notification_preferences"  # noqa: S608
            " WHERE organisation_id = :organisation AND user_id = :user"
        ),
        {"organisation": organisation_id, "user": user_id},
    )
    row = found.mappings().one_or_none()
    return Preferences() if row is None else read_preferences(row)


async def set_preferences(
    connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID, wanted: Preferences
) -> None:
    """Notes what somebody wants."""
    names = ("organisation_id", "user_id", *COLUMNS)
    values = [f":{name}" if name != "escalation" else "CAST(:escalation AS jsonb)" for name in names]
    renewed = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS)
    quiet, digest = wanted.quiet_hours, wanted.digest
    await connection.execute(
        text(
            f"INSERT INTO kilowatch.notification_preferences ({', '.join(names)})"  # noqa: S608
            f" VALUES ({', '.join(values)}) ON CONFLICT (organisation_id, user_id) DO UPDATE SET {renewed}"
        ),
        {
            "organisation_id": organisation_id,
            "user_id": user_id,
            "severity": wanted.severity,
            "quiet_start": None if quiet is None else quiet.start,
            "quiet_end": None if quiet is None else quiet.end,
            "quiet_lets_through": None if quiet is None else quiet.lets_through,
            "digest_minute": None if digest is None else digest.minute,
            "digest_severity": None if digest is None else digest.severity,
            "storm_most": wanted.storm.most,
            "storm_minutes": wanted.storm.minutes,
            "escalation": json.dumps([_step(step) for step in wanted.escalation]),
            "time_zone": wanted.time_zone,
        },
    )


def read_preferences(row: Mapping[Any, Any]) -> Preferences:
    """The preferences in a row of the table."""
    quiet = row["quiet_start"] is not None
    digest = row["digest_minute"] is not None
    return Preferences(
        row["severity"],
        QuietHours(row["quiet_start"], row["quiet_end"], row["quiet_lets_through"]) if quiet else None,
        Digest(row["digest_minute"], row["digest_severity"]) if digest else None,
        Guard(row["storm_most"], row["storm_minutes"]),
        tuple(_read_step(step) for step in row["escalation"]),
        row["time_zone"],
    )


def _step(step: Step) -> dict[str, Any]:
    return {
        "after_minutes": step.after_minutes,
        "channel_id": None if step.channel_id is None else str(step.channel_id),
        "user_id": None if step.user_id is None else str(step.user_id),
        "repeat_minutes": step.repeat_minutes,
        "repeats": step.repeats,
    }


def _read_step(step: Mapping[str, Any]) -> Step:
    channel, user = step["channel_id"], step["user_id"]
    return Step(
        step["after_minutes"],
        None if channel is None else uuid.UUID(channel),
        None if user is None else uuid.UUID(user),
        step["repeat_minutes"],
        step["repeats"],
    )
