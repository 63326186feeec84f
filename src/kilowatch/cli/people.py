"""`kw user`: people of the running instance, made, listed, appointed and shut out by whoever runs it."""

import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from kilowatch.accounts.password import hash_password, password_faults
from kilowatch.accounts.people import email_faults
from kilowatch.accounts.rights import Role
from kilowatch.accounts.store import audit, invitations, members, second_factors, users
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.cli.instance import Addresses
from kilowatch.cli.registry import ACTOR, announce, opened, organisation_of, run_with
from kilowatch.clock import SystemClock, rfc3339, to_datetime, to_us
from kilowatch.errors import Problem, StartRefused
from kilowatch.ids import name_faults, new_id
from kilowatch.postgres.engine import Connection, Database
from kilowatch.settings import Settings
from kilowatch.sites.store import create_organisation_with_home

PASSWORD_BYTES = 15


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who shall be made. password: None for one that is made up and told once; organisation, role: where they
    become a member beside their own home."""

    email: str
    name: str
    password: str | None = None
    organisation: str | None = None
    role: Role | None = None


def make_user(settings: Settings, wanted: Newcomer) -> dict[str, Any]:
    """Makes a user who can sign in at once; returns what to print.

    Raises:
        Problem: 409 if the address is taken, 422 with all that is wrong.
        StartRefused: if the organisation is missing.
    """
    password = wanted.password or secrets.token_urlsafe(PASSWORD_BYTES)
    email = wanted.email.strip().lower()
    faults = email_faults(email) + name_faults(wanted.name) + password_faults(password, email, wanted.name)
    if faults:
        raise Problem(422, "invalid", "The user cannot be made like this.", faults)

    async def make(addresses: Addresses) -> dict[str, Any]:
        user_id = new_id()
        async with opened(addresses.app_url) as database:
            place = (
                None if wanted.organisation is None else await organisation_of(database, wanted.organisation)
            )
            await _make(database, user_id, email, wanted.name, await hash_password(password))
            if place is not None:
                await _join(database, place, user_id, wanted.role or "viewer", email)
        if place is not None:
            await announce(addresses, place.id, "keys")
        return {
            "id": str(user_id),
            "email": email,
            "name": wanted.name,
            "password": None if wanted.password else password,
            "organisation": wanted.organisation,
            "role": None if place is None else wanted.role or "viewer",
        }

    return run_with(settings, make)


def list_users(settings: Settings, organisation: str | None, region: str | None) -> list[dict[str, Any]]:
    """Everybody with each of their organisations, or those of one organisation or region."""

    async def find(addresses: Addresses) -> list[dict[str, Any]]:
        async with opened(addresses.worker_url) as database, database.unscoped() as connection:
            found = await users.list_users(connection, organisation, region)
        return [
            {
                "id": str(one.id),
                "email": one.email,
                "name": one.name,
                "organisation": one.organisation,
                "role": one.role,
                "region": one.region,
                "verified": one.verified_at is not None,
                "disabled": one.disabled_at is not None,
                "created_at": rfc3339(to_us(one.created_at)),
            }
            for one in found
        ]

    return run_with(settings, find)


def appoint(settings: Settings, email: str, organisation: str, role: Role) -> dict[str, Any]:
    """Gives somebody a role in an organisation; who is no member becomes one.

    Raises:
        StartRefused: if user or organisation are missing.
        Problem: 409 if the organisation would be left without an admin.
    """

    async def change(addresses: Addresses) -> dict[str, Any]:
        async with opened(addresses.app_url) as database:
            user = await _user_of(database, email)
            place = await organisation_of(database, organisation)
            async with database.scope(place.id) as connection:
                known = await members.is_member(connection, user.email)
                if known:
                    await members.change_member(connection, place.id, user.id, role=role)
                    told = {"email": user.email, "role": role}
                    await audit.record(
                        connection, "member.role_changed", actor=ACTOR, organisation_id=place.id,
                        subject=user.id, detail=told,
                    )  # fmt: skip
                    await _withdraw_beyond(connection, place.id, user.id, role)
            if not known:
                await _join(database, place, user.id, role, user.email)
        await announce(addresses, place.id, "keys")
        return {"id": str(user.id), "email": user.email, "organisation": place.slug, "role": role}

    return run_with(settings, change)


def shut_out(settings: Settings, email: str, *, enable: bool) -> dict[str, Any]:
    """Ends somebody's sessions and lets them in no more, or again with `enable`.

    Raises:
        StartRefused: if there is no such user.
    """

    async def change(addresses: Addresses) -> dict[str, Any]:
        async with opened(addresses.app_url) as database:
            user = await _user_of(database, email)
            async with database.person(user.id) as connection:
                await users.disable(connection, user.id, disabled=not enable)
                action = "user.enabled" if enable else "user.disabled"
                await audit.record(connection, action, actor=ACTOR, user_id=user.id, subject=user.id)
                places = await members.list_memberships(connection)
        for place in places[:1]:  # any word of changed keys makes every process look at all of them
            await announce(addresses, place.id, "keys")
        return {"id": str(user.id), "email": user.email, "disabled": not enable}

    return run_with(settings, change)


def second_factor_of(settings: Settings, email: str, *, off: bool) -> dict[str, Any]:
    """Whether somebody is asked for a second factor; with `off` never again for the one they have. Whoever
    runs the instance has made sure that it is them who ask.

    Raises:
        StartRefused: if there is no such user.
    """

    async def change(addresses: Addresses) -> dict[str, Any]:
        async with opened(addresses.app_url) as database:
            user = await _user_of(database, email)
            async with database.person(user.id) as connection:
                on = await second_factors.has_second_factor(connection, user.id)
                if on and off:
                    await second_factors.remove_second_factor(connection, user.id)
                    await audit.record(
                        connection, "second_factor.switched_off", actor=ACTOR, user_id=user.id,
                        subject=user.id,
                    )  # fmt: skip
        return {"id": str(user.id), "email": user.email, "second_factor": on and not off}

    return run_with(settings, change)


async def _make(database: Database, user_id: uuid.UUID, email: str, name: str, password_hash: str) -> None:
    home = new_id()
    async with database.person(user_id, home) as connection:
        if not await users.create_user(connection, user_id, email, name, password_hash):
            raise Problem(409, "email_taken", f"There is a user {email} already.")
        await users.change_user(connection, user_id, verified_at=to_datetime(SystemClock().now_us()))
        await create_organisation_with_home(connection, home, f"home-{home.hex[:12]}", name)
        await members.add_member(connection, home, user_id, "admin", is_personal=True)
        await audit.record(connection, "user.created", actor=ACTOR, user_id=user_id, subject=user_id)


async def _join(database: Database, place: Organisation, user_id: uuid.UUID, role: Role, email: str) -> None:
    async with database.scope(place.id) as connection:
        await members.add_member(connection, place.id, user_id, role)
        await audit.record(
            connection, "member.joined", actor=ACTOR, organisation_id=place.id, subject=user_id,
            detail={"email": email, "role": role},
        )  # fmt: skip


async def _withdraw_beyond(
    connection: Connection, organisation_id: uuid.UUID, user_id: uuid.UUID, role: Role
) -> None:
    for gone in await invitations.withdraw_beyond(connection, user_id, role):
        await audit.record(
            connection, "invitation.withdrawn", actor=ACTOR, organisation_id=organisation_id,
            subject=gone.id, detail={"email": gone.email, "role": gone.role},
        )  # fmt: skip


async def _user_of(database: Database, email: str) -> users.User:
    async with database.unscoped() as connection:
        found = await users.find_user(connection, email.strip())
    if found is None:
        raise StartRefused(f"There is no user {email!r}; `kw user list` shows them.")
    return found
