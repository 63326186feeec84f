"""HTTP for alerts: what is wrong, and what people do about it."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.audit import record_by
from kilowatch.alerts import alert as kept
from kilowatch.alerts.lifecycle import Status
from kilowatch.alerts.notices import Notices
from kilowatch.alerts.store import alerts as store
from kilowatch.alerts.telling import Told, events_of, put_in_words
from kilowatch.alerts.voices import Kind, Severity, VoiceName
from kilowatch.clock import Clock, to_datetime
from kilowatch.ids import DEVICE_ID
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
DeviceId = Annotated[str | None, Query(pattern=f"^{DEVICE_ID.pattern}$", description="The device's id.")]
Moment = Annotated[AwareDatetime | None, Query(description="RFC 3339, with its zone.")]


class Alert(BaseModel):
    """Something that is wrong, or was."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    kind: Kind
    status: Status
    severity: Severity
    title: str = Field(description="What happened, in short and in the site's voice.")
    description: str = Field(description="What happened, with all figures that are known.")
    remedy: str = Field(description="What to do.")
    voice: VoiceName
    device: str | None = Field(description="The device's id; null for what concerns the site as a whole.")
    device_name: str | None
    site_id: uuid.UUID
    rule_id: uuid.UUID | None
    since: datetime = Field(description="When the breach began.")
    ts: datetime = Field(description="The reading or moment at which it was certain.")
    raised_at: datetime
    metric: str | None
    unit: str | None
    value: float | None = Field(description="In its unit; of energy detectors in kWh, of silence in s.")
    limit: float | None = Field(validation_alias="limit_value")
    excess_w: float | None = Field(description="Power above normal, in watts.")
    cost_per_day: Decimal | None = Field(description="What that power costs in a day at the site's price.")
    currency: str
    devices: int = Field(description="How many devices are concerned.")
    acknowledged_at: datetime | None
    acknowledged_by: str | None = Field(examples=["user:0198..."])
    resolved_at: datetime | None
    resolved_by: str | None
    how: Literal["cleared", "by_hand"] | None = Field(description="How it ended.")
    suppressed_by: str | None = Field(description="`window:<id>`, `parent:<alert>`, or who did it.")
    suppressed_until: datetime | None
    parent_id: uuid.UUID | None = Field(description="The alert that explains this one.")


class Alerts(BaseModel):
    """A page of alerts."""

    items: list[Alert]
    next_cursor: str | None


