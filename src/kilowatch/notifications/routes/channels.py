"""HTTP for channels: where somebody, or an organisation, is told outside of the app, and what went there."""

import asyncio
import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller, require_right
from kilowatch.accounts.store import audit, users
from kilowatch.clock import Clock, to_datetime
from kilowatch.errors import Fault, Problem
from kilowatch.ids import NAME_MAX, name_faults, new_id
from kilowatch.notifications.address import LONGEST, check_address, kind_of, mask
from kilowatch.notifications.breaker import Breaker, State
from kilowatch.notifications.hosts import refuse_private_host
from kilowatch.notifications.letter import Letter
from kilowatch.notifications.preference import Bundle
from kilowatch.notifications.seal import Seal
from kilowatch.notifications.sender import Answer, Sender
from kilowatch.notifications.severity import Severity
from kilowatch.notifications.store import channels as store
from kilowatch.notifications.store import deliveries, trials
from kilowatch.postgres.engine import Connection, Sight
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API

TRIAL = Letter(
    "low", "A message from Kilowatch", "This channel works: notifications that it is for will come here."
)


class Channel(BaseModel):
    """A channel; its address is never shown in full again."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    name: str
    kind: str = Field(description="The scheme of its address; `mail`: by this instance's mail server.")
    address: str = Field(description="What of the address may be seen.", examples=["tgram://..."])
    whole_organisation: bool = Field(description="Whether it is the organisation's and not the caller's own.")
    severity: Severity = Field(description="The least that goes there.")
    enabled: bool
    breaker: State = Field(description="open: it keeps failing and is left alone for a while.")
    failures: int = Field(description="In a row.")
    created_at: datetime


class Channels(BaseModel):
    """A page of channels."""

    items: list[Channel]
    next_cursor: str | None


class ChannelWanted(BaseModel):
    """What a new channel shall be."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=NAME_MAX)
    address: str = Field(
        min_length=1, max_length=LONGEST, description="Any Apprise address, or mailto:<own address>."
    )
    whole_organisation: bool = False
    severity: Severity = "low"
    enabled: bool = True


class ChannelChanges(BaseModel):
    """What shall be different; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, min_length=1, max_length=NAME_MAX)
    address: str | None = Field(None, min_length=1, max_length=LONGEST)
    severity: Severity | None = None
    enabled: bool | None = None


class Trial(BaseModel):
    """How a test went."""

    ok: bool
    detail: str = Field(description="What the service answered, or the way to it.")


class Attempt(BaseModel):
    """One try to send something."""

    model_config = ConfigDict(from_attributes=True)

    begun_at: datetime
    ended_at: datetime | None
    ok: bool | None = Field(description="Null while it lasts, or where the process ended meanwhile.")
    detail: str


class Delivery(BaseModel):
    """Something that was or is to be sent."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    alert_id: uuid.UUID | None = Field(description="Null for a test.")
    title: str | None = Field(description="Where the caller was told of it themselves.")
    severity: Severity | None
    step: int = Field(description="Of the escalation that it was sent for; 0: none.")
    bundle: Bundle | None = Field(description="With what it goes in one message.")
    status: deliveries.Status
    tries: int
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None
    attempts: list[Attempt]


