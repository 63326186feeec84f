"""HTTP for the members of an organisation, and invitations to it."""

import uuid
from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access, name_right
from kilowatch.accounts.identity import Caller, require_right
from kilowatch.accounts.mail import Mail, mail_unsent
from kilowatch.accounts.organisation import REGION_MAX, region_faults
from kilowatch.accounts.people import email_faults
from kilowatch.accounts.postage import Postage
from kilowatch.accounts.rights import Role, may_appoint
from kilowatch.accounts.routes.people import Email, Strict
from kilowatch.accounts.store import audit, invitations, members, organisations
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.postgres.engine import Connection
from kilowatch.postgres.page import LIMIT_DEFAULT, LIMIT_MAX
from kilowatch.wire.address import API

log = structlog.get_logger()

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
PRINTED = r"^[^\x00]+$"


class Member(BaseModel):
    """Somebody in an organisation."""

    model_config = ConfigDict(from_attributes=True)

    user_id: uuid.UUID
    email: str
    name: str
    role: Role
    region: str | None
    is_personal: bool = Field(description="Whether the organisation came with this member's account.")
    disabled_at: datetime | None
    created_at: datetime


class Members(BaseModel):
    """A page of members."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Member]
    next_cursor: str | None


class Invitation(BaseModel):
    """An address, and what its reader may become."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    email: str
    role: Role
    region: str | None
    invited_by: uuid.UUID
    created_at: datetime
    expires_at: datetime


class Invitations(BaseModel):
    """A page of invitations."""

    model_config = ConfigDict(from_attributes=True)

    items: list[Invitation]
    next_cursor: str | None


class InvitationWanted(Strict):
    """Who is invited to be what."""

    email: Email
    role: Role
    region: str | None = Field(None, max_length=REGION_MAX)


class MemberChanges(Strict):
    """What shall change; members that are left out stay as they are."""

    role: Role = "viewer"
    region: str | None = Field(None, max_length=REGION_MAX)


def make_member_routes(access: Access, mail: Mail, postage: Postage) -> APIRouter:
    """The routes of members and of invitations."""
    routes = APIRouter(prefix=API, tags=["organisations"])
    _add_members(routes, access)
    _add_invitations(routes, access, mail, postage)
    return routes


def _add_members(routes: APIRouter, access: Access) -> None:
    @routes.get("/organisations/{organisation_id}/members")
    async def list_members(
        organisation_id: uuid.UUID,  # noqa: ARG001 - the guard reads it
        caller: Annotated[Caller, Depends(access.may("members", "read", there=True))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
        region: Annotated[str | None, Query(max_length=REGION_MAX, pattern=PRINTED)] = None,
        role: Role | None = None,
    ) -> Members:
        """The organisation's members, or those of a region or a role."""
        async with access.database.scope(caller.sight) as connection:
            page = await members.list_members(connection, limit, cursor, region=region, role=role)
        return Members.model_validate(page)

    @routes.patch("/organisations/{organisation_id}/members/{user_id}")
    async def change_member(
        organisation_id: uuid.UUID,
        user_id: uuid.UUID,
        changes: MemberChanges,
        caller: Annotated[Caller, Depends(access.may("members", "change", there=True))],
    ) -> Member:
        """Gives a member another role or region. An operator does so with those below; of admins there is
        always one. A right that is lost with it ends within a second, live connections included, and
        invitations of theirs to what they may not offer any more are withdrawn."""
        given = changes.model_dump(exclude_unset=True)
        async with access.database.scope(caller.sight) as connection:
            await organisations.lock_organisation(connection, organisation_id)
            before = await members.get_member(connection, user_id)
            _require_above(caller, before.role)
            if "role" in given:
                _require_above(caller, changes.role)
            changed = await members.change_member(
                connection,
                organisation_id,
                user_id,
                role=given.get("role"),
                region=changes.region,
                moves="region" in given,
            )
            if changed.role != before.role:
                await audit.record_by(
                    connection, caller, "member.role_changed", user_id,
                    email=changed.email, was=before.role, role=changed.role,
                )  # fmt: skip
                await _withdraw_beyond(connection, caller, user_id, changed.role)
            if changed.region != before.region:
                await audit.record_by(
                    connection, caller, "member.moved", user_id, email=changed.email, region=changed.region
                )
        await access.announce(organisation_id, "keys")
        return Member.model_validate(changed)

    _add_removal(routes, access)


def _add_removal(routes: APIRouter, access: Access) -> None:
    async def may_remove(
        user_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("organisation", "read", there=True))],
    ) -> Caller:
        if caller.user_id != user_id:
            require_right(caller, "members", "delete")
        return caller

    guard = name_right(may_remove, "members", "delete")

    @routes.delete("/organisations/{organisation_id}/members/{user_id}", status_code=204)
    async def remove_member(
        organisation_id: uuid.UUID, user_id: uuid.UUID, caller: Annotated[Caller, Depends(guard)]
    ) -> None:
        """Takes a member out of the organisation; everybody may leave it. What they may see there ends within
        a second, live connections included, and their invitations are withdrawn."""
        async with access.database.scope(organisation_id) as connection:
            await organisations.lock_organisation(connection, organisation_id)
            leaves = caller.user_id == user_id
            if not leaves:
                _require_above(caller, (await members.get_member(connection, user_id)).role)
            gone = await members.remove_member(connection, organisation_id, user_id)
            action = "member.left" if leaves else "member.removed"
            await audit.record_by(connection, caller, action, user_id, email=gone.email, role=gone.role)
            await _withdraw_beyond(connection, caller, user_id, None)
        await access.announce(organisation_id, "keys")


