"""HTTP for people and their accounts."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kilowatch.accounts.access import Access
from kilowatch.accounts.identity import Caller
from kilowatch.accounts.people import People, Tokens
from kilowatch.accounts.routes.browser import forget_session, hand_over, is_own_page, shown_refresh_token
from kilowatch.accounts.store import invitations, members, second_factors, users
from kilowatch.errors import Problem
from kilowatch.ids import NAME_MAX, name_faults
from kilowatch.wire.address import API

Counting = Callable[[Request], Awaitable[None]]
"""Counts a request before it is answered; raises 429 where there are too many."""


class Strict(BaseModel):
    """A body with these members and no others."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


Email = Annotated[str, Field(max_length=254)]
Secret = Annotated[str, Field(max_length=NAME_MAX * 4)]


class SignUp(Strict):
    """Who wants an account."""

    email: Email
    password: Secret
    name: str = Field(max_length=NAME_MAX)


class CodeShown(Strict):
    """The code from the mail."""

    email: Email
    code: str = Field(max_length=20)


class LogIn(Strict):
    """Address and password, and a code where a second factor is on."""

    email: Email
    password: Secret
    code: str | None = Field(None, max_length=40, description="Of the app, or a recovery code.")


class Refresh(Strict):
    """The refresh token of a session; a browser leaves it out and sends its cookie."""

    refresh_token: Secret | None = None


class Forgotten(Strict):
    """Whose password is forgotten."""

    email: Email


class PasswordReset(CodeShown):
    """The code from the mail, and the new password."""

    password: Secret


class PasswordChange(Strict):
    """The password and the next one."""

    old_password: Secret
    password: Secret


class MeWanted(Strict):
    """What of a profile can be changed."""

    name: str = Field(max_length=NAME_MAX)


