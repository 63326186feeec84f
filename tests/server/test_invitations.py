"""Invitations over HTTP: by whom, to whom, for how long, and what becomes of them."""

import asyncio
import uuid
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from kilowatch.accounts.mail import read_letters
from kilowatch.accounts.postage import INVITATIONS_MOST
from kilowatch.accounts.store.members import add_member
from kilowatch.accounts.store.users import disable
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import open_house
from tests.server.persons import API, PASSWORD, Person, found, invite, join, list_all, make_person

pytestmark = pytest.mark.usefixtures("tokens")


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
