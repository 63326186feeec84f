"""HTTP for device tokens: the secrets that devices log in with, over MQTT and HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store import audit
from kilowatch.accounts.store.device_tokens import end_device_token, make_device_token
from kilowatch.ids import require_device_id
from kilowatch.wire.address import API

DeviceId = Annotated[str, Path(description="The device's id, a slug.", examples=["D1"])]


class DeviceToken(BaseModel):
    """A device's new token, which is shown this once."""

    token: str = Field(examples=["kwd_..."])
    mqtt_port: int | None = Field(
        description="Port of this instance's MQTT door; null where it does not know.", examples=[1883]
    )


def make_routes(access: Access, mqtt_port: int | None) -> APIRouter:
    """The routes of device tokens."""
    routes = APIRouter(prefix=API)

    @routes.post("/devices/{device_id}/token", status_code=201, tags=["devices"])
    async def create_device_token(
        device_id: DeviceId, caller: Annotated[Caller, Depends(access.may("device_tokens", "create"))]
    ) -> DeviceToken:
        """Makes a token for MQTT and HTTP. The one before ends; within a second its connections close."""
        require_device_id(device_id)
        async with access.database.scope(caller.sight) as connection:
            token, _ = await make_device_token(connection, device_id)
            await audit.record_by(connection, caller, "device_token.created", device_id)
        await access.announce(caller.organisation_id, "devices")
        return DeviceToken(token=token, mqtt_port=mqtt_port)

    @routes.delete("/devices/{device_id}/token", status_code=204, tags=["devices"])
    async def delete_device_token(
        device_id: DeviceId, caller: Annotated[Caller, Depends(access.may("device_tokens", "delete"))]
    ) -> None:
        """Ends a device's token: within a second its connections are closed."""
        require_device_id(device_id)
        async with access.database.scope(caller.sight) as connection:
            await end_device_token(connection, device_id)
            await audit.record_by(connection, caller, "device_token.deleted", device_id)
        await access.announce(caller.organisation_id, "devices")

    return routes