class TokenPair(BaseModel):
    """Credentials of somebody who has signed in."""

    model_config = ConfigDict(from_attributes=True)

    access_token: str = Field(description="Goes into `Authorization: Bearer`, for a quarter of an hour.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - no secret
    expires_in: int = Field(description="Seconds until the access token is over.")
    refresh_token: str | None = Field(
        description="Gets the next pair, once. Null for a page of this instance, which gets it as a cookie."
    )


class Belonging(BaseModel):
    """An organisation and what the user is in it."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    slug: str
    name: str
    role: Literal["admin", "operator", "viewer", "customer"]
    is_personal: bool


class Me(BaseModel):
    """The user's own profile."""

    id: uuid.UUID
    email: str
    name: str
    created_at: datetime
    second_factor: bool = Field(description="Whether signing in asks for a code.")
    organisations: list[Belonging]
    invitations: int = Field(description="How many wait for an answer; see `/invitations`.")


class Sent(BaseModel):
    """Says that a mail is on its way, if there is anybody to get it."""

    status: Literal["sent"] = "sent"


@dataclass(frozen=True, slots=True)
class Person:
    """A user in one of their sessions."""

    user_id: uuid.UUID
    session_id: uuid.UUID


def person_of(access: Access) -> Callable[..., Awaitable[Person]]:
    """A dependency that lets people pass, and no keys."""

    async def require_person(caller: Annotated[Caller, Depends(access.anybody)]) -> Person:
        if caller.user_id is None or caller.session_id is None:
            raise Problem(403, "people_only", "An API key has no account; sign in.")
        return Person(caller.user_id, caller.session_id)

    return require_person


def make_people_routes(access: Access, people: People, count: Counting) -> APIRouter:
    """The routes of people; each request is counted first."""
    routes = APIRouter(prefix=API, tags=["accounts"], dependencies=[Depends(count)])
    _add_ways_in(routes, people)
    _add_passwords(routes, access, people)
    _add_profile(routes, access)
    return routes


def _add_ways_in(routes: APIRouter, people: People) -> None:

    @routes.post("/auth/signup", status_code=202)
    async def sign_up(wanted: SignUp) -> Sent:
        """Makes an account and sends a code to its address. The answer is the same for a known address."""
        await people.sign_up(wanted.email, wanted.password, wanted.name)
        return Sent()

    def answer(request: Request, response: Response, tokens: Tokens) -> TokenPair:
        pair = TokenPair.model_validate(tokens)
        if hand_over(request, response, tokens, people.session_days):
            pair.refresh_token = None
        return pair

    @routes.post("/auth/verify")
    async def verify(shown: CodeShown, request: Request, response: Response) -> TokenPair:
        """Shows the code, which proves the address, and signs in."""
        return answer(request, response, await people.verify(shown.email, shown.code))

    @routes.post("/auth/login")
    async def log_in(shown: LogIn, request: Request, response: Response) -> TokenPair:
        """Signs in."""
        return answer(request, response, await people.log_in(shown.email, shown.password, shown.code))

    @routes.post("/auth/refresh")
    async def refresh(
        request: Request, response: Response, shown: Annotated[Refresh | None, Body()] = None
    ) -> TokenPair:
        """The next pair of tokens. A refresh token that comes a second time ends its session."""
        token = shown_refresh_token(request, None if shown is None else shown.refresh_token)
        return answer(request, response, await people.refresh(token))

    @routes.post("/auth/logout", status_code=204)
    async def log_out(
        request: Request, response: Response, shown: Annotated[Refresh | None, Body()] = None
    ) -> None:
        """Ends the session; its access token ends within a second."""
        await people.log_out(shown_refresh_token(request, None if shown is None else shown.refresh_token))
        if is_own_page(request):
            forget_session(request, response)


def _add_passwords(routes: APIRouter, access: Access, people: People) -> None:
    @routes.post("/auth/forgot-password", status_code=202)
    async def forget_password(shown: Forgotten) -> Sent:
        """Sends a code to set a new password with. The answer is the same for an unknown address."""
        await people.forget_password(shown.email)
        return Sent()

    @routes.post("/auth/reset-password", status_code=204)
    async def reset_password(shown: PasswordReset) -> None:
        """Sets a new password by the code, and ends all sessions."""
        await people.reset_password(shown.email, shown.code, shown.password)

    @routes.post("/auth/change-password", status_code=204)
    async def change_password(
        wanted: PasswordChange, person: Annotated[Person, Depends(person_of(access))]
    ) -> None:
        """Sets a new password, and ends all other sessions."""
        await people.change_password(person.user_id, person.session_id, wanted.old_password, wanted.password)


def _add_profile(routes: APIRouter, access: Access) -> None:
    @routes.get("/me")
    async def get_me(person: Annotated[Person, Depends(person_of(access))]) -> Me:
        """The user who is signed in."""
        return await _profile(access, person.user_id)

    @routes.patch("/me")
    async def change_me(wanted: MeWanted, person: Annotated[Person, Depends(person_of(access))]) -> Me:
        """Changes the profile."""
        if faults := name_faults(wanted.name):
            raise Problem(422, "invalid", faults[0].detail, faults)
        async with access.database.person(person.user_id) as connection:
            await users.change_user(connection, person.user_id, name=wanted.name)
        return await _profile(access, person.user_id)


async def _profile(access: Access, user_id: uuid.UUID) -> Me:
    async with access.database.person(user_id) as connection:
        user = await users.get_user(connection, user_id)
        memberships = await members.list_memberships(connection)
        guarded = await second_factors.has_second_factor(connection, user_id)
        invited = await invitations.list_own_invitations(connection)
    if user is None:
        raise Problem(401, "bad_credentials", "This account is no more.")
    shown = [Belonging.model_validate(one) for one in memberships]
    return Me(
        id=user.id,
        email=user.email,
        name=user.name,
        created_at=user.created_at,
        second_factor=guarded,
        organisations=shown,
        invitations=len(invited),
    )
