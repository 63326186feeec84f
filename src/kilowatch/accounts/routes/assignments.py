"""HTTP for what customers see: meters and sites that are assigned to them."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.routes.people import Strict
from kilowatch.accounts.store import assignments, audit
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API

DeviceId = Annotated[str, Path(description="The device's id, a slug.", examples=["D1"])]


class Assignment(BaseModel):
    """A site or a device that a member was assigned."""

    model_config = ConfigDict(from_attributes=True)

    user_id: uuid.UUID
    kind: Literal["site", "device"]
    id: str = Field(description="Of the site or device.")
    created_at: datetime


class Assignments(BaseModel):
    """A page of assignments."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Assignment]
    next_cursor: str | None


class AssignmentWanted(Strict):
    """Who shall see it: a member with the role `customer`."""

    user_id: uuid.UUID


def make_assignment_routes(access: Access) -> APIRouter:
    """The routes of assignments."""
    routes = APIRouter(prefix=API, tags=["assignments"])
    _add_meters(routes, access)
    _add_sites(routes, access)
    _add_list(routes, access)
    return routes


def _add_meters(routes: APIRouter, access: Access) -> None:
    @routes.post("/meters/{device_id}/assign")
    async def assign_meter(
        device_id: DeviceId,
        wanted: AssignmentWanted,
        caller: Annotated[Caller, Depends(access.may("assignments", "create"))],
    ) -> Assignment:
        """Lets a customer see a meter: any device. Their live connections follow within a second."""
        async with access.database.scope(caller.sight) as connection:
            made = await assignments.assign_device(
                connection, caller.organisation_id, wanted.user_id, device_id
            )
            await audit.record_by(connection, caller, "assignment.made", wanted.user_id, device=device_id)
        await access.announce(caller.organisation_id, "devices")
        return Assignment.model_validate(made)

    @routes.delete("/meters/{device_id}/assign/{user_id}", status_code=204)
    async def withdraw_meter(
        device_id: DeviceId,
        user_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("assignments", "delete"))],
    ) -> None:
        """Takes a meter from a customer, who is told nothing more of it within a second."""
        async with access.database.scope(caller.sight) as connection:
            await assignments.withdraw_device(connection, caller.organisation_id, user_id, device_id)
            await audit.record_by(connection, caller, "assignment.withdrawn", user_id, device=device_id)
        await access.announce(caller.organisation_id, "devices")


def _add_sites(routes: APIRouter, access: Access) -> None:
    @routes.post("/sites/{site_id}/assign")
    async def assign_site(
        site_id: uuid.UUID,
        wanted: AssignmentWanted,
        caller: Annotated[Caller, Depends(access.may("assignments", "create"))],
    ) -> Assignment:
        """Lets a customer see a site with all its devices, also those that come later."""
        async with access.database.scope(caller.sight) as connection:
            made = await assignments.assign_site(connection, caller.organisation_id, wanted.user_id, site_id)
            await audit.record_by(connection, caller, "assignment.made", wanted.user_id, site=str(site_id))
        await access.announce(caller.organisation_id, "devices")
        return Assignment.model_validate(made)

    @routes.delete("/sites/{site_id}/assign/{user_id}", status_code=204)
    async def withdraw_site(
        site_id: uuid.UUID,
        user_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("assignments", "delete"))],
    ) -> None:
        """Takes a site from a customer, who is told nothing more of it within a second."""
        async with access.database.scope(caller.sight) as connection:
            await assignments.withdraw_site(connection, caller.organisation_id, user_id, site_id)
            await audit.record_by(connection, caller, "assignment.withdrawn", user_id, site=str(site_id))
        await access.announce(caller.organisation_id, "devices")


def _add_list(routes: APIRouter, access: Access) -> None:
    @routes.get("/organisations/{organisation_id}/members/{user_id}/assignments")
    async def list_assignments(
        organisation_id: uuid.UUID,  # noqa: ARG001 - the guard reads it
        user_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("assignments", "read", there=True))],
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> Assignments:
        """What is assigned to a member."""
        async with access.database.scope(caller.sight) as connection:
            page = await assignments.list_assignments(connection, user_id, limit, cursor)
        return Assignments.model_validate(page)