def _add_invitations(routes: APIRouter, access: Access, mail: Mail, postage: Postage) -> None:
    @routes.post("/organisations/{organisation_id}/members", status_code=201)
    async def invite(
        organisation_id: uuid.UUID,
        wanted: InvitationWanted,
        caller: Annotated[Caller, Depends(access.may("invitations", "create", there=True))],
    ) -> Invitation:
        """Invites somebody by mail; they become a member when they accept, which they can while whoever
        invited them could still do so. Inviting again renews. At most 50 an hour go out."""
        email = _checked(wanted.email)
        inviter = _require_above(caller, wanted.role)
        async with access.database.scope(caller.sight) as connection:
            organisation = await organisations.lock_organisation(connection, organisation_id)
            if faults := region_faults(wanted.region, organisation.regions):
                raise Problem(422, "unknown_region", faults[0].detail, faults)
            if await members.is_member(connection, email):
                raise Problem(409, "member_already", f"{email} is a member already.")
            open_one = await invitations.find_invitation(connection, email=email)
            if open_one is not None:
                _require_above(caller, open_one.role)
            postage.take_invitation(organisation_id)
            made = await invitations.invite(
                connection,
                organisation_id,
                email,
                wanted.role,
                region=wanted.region,
                invited_by=inviter,
            )
            await audit.record_by(connection, caller, "invitation.sent", made.id, email=email, role=made.role)
        words = _INVITED.format(name=organisation.name, role=made.role, days=invitations.INVITATION_DAYS)
        try:
            await mail.send(email, f"Your invitation to {organisation.name}", words)
        except EngineUnavailable as error:
            postage.give_back_invitation(organisation_id)
            log.warning("mail.unsent", reason=str(error))
            raise mail_unsent(_STANDS.format(email=email)) from error
        return Invitation.model_validate(made)

    @routes.get("/organisations/{organisation_id}/invitations")
    async def list_invitations(
        organisation_id: uuid.UUID,  # noqa: ARG001 - the guard reads it
        caller: Annotated[Caller, Depends(access.may("invitations", "read", there=True))],
        limit: Limit = LIMIT_DEFAULT,
        cursor: str | None = None,
    ) -> Invitations:
        """The organisation's invitations that nobody has taken up, also those that have run out."""
        async with access.database.scope(caller.sight) as connection:
            return Invitations.model_validate(await invitations.list_invitations(connection, limit, cursor))

    @routes.delete("/organisations/{organisation_id}/invitations/{invitation_id}", status_code=204)
    async def withdraw_invitation(
        organisation_id: uuid.UUID,  # noqa: ARG001 - the guard reads it
        invitation_id: uuid.UUID,
        caller: Annotated[Caller, Depends(access.may("invitations", "delete", there=True))],
    ) -> None:
        """Withdraws an invitation."""
        async with access.database.scope(caller.sight) as connection:
            gone = await _withdraw(connection, caller, invitation_id)
            await audit.record_by(
                connection, caller, "invitation.withdrawn", invitation_id, email=gone.email, role=gone.role
            )


async def _withdraw(
    connection: Connection, caller: Caller, invitation_id: uuid.UUID
) -> invitations.Invitation:
    gone = await invitations.use_invitation(connection, invitation_id)
    _require_above(caller, gone.role)
    return gone


async def _withdraw_beyond(
    connection: Connection, caller: Caller, user_id: uuid.UUID, role: Role | None
) -> None:
    for gone in await invitations.withdraw_beyond(connection, user_id, role):
        await audit.record_by(
            connection, caller, "invitation.withdrawn", gone.id, email=gone.email, role=gone.role
        )


def _require_above(caller: Caller, role: Role) -> uuid.UUID:
    """Lets those people pass who may make somebody a `role`, change them or remove them; who it is.

    Raises:
        Problem: 403 `role_too_high`.
    """
    if caller.role is None or caller.user_id is None or not may_appoint(caller.role, role):
        raise Problem(
            403, "role_too_high", f"As {caller.role} you decide about lower roles only, not {role}."
        )
    return caller.user_id


def _checked(email: str) -> str:
    email = email.strip().lower()
    if faults := email_faults(email):
        raise Problem(422, "invalid", "The address is none.", faults)
    return email


_STANDS = "The invitation stands, but {email} does not know of it: invite them again in a moment."
_INVITED = """Hello,

you are invited to {name} on Kilowatch, as {role}.

Sign in with this address, or sign up with it, and accept the invitation. It is good for {days} days.

If you do not want to, there is nothing to do.
"""
