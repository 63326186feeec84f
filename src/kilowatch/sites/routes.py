"""HTTP for sites and devices."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.audit import record_by
from kilowatch.clock import Clock
from kilowatch.ids import DEVICE_ID, require_device_id
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.sites import store
from kilowatch.sites.device import DEFAULT_TYPE, DEVICE_TYPE
from kilowatch.wire.address import API
from kilowatch.wire.live import LiveEvent

SiteKind = Literal["home", "plant", "microgrid", "area"]
DeviceStatus = Literal["active", "inactive", "maintenance", "error"]
DeviceState = Literal["on", "off", "standby"]
Voice = Literal["plain", "oracle"]
PRICE = "What a kWh costs, in the site's currency; without it the instance's own price counts."
PRINTABLE = r"^[^\x00]*$"
REGION = "One of the organisation's regions, if it has any; else any name."
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
Label = Annotated[str | None, Query(min_length=1, max_length=100, pattern=PRINTABLE)]
DeviceId = Annotated[str, Path(description="The device's id, a slug.", examples=["D1"])]


class Strict(BaseModel):
    """A body whose unknown members are refused, so that a misspelt one is never silently lost."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """The members that were sent, as they came: pydantic's own way ends in an error on deep ones."""
        return {name: value for name, value in self if name in self.model_fields_set}


class Site(BaseModel):
    """A home, plant, microgrid or grid area."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    kind: SiteKind
    name: str
    time_zone: str = Field(
        description="IANA name; days and hours are this zone's.", examples=["Europe/Berlin"]
    )
    currency: str = Field(description="A code of ISO 4217.", examples=["EUR"])
    region: str | None
    icon: str | None
    metadata: dict[str, Any]
    price_per_kwh: Decimal | None = Field(description=PRICE)
    voice: Voice = Field(description="How alerts of the site speak.")
    created_at: datetime


class Sites(BaseModel):
    """A page of sites."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Site]
    next_cursor: str | None


class SiteWanted(Strict):
    """What a new site shall be."""

    kind: SiteKind
    name: str
    time_zone: str = "UTC"
    currency: str = "EUR"
    region: str | None = Field(None, description=REGION)
    icon: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    price_per_kwh: Decimal | None = Field(None, description=PRICE)
    voice: Voice = "plain"


class SiteChanges(Strict):
    """What shall change; members that are left out stay as they are."""

    kind: SiteKind = "home"
    name: str = ""
    time_zone: str = ""
    currency: str = ""
    region: str | None = Field(None, description=REGION)
    icon: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    price_per_kwh: Decimal | None = Field(None, description=PRICE)
    voice: Voice = "plain"


class Device(BaseModel):
    """A meter, appliance, machine, charger, battery or inverter."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    type: str
    site_id: uuid.UUID
    room: str | None
    icon: str | None
    rated_power_w: float | None
    idle_threshold_w: float | None
    region: str | None
    metadata: dict[str, Any]
    status: DeviceStatus
    state: DeviceState
    last_seen: datetime | None = Field(description="When it last sent something, some seconds late.")
    token_made_at: datetime | None = Field(description="When its token was made; null without one.")
    created_at: datetime


class Devices(BaseModel):
    """A page of devices."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Device]
    next_cursor: str | None


class DeviceWanted(Strict):
    """What a new device shall be. Without a site it stands in the organisation's oldest."""

    id: str = Field(pattern=f"^{DEVICE_ID.pattern}$")
    name: str | None = Field(None, description="What people call it; without one it is called like its id.")
    type: str = DEFAULT_TYPE
    site_id: uuid.UUID | None = None
    room: str | None = None
    icon: str | None = None
    rated_power_w: float | None = None
    idle_threshold_w: float | None = None
    region: str | None = Field(None, description=REGION)
    metadata: dict[str, Any] = Field(default_factory=dict)
    status: DeviceStatus = "active"


class StateWanted(Strict):
    """What a device shall be."""

    state: DeviceState


class Toggle(Strict):
    """What a device shall be; without a state the other one: `off` when it is on, else `on`."""

    state: DeviceState | None = None


class DeviceChanges(Strict):
    """What shall change; members that are left out stay as they are. `metadata` is replaced as a whole."""

    name: str = ""
    type: str = DEFAULT_TYPE
    site_id: uuid.UUID = uuid.UUID(int=0)
    room: str | None = None
    icon: str | None = None
    rated_power_w: float | None = None
    idle_threshold_w: float | None = None
    region: str | None = Field(None, description=REGION)
    metadata: dict[str, Any] = Field(default_factory=dict)
    status: DeviceStatus = "active"


def make_routes(access: Access, clock: Clock) -> APIRouter:
    """The routes of this room."""
    routes = APIRouter(prefix=API)
    _add_site_routes(routes, access)
    _add_device_routes(routes, access)
    _add_state_routes(routes, access, clock)
    return routes


