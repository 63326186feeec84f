"""HTTP for notifications: what somebody was told, and what they have read."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.clock import Clock, to_datetime
from kilowatch.errors import Problem
from kilowatch.notifications.notice import TOPIC
from kilowatch.notifications.severity import Severity
from kilowatch.notifications.store import notifications as store
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API
from kilowatch.wire.live import LiveEvent


class Notification(BaseModel):
    """Something that the caller was told."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    alert_id: uuid.UUID
    site_id: uuid.UUID | None
    severity: Severity
    title: str
    body: str
    remedy: str = Field(description="What to do about it.")
    happened_at: datetime = Field(description="Of the reading or moment that it tells of.")
    created_at: datetime
    read_at: datetime | None


class Notifications(BaseModel):
    """A page of notifications, unread ones first, then the newest."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Notification]
    next_cursor: str | None
    unread: int = Field(description="How many the caller has not read, on all pages.")


class Unread(BaseModel):
    """How many are left unread."""

    unread: int


def make_inbox_routes(access: Access, clock: Clock) -> APIRouter:
    """The routes of notifications."""
    routes = APIRouter(prefix=API, tags=["notifications"])
    _add_list(routes, access)
    _add_changes(routes, access, clock)
    return routes


def _add_list(routes: APIRouter, access: Access) -> None:
    @routes.get("/notifications")
    async def list_notifications(
        caller: Annotated[Caller, Depends(access.may("notifications", "read"))],
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> Notifications:
        """What the caller was told in this organisation, with the number of unread ones of the same
        moment."""
        async with access.database.scope(caller.sight) as connection:
            inbox = await store.list_notifications(connection, person(caller), limit, cursor)
        return Notifications.model_validate(
            {"items": inbox.page.items, "next_cursor": inbox.page.next_cursor, "unread": inbox.unread}
        )


def _add_changes(routes: APIRouter, access: Access, clock: Clock) -> None:
    async def tell(caller: Caller, unread: int, **said: Any) -> None:
        """Lets the person's other windows know."""
        data = {**said, "unread": unread}
        place, whose = str(caller.organisation_id), str(caller.user_id)
        event = LiveEvent(place, TOPIC, clock.now_us(), "notification_read", data, user=whose)
        await access.tell(event)

    @routes.post("/notifications/read-all")
    async def read_all_notifications(
        caller: Annotated[Caller, Depends(access.may("notifications", "change"))],
    ) -> Unread:
        """Marks everything as read that is there now."""
        async with access.database.scope(caller.sight) as connection:
            await store.mark_all_read(connection, person(caller), to_datetime(clock.now_us()))
            unread = await store.count_unread(connection, person(caller))
        await tell(caller, unread, all=True)
        return Unread(unread=unread)

    @routes.post("/notifications/{notification_id}/read")
    async def read_notification(
        notification_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("notifications", "change"))],
    ) -> Notification:
        """Marks one as read; harmless when it is."""
        async with access.database.scope(caller.sight) as connection:
            at = to_datetime(clock.now_us())
            read = await store.mark_read(connection, person(caller), notification_id, at)
            unread = await store.count_unread(connection, person(caller))
        await tell(caller, unread, id=str(notification_id))
        return Notification.model_validate(read)

    @routes.delete("/notifications/{notification_id}", status_code=204)
    async def delete_notification(
        notification_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("notifications", "delete"))],
    ) -> None:
        """Takes one out of the caller's list; what is on its way by channels goes on."""
        async with access.database.scope(caller.sight) as connection:
            at = to_datetime(clock.now_us())
            await store.dismiss(connection, person(caller), notification_id, at)
            unread = await store.count_unread(connection, person(caller))
        await tell(caller, unread, id=str(notification_id), deleted=True)


def person(caller: Caller) -> uuid.UUID:
    """Who it is; only people get here.

    Raises:
        Problem: 403.
    """
    if caller.user_id is None:
        raise Problem(403, "people_only", "Only people have notifications, and no API key; sign in.")
    return caller.user_id
