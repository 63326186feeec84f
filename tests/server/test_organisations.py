"""Organisations and their members over HTTP: making, appointing, leaving, deleting, and what is on record."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from kilowatch.accounts.routes.organisations import ORGANISATIONS_MOST
from kilowatch.postgres.engine import Database
from tests.server.conftest import House, Member
from tests.server.persons import (
    API,
    Person,
    closing_code,
    found,
    invite,
    join,
    list_all,
    make_person,
    make_staff,
)

pytestmark = pytest.mark.usefixtures("tokens")


async def test_a_person_founds_changes_and_deletes_an_organisation(
    http: httpx.AsyncClient, ada: Person, ben: Person
) -> None:
    slug = f"works-{uuid.uuid4().hex[:8]}"
    made = await found(http, ada, slug=slug)
    path = f"{API}/{made['id']}"
    assert (made["slug"], made["name"], made["regions"]) == (slug, "Works", [])
    sites = await http.get("/api/v1/sites", headers=ada.at(slug))
    assert [site["name"] for site in sites.json()["items"]] == ["Home"]
    mine = (await http.get(API, headers=ada.headers)).json()["items"]
    assert [(one["slug"], one["role"], one["is_personal"]) for one in mine[1:]] == [(slug, "admin", False)]
    taken = await http.post(API, json={"name": "Mine", "slug": slug}, headers=ben.headers)
    assert (taken.status_code, taken.json()["code"]) == (409, "slug_taken")

    wanted = {"name": "Mill", "regions": ["North", "South"], "retention_raw_days": 30}
    changed = await http.patch(path, json=wanted, headers=ada.headers)
    assert (changed.status_code, wanted.items() <= changed.json().items()) == (200, True)
    assert (await http.get(path, headers=ada.headers)).json() == changed.json()
    for wrong in (
        {"regions": ["North", "North"]},
        {"regions": [""]},
        {"retention_raw_days": 0},
        {"retention_raw_days": 400},
        {"retention_daily_days": 10**9},
        {"name": "\x00"},
        {"slug": "other"},
    ):
        refused = await http.patch(path, json=wrong, headers=ada.headers)
        assert refused.status_code == 422, wrong
    for method in ("GET", "PATCH", "DELETE"):
        body: dict[str, Any] = {"json": {"name": "Taken"}} if method == "PATCH" else {}
        stranger = await http.request(method, path, params={"name": slug}, headers=ben.headers, **body)
        assert stranger.status_code == 404

    unmeant = await http.delete(path, params={"name": "other"}, headers=ada.headers)
    assert (unmeant.status_code, unmeant.json()["code"]) == (422, "not_confirmed")
    assert (await http.delete(path, headers=ada.headers)).status_code == 422
    assert (await http.delete(path, params={"name": slug}, headers=ada.headers)).status_code == 204
    assert (await http.get(path, headers=ada.headers)).status_code == 404
    assert len((await http.get(API, headers=ada.headers)).json()["items"]) == 1


async def test_ones_own_home_goes_with_the_account_only(http: httpx.AsyncClient, ada: Person) -> None:
    refused = await http.delete(
        f"{API}/{ada.home}", params={"name": f"home-{ada.home.hex[:12]}"}, headers=ada.headers
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "personal_organisation")
    for method, body in (("DELETE", None), ("PATCH", {"role": "viewer"})):
        answer = await http.request(
            method, f"{API}/{ada.home}/members/{ada.user_id}", json=body, headers=ada.headers
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "personal_organisation")


async def test_another_admin_does_not_delete_ones_own_home(
    house: House, http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    await join(database, ada.home, ben, "admin")
    path, slug = f"{API}/{ada.home}", f"home-{ada.home.hex[:12]}"
    refused = await http.delete(path, params={"name": slug}, headers=ben.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "personal_organisation")
    assert (await http.get("/api/v1/me", headers=ada.headers)).status_code == 200


async def test_nobody_founds_without_end(http: httpx.AsyncClient, ada: Person) -> None:
    """Also not with many requests at once."""
    answers = await asyncio.gather(
        *(http.post(API, json={"name": "Works"}, headers=ada.headers) for _ in range(ORGANISATIONS_MOST + 4))
    )
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * (ORGANISATIONS_MOST - 1) + [409] * 5
    reserved = await http.post(API, json={"name": "Demo", "slug": "demo"}, headers=ada.headers)
    assert reserved.status_code == 409


async def test_a_key_sees_its_organisation_and_founds_none(http: httpx.AsyncClient, member: Member) -> None:
    shown = (await http.get(API, headers=member.bearer())).json()["items"]
    assert [(one["id"], one["role"]) for one in shown] == [(str(member.organisation.id), None)]
    refused = await http.post(API, json={"name": "Mine"}, headers=member.bearer("admin"))
    assert (refused.status_code, refused.json()["code"]) == (403, "people_only")
    path = f"{API}/{member.organisation.id}"
    assert (await http.get(path, headers=member.bearer())).status_code == 200
    deleted = await http.delete(
        path, params={"name": member.organisation.slug}, headers=member.bearer("admin")
    )
    assert (deleted.status_code, deleted.json()["code"]) == (403, "people_only")


async def test_an_operator_decides_about_those_below(house: House, member: Member) -> None:
    organisation = member.organisation.id
    staff = await make_staff(house.database, organisation)
    other = await join(house.database, organisation, await make_person(house.database), "operator")
    operator = staff["operator"]
    path = f"{API}/{organisation}"
    async with httpx.AsyncClient(base_url=house.url) as http:

        async def change(who: Person, **wanted: str | None) -> int:
            answer = await http.patch(f"{path}/members/{who.user_id}", json=wanted, headers=operator.headers)
            return answer.status_code

        for role in ("admin", "operator"):
            refused = await invite(http, operator, str(organisation), "x@example.org", role)
            assert (refused.status_code, refused.json()["code"]) == (403, "role_too_high")
        for high in (staff["admin"], other, operator):
            assert await change(high, role="viewer") == 403
            assert await change(high, region="North") == 403
        assert await change(staff["viewer"], role="operator") == 403
        assert await change(staff["viewer"], role="customer") == 200
        assert await change(staff["customer"], role="viewer", region="North") == 200
        listed = await list_all(http, f"{path}/members", operator.headers)
        assert {one["email"]: one["role"] for one in listed} == {
            staff["admin"].email: "admin",
            operator.email: "operator",
            other.email: "operator",
            staff["viewer"].email: "customer",
            staff["customer"].email: "viewer",
        }
        for query, emails in (
            ({"region": "North"}, [staff["customer"].email]),
            ({"role": "admin"}, [staff["admin"].email]),
            ({"region": "South"}, []),
        ):
            page = await http.get(f"{path}/members", params=query, headers=operator.headers)
            assert [one["email"] for one in page.json()["items"]] == emails
        # An admin's invitation is not the operator's to change or withdraw.
        sent = await invite(http, staff["admin"], str(organisation), "boss@example.org", "admin")
        assert (
            await invite(http, operator, str(organisation), "boss@example.org", "viewer")
        ).status_code == 403
        withdrawn = await http.delete(f"{path}/invitations/{sent.json()['id']}", headers=operator.headers)
        assert withdrawn.status_code == 403
        open_ones = await list_all(http, f"{path}/invitations", operator.headers)
        assert [(one["email"], one["role"]) for one in open_ones] == [("boss@example.org", "admin")]
        for gone, status in ((staff["admin"], 403), (other, 403), (staff["viewer"], 204), (operator, 204)):
            answer = await http.delete(f"{path}/members/{gone.user_id}", headers=operator.headers)
            assert answer.status_code == status


async def test_a_region_is_one_of_the_organisations_own(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    works = await found(http, ada)
    await http.patch(f"{API}/{works['id']}", json={"regions": ["North"]}, headers=ada.headers)
    refused = await invite(http, ada, works["id"], "x@example.org", "viewer", region="South")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/region")
    assert (
        await invite(http, ada, works["id"], "x@example.org", "viewer", region="North")
    ).status_code == 201
    await join(database, uuid.UUID(works["id"]), ben, "viewer")
    path = f"{API}/{works['id']}/members/{ben.user_id}"
    assert (await http.patch(path, json={"region": "South"}, headers=ada.headers)).status_code == 422
    moved = await http.patch(path, json={"region": "North"}, headers=ada.headers)
    assert moved.json()["region"] == "North"
    stays = await http.patch(path, json={"role": "operator"}, headers=ada.headers)
    assert (stays.json()["region"], stays.json()["role"]) == ("North", "operator")


async def test_of_two_admins_who_leave_at_once_one_stays(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    works = await found(http, ada)
    await join(database, uuid.UUID(works["id"]), ben, "admin")
    for ways in ("leave", "demote", "each other"):
        asked: list[tuple[str, Person, Person, dict[str, str] | None]]
        if ways == "leave":
            asked = [("DELETE", one, one, None) for one in (ada, ben)]
        elif ways == "demote":
            asked = [("PATCH", one, one, {"role": "viewer"}) for one in (ada, ben)]
        else:
            asked = [("DELETE", ada, ben, None), ("DELETE", ben, ada, None)]
        answers = await asyncio.gather(
            *(
                http.request(
                    method, f"{API}/{works['id']}/members/{whom.user_id}", json=body, headers=by.headers
                )
                for method, by, whom, body in asked
            )
        )
        codes = [answer.status_code for answer in answers]
        assert sum(code < 300 for code in codes) == 1, (ways, codes)
        async with database.scope(uuid.UUID(works["id"])) as connection:
            admins = await connection.execute(
                text("SELECT user_id FROM kilowatch.memberships WHERE role = 'admin'")
            )
            assert len(admins.all()) == 1
            await connection.execute(text("DELETE FROM kilowatch.memberships"))
        for one in (ada, ben):
            await join(database, uuid.UUID(works["id"]), one, "admin")


@pytest.mark.parametrize("change", ["removed", "left", "customer", "organisation"])
async def test_a_lost_right_ends_live_connections(
    house: House, http: httpx.AsyncClient, member: Member, change: str
) -> None:
    organisation = member.organisation.id
    staff = await make_staff(house.database, organisation)
    viewer, admin = staff["viewer"], staff["admin"]
    url = f"ws://127.0.0.1:{house.port}/api/v1/live"
    async with (
        connect(url, additional_headers=viewer.at(organisation)) as socket,
        http.stream("GET", "/api/v1/stream?topics=*", headers=viewer.at(organisation)) as stream,
    ):
        assert stream.status_code == 200
        await socket.send('{"type":"subscribe","topics":["*"]}')
        await socket.send('{"type":"ping"}')
        assert "pong" in str(await socket.recv())
        path = f"{API}/{organisation}/members/{viewer.user_id}"
        if change == "customer":
            answer = await http.patch(path, json={"role": "customer"}, headers=admin.headers)
        elif change == "organisation":
            answer = await http.delete(
                f"{API}/{organisation}", params={"name": member.organisation.slug}, headers=admin.headers
            )
        else:
            answer = await http.delete(path, headers=(viewer if change == "left" else admin).headers)
        assert answer.is_success, answer.text
        async with asyncio.timeout(5):
            assert await closing_code(socket) == 4401
            async for _ in stream.aiter_bytes():
                continue
    again = await http.get("/api/v1/devices", headers=viewer.at(organisation))
    if change == "customer":
        assert again.json()["items"] == []
    else:
        assert (again.status_code, again.json()["code"]) == (403, "no_member")


async def test_a_deleted_organisation_takes_its_keys_along(
    house: House, http: httpx.AsyncClient, member: Member
) -> None:
    staff = await make_staff(house.database, member.organisation.id)
    async with house.listen(member) as listener:
        await listener.subscribe("*")
        await listener.say(type="ping")
        await listener.hear_until("pong")
        answer = await http.delete(
            f"{API}/{member.organisation.id}",
            params={"name": member.organisation.slug},
            headers=staff["admin"].headers,
        )
        assert answer.status_code == 204
        with pytest.raises(ConnectionClosed):
            await listener.hear_until("never")
    assert (await http.get("/api/v1/whoami", headers=member.bearer())).status_code == 401


async def test_what_happens_stands_in_the_audit_log(
    http: httpx.AsyncClient, ada: Person, ben: Person
) -> None:
    works = await found(http, ada)
    path, at = f"{API}/{works['id']}", ada.at(works["id"])
    sent = (await invite(http, ada, works["id"], ben.email, "viewer")).json()["id"]
    await http.post(f"/api/v1/invitations/{sent}/accept", headers=ben.headers)
    member = f"{path}/members/{ben.user_id}"
    await http.patch(
        member, json={"role": "customer", "region": "North"}, headers=ada.headers | {"X-Request-Id": "here"}
    )
    await http.post("/api/v1/devices", json={"id": "M1"}, headers=at)
    site = (await http.get("/api/v1/sites", headers=at)).json()["items"][0]["id"]
    for kind, name in (("meters", "M1"), ("sites", site)):
        thing = f"/api/v1/{kind}/{name}/assign"
        made = await http.post(thing, json={"user_id": str(ben.user_id)}, headers=at)
        assert made.status_code == 200, made.text
        assert (await http.delete(f"{thing}/{ben.user_id}", headers=at)).status_code == 204
    await http.patch(path, json={"name": "Mill"}, headers=ada.headers)
    await http.delete(member, headers=ben.headers)
    sent = (await invite(http, ada, works["id"], ben.email, "viewer")).json()["id"]
    await http.delete(f"/api/v1/invitations/{sent}", headers=ben.headers)
    sent = (await invite(http, ada, works["id"], ben.email, "viewer")).json()["id"]
    await http.delete(f"{path}/invitations/{sent}", headers=ada.headers)
    lines = (await list_all(http, "/api/v1/audit-log", at))[::-1]
    told = [(line["action"], line["user_id"]) for line in lines]
    by_ada, by_ben = str(ada.user_id), str(ben.user_id)
    assert told == [
        ("organisation.created", by_ada),
        ("invitation.sent", by_ada),
        ("member.joined", by_ben),
        ("member.role_changed", by_ada),
        ("member.moved", by_ada),
        ("assignment.made", by_ada),
        ("assignment.withdrawn", by_ada),
        ("assignment.made", by_ada),
        ("assignment.withdrawn", by_ada),
        ("organisation.changed", by_ada),
        ("member.left", by_ben),
        ("invitation.sent", by_ada),
        ("invitation.declined", by_ben),
        ("invitation.sent", by_ada),
        ("invitation.withdrawn", by_ada),
    ]
    assert all(line["address"] == "127.0.0.1" and line["request_id"] for line in lines)
    assert all(line["actor"] == f"user:{line['user_id']}" for line in lines)
    changed = next(line for line in lines if line["action"] == "member.role_changed")
    assert changed["request_id"] == "here"
    assert changed["subject"] == by_ben
    assert changed["detail"] == {"email": ben.email, "was": "viewer", "role": "customer"}
    for query, count in (
        ({"action": "assignment"}, 4),
        ({"action": "member.left"}, 1),
        ({"user_id": by_ben}, 3),
        ({"action": "member", "user_id": by_ben}, 2),
        ({"action": "memb"}, 0),
    ):
        page = await http.get("/api/v1/audit-log", params=query, headers=at)
        assert len(page.json()["items"]) == count, query
    assert (await http.get("/api/v1/audit-log", headers=ben.at(works["id"]))).status_code == 403


async def test_what_one_does_elsewhere_is_not_told_here(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    first, second = await found(http, ada), await found(http, ada)
    await invite(http, ada, first["id"], ben.email, "viewer")
    lines = await list_all(http, "/api/v1/audit-log", ada.at(second["id"]))
    assert [line["action"] for line in lines] == ["organisation.created"]
    await join(database, ben.home, ada, "viewer")
    deleting = await http.delete(f"{API}/{first['id']}", params={"name": first["slug"]}, headers=ada.headers)
    assert deleting.status_code == 204
    assert first["slug"] not in repr(await list_all(http, "/api/v1/audit-log", ben.at(ben.home)))