def _add_site_routes(routes: APIRouter, access: Access) -> None:
    @routes.get("/sites", tags=["sites"])
    async def list_sites(
        caller: Annotated[Caller, Depends(access.may("sites", "read"))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> Sites:
        """The organisation's sites in the order of their making."""
        async with access.database.scope(caller.sight) as connection:
            return Sites.model_validate(await store.list_sites(connection, limit, cursor))

    @routes.post("/sites", status_code=201, tags=["sites"])
    async def create_site(
        wanted: SiteWanted, caller: Annotated[Caller, Depends(access.may("sites", "create"))]
    ) -> Site:
        """Makes a site."""
        async with access.database.scope(caller.sight) as connection:
            made = await store.create_site(connection, caller.organisation_id, **dict(wanted))
        await access.announce(caller.organisation_id, "sites")
        return Site.model_validate(made)

    @routes.get("/sites/{site_id}", tags=["sites"])
    async def get_site(
        site_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("sites", "read"))]
    ) -> Site:
        """One site."""
        async with access.database.scope(caller.sight) as connection:
            return Site.model_validate(await store.get_site(connection, site_id))

    @routes.patch("/sites/{site_id}", tags=["sites"])
    async def update_site(
        site_id: uuid.UUID,
        changes: SiteChanges,
        caller: Annotated[Caller, Depends(access.may("sites", "change"))],
    ) -> Site:
        """Changes a site. A new time zone holds from now on."""
        async with access.database.scope(caller.sight) as connection:
            changed = await store.update_site(connection, site_id, changes.given())
        await access.announce(caller.organisation_id, "sites")
        return Site.model_validate(changed)

    @routes.delete("/sites/{site_id}", status_code=204, tags=["sites"])
    async def delete_site(
        site_id: uuid.UUID, caller: Annotated[Caller, Depends(access.may("sites", "delete"))]
    ) -> None:
        """Removes a site that is not the last, its devices, and everything that these told."""
        async with access.database.scope(caller.sight) as connection:
            await store.delete_site(connection, site_id)
            await record_by(connection, caller, "site.deleted", site_id)
        await access.announce(caller.organisation_id, "sites")


def _add_device_routes(routes: APIRouter, access: Access) -> None:
    @routes.get("/devices", tags=["devices"])
    async def list_devices(
        caller: Annotated[Caller, Depends(access.may("devices", "read"))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
        site_id: uuid.UUID | None = None,
        type: Annotated[str | None, Query(pattern=f"^{DEVICE_TYPE.pattern}$")] = None,  # noqa: A002
        status: DeviceStatus | None = None,
        state: DeviceState | None = None,
        room: Label = None,
        region: Label = None,
    ) -> Devices:
        """The organisation's devices in the order of their making."""
        async with access.database.scope(caller.sight) as connection:
            narrowed = {"type": type, "status": status, "state": state, "room": room, "region": region}
            page = await store.list_devices(connection, limit, cursor, site_id=site_id, **narrowed)
        return Devices.model_validate(page)

    @routes.post("/devices", status_code=201, tags=["devices"])
    async def create_device(
        wanted: DeviceWanted, caller: Annotated[Caller, Depends(access.may("devices", "create"))]
    ) -> Device:
        """Makes a device."""
        fields = {name: value for name, value in wanted if name not in ("id", "site_id")}
        if fields["name"] is None:
            del fields["name"]
        async with access.database.scope(caller.sight) as connection:
            made = await store.create_device(
                connection, caller.organisation_id, wanted.id, wanted.site_id, **fields
            )
        await access.announce(caller.organisation_id, "devices")
        return Device.model_validate(made)

    @routes.get("/devices/{device_id}", tags=["devices"])
    async def get_device(
        device_id: DeviceId, caller: Annotated[Caller, Depends(access.may("devices", "read"))]
    ) -> Device:
        """One device."""
        async with access.database.scope(caller.sight) as connection:
            return Device.model_validate(await store.get_device(connection, require_device_id(device_id)))

    @routes.patch("/devices/{device_id}", tags=["devices"])
    async def update_device(
        device_id: DeviceId,
        changes: DeviceChanges,
        caller: Annotated[Caller, Depends(access.may("devices", "change"))],
    ) -> Device:
        """Changes a device; its id stays."""
        async with access.database.scope(caller.sight) as connection:
            changed = await store.update_device(connection, require_device_id(device_id), changes.given())
        await access.announce(caller.organisation_id, "devices")
        return Device.model_validate(changed)

    @routes.delete("/devices/{device_id}", status_code=204, tags=["devices"])
    async def delete_device(
        device_id: DeviceId, caller: Annotated[Caller, Depends(access.may("devices", "delete"))]
    ) -> None:
        """Removes a device and everything that it told."""
        async with access.database.scope(caller.sight) as connection:
            await store.delete_device(connection, require_device_id(device_id))
            await record_by(connection, caller, "device.deleted", device_id)
        await access.announce(caller.organisation_id, "devices")


def _add_state_routes(routes: APIRouter, access: Access, clock: Clock) -> None:
    async def switch(caller: Caller, device_id: str, state: DeviceState | None) -> Device:
        async with access.database.scope(caller.sight) as connection:
            device = await store.set_state(connection, require_device_id(device_id), state)
        # No word of a changed registry: nobody's copy holds states.
        event = LiveEvent(
            organisation=str(caller.organisation_id),
            topic=f"devices.{device.id}",
            ts_us=clock.now_us(),
            type="device",
            data={"device": device.id, "state": device.state},
            device_no=device.device_no,
        )
        await access.tell(event)
        return Device.model_validate(device)

    @routes.post("/devices/{device_id}/state", tags=["devices"])
    async def set_device_state(
        device_id: DeviceId,
        wanted: StateWanted,
        caller: Annotated[Caller, Depends(access.may("device_state", "change"))],
    ) -> Device:
        """Switches a device; whoever listens to it is told."""
        return await switch(caller, device_id, wanted.state)

    @routes.post("/devices/{device_id}/toggle", tags=["devices"])
    async def toggle_device(
        device_id: DeviceId,
        caller: Annotated[Caller, Depends(access.may("device_state", "change"))],
        wanted: Toggle | None = None,
    ) -> Device:
        """Switches a device off when it is on, and on when it is not; or to the state that is asked for."""
        return await switch(caller, device_id, None if wanted is None else wanted.state)
