"""People over HTTP: from the sign-up to the last session, with the mail that they would read."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from kilowatch.accounts.mail import Mail, read_letters
from kilowatch.errors import EngineUnavailable
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import House, open_house, until

PASSWORD, OTHER = "correct horse battery", "another good pass phrase"


def code_in(folder: Path) -> str:
    """The code of the newest letter."""
    letter = list(read_letters(folder))[-1]
    found = re.search(r"code(?: is)? (\d{6})", letter.get_content())
    assert found is not None
    return found[1]


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Where the house's mail lies."""
    return tmp_path / "mail"


class Somebody:
    """A person with an address of their own and what they hold."""

    def __init__(self, http: httpx.AsyncClient, letters: Path) -> None:
        self.http, self.letters = http, letters
        self.email = f"{new_id().hex[:12]}@example.org"
        self.tokens: dict[str, Any] = {}

    async def post(self, path: str, *, signed_in: bool = False, **body: str) -> httpx.Response:
        headers = self.bearer() if signed_in else {}
        return await self.http.post(f"/api/v1/auth/{path}", json=body, headers=headers)

    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    async def sign_up(self, password: str = PASSWORD) -> None:
        answer = await self.post("signup", email=self.email, password=password, name="Ada")
        assert (answer.status_code, answer.json()) == (202, {"status": "sent"})
        shown = await self.post("verify", email=self.email, code=code_in(self.letters))
        assert shown.status_code == 200, shown.text
        self.tokens = shown.json()

    async def forget(self) -> str:
        """Says that the password is forgotten; the code from the mail, which comes after the answer."""
        before = len(list(read_letters(self.letters)))
        answer = await self.post("forgot-password", email=self.email)
        assert (answer.status_code, answer.json()) == (202, {"status": "sent"})
        await until(lambda: len(list(read_letters(self.letters))) > before)
        return code_in(self.letters)

    async def me(self) -> httpx.Response:
        return await self.http.get("/api/v1/me", headers=self.bearer())


@pytest.fixture
async def somebody(http: httpx.AsyncClient, letters: Path) -> Somebody:
    """A person who has not signed up."""
    return Somebody(http, letters)


async def test_from_the_sign_up_to_the_own_home(somebody: Somebody, letters: Path) -> None:
    first = await somebody.post("signup", email=somebody.email.upper(), password=PASSWORD, name="Ada")
    assert first.status_code == 202
    early = await somebody.post("login", email=somebody.email, password=PASSWORD)
    assert (early.status_code, early.json()["code"]) == (403, "not_verified")
    shown = await somebody.post("verify", email=somebody.email, code=code_in(letters))
    somebody.tokens = shown.json()
    me = (await somebody.me()).json()
    assert (me["email"], me["name"]) == (somebody.email, "Ada")
    (own,) = me["organisations"]
    assert (own["role"], own["is_personal"]) == ("admin", True)
    sites = await somebody.http.get("/api/v1/sites", headers=somebody.bearer())
    assert [site["kind"] for site in sites.json()["items"]] == ["home"]
    again = await somebody.post("verify", email=somebody.email, code=code_in(letters))
    assert again.status_code == 401
    changed = await somebody.http.patch("/api/v1/me", json={"name": "Ada L."}, headers=somebody.bearer())
    assert changed.json()["name"] == "Ada L."


async def test_people_see_their_own_homes_only(http: httpx.AsyncClient, letters: Path) -> None:
    ada, ben = Somebody(http, letters), Somebody(http, letters)
    await ada.sign_up()
    await ben.sign_up()
    (site,) = (await http.get("/api/v1/sites", headers=ada.bearer())).json()["items"]
    assert (await http.get(f"/api/v1/sites/{site['id']}", headers=ben.bearer())).status_code == 404
    slug = (await ada.me()).json()["organisations"][0]["slug"]
    named = await http.get("/api/v1/sites", headers=ben.bearer() | {"X-Organisation": slug})
    assert (named.status_code, named.json()["code"]) == (403, "no_member")
    mine = await http.get("/api/v1/sites", headers=ada.bearer() | {"X-Organisation": slug})
    assert mine.status_code == 200


