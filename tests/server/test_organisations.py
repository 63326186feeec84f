"""Organisations and their members over HTTP: making, inviting, appointing, leaving, deleting."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kilowatch.accounts.mail import read_letters
from kilowatch.accounts.postage import INVITATIONS_MOST
from kilowatch.accounts.routes.organisations import ORGANISATIONS_MOST
from kilowatch.accounts.store import audit
from kilowatch.accounts.store.members import add_member
from kilowatch.accounts.store.users import disable
from kilowatch.postgres.engine import Database
from kilowatch.postgres.schema import metadata
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import House, Member, open_house
from tests.server.persons import PASSWORD, TOKENS, Person, join, list_all, make_person, make_staff

API = "/api/v1/organisations"


@pytest.fixture(autouse=True)
def tokens(parts: Parts) -> None:
    """The house reads the tokens of these tests."""
    parts.tokens = TOKENS


@pytest.fixture
async def ada(house: House, database: Database) -> Person:
    return await make_person(database)


@pytest.fixture
async def ben(house: House, database: Database) -> Person:
    return await make_person(database)


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


async def test_an_invitation_reaches_who_reads_the_mail(
    http: httpx.AsyncClient, ada: Person, tmp_path: Path
) -> None:
    works = await found(http, ada)
    email = f"new-{uuid.uuid4().hex[:8]}@example.org"
    sent = await invite(http, ada, works["id"], email.upper(), "viewer")
    assert (sent.status_code, sent.json()["email"], sent.json()["role"]) == (201, email, "viewer")
    letter = list(read_letters(tmp_path / "mail"))[-1]
    assert letter["To"] == email
    assert "Works" in letter.get_content()
    assert "viewer" in letter.get_content()
    again = await invite(http, ada, works["id"], email, "operator")
    assert (again.json()["id"], again.json()["role"]) == (sent.json()["id"], "operator")
    listed = await list_all(http, f"{API}/{works['id']}/invitations", ada.headers)
    assert [one["email"] for one in listed] == [email]

    signed = {"email": email, "password": PASSWORD, "name": "Cleo"}
    assert (await http.post("/api/v1/auth/signup", json=signed)).status_code == 202
    code = list(read_letters(tmp_path / "mail"))[-1]["Subject"].split()[-1]
    shown = await http.post("/api/v1/auth/verify", json={"email": email, "code": code})
    cleo = {"Authorization": f"Bearer {shown.json()['access_token']}"}
    assert (await http.get("/api/v1/me", headers=cleo)).json()["invitations"] == 1
    (offered,) = (await http.get("/api/v1/invitations", headers=cleo)).json()["items"]
    assert (offered["name"], offered["role"]) == ("Works", "operator")
    path = f"/api/v1/invitations/{offered['id']}"
    assert (await http.post(f"{path}/accept", headers=ada.headers)).status_code == 404
    joined = await http.post(f"{path}/accept", headers=cleo)
    assert (joined.status_code, joined.json()["id"], joined.json()["role"]) == (200, works["id"], "operator")
    assert (await http.post(f"{path}/accept", headers=cleo)).status_code == 404
    here = await http.get("/api/v1/whoami", headers=cleo | {"X-Organisation": works["slug"]})
    assert here.json()["role"] == "operator"
    refused = await invite(http, ada, works["id"], email, "viewer")
    assert (refused.status_code, refused.json()["code"]) == (409, "member_already")


async def test_an_invitation_is_declined_withdrawn_or_runs_out(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    works = await found(http, ada)
    sent = (await invite(http, ada, works["id"], ben.email, "viewer")).json()["id"]
    assert (await http.delete(f"/api/v1/invitations/{sent}", headers=ada.headers)).status_code == 404
    assert (await http.delete(f"/api/v1/invitations/{sent}", headers=ben.headers)).status_code == 204
    assert (await http.get("/api/v1/invitations", headers=ben.headers)).json()["items"] == []
    sent = (await invite(http, ada, works["id"], ben.email, "viewer")).json()["id"]
    path = f"{API}/{works['id']}/invitations/{sent}"
    assert (await http.delete(path, headers=ada.headers)).status_code == 204
    assert (await http.delete(path, headers=ada.headers)).status_code == 404
    sent = (await invite(http, ada, works["id"], ben.email, "viewer")).json()["id"]
    async with database.scope(uuid.UUID(works["id"])) as connection:
        await connection.execute(text("UPDATE kilowatch.invitations SET expires_at = now()"))
    late = await http.post(f"/api/v1/invitations/{sent}/accept", headers=ben.headers)
    assert late.status_code == 404


async def test_who_became_a_member_meanwhile_stays_what_they_are(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    works = await found(http, ada)
    sent = (await invite(http, ada, works["id"], ben.email, "customer")).json()["id"]
    await join(database, uuid.UUID(works["id"]), ben, "operator")
    taken = await http.post(f"/api/v1/invitations/{sent}/accept", headers=ben.headers)
    assert (taken.status_code, taken.json()["role"]) == (200, "operator")
    assert (await http.get("/api/v1/invitations", headers=ben.headers)).json()["items"] == []


async def test_an_invitation_is_accepted_once(http: httpx.AsyncClient, ada: Person, ben: Person) -> None:
    works = await found(http, ada)
    sent = (await invite(http, ada, works["id"], ben.email, "viewer")).json()["id"]
    path = f"/api/v1/invitations/{sent}/accept"
    answers = await asyncio.gather(*(http.post(path, headers=ben.headers) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 5


async def test_an_address_that_nobody_has_shown_is_invited_to_nothing(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    works = await found(http, ada)
    await invite(http, ada, works["id"], ben.email, "admin")
    async with database.person(ben.user_id) as connection:
        await connection.execute(text("UPDATE kilowatch.users SET verified_at = NULL"))
    assert (await http.get("/api/v1/invitations", headers=ben.headers)).json()["items"] == []


async def test_an_organisation_sends_so_many_invitations_an_hour(
    http: httpx.AsyncClient, ada: Person, ben: Person, tmp_path: Path
) -> None:
    sending = [invite(http, ada, str(ada.home), ben.email, "viewer") for _ in range(INVITATIONS_MOST)]
    assert {answer.status_code for answer in await asyncio.gather(*sending)} == {201}
    late = await invite(http, ada, str(ada.home), "other@example.org", "viewer")
    assert (late.status_code, late.json()["code"]) == (429, "too_many_requests")
    assert int(late.headers["Retry-After"]) > 0
    listed = await list_all(http, f"{API}/{ada.home}/invitations", ada.headers)
    assert [one["email"] for one in listed] == [ben.email]
    assert len(list(read_letters(tmp_path / "mail"))) == INVITATIONS_MOST
    assert (await invite(http, ben, str(ben.home), ada.email, "viewer")).status_code == 201


async def test_an_invitation_stands_when_its_mail_cannot_be_sent(
    parts: Parts, stream: Client, ada: Person, ben: Person
) -> None:
    parts.mail = None
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        for _ in range(2):
            unsent = await invite(http, ada, str(ada.home), ben.email, "viewer")
            assert (unsent.status_code, unsent.json()["code"]) == (503, "mail_unsent")
            assert "stands" in unsent.json()["detail"]
            assert "nothing was changed" not in unsent.json()["detail"]
        (offered,) = (await http.get("/api/v1/invitations", headers=ben.headers)).json()["items"]
        joined = await http.post(f"/api/v1/invitations/{offered['id']}/accept", headers=ben.headers)
        assert joined.status_code == 200


async def end(how: str, http: httpx.AsyncClient, by: Person, member: Person, organisation: str) -> None:
    """Ends somebody's right to invite."""
    path = f"{API}/{organisation}/members/{member.user_id}"
    if how == "demoted":
        assert (await http.patch(path, json={"role": "viewer"}, headers=by.headers)).status_code == 200
        return
    who = by if how == "removed" else member
    assert (await http.delete(path, headers=who.headers)).status_code == 204


