"""The table of rights, cell by cell over HTTP: every operation that names a right, asked by every role and by
keys of every scope, and the live channels and exports with them."""

import uuid
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kilowatch.accounts.rights import RIGHTS, ROLES, Role, Scope, may_appoint, may_do
from kilowatch.accounts.store.api_keys import create_api_key
from tests.server.conftest import House, Member
from tests.server.persons import Person, make_staff

WITHOUT_OPERATIONS: set[str] = {
    *("device_state:change", "device_tokens:create", "device_tokens:delete"),
    "organisation_channels:change",  # asked for where a channel is the organisation's
}
"""Rights that may have no operation; any other is asked for by one at least."""
EXPORTS = ("text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet")
ANSWERS_ALIKE = (401, 403)


pytestmark = pytest.mark.usefixtures("tokens")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Method, path and right of every operation that names one."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "x-right" in operation:
                yield method.upper(), path, operation["x-right"]


def request_of(method: str, path: str, organisation: uuid.UUID) -> dict[str, Any]:
    """A request that changes nothing: it names what is not there, or says nothing in its body."""
    for name, value in (
        ("organisation_id", str(organisation)),
        ("device_id", "never-was"),
        ("name", "energy_wh"),  # which nobody can define
        ("kind", "no-detector"),
    ):
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        path = path[: path.index("{")] + str(uuid.uuid4()) + path[path.index("}") + 1 :]
    asked: dict[str, Any] = {"method": method, "url": path, "params": {"topics": "*"}}
    return asked | ({"json": {}} if method in ("POST", "PUT", "PATCH") else {})


async def status_of(http: httpx.AsyncClient, asked: dict[str, Any], headers: dict[str, str]) -> int:
    """The status alone, since streams do not end."""
    async with http.stream(**asked, headers=headers) as answer:
        return answer.status_code


async def keys_of(house: House, member: Member) -> dict[Scope, dict[str, str]]:
    made: dict[Scope, dict[str, str]] = {}
    async with house.database.scope(member.organisation.id) as connection:
        for scope in get_args(Scope):
            _, secret = await create_api_key(connection, member.organisation.id, scope, [scope])
            made[scope] = {"Authorization": f"Bearer {secret}"}
    return made


@pytest.mark.usefixtures("tokens", "worlds")
async def test_every_operation_is_refused_exactly_where_the_table_says_so(
    house: House, member: Member
) -> None:
    organisation = member.organisation.id
    staff, keys = await make_staff(house.database, organisation), await keys_of(house, member)
    asked_for: set[str] = set()
    wrong: list[str] = []
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as http:
        for method, path, name in operations(house.application.app.openapi()):
            right = RIGHTS[tuple(name.split(":"))]  # type: ignore[index]
            asked_for.add(name)
            callers: list[tuple[str, dict[str, str], bool]] = [
                *((role, staff[role].at(organisation), role in right.roles) for role in ROLES),
                *((f"key {scope}", headers, right.scope == scope) for scope, headers in keys.items()),
            ]
            for who, headers, allowed in callers:
                status = await status_of(http, request_of(method, path, organisation), headers)
                if status >= 500 or (status in ANSWERS_ALIKE) == allowed or (not allowed and status != 403):
                    wrong.append(f"{method} {path} ({name}) as {who}: {status}")
    assert not wrong, "\n".join(wrong)
    assert {f"{resource}:{verb}" for resource, verb in RIGHTS} - asked_for <= WITHOUT_OPERATIONS


async def test_every_operation_names_a_right_or_is_for_everybody(house: House) -> None:
    """A new route without a guard does not go unseen."""
    # A person's own things, and what is for the simulator alone (tests/server/test_simulation.py).
    own = ("/auth/", "/me", "/session", "/invitations", "/simulation/homes")
    unnamed = {
        f"{method} {path}"
        for path, methods in house.application.app.openapi()["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/v1/") and "x-right" not in operation
    }
    elsewhere = {one for one in unnamed if not one.partition("/api/v1")[2].startswith(own)}
    free = {"get /api/v1/whoami", "get /api/v1/organisations", "post /api/v1/organisations"}
    assert elsewhere == free


async def first_word(socket: ClientConnection) -> str | int:
    """What the server says to a ping, or with which code it closes."""
    try:
        await socket.send('{"type":"ping"}')
        return str(await socket.recv())
    except ConnectionClosed as closed:
        return 0 if closed.rcvd is None else closed.rcvd.code


async def test_live_and_exports_follow_the_table(house: House, member: Member) -> None:
    organisation = member.organisation.id
    staff, keys = await make_staff(house.database, organisation), await keys_of(house, member)
    callers = [
        *((staff[role].at(organisation), role in RIGHTS["live", "read"].roles) for role in ROLES),
        *((headers, scope == RIGHTS["live", "read"].scope) for scope, headers in keys.items()),
    ]
    url = f"ws://127.0.0.1:{house.port}/api/v1/live"
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as http:
        for headers, allowed in callers:
            async with connect(url, additional_headers=headers) as socket:
                assert await first_word(socket) == ('{"type":"pong"}' if allowed else 4403)
            for form in EXPORTS:
                answer = await http.get("/api/v1/devices/D1/readings", headers=headers | {"Accept": form})
                # What is not assigned to a customer is not there for them.
                absent = headers == staff["customer"].at(organisation)
                assert answer.status_code == (404 if absent else 200 if allowed else 403)


async def test_nobody_is_let_in_elsewhere_by_their_role_here(
    house: House, member: Member, stranger: Member
) -> None:
    admin: Person = (await make_staff(house.database, member.organisation.id))["admin"]
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as http:
        for method, path, name in operations(house.application.app.openapi()):
            there = "{organisation_id}" in path
            asked = request_of(method, path, stranger.organisation.id)
            headers = admin.headers if there else admin.at(stranger.organisation.id)
            status = await status_of(http, asked, headers)
            assert status == (404 if there else 403), f"{method} {path} ({name}): {status}"


@pytest.mark.parametrize("own", ROLES)
@pytest.mark.parametrize("role", ROLES)
def test_an_operator_appoints_below_and_an_admin_anybody(own: Role, role: Role) -> None:
    below = {"operator": ("viewer", "customer"), "admin": ROLES}
    assert may_appoint(own, role) == (role in below.get(own, ()))


def test_who_may_change_may_also_read() -> None:
    for resource, verb in RIGHTS:
        if verb != "read" and (resource, "read") in RIGHTS:
            for role in ROLES:
                assert not may_do(role, resource, verb) or may_do(role, resource, "read"), (role, resource)
