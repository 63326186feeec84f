"""HTTP for rules and their backtests."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as local_date
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.audit import record_by
from kilowatch.alerts.voices import Severity
from kilowatch.clock import Clock
from kilowatch.ids import DEVICE_ID, METRIC_NAME
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.rules import store
from kilowatch.rules.backtest import MOST_SERIES, Outcome, Subject, backtest, check_span
from kilowatch.rules.rule import CHANNEL_LONGEST, LONGEST_S, MOST_CHANNELS, Input, RuleStatus
from kilowatch.rules.watch import Operator
from kilowatch.sites.device import DEVICE_TYPE
from kilowatch.telemetry.moment import read_span
from kilowatch.telemetry.query import Lake
from kilowatch.wire.address import API

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
DeviceWord = Annotated[str | None, Query(pattern=f"^{DEVICE_ID.pattern}$")]
TypeWord = Annotated[str | None, Query(pattern=f"^{DEVICE_TYPE.pattern}$")]
MetricWord = Annotated[str | None, Query(pattern=f"^{METRIC_NAME.pattern}$")]
Seconds = Annotated[int, Field(ge=0, le=LONGEST_S)]
Channels = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=CHANNEL_LONGEST)]], Field(max_length=MOST_CHANNELS)
]
TARGET = "At most one of `device_id`, `site_id`, `device_type`; without any: every device."
METRIC = (
    "A metric that devices report. Left out for energy; for `no_data` it may be left out, which means"
    " anything at all of the device."
)
THRESHOLD = "In the metric's unit; per minute for a rate, in Wh for energy. Left out for `no_data`."
CHANNELS = (
    "Where it is told, whatever severity the channels ask for: by id, by name, by how the address begins"
    " (`ntfy`), or by `email`, `telegram`, `whatsapp`, `sms`, `webhook`. Without any: by severity."
)
Moment = Annotated[str | None, Field(max_length=64, description="RFC 3339, or milliseconds since 1970.")]


class RuleWanted(BaseModel):
    """What a new rule shall be."""

    model_config = ConfigDict(extra="forbid")

    name: str
    device_id: str | None = Field(None, description=TARGET)
    site_id: uuid.UUID | None = None
    device_type: str | None = None
    metric: str | None = Field(None, description=METRIC)
    input: Input = "value"
    operator: Operator | None = None
    threshold: float | None = Field(None, description=THRESHOLD)
    for_s: Seconds = Field(0, description="How long the limit must be passed; for `no_data`, the silence.")
    clear_threshold: float | None = Field(None, description="Where it is over; without it the threshold.")
    cooldown_s: Seconds = Field(0, description="How long after a raise there is no other.")
    severity: Severity = "medium"
    status: RuleStatus = "active"
    channels: Channels = Field(default_factory=list, description=CHANNELS)

    def given(self) -> dict[str, Any]:
        """The members that were sent."""
        return {name: value for name, value in self if name in self.model_fields_set}


class RuleChanges(RuleWanted):
    """What shall change; members that are left out stay as they are."""

    name: str = ""


class RuleShown(BaseModel):
    """A rule."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    name: str
    device_id: str | None
    site_id: uuid.UUID | None
    device_type: str | None
    metric: str | None
    input: Input
    operator: Operator | None
    threshold: float | None
    for_s: int
    clear_threshold: float | None
    cooldown_s: int
    severity: Severity
    status: RuleStatus
    channels: list[str]
    created_at: datetime
    updated_at: datetime


class Rules(BaseModel):
    """A page of rules."""

    model_config = ConfigDict(from_attributes=True)

    items: list[RuleShown]
    next_cursor: str | None


class SpanWanted(BaseModel):
    """Over which time; without an end until now, without a start the day before the end."""

    model_config = ConfigDict(extra="forbid")

    start: Moment = None
    end: Moment = None


class BacktestWanted(SpanWanted):
    """A rule that is not stored, and over which time it is to be tried."""

    rule: RuleWanted


class DeviceShown(BaseModel):
    """A device that would have raised the rule."""

    model_config = ConfigDict(from_attributes=True)

    device: str
    raises: int
    seconds: float


class DayShown(BaseModel):
    """The day on which the rule would have been raised longest."""

    model_config = ConfigDict(from_attributes=True)

    date: local_date = Field(description="The date at the site.")
    raises: int
    seconds: float


class RaisedShown(BaseModel):
    """From when until when the rule would have been raised for a device."""

    model_config = ConfigDict(from_attributes=True)

    device: str
    start: datetime
    end: datetime


class BacktestShown(BaseModel):
    """What a rule would have done."""

    model_config = ConfigDict(from_attributes=True)

    raises: int
    seconds_raised: float
    devices: list[DeviceShown] = Field(description="Those that would have raised it, most often first.")
    worst_day: DayShown | None
    samples: int = Field(description="Readings that were looked at; older ones may be gone.")
    spans: list[RaisedShown] = Field(description="When, the newest first; at most 500.")


@dataclass(frozen=True, slots=True)
class Back:
    """What these routes need."""

    access: Access
    lake: Lake
    clock: Clock