@pytest.mark.parametrize("how", ["demoted", "removed", "left"])
async def test_an_invitation_goes_with_the_right_to_make_it(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database, how: str
) -> None:
    """Nobody keeps a way in for friends who loses their own."""
    works = await found(http, ada)
    maker = await join(database, uuid.UUID(works["id"]), await make_person(database), "operator")
    sent = (await invite(http, maker, works["id"], ben.email, "viewer")).json()["id"]
    kept = (await invite(http, ada, works["id"], "kept@example.org", "viewer")).json()["id"]
    await end(how, http, ada, maker, works["id"])
    line = (await list_all(http, "/api/v1/audit-log", ada.at(works["id"])))[0]
    assert (line["action"], line["subject"]) == ("invitation.withdrawn", sent)
    listed = await list_all(http, f"{API}/{works['id']}/invitations", ada.headers)
    assert [one["id"] for one in listed] == [kept]
    async with database.scope(uuid.UUID(works["id"])) as connection:
        await add_member(connection, uuid.UUID(works["id"]), maker.user_id, "operator")
    assert (await http.get("/api/v1/invitations", headers=ben.headers)).json()["items"] == []
    path = f"/api/v1/invitations/{sent}"
    assert (await http.post(f"{path}/accept", headers=ben.headers)).status_code == 404
    assert (await http.delete(path, headers=ben.headers)).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE kilowatch.memberships SET role = 'viewer' WHERE user_id = :maker",
        "UPDATE kilowatch.memberships SET role = 'operator' WHERE user_id = :maker",
        "DELETE FROM kilowatch.memberships WHERE user_id = :maker",
        "UPDATE kilowatch.users SET disabled_at = now() WHERE id = :maker",
        "DELETE FROM kilowatch.users WHERE id = :maker",
    ],
)
async def test_an_invitation_is_there_while_its_maker_could_make_it(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database, change: str
) -> None:
    """However the right was lost, also beside the routes that withdraw."""
    works = uuid.UUID((await found(http, ada))["id"])
    maker = await join(database, works, await make_person(database), "admin")
    sent = (await invite(http, maker, str(works), ben.email, "operator")).json()["id"]
    (offered,) = (await http.get("/api/v1/invitations", headers=ben.headers)).json()["items"]
    assert offered["id"] == sent
    async with database.person(maker.user_id, works) as connection:
        await connection.execute(text(change), {"maker": maker.user_id})
    assert (await http.get("/api/v1/invitations", headers=ben.headers)).json()["items"] == []
    assert (await http.get("/api/v1/me", headers=ben.headers)).json()["invitations"] == 0
    path = f"/api/v1/invitations/{sent}"
    assert (await http.post(f"{path}/accept", headers=ben.headers)).status_code == 404
    assert (await http.delete(path, headers=ben.headers)).status_code == 404