async def test_no_answer_tells_who_has_an_account(somebody: Somebody, letters: Path) -> None:
    await somebody.sign_up()
    known, unknown = somebody.email, "nobody-" + somebody.email
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("login", {"password": OTHER}),
        ("forgot-password", {}),
        ("verify", {"code": "123456"}),
        ("reset-password", {"code": "123456", "password": OTHER}),
    )
    for path, body in asked:
        answers = [await somebody.post(path, email=email, **body) for email in (known, unknown)]
        shapes = [
            (one.status_code, {**one.json(), "instance": ""} if one.content else None) for one in answers
        ]
        assert shapes[0] == shapes[1], path
    before = len(list(read_letters(letters)))
    again = await somebody.post("signup", email=known, password=OTHER, name="Eve")
    assert (again.status_code, again.json()) == (202, {"status": "sent"})
    letter = list(read_letters(letters))[-1]
    assert len(list(read_letters(letters))) == before + 1
    assert not re.search(r"\d{6}", letter.get_content())
    assert (await somebody.post("login", email=known, password=PASSWORD)).status_code == 200


async def test_an_address_that_nobody_has_shown_goes_to_whoever_reads_its_mail(
    http: httpx.AsyncClient, letters: Path
) -> None:
    thief, owner = Somebody(http, letters), Somebody(http, letters)
    owner.email = thief.email
    await thief.post("signup", email=thief.email, password=OTHER, name="Eve")
    await owner.sign_up()
    assert (await thief.post("login", email=thief.email, password=OTHER)).status_code == 401
    assert (await owner.me()).json()["name"] == "Ada"


async def test_who_signs_up_in_between_gets_nothing(http: httpx.AsyncClient, letters: Path) -> None:
    """A thief who signs up while the owner's code is on its way must not have theirs confirmed."""
    owner, thief = Somebody(http, letters), Somebody(http, letters)
    thief.email = owner.email
    await owner.post("signup", email=owner.email, password=PASSWORD, name="Ada")
    await thief.post("signup", email=owner.email, password=OTHER, name="Eve")
    shown = await owner.post("verify", email=owner.email, code=code_in(letters))
    assert shown.status_code == 200
    for password in (PASSWORD, OTHER, "!"):
        assert (await thief.post("login", email=owner.email, password=password)).status_code == 401
    code = await owner.forget()
    assert (
        await owner.post("reset-password", email=owner.email, code=code, password=PASSWORD)
    ).status_code == 204
    assert (await owner.post("login", email=owner.email, password=PASSWORD)).status_code == 200


async def test_signing_up_again_with_the_same_password_is_no_contest(
    somebody: Somebody, letters: Path
) -> None:
    await somebody.post("signup", email=somebody.email, password=PASSWORD, name="Ada")
    await somebody.sign_up()
    assert (await somebody.post("login", email=somebody.email, password=PASSWORD)).status_code == 200


async def test_a_code_is_lost_after_some_wrong_ones(
    somebody: Somebody, letters: Path, worker_database: Database
) -> None:
    await somebody.post("signup", email=somebody.email, password=PASSWORD, name="Ada")
    code = code_in(letters)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for _ in range(5):
        assert (await somebody.post("verify", email=somebody.email, code=wrong)).status_code == 401
    assert (await somebody.post("verify", email=somebody.email, code=code)).status_code == 401
    await age_codes(worker_database)
    await somebody.sign_up()


