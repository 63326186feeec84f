"""HTTP for what a person belongs to: invitations to them, and the end of their account."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from kilowatch.accounts.access import Access, Rows
from kilowatch.accounts.people import People
from kilowatch.accounts.rights import Role
from kilowatch.accounts.routes.organisations import OrganisationOf
from kilowatch.accounts.routes.people import Person, Secret, Strict, person_of
from kilowatch.accounts.store import audit, invitations, members, users
from kilowatch.errors import Problem
from kilowatch.postgres.engine import Connection
from kilowatch.wire.address import API


class OwnInvitation(BaseModel):
    """An invitation to the caller."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    organisation_id: uuid.UUID
    slug: str
    name: str
    role: Role
    region: str | None
    expires_at: datetime


class OwnInvitations(BaseModel):
    """All invitations to the caller."""

    items: list[OwnInvitation]
    next_cursor: str | None


class Farewell(Strict):
    """The password, to show that the end is meant."""

    password: Secret


def make_belonging_routes(access: Access, people: People) -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix=API, tags=["accounts"])
    _add_own_invitations(routes, access)
    _add_farewell(routes, access, people)
    return routes


def _add_own_invitations(routes: APIRouter, access: Access) -> None:
    @routes.get("/invitations")
    async def list_own_invitations(person: Annotated[Person, Depends(person_of(access))]) -> OwnInvitations:
        """The invitations to the address of the user who is signed in."""
        async with access.database.person(person.user_id) as connection:
            found = await invitations.list_own_invitations(connection)
        return OwnInvitations(items=[OwnInvitation.model_validate(one) for one in found], next_cursor=None)

    @routes.post("/invitations/{invitation_id}/accept")
    async def accept_invitation(
        invitation_id: uuid.UUID, person: Annotated[Person, Depends(person_of(access))]
    ) -> OrganisationOf:
        """Takes an invitation: from now on the user is a member."""
        organisation_id = await _use(access, person, invitation_id, joins=True)
        await access.announce(organisation_id, "keys")
        async with access.database.person(person.user_id) as connection:
            found = await members.list_memberships(connection)
        joined = next((one for one in found if one.id == organisation_id), None)
        if joined is None:
            raise invitations.no_invitation(invitation_id)  # removed in this very moment
        return OrganisationOf.model_validate(joined)

    @routes.delete("/invitations/{invitation_id}", status_code=204)
    async def decline_invitation(
        invitation_id: uuid.UUID, person: Annotated[Person, Depends(person_of(access))]
    ) -> None:
        """Declines an invitation."""
        await _use(access, person, invitation_id, joins=False)


async def _use(access: Access, person: Person, invitation_id: uuid.UUID, *, joins: bool) -> uuid.UUID:
    """Uses an invitation to the person up; the organisation. Who is a member already stays what they are."""
    async with access.database.person(person.user_id) as connection:
        organisation_id = await _offering(connection, invitation_id)
    async with access.database.person(person.user_id, organisation_id) as connection:
        await _offering(connection, invitation_id)  # once more, where it is used up
        used = await invitations.use_invitation(connection, invitation_id)
        action, subject = "invitation.declined", invitation_id
        if joins:
            action, subject = "member.joined", person.user_id
            new = await members.add_member(
                connection, organisation_id, person.user_id, used.role, region=used.region
            )
            if not new:
                return organisation_id
        await audit.record(
            connection,
            action,
            actor=f"user:{person.user_id}",
            organisation_id=organisation_id,
            user_id=person.user_id,
            subject=subject,
            detail={"email": used.email, "role": used.role},
        )
    return organisation_id


async def _offering(connection: Connection, invitation_id: uuid.UUID) -> uuid.UUID:
    """The organisation that an invitation to the transaction's person is to.

    Raises:
        Problem: 404.
    """
    found = await invitations.list_own_invitations(connection)
    for one in found:
        if one.id == invitation_id:
            return one.organisation_id
    raise invitations.no_invitation(invitation_id)


def _add_farewell(routes: APIRouter, access: Access, people: People) -> None:
    @routes.delete("/me", status_code=204)
    async def delete_me(shown: Farewell, person: Annotated[Person, Depends(person_of(access))]) -> None:
        """Deletes the account and all that is its own: home, devices, readings, keys, sessions. Not while
        members of another organisation would be left without an admin."""
        await people.gate.confirm(person.user_id, shown.password)
        async with access.database.person(person.user_id) as connection:
            partings = await users.forget_person(connection)
        needed = [one.slug for one in partings if one.outcome == "needs_admin"]
        if needed:
            detail = f"You are the only admin of {', '.join(needed)}; make somebody else one, or delete it."
            raise Problem(409, "last_admin", detail)
        for one in partings:
            rows: Rows = "organisations" if one.outcome == "deleted" else "keys"
            await access.announce(one.organisation_id, rows)