async def test_a_lower_role_keeps_the_invitations_that_it_may_make(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    works = await found(http, ada)
    maker = await join(database, uuid.UUID(works["id"]), await make_person(database), "admin")
    cleo = await make_person(database)
    sent = (await invite(http, maker, works["id"], ben.email, "viewer")).json()["id"]
    await invite(http, maker, works["id"], cleo.email, "operator")
    path = f"{API}/{works['id']}/members/{maker.user_id}"
    assert (await http.patch(path, json={"role": "operator"}, headers=ada.headers)).status_code == 200
    assert (await http.get("/api/v1/invitations", headers=cleo.headers)).json()["items"] == []
    joined = await http.post(f"/api/v1/invitations/{sent}/accept", headers=ben.headers)
    assert (joined.status_code, joined.json()["role"]) == (200, "viewer")


async def test_an_invitation_of_somebody_who_is_shut_out_is_not_there(
    http: httpx.AsyncClient, ada: Person, ben: Person, database: Database
) -> None:
    sent = (await invite(http, ada, str(ada.home), ben.email, "viewer")).json()["id"]
    path = f"/api/v1/invitations/{sent}/accept"
    async with database.person(ada.user_id) as connection:
        await disable(connection, ada.user_id)
    assert (await http.get("/api/v1/invitations", headers=ben.headers)).json()["items"] == []
    assert (await http.post(path, headers=ben.headers)).status_code == 404
    async with database.person(ada.user_id) as connection:
        await disable(connection, ada.user_id, disabled=False)
    assert (await http.post(path, headers=ben.headers)).status_code == 200


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


async def closing_code(socket: ClientConnection) -> int:
    """Reads until the server closes; its code."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return 0 if closed.rcvd is None else closed.rcvd.code


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


# --- the end of an account -------------------------------------------------------------------------------


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