class Deliveries(BaseModel):
    """A page of deliveries."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Delivery]
    next_cursor: str | None


def make_channel_routes(access: Access, clock: Clock, seal: Seal, sender: Sender) -> APIRouter:
    """The routes of channels."""
    routes = APIRouter(prefix=API, tags=["notifications"])
    _add_reading(routes, access, clock)
    _add_making(routes, access, clock, seal, sender)
    _add_changing(routes, access, clock, seal, sender)
    _add_trial(routes, access, clock, seal, sender)
    return routes


def _add_reading(routes: APIRouter, access: Access, clock: Clock) -> None:
    @routes.get("/notification-channels")
    async def list_notification_channels(
        caller: Annotated[Caller, Depends(access.may("notification_channels", "read"))],
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> Channels:
        """The caller's own channels, and the organisation's."""
        async with access.database.scope(caller.sight) as connection:
            page = await store.list_channels(connection, limit, cursor)
        items = [_show(one, clock) for one in page.items]
        return Channels(items=items, next_cursor=page.next_cursor)

    @routes.get("/notification-channels/{channel_id}")
    async def get_notification_channel(
        channel_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("notification_channels", "read"))],
    ) -> Channel:
        """One channel."""
        async with access.database.scope(caller.sight) as connection:
            return _show(await store.get_channel(connection, channel_id), clock)

    @routes.get("/notification-channels/{channel_id}/deliveries")
    async def list_deliveries(
        channel_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("notification_channels", "read"))],
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> Deliveries:
        """What went to a channel or is on its way, newest first, with every attempt."""
        async with access.database.scope(caller.sight) as connection:
            await store.get_channel(connection, channel_id)
            page = await deliveries.list_deliveries(connection, channel_id, limit, cursor)
        return Deliveries.model_validate(page)


def _add_making(routes: APIRouter, access: Access, clock: Clock, seal: Seal, sender: Sender) -> None:
    @routes.post("/notification-channels", status_code=201)
    async def create_notification_channel(
        wanted: ChannelWanted,
        caller: Annotated[Caller, Depends(access.may("notification_channels", "create"))],
    ) -> Channel:
        """Makes a channel of the caller's own, or with `whole_organisation` one of the organisation, which is
        for operators and admins; an API key makes only those."""
        user_id = None if wanted.whole_organisation else caller.user_id
        _require_owner(caller, user_id)
        _check_name(wanted.name)
        async with access.database.scope(caller.sight) as connection:
            own = await _own_address(connection, user_id)
        address = await _check(wanted.address, own, sender)
        new = store.NewChannel(
            new_id(),
            caller.organisation_id,
            user_id,
            wanted.name,
            kind_of(address),
            seal.seal(address),
            mask(address),
            wanted.severity,
            wanted.enabled,
        )
        async with access.database.scope(_own_sight(caller)) as connection:
            made = await store.create_channel(connection, new)
            await audit.record_by(
                connection, caller, "notification_channel.created", made.id, address=made.shown
            )
        return _show(made, clock)


def _add_changing(routes: APIRouter, access: Access, clock: Clock, seal: Seal, sender: Sender) -> None:
    @routes.patch("/notification-channels/{channel_id}")
    async def change_notification_channel(
        channel_id: uuid.UUID,
        wanted: ChannelChanges,
        caller: Annotated[Caller, Depends(access.may("notification_channels", "change"))],
    ) -> Channel:
        """Changes a channel. What waits for one that is switched off is dropped."""
        changes: dict[str, Any] = wanted.model_dump(exclude_none=True)
        if "name" in changes:
            _check_name(changes["name"])
        async with access.database.scope(caller.sight) as connection:
            channel = await store.get_channel(connection, channel_id)
            own = await _own_address(connection, channel.user_id)
        _require_owner(caller, channel.user_id)
        if wanted.address is not None:
            address = await _check(wanted.address, own, sender)
            changes |= {"address": seal.seal(address), "kind": kind_of(address), "shown": mask(address)}
        async with access.database.scope(_own_sight(caller)) as connection:
            at = to_datetime(clock.now_us())
            changed = await store.change_channel(connection, channel_id, changes, at)
            await audit.record_by(
                connection, caller, "notification_channel.changed", channel_id, changed=sorted(changes)
            )
        return _show(changed, clock)

    @routes.delete("/notification-channels/{channel_id}", status_code=204)
    async def delete_notification_channel(
        channel_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("notification_channels", "delete"))],
    ) -> None:
        """Deletes a channel, its log, and what was on its way."""
        async with access.database.scope(caller.sight) as connection:
            channel = await store.get_channel(connection, channel_id)
        _require_owner(caller, channel.user_id)
        async with access.database.scope(_own_sight(caller)) as connection:
            await store.delete_channel(connection, channel_id)
            await audit.record_by(connection, caller, "notification_channel.deleted", channel_id)


def _add_trial(routes: APIRouter, access: Access, clock: Clock, seal: Seal, sender: Sender) -> None:
    @routes.post("/notification-channels/{channel_id}/test")
    async def test_notification_channel(
        channel_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("notification_channels", "change"))],
    ) -> Trial:
        """Sends a message now, whatever the breaker says, and tells what the service answered. It stands in
        the channel's log."""
        async with access.database.scope(caller.sight) as connection:
            channel = await store.get_channel(connection, channel_id)
            _require_owner(caller, channel.user_id)
            sealed = await store.find_address(connection, channel_id)
            now = to_datetime(clock.now_us())
            trial = await trials.add_trial(connection, channel_id, now)
        address = None if sealed is None else seal.open(sealed)
        if address is None:
            answer = Answer(False, "The address was sealed with another key; enter it anew.")
        else:
            answer = await sender.send(address, TRIAL)
        async with access.database.scope(caller.sight) as connection:
            if answer.ok:
                await store.set_breaker(connection, channel_id, Breaker())
            if trial is not None:
                await trials.end_trial(
                    connection, trial, answer.ok, answer.detail, to_datetime(clock.now_us())
                )
        return Trial(ok=answer.ok, detail=answer.detail)


def _show(channel: store.Channel, clock: Clock) -> Channel:
    return Channel(
        id=channel.id,
        name=channel.name,
        kind=channel.kind,
        address=channel.shown,
        whole_organisation=channel.user_id is None,
        severity=channel.severity,
        enabled=channel.enabled,
        breaker=channel.breaker.state(clock.now_us()),
        failures=channel.failures,
        created_at=channel.created_at,
    )


def _require_owner(caller: Caller, user_id: uuid.UUID | None) -> None:
    """Lets everybody pass for their own, and for the organisation's those who may."""
    if user_id is None:
        require_right(caller, "organisation_channels", "change")


def _own_sight(caller: Caller) -> Sight:
    """For changing what the caller was found to own: customers too, whose sight writes no audit log."""
    return Sight(caller.organisation_id, caller.user_id)


def _check_name(name: str) -> None:
    if faults := name_faults(name):
        raise Problem(422, "invalid", faults[0].detail, faults)


async def _own_address(connection: Connection, user_id: uuid.UUID | None) -> str | None:
    """The mail address of somebody, once they have shown that it is theirs."""
    if user_id is None:
        return None
    user = await users.get_user(connection, user_id)
    return user.email if user is not None and user.verified_at is not None else None


async def _check(address: str, own: str | None, sender: Sender) -> str:
    if any(mark in address for mark in "\0\r\n"):
        fault = Fault("bad_address", "An address is one line.", pointer="/address")
        raise Problem(422, "bad_address", fault.detail, [fault])
    checked = await asyncio.to_thread(check_address, address, own)
    if not sender.private_hosts:
        await refuse_private_host(checked)
    return checked
