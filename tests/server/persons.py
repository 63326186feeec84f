"""People for tests: users with a session, made without mail and, unless asked for, without a password."""

import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from kilowatch.accounts.access_token import AccessTokens
from kilowatch.accounts.password import hash_password
from kilowatch.accounts.rights import Role
from kilowatch.accounts.store import members, sessions, users
from kilowatch.clock import SystemClock, to_datetime
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import create_organisation_with_home

API = "/api/v1/organisations"
PASSWORD = "correct horse battery"
TOKENS = AccessTokens(b"k" * 32, SystemClock())
"""Give it to `Parts.tokens` before the house opens."""


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in; `home` is their own organisation."""

    user_id: uuid.UUID
    email: str
    home: uuid.UUID
    headers: dict[str, str]

    def at(self, organisation_id: uuid.UUID | str) -> dict[str, str]:
        """The headers of their requests in an organisation."""
        return self.headers | {"X-Organisation": str(organisation_id)}


async def make_person(database: Database, password: str | None = None) -> Person:
    """A verified user with a home of their own and a session."""
    user_id, home, session_id = new_id(), new_id(), new_id()
    email = f"{user_id.hex[:16]}@example.org"
    hashed = "!" if password is None else await hash_password(password)
    async with database.person(user_id, home) as connection:
        assert await users.create_user(connection, user_id, email, "Ada", hashed)
        await users.change_user(connection, user_id, verified_at=to_datetime(SystemClock().now_us()))
        await create_organisation_with_home(connection, home, f"home-{home.hex[:12]}", "Ada")
        await members.add_member(connection, home, user_id, "admin", is_personal=True)
        await sessions.start_session(connection, user_id, session_id, 1, f"kwr_{session_id.hex}")
    token = TOKENS.make(user_id, session_id)
    return Person(user_id, email, home, {"Authorization": f"Bearer {token}"})


async def join(database: Database, organisation_id: uuid.UUID, person: Person, role: Role) -> Person:
    """Makes somebody a member."""
    async with database.scope(organisation_id) as connection:
        await members.add_member(connection, organisation_id, person.user_id, role)
    return person


async def make_staff(database: Database, organisation_id: uuid.UUID) -> dict[Role, Person]:
    """A member of each role."""
    roles: tuple[Role, ...] = ("admin", "operator", "viewer", "customer")
    return {role: await join(database, organisation_id, await make_person(database), role) for role in roles}


async def list_all(http: httpx.AsyncClient, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = {"limit": "2"} | ({} if cursor is None else {"cursor": cursor})
        answer = await http.get(path, params=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return items


async def found(http: httpx.AsyncClient, person: Person, **wanted: str) -> dict[str, Any]:
    """A further organisation of a person."""
    made = await http.post(API, json={"name": "Works", **wanted}, headers=person.headers)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def invite(
    http: httpx.AsyncClient, by: Person, organisation: str, email: str, role: str, **more: str
) -> httpx.Response:
    wanted = {"email": email, "role": role, **more}
    return await http.post(f"{API}/{organisation}/members", json=wanted, headers=by.headers)


async def closing_code(socket: ClientConnection) -> int:
    """Reads until the server closes; its code."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return 0 if closed.rcvd is None else closed.rcvd.code