class Comment(BaseModel):
    """What somebody wrote beside an alert."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    at: datetime
    actor: str
    text: str


class AlertWithComments(Alert):
    """One alert, and what was written beside it."""

    comments: list[Comment]


class Summary(BaseModel):
    """How many alerts there are; words that none has are left out."""

    model_config = ConfigDict(from_attributes=True)

    status: dict[str, int]
    severity: dict[str, int]
    kind: dict[str, int]


class Strict(BaseModel):
    """A body whose unknown members are refused."""

    model_config = ConfigDict(extra="forbid")


class Remark(Strict):
    """What may be said with an act."""

    comment: str | None = None


class Written(Strict):
    """A comment."""

    comment: str


class Hidden(Strict):
    """Until when nobody is to be told; without it for as long as the alert lives."""

    until: AwareDatetime | None = None
    comment: str | None = None


Act = Callable[[Connection], Awaitable[kept.Alert]]


@dataclass(frozen=True, slots=True)
class Desk:
    """What these routes need."""

    access: Access
    clock: Clock
    notices: Notices

    async def act(
        self, caller: Caller, alert_id: uuid.UUID, name: str, act: Act, comment: str | None
    ) -> Alert:
        """Does what somebody asked, notes who it was, and tells those who listen."""
        now_us = self.clock.now_us()
        async with self.access.database.scope(caller.sight) as connection:
            before = await store.get_alert(connection, alert_id)
            after = await act(connection)
            if comment is not None:
                await store.add_comment(connection, alert_id, caller.actor, to_datetime(now_us), comment)
            if before != after:
                await record_by(connection, caller, f"alert.{name}", alert_id)
                change = self.notices.resume if after.status == "open" else self.notices.settle
                await change(connection, [alert_id], now_us)
        told = put_in_words(after, now_us)
        if before != after:
            for event in events_of(told, now_us):
                await self.access.tell(event)
        return shown(told)

    def now(self) -> datetime:
        """This moment."""
        return to_datetime(self.clock.now_us())


def shown(told: Told) -> Alert:
    """The alert as it is answered."""
    return Alert.model_validate(_members(told))


def _members(told: Told) -> dict[str, object]:
    alert, spoken = told.alert, told.spoken
    members = {name: getattr(alert, name) for name in kept.Alert.__dataclass_fields__}
    return members | {
        "title": spoken.title,
        "description": spoken.description,
        "remedy": spoken.remedy,
    }


def make_alert_routes(access: Access, clock: Clock, notices: Notices) -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix=API, tags=["alerts"])
    desk = Desk(access, clock, notices)
    _add_reading_routes(routes, desk)
    _add_acts(routes, desk)
    return routes


def _add_reading_routes(routes: APIRouter, desk: Desk) -> None:
    access = desk.access

    @routes.get("/alerts")
    async def list_alerts(
        caller: Annotated[Caller, Depends(access.may("alerts", "read"))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
        kind: Kind | None = None,
        status: Status | None = None,
        severity: Severity | None = None,
        site_id: uuid.UUID | None = None,
        device_id: DeviceId = None,
        start: Moment = None,
        end: Moment = None,
    ) -> Alerts:
        """The alerts that were raised from `start` to before `end`, newest first."""
        wanted = store.Wanted(kind, status, severity, site_id, device_id, start, end)
        async with access.database.scope(caller.sight) as connection:
            page = await store.list_alerts(connection, wanted, limit, cursor)
        now_us = desk.clock.now_us()
        return Alerts(
            items=[shown(put_in_words(alert, now_us)) for alert in page.items], next_cursor=page.next_cursor
        )

    @routes.get("/alerts/summary")
    async def summarise_alerts(
        caller: Annotated[Caller, Depends(access.may("alerts", "read"))],
        kind: Kind | None = None,
        status: Status | None = None,
        severity: Severity | None = None,
        site_id: uuid.UUID | None = None,
        device_id: DeviceId = None,
        start: Moment = None,
        end: Moment = None,
    ) -> Summary:
        """How many alerts there are, by status, severity and kind."""
        wanted = store.Wanted(kind, status, severity, site_id, device_id, start, end)
        async with access.database.scope(caller.sight) as connection:
            return Summary.model_validate(await store.count_alerts(connection, wanted))

    @routes.get("/alerts/{alert_id}")
    async def get_alert(
        alert_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("alerts", "read"))]
    ) -> AlertWithComments:
        """One alert with its comments."""
        async with access.database.scope(caller.sight) as connection:
            alert = await store.get_alert(connection, alert_id)
            comments = await store.list_comments(connection, alert_id)
        members = _members(put_in_words(alert, desk.clock.now_us()))
        written = [Comment.model_validate(comment) for comment in comments]
        return AlertWithComments.model_validate(members | {"comments": written})


def _add_acts(routes: APIRouter, desk: Desk) -> None:
    access = desk.access
    may_act = Depends(access.may("alerts", "change"))

    @routes.post("/alerts/{alert_id}/acknowledge")
    async def acknowledge_alert(
        alert_id: uuid.UUID, caller: Annotated[Caller, may_act], remark: Remark | None = None
    ) -> Alert:
        """Says that somebody looks after it; nobody else is called for it any more."""
        comment = None if remark is None else remark.comment
        return await desk.act(
            caller,
            alert_id,
            "acknowledged",
            lambda connection: store.acknowledge_alert(connection, alert_id, caller.actor, desk.now()),
            comment,
        )

    @routes.post("/alerts/{alert_id}/resolve")
    async def resolve_alert(
        alert_id: uuid.UUID, caller: Annotated[Caller, may_act], remark: Remark | None = None
    ) -> Alert:
        """Ends it. It stays ended while the same breach lasts."""
        comment = None if remark is None else remark.comment
        return await desk.act(
            caller,
            alert_id,
            "resolved",
            lambda connection: store.resolve_alert(connection, alert_id, caller.actor, desk.now()),
            comment,
        )

    @routes.post("/alerts/{alert_id}/suppress")
    async def suppress_alert(
        alert_id: uuid.UUID, caller: Annotated[Caller, may_act], hidden: Hidden | None = None
    ) -> Alert:
        """Has nobody told of it, for a time or for as long as it lives."""
        wanted = hidden or Hidden()
        return await desk.act(
            caller,
            alert_id,
            "suppressed",
            lambda connection: store.suppress_alert(
                connection, alert_id, caller.actor, desk.now(), wanted.until
            ),
            wanted.comment,
        )

    @routes.post("/alerts/{alert_id}/lift")
    async def lift_alert(alert_id: uuid.UUID, caller: Annotated[Caller, may_act]) -> Alert:
        """Ends its suppression."""
        return await desk.act(
            caller, alert_id, "lifted", lambda connection: store.lift_alert(connection, alert_id), None
        )

    @routes.post("/alerts/{alert_id}/comment", status_code=201)
    async def comment_on_alert(
        alert_id: uuid.UUID, written: Written, caller: Annotated[Caller, may_act]
    ) -> Comment:
        """Writes something beside it."""
        async with access.database.scope(caller.sight) as connection:
            made = await store.add_comment(connection, alert_id, caller.actor, desk.now(), written.comment)
        return Comment.model_validate(made)
