"""HTTP for organisations: those of the caller, making, changing and deleting them."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.organisation import REGION_MAX, REGIONS_MOST, RETENTION_MOST_DAYS
from kilowatch.accounts.people import OpenHousehold
from kilowatch.accounts.rights import Role
from kilowatch.accounts.routes.people import Person, Strict, person_of
from kilowatch.accounts.store import audit, members, organisations, users
from kilowatch.errors import Problem
from kilowatch.ids import NAME_MAX, ORGANISATION_SLUG, new_id
from kilowatch.wire.address import API

ORGANISATIONS_MOST = 20
"""Of as many a person may be an admin and still make another one."""
KEPT_SLUGS = ("demo",)
"""The instance's own."""

Days = Annotated[int, Field(ge=1, le=RETENTION_MOST_DAYS)]


class OrganisationOf(BaseModel):
    """An organisation of the caller; a key has no role in its own."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    slug: str
    name: str
    role: Role | None
    is_personal: bool


class Organisations(BaseModel):
    """All organisations of the caller."""

    items: list[OrganisationOf]
    next_cursor: str | None


class Organisation(BaseModel):
    """Who owns sites, devices and readings."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    slug: str
    name: str
    regions: list[str] = Field(description="Labels that sites, devices and members may carry.")
    retention_raw_days: int = Field(description="For how long readings are kept as they came.")
    retention_hourly_days: int = Field(description="For how long their hours are kept.")
    retention_daily_days: int = Field(description="For how long their days are kept.")
    created_at: datetime


class OrganisationWanted(Strict):
    """What a new organisation shall be; without a slug it gets one."""

    name: str = Field(min_length=1, max_length=NAME_MAX)
    slug: str | None = Field(None, pattern=f"^{ORGANISATION_SLUG.pattern}$")


class OrganisationChanges(Strict):
    """What shall change; members that are left out stay as they are."""

    name: str = Field("", max_length=NAME_MAX)
    regions: list[Annotated[str, Field(max_length=REGION_MAX)]] = Field(
        default_factory=list, max_length=REGIONS_MOST
    )
    retention_raw_days: Days = 1
    retention_hourly_days: Days = 1
    retention_daily_days: Days = 1


def make_organisation_routes(access: Access, open_household: OpenHousehold) -> APIRouter:
    """The routes of organisations."""
    routes = APIRouter(prefix=API, tags=["organisations"])
    _add_own(routes, access, open_household)
    _add_one(routes, access)
    return routes


def _add_own(routes: APIRouter, access: Access, open_household: OpenHousehold) -> None:
    @routes.get("/organisations")
    async def list_organisations(caller: Annotated[Caller, Depends(access.anybody)]) -> Organisations:
        """All organisations of a person, their own first; of a key the one that it belongs to."""
        if caller.user_id is None:
            async with access.database.scope(caller.organisation_id) as connection:
                own = await organisations.get_organisation(connection, caller.organisation_id)
            items = [OrganisationOf(id=own.id, slug=own.slug, name=own.name, role=None, is_personal=False)]
        else:
            async with access.database.person(caller.user_id) as connection:
                found = await members.list_memberships(connection)
            items = [OrganisationOf.model_validate(one) for one in found]
        return Organisations(items=items, next_cursor=None)

    @routes.post("/organisations", status_code=201)
    async def create_organisation(
        wanted: OrganisationWanted, person: Annotated[Person, Depends(person_of(access))]
    ) -> Organisation:
        """Makes an organisation with a first site; who makes it is its admin."""
        organisation_id = new_id()
        slug = wanted.slug or f"org-{organisation_id.hex[:12]}"
        if slug in KEPT_SLUGS:
            raise Problem(
                409, "slug_taken", f"There is an organisation {slug!r} already; choose another slug."
            )
        async with access.database.person(person.user_id, organisation_id) as connection:
            await users.lock_user(connection, person.user_id)
            if await members.count_admin_places(connection, person.user_id) >= ORGANISATIONS_MOST:
                detail = f"You are an admin of {ORGANISATIONS_MOST} organisations; that is enough."
                raise Problem(409, "too_many_organisations", detail)
            await open_household(connection, organisation_id, slug, wanted.name)
            await members.add_member(connection, organisation_id, person.user_id, "admin")
            await audit.record(
                connection,
                "organisation.created",
                actor=f"user:{person.user_id}",
                organisation_id=organisation_id,
                user_id=person.user_id,
                subject=organisation_id,
                detail={"slug": slug},
            )
            made = await organisations.get_organisation(connection, organisation_id)
        await access.announce(organisation_id, "organisations")
        return Organisation.model_validate(made)


def _add_one(routes: APIRouter, access: Access) -> None:
    @routes.get("/organisations/{organisation_id}")
    async def get_organisation(
        organisation_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("organisation", "read", there=True))],
    ) -> Organisation:
        """One organisation."""
        async with access.database.scope(caller.sight) as connection:
            return Organisation.model_validate(
                await organisations.get_organisation(connection, organisation_id)
            )

    @routes.patch("/organisations/{organisation_id}")
    async def update_organisation(
        organisation_id: uuid.UUID,
        changes: OrganisationChanges,
        caller: Annotated[Caller, Depends(access.may("organisation", "change", there=True))],
    ) -> Organisation:
        """Changes an organisation; its slug stays. What is older than a shorter retention is forgotten with
        the next upkeep."""
        given: dict[str, Any] = changes.model_dump(exclude_unset=True)
        async with access.database.scope(caller.sight) as connection:
            changed = await organisations.update_organisation(connection, organisation_id, given)
            await audit.record_by(connection, caller, "organisation.changed", organisation_id, **_told(given))
        await access.announce(organisation_id, "organisations")
        return Organisation.model_validate(changed)

    @routes.delete("/organisations/{organisation_id}", status_code=204)
    async def delete_organisation(
        organisation_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("organisation", "delete", there=True))],
        name: Annotated[str, Query(description="The slug, to show that it is meant.", max_length=100)],
    ) -> None:
        """Deletes an organisation with all that is in it: sites, devices, readings, keys, members."""
        if name != caller.slug:
            raise Problem(422, "not_confirmed", f"To delete this organisation, say name={caller.slug}.")
        async with access.database.scope(caller.sight) as connection:
            await organisations.delete_organisation(connection, organisation_id)
            # Its own log goes with it, so the line stands in that of the person.
            await audit.record(
                connection,
                "organisation.deleted",
                actor=caller.actor,
                user_id=caller.user_id,
                subject=organisation_id,
                detail={"slug": caller.slug},
            )
        await access.announce(organisation_id, "organisations")


def _told(changes: dict[str, Any]) -> dict[str, Any]:
    """What the audit log says of the changes: long lists only by their length."""
    return {name: len(value) if isinstance(value, list) else value for name, value in changes.items()}