def make_routes(access: Access, lake: Lake, clock: Clock) -> APIRouter:
    """The routes of rules."""
    routes = APIRouter(prefix=API)
    _add_reading_routes(routes, access)
    _add_changing_routes(routes, access)
    _add_backtest_routes(routes, Back(access, lake, clock))
    return routes


def _add_reading_routes(routes: APIRouter, access: Access) -> None:
    @routes.get("/rules", tags=["rules"])
    async def list_rules(
        caller: Annotated[Caller, Depends(access.may("rules", "read"))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
        status: RuleStatus | None = None,
        severity: Severity | None = None,
        input: Input | None = None,  # noqa: A002
        device_id: DeviceWord = None,
        site_id: uuid.UUID | None = None,
        device_type: TypeWord = None,
        metric: MetricWord = None,
    ) -> Rules:
        """The organisation's rules in the order of their making; archived ones only where status asks."""
        narrowed: dict[str, Any] = {
            "status": status,
            "severity": severity,
            "input": input,
            "site_id": site_id,
        }
        narrowed |= {"device_type": device_type, "metric": metric}
        async with access.database.scope(caller.sight) as connection:
            page = await store.list_rules(connection, limit, cursor, device_id, **narrowed)
        return Rules.model_validate(page)

    @routes.get("/rules/{rule_id}", tags=["rules"])
    async def get_rule(
        rule_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("rules", "read"))]
    ) -> RuleShown:
        """One rule."""
        async with access.database.scope(caller.sight) as connection:
            return RuleShown.model_validate(await store.get_rule(connection, rule_id))


def _add_changing_routes(routes: APIRouter, access: Access) -> None:
    @routes.post("/rules", status_code=201, tags=["rules"])
    async def create_rule(
        wanted: RuleWanted, caller: Annotated[Caller, Depends(access.may("rules", "create"))]
    ) -> RuleShown:
        """Makes a rule. It holds within two seconds."""
        async with access.database.scope(caller.sight) as connection:
            made = await store.create_rule(connection, caller.organisation_id, wanted.given())
            await record_by(connection, caller, "rule.created", made.id)
        await access.announce(caller.organisation_id, "rules")
        return RuleShown.model_validate(made)

    @routes.patch("/rules/{rule_id}", tags=["rules"])
    async def update_rule(
        rule_id: uuid.UUID,
        changes: RuleChanges,
        caller: Annotated[Caller, Depends(access.may("rules", "change"))],
    ) -> RuleShown:
        """Changes a rule, within two seconds. A rule that is paused or archived clears its alerts."""
        given = changes.given()
        async with access.database.scope(caller.sight) as connection:
            changed = await store.update_rule(connection, rule_id, given)
            await record_by(connection, caller, "rule.changed", rule_id, fields=sorted(given))
        await access.announce(caller.organisation_id, "rules")
        return RuleShown.model_validate(changed)

    @routes.delete("/rules/{rule_id}", status_code=204, tags=["rules"])
    async def delete_rule(
        rule_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("rules", "delete"))]
    ) -> None:
        """Archives a rule: it raises nothing any more and is listed only on demand; its alerts still name
        it. Rules of a device or a site go with these."""
        async with access.database.scope(caller.sight) as connection:
            await store.archive_rule(connection, rule_id)
            await record_by(connection, caller, "rule.archived", rule_id)
        await access.announce(caller.organisation_id, "rules")


def _add_backtest_routes(routes: APIRouter, back: Back) -> None:
    @routes.post("/rules/backtest", tags=["rules"])
    async def backtest_new_rule(
        wanted: BacktestWanted, caller: Annotated[Caller, Depends(back.access.may("rules", "read"))]
    ) -> BacktestShown:
        """Tries a rule that is not stored on history: how often, for how long, which devices."""
        async with back.access.database.scope(caller.sight) as connection:
            values = {**store.DEFAULTS, **wanted.rule.given()}
            row = await store.check_rule(connection, caller.organisation_id, values)
            watched = await store.list_watched(connection, caller.organisation_id, row, MOST_SERIES + 1)
        return await _try(back, row, watched, wanted)

    @routes.post("/rules/{rule_id}/backtest", tags=["rules"])
    async def backtest_rule(
        rule_id: uuid.UUID,
        wanted: SpanWanted,
        caller: Annotated[Caller, Depends(back.access.may("rules", "read"))],
    ) -> BacktestShown:
        """Tries a rule on history: how often, for how long, which devices, and the worst day."""
        async with back.access.database.scope(caller.sight) as connection:
            rule = await store.get_rule(connection, rule_id)
            row = {name: getattr(rule, name) for name in rule.__slots__}
            watched = await store.list_watched(connection, caller.organisation_id, row, MOST_SERIES + 1)
        return await _try(back, row, watched, wanted)


async def _try(
    back: Back, row: Mapping[str, Any], watched: list[store.Watched], wanted: SpanWanted
) -> BacktestShown:
    span = read_span(wanted.start, wanted.end, back.clock.now_us(), "UTC", part="/body")
    check_span(span)
    subjects = [Subject(one.series_no, one.device, one.time_zone, one.kind, one.unit) for one in watched]
    found: Outcome = await asyncio.to_thread(backtest, back.lake, row, subjects, span)
    return BacktestShown.model_validate(found)