async def test_asking_again_at_once_sends_nothing_and_the_code_stays_good(somebody: Somebody) -> None:
    """Whoever asks for somebody else must not make worthless what is on its way to them."""
    told: dict[str, Any] = {"email": somebody.email, "password": PASSWORD, "name": "Ada"}
    answers = [await somebody.post("signup", **told) for _ in range(3)]
    assert {(one.status_code, one.text) for one in answers} == {(202, answers[0].text)}
    assert letters_to(somebody) == 1
    code = code_in(somebody.letters)
    assert (await somebody.post("verify", email=somebody.email, code=code)).status_code == 200
    code = await somebody.forget()
    for _ in range(3):
        assert (await somebody.post("forgot-password", email=somebody.email)).status_code == 202
    notices = [await somebody.post("signup", **told) for _ in range(3)]
    assert {(one.status_code, one.text) for one in notices} == {(202, answers[0].text)}
    reset = await somebody.post("reset-password", email=somebody.email, code=code, password=OTHER)
    assert reset.status_code == 204
    assert letters_to(somebody) == 3  # one of each kind


async def test_nobodys_mailbox_is_flooded(somebody: Somebody, worker_database: Database) -> None:
    told: dict[str, Any] = {"email": somebody.email, "password": PASSWORD, "name": "Ada"}
    for _ in range(8):
        assert (await somebody.post("signup", **told)).status_code == 202
        await age_codes(worker_database)
    assert letters_to(somebody) == 5
    code = code_in(somebody.letters)
    assert (await somebody.post("verify", email=somebody.email, code=code)).status_code == 200
    for wanted in (6, 7, 8, 9, 10, 10, 10):
        assert (await somebody.post("forgot-password", email=somebody.email)).status_code == 202
        await until(lambda wanted=wanted: letters_to(somebody) == wanted)
        await age_codes(worker_database)
    code = code_in(somebody.letters)
    reset = await somebody.post("reset-password", email=somebody.email, code=code, password=OTHER)
    assert reset.status_code == 204
    assert letters_to(somebody) == 10


async def test_a_code_that_could_not_be_sent_is_asked_for_again_at_once(
    parts: Parts, stream: Client, letters: Path
) -> None:
    parts.mail = flaky = FlakyMail(parts.mail, working=False)
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        somebody = Somebody(http, letters)
        told: dict[str, Any] = {"email": somebody.email, "password": PASSWORD, "name": "Ada"}
        for _ in range(7):
            unsent = await somebody.post("signup", **told)
            assert (unsent.status_code, unsent.json()["code"]) == (503, "mail_unsent")
        assert "sign up again" in unsent.json()["detail"]
        assert "nothing was changed" not in unsent.json()["detail"]
        assert int(unsent.headers["Retry-After"]) > 0
        flaky.working = True
        await somebody.sign_up()
        flaky.working = False
        for _ in range(7):
            assert (await somebody.post("forgot-password", email=somebody.email)).status_code == 202
            known = await somebody.post("signup", **told)
            assert {**known.json(), "instance": ""} == {**unsent.json(), "instance": ""}
        await until(lambda: flaky.refused == 7 + 7 + 7)
        flaky.working = True
        await somebody.forget()


def letters_to(somebody: Somebody) -> int:
    return sum(letter["To"] == somebody.email for letter in read_letters(somebody.letters))


async def age_codes(everybody: Database) -> None:
    """Makes all codes a minute older."""
    older = "UPDATE kilowatch.user_codes SET expires_at = expires_at - interval '61 s'"
    async with everybody.unscoped() as connection:
        await connection.execute(text(older))


@dataclass
class FlakyMail:
    """A way for letters that is shut at times."""

    way: Mail | None
    working: bool
    refused: int = 0

    async def send(self, to: str, subject: str, text: str) -> None:
        """Sends the letter, or refuses."""
        if not self.working or self.way is None:
            self.refused += 1
            raise EngineUnavailable("no letters now")
        await self.way.send(to, subject, text)


async def test_a_refresh_token_works_once_and_a_second_time_ends_the_session(somebody: Somebody) -> None:
    await somebody.sign_up()
    first = somebody.tokens["refresh_token"]
    second = (await somebody.post("refresh", refresh_token=first)).json()
    somebody.tokens = second
    assert (await somebody.me()).status_code == 200
    assert (await somebody.post("refresh", refresh_token=first)).status_code == 401
    assert (await somebody.post("refresh", refresh_token=second["refresh_token"])).status_code == 401
    await gone(somebody)


