"""The end of an account: all that is its own goes with it, and nobody is left without an admin."""

import asyncio
import uuid

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import connect

from kilowatch.accounts.store import audit
from kilowatch.postgres.engine import Database
from kilowatch.postgres.schema import metadata
from tests.server.conftest import House
from tests.server.persons import (
    API,
    PASSWORD,
    Person,
    closing_code,
    found,
    invite,
    join,
    list_all,
    make_person,
)

pytestmark = pytest.mark.usefixtures("tokens")


async def rows_with(worker: Database, word: str) -> dict[str, int]:
    """How many rows of each table hold a word."""
    counts = {}
    async with worker.unscoped() as connection:
        for table in metadata.sorted_tables:
            held = await connection.execute(
                text(f"SELECT count(*) FROM {table.fullname} t WHERE t::text LIKE :word"),  # noqa: S608
                {"word": f"%{word}%"},
            )
            counts[table.name] = held.scalar_one()
    return {name: count for name, count in counts.items() if count}


@pytest.fixture
async def cleo(house: House, database: Database) -> Person:
    """Somebody with a password."""
    return await make_person(database, PASSWORD)


async def delete_me(http: httpx.AsyncClient, person: Person, password: str = PASSWORD) -> httpx.Response:
    return await http.request("DELETE", "/api/v1/me", json={"password": password}, headers=person.headers)


async def test_an_account_goes_with_all_that_is_its_own(
    house: House, http: httpx.AsyncClient, cleo: Person, ben: Person, worker_database: Database
) -> None:
    alone, shared = await found(http, cleo), await found(http, ben)
    for organisation in (str(cleo.home), alone["id"]):
        made = await http.post("/api/v1/devices", json={"id": "M1"}, headers=cleo.at(organisation))
        assert made.status_code == 201
        await http.post(
            "/api/v1/api-keys", json={"name": "K", "scopes": ["read"]}, headers=cleo.at(organisation)
        )
    await invite(http, cleo, str(cleo.home), ben.email, "viewer")
    sent = (await invite(http, ben, shared["id"], cleo.email, "operator")).json()["id"]
    await http.post(f"/api/v1/invitations/{sent}/accept", headers=cleo.headers)
    await invite(http, cleo, shared["id"], "x@example.org", "viewer")
    await invite(http, ben, str(ben.home), cleo.email, "viewer")
    wrong = await delete_me(http, cleo, "not the password")
    assert (wrong.status_code, (await http.get("/api/v1/me", headers=cleo.headers)).status_code) == (401, 200)

    url = f"ws://127.0.0.1:{house.port}/api/v1/live"
    async with connect(url, additional_headers=cleo.at(shared["id"])) as socket:
        await socket.send('{"type":"subscribe","topics":["*"]}')
        await socket.send('{"type":"ping"}')
        assert "pong" in str(await socket.recv())
        assert (await delete_me(http, cleo)).status_code == 204
        async with asyncio.timeout(5):
            assert await closing_code(socket) == 4401
    assert (await http.get("/api/v1/me", headers=cleo.headers)).status_code == 401
    assert await rows_with(worker_database, cleo.email) == {}
    assert await rows_with(worker_database, str(cleo.home)) == {}
    assert await rows_with(worker_database, alone["id"]) == {}
    # What others' audit logs tell names an id that is nobody's any more.
    assert set(await rows_with(worker_database, str(cleo.user_id))) == {"audit_log"}
    lines = await list_all(http, "/api/v1/audit-log", ben.at(shared["id"]))
    assert {line["action"] for line in lines} >= {"member.joined", "invitation.sent"}
    (gone,) = (line for line in lines if line["action"] == "member.left")
    assert (gone["subject"], gone["address"]) == (str(cleo.user_id), "127.0.0.1")
    async with worker_database.unscoped() as connection:
        (last,) = (await audit.list_audit_log(connection, 1, action="account.deleted")).items
    assert (last.subject, last.organisation_id, last.detail) == (str(cleo.user_id), None, {})
    left = await list_all(http, f"{API}/{shared['id']}/members", ben.headers)
    assert [one["email"] for one in left] == [ben.email]


async def test_nobody_leaves_others_without_an_admin(
    http: httpx.AsyncClient, cleo: Person, ben: Person, database: Database
) -> None:
    works = await found(http, cleo)
    await join(database, uuid.UUID(works["id"]), ben, "operator")
    refused = await delete_me(http, cleo)
    assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")
    assert works["slug"] in refused.json()["detail"]
    assert (await http.get("/api/v1/sites", headers=cleo.headers)).status_code == 200
    path = f"{API}/{works['id']}/members/{ben.user_id}"
    assert (await http.patch(path, json={"role": "admin"}, headers=cleo.headers)).status_code == 200
    assert (await delete_me(http, cleo)).status_code == 204
    assert (await http.get(f"{API}/{works['id']}", headers=ben.headers)).status_code == 200


async def test_of_two_admins_who_delete_their_accounts_at_once_one_stays(
    http: httpx.AsyncClient, cleo: Person, ada: Person, database: Database
) -> None:
    dora = await make_person(database, PASSWORD)
    works = await found(http, cleo)
    await join(database, uuid.UUID(works["id"]), dora, "admin")
    await join(database, uuid.UUID(works["id"]), ada, "viewer")
    answers = await asyncio.gather(delete_me(http, cleo), delete_me(http, dora))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
