"""HTTP for maintenance windows."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.audit import record_by
from kilowatch.alerts.notices import Notices
from kilowatch.alerts.store import windows as store
from kilowatch.alerts.store.alerts import find_alerts
from kilowatch.alerts.telling import Told, events_of, put_in_words
from kilowatch.alerts.voices import Kind
from kilowatch.clock import Clock, to_datetime
from kilowatch.ids import DEVICE_ID
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API


class MaintenanceWindow(BaseModel):
    """A time in which alerts are written down and nobody is told."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    device_id: str | None = Field(validation_alias="device")
    site_id: uuid.UUID | None
    kind: Kind | None
    rule_id: uuid.UUID | None
    starts_at: datetime
    ends_at: datetime
    reason: str | None
    made_by: str
    created_at: datetime


class MaintenanceWindows(BaseModel):
    """A page of maintenance windows."""

    model_config = ConfigDict(from_attributes=True)

    items: list[MaintenanceWindow]
    next_cursor: str | None


class Strict(BaseModel):
    """A body whose unknown members are refused."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """The members that were sent."""
        return {name: value for name, value in self if name in self.model_fields_set}


class WindowWanted(Strict):
    """What a new window shall be about: all that meets everything given; nothing given is everything."""

    device_id: str | None = Field(None, pattern=f"^{DEVICE_ID.pattern}$")
    site_id: uuid.UUID | None = None
    kind: Kind | None = None
    rule_id: uuid.UUID | None = None
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    reason: str | None = None


class WindowChanges(Strict):
    """What shall change; members that are left out stay as they are."""

    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Hush:
    """Has nobody told any more of what windows hide."""

    access: Access
    clock: Clock
    notices: Notices

    async def settle(self, connection: Connection, window_id: uuid.UUID) -> list[Told]:
        """Stops what is still to be sent; what the window hides now."""
        hidden, now_us = await store.list_hidden(connection, window_id), self.clock.now_us()
        await self.notices.settle(connection, hidden, now_us)
        return [put_in_words(alert, now_us) for alert in await find_alerts(connection, hidden)]

    async def tell(self, hidden: list[Told]) -> None:
        """Tells those who listen, once that is kept."""
        for told in hidden:
            for event in events_of(told, self.clock.now_us()):
                await self.access.tell(event)


def make_window_routes(access: Access, clock: Clock, notices: Notices) -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix=API, tags=["alerts"])
    quiet = Hush(access, clock, notices)

    def now() -> datetime:
        return to_datetime(clock.now_us())

    @routes.get("/maintenance-windows")
    async def list_maintenance_windows(
        caller: Annotated[Caller, Depends(access.may("maintenance_windows", "read"))],
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: str | None = None,
        after: Annotated[AwareDatetime | None, Query(description="Those that end later.")] = None,
    ) -> MaintenanceWindows:
        """The windows, the one that begins last first."""
        async with access.database.scope(caller.sight) as connection:
            page = await store.list_windows(connection, limit, cursor, after)
        return MaintenanceWindows.model_validate(page)

    @routes.post("/maintenance-windows", status_code=201)
    async def create_maintenance_window(
        wanted: WindowWanted, caller: Annotated[Caller, Depends(access.may("maintenance_windows", "create"))]
    ) -> MaintenanceWindow:
        """Makes a window. Where it holds already, alerts that are open are suppressed, too."""
        values = {name: value for name, value in wanted if name != "device_id"}
        async with access.database.scope(caller.sight) as connection:
            made = await store.create_window(
                connection, caller.organisation_id, caller.actor, now(), device=wanted.device_id, **values
            )
            await record_by(connection, caller, "maintenance_window.created", made.id)
            hidden = await quiet.settle(connection, made.id)
        await quiet.tell(hidden)
        return MaintenanceWindow.model_validate(made)

    @routes.get("/maintenance-windows/{window_id}")
    async def get_maintenance_window(
        window_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("maintenance_windows", "read"))]
    ) -> MaintenanceWindow:
        """One window."""
        async with access.database.scope(caller.sight) as connection:
            return MaintenanceWindow.model_validate(await store.get_window(connection, window_id))

    @routes.patch("/maintenance-windows/{window_id}")
    async def update_maintenance_window(
        window_id: uuid.UUID,
        changes: WindowChanges,
        caller: Annotated[Caller, Depends(access.may("maintenance_windows", "change"))],
    ) -> MaintenanceWindow:
        """Changes when a window holds, or why."""
        async with access.database.scope(caller.sight) as connection:
            changed = await store.update_window(connection, window_id, changes.given(), now())
            await record_by(connection, caller, "maintenance_window.changed", window_id)
            hidden = await quiet.settle(connection, window_id)
        await quiet.tell(hidden)
        return MaintenanceWindow.model_validate(changed)

    @routes.delete("/maintenance-windows/{window_id}", status_code=204)
    async def delete_maintenance_window(
        window_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("maintenance_windows", "delete"))],
    ) -> None:
        """Removes a window; what it hid and what lasts is open again within seconds."""
        async with access.database.scope(caller.sight) as connection:
            await store.delete_window(connection, window_id, now())
            await record_by(connection, caller, "maintenance_window.deleted", window_id)

    return routes