async def test_of_two_at_once_with_one_token_at_most_one_goes_on(somebody: Somebody) -> None:
    await somebody.sign_up()
    token = somebody.tokens["refresh_token"]
    answers = await asyncio.gather(*(somebody.post("refresh", refresh_token=token) for _ in range(8)))
    assert sum(answer.status_code == 200 for answer in answers) <= 1
    assert all(answer.status_code in (200, 401) for answer in answers)
    await gone(somebody)


async def test_logging_out_ends_the_session_and_no_other(somebody: Somebody) -> None:
    await somebody.sign_up()
    here = somebody.tokens
    elsewhere = (await somebody.post("login", email=somebody.email, password=PASSWORD)).json()
    assert (await somebody.post("logout", refresh_token=here["refresh_token"])).status_code == 204
    await gone(somebody)
    somebody.tokens = elsewhere
    assert (await somebody.me()).status_code == 200


async def test_a_new_password_ends_the_other_sessions(somebody: Somebody, letters: Path) -> None:
    await somebody.sign_up()
    elsewhere = dict(somebody.tokens)
    somebody.tokens = (await somebody.post("login", email=somebody.email, password=PASSWORD)).json()
    wrong = await somebody.post("change-password", signed_in=True, old_password=OTHER, password=OTHER)
    assert wrong.status_code == 401
    weak = await somebody.post(
        "change-password", signed_in=True, old_password=PASSWORD, password="password123"
    )
    assert (weak.status_code, weak.json()["errors"][0]["code"]) == (422, "weak_password")
    done = await somebody.post("change-password", signed_in=True, old_password=PASSWORD, password=OTHER)
    assert done.status_code == 204
    assert (await somebody.me()).status_code == 200
    refused = await somebody.post("refresh", refresh_token=elsewhere["refresh_token"])
    assert refused.status_code == 401
    assert (await somebody.post("login", email=somebody.email, password=PASSWORD)).status_code == 401

    code = await somebody.forget()
    reset = await somebody.post("reset-password", email=somebody.email, code=code, password=PASSWORD)
    assert reset.status_code == 204
    await gone(somebody)
    assert (await somebody.post("login", email=somebody.email, password=PASSWORD)).status_code == 200


async def test_bad_wishes_are_told_one_by_one(somebody: Somebody) -> None:
    answer = await somebody.post("signup", email="no address", password="short", name=" ")
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {"/email", "/password", "/name"}
    assert "short" not in answer.text
    extra = await somebody.post("login", email="a@b.c", password="x", more="y")
    assert extra.status_code == 422


async def test_a_session_listens_live_until_it_ends(house: House, somebody: Somebody) -> None:
    await somebody.sign_up()
    url = f"{house.url}/api/v1/stream?topics=*"
    listening = somebody.http.stream("GET", url, headers=somebody.bearer(), timeout=20)
    async with listening as stream:
        assert stream.status_code == 200
        await somebody.post("logout", refresh_token=somebody.tokens["refresh_token"])
        async with asyncio.timeout(10):
            async for _ in stream.aiter_bytes():
                continue  # ends when the server closes the stream


async def test_an_api_key_has_no_account(house: House, member: Any, http: httpx.AsyncClient) -> None:
    answer = await http.get("/api/v1/me", headers=member.bearer("admin"))
    assert (answer.status_code, answer.json()["code"]) == (403, "people_only")


async def gone(somebody: Somebody) -> None:
    """Returns once the access token opens nothing any more."""
    async with asyncio.timeout(5):
        while (await somebody.me()).status_code == 200:  # noqa: ASYNC110 - only the answer tells
            await asyncio.sleep(0.05)
    assert (await somebody.me()).status_code == 401
