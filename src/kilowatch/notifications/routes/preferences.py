"""HTTP for preferences: what somebody wants to be told, and when they want to be left in peace."""

import re
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller, require_right
from kilowatch.accounts.store.members import get_member
from kilowatch.errors import Fault, Problem
from kilowatch.notifications.digest import Digest
from kilowatch.notifications.escalation import AFTER_MINUTES_MOST, REPEATS_MOST, STEPS_MOST, Step
from kilowatch.notifications.preference import Preferences, QuietHours
from kilowatch.notifications.routes.inbox import person
from kilowatch.notifications.severity import Severity
from kilowatch.notifications.store.channels import get_channel
from kilowatch.notifications.store.preferences import get_preferences, set_preferences
from kilowatch.notifications.storm import Guard
from kilowatch.period import is_zone
from kilowatch.postgres.engine import Connection
from kilowatch.wire.address import API

TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
TimeOfDay = Annotated[str, Field(pattern=f"^({TIME.pattern})$", examples=["22:00"])]


class Strict(BaseModel):
    """Refuses members that it does not know."""

    model_config = ConfigDict(extra="forbid")


class Quiet(Strict):
    """Hours in which only what is pressing is told, past midnight where `end` is the earlier."""

    start: TimeOfDay
    end: TimeOfDay
    lets_through: Severity | None = Field(
        "critical", description="This and what is more pressing is told all the same; null: nothing is."
    )


class DailyDigest(Strict):
    """One message a day with what is not pressing."""

    at: TimeOfDay
    severity: Severity = Field("low", description="This and what is less pressing waits for it.")


class Storm(Strict):
    """More than so many messages in so many minutes become one summary."""

    most: int = Field(10, ge=1, le=1000)
    minutes: int = Field(5, ge=1, le=1440)


class EscalationStep(Strict):
    """Who is told next while nobody acknowledges: another member, or the caller by one of their channels."""

    after_minutes: int = Field(ge=1, le=AFTER_MINUTES_MOST)
    channel_id: uuid.UUID | None = None
    user_id: uuid.UUID | None = None
    repeat_minutes: int | None = Field(None, ge=1, le=AFTER_MINUTES_MOST)
    repeats: int = Field(0, ge=0, le=REPEATS_MOST)


class Wishes(Strict):
    """What somebody wants to be told in an organisation."""

    severity: Severity = Field("low", description="The least that is told at all.")
    quiet_hours: Quiet | None = None
    digest: DailyDigest | None = None
    storm: Storm = Field(default_factory=lambda: Storm(most=Guard().most, minutes=Guard().minutes))
    escalation: list[EscalationStep] = Field([], max_length=STEPS_MOST)
    time_zone: str | None = Field(
        None, description="IANA zone of the times above; null: the zone of the site that is told of."
    )


def make_preference_routes(access: Access) -> APIRouter:
    """The routes of preferences."""
    routes = APIRouter(prefix=API, tags=["notifications"])

    @routes.get("/notification-preferences")
    async def get_notification_preferences(
        caller: Annotated[Caller, Depends(access.may("notification_preferences", "read"))],
    ) -> Wishes:
        """What the caller wants; what everybody wants where they have not said."""
        async with access.database.scope(caller.sight) as connection:
            found = await get_preferences(connection, caller.organisation_id, person(caller))
        return _show(found)

    @routes.put("/notification-preferences")
    async def set_notification_preferences(
        wishes: Wishes,
        caller: Annotated[Caller, Depends(access.may("notification_preferences", "change"))],
    ) -> Wishes:
        """Says what the caller wants; what is left out becomes what everybody wants. It holds for what is
        told from now on. To escalate to another member is for operators and admins."""
        wanted = _read(wishes)
        async with access.database.scope(caller.sight) as connection:
            await _check_steps(connection, caller, wanted)
            await set_preferences(connection, caller.organisation_id, person(caller), wanted)
        return _show(wanted)

    return routes


async def _check_steps(connection: Connection, caller: Caller, wanted: Preferences) -> None:
    """Steps name a channel of the caller's, or a member."""
    for index, step in enumerate(wanted.escalation):
        pointer = f"/escalation/{index}"
        if (step.channel_id is None) == (step.user_id is None):
            raise _bad("bad_step", "A step names a channel_id or a user_id, and not both.", pointer)
        if (step.repeat_minutes is None) != (step.repeats == 0):
            raise _bad("bad_step", "repeat_minutes and repeats come together.", pointer)
        try:
            if step.user_id is not None:
                require_right(caller, "members", "read")
                await get_member(connection, step.user_id)
            elif step.channel_id is not None:
                channel = await get_channel(connection, step.channel_id)
                if channel.user_id is None:
                    raise _bad("unknown_channel", "This channel is not the caller's own.", pointer)
        except Problem as problem:
            if problem.status != 404:
                raise
            raise _bad("unknown_target", problem.detail, pointer) from problem


def _read(wishes: Wishes) -> Preferences:
    quiet, digest = wishes.quiet_hours, wishes.digest
    if quiet is not None and quiet.start == quiet.end:
        raise _bad("bad_quiet_hours", "Quiet hours end when they start.", "/quiet_hours/end")
    if wishes.time_zone is not None and not is_zone(wishes.time_zone):
        raise _bad("bad_time_zone", "This is no IANA time zone; write it like Europe/Berlin.", "/time_zone")
    return Preferences(
        wishes.severity,
        None if quiet is None else QuietHours(_minute(quiet.start), _minute(quiet.end), quiet.lets_through),
        None if digest is None else Digest(_minute(digest.at), digest.severity),
        Guard(wishes.storm.most, wishes.storm.minutes),
        tuple(Step(**step.model_dump()) for step in wishes.escalation),
        wishes.time_zone,
    )


def _show(wanted: Preferences) -> Wishes:
    quiet, digest = wanted.quiet_hours, wanted.digest
    shown: dict[str, Any] = {
        "severity": wanted.severity,
        "storm": {"most": wanted.storm.most, "minutes": wanted.storm.minutes},
        "escalation": [
            {
                "after_minutes": step.after_minutes,
                "channel_id": step.channel_id,
                "user_id": step.user_id,
                "repeat_minutes": step.repeat_minutes,
                "repeats": step.repeats,
            }
            for step in wanted.escalation
        ],
        "time_zone": wanted.time_zone,
    }
    if quiet is not None:
        shown["quiet_hours"] = {
            "start": _time(quiet.start),
            "end": _time(quiet.end),
            "lets_through": quiet.lets_through,
        }
    if digest is not None:
        shown["digest"] = {"at": _time(digest.minute), "severity": digest.severity}
    return Wishes.model_validate(shown)


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _bad(code: str, detail: str, pointer: str) -> Problem:
    return Problem(422, code, detail, [Fault(code, detail, pointer=pointer)])
