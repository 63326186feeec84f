"""Two who do something to one account in the same moment."""

import asyncio
import socket

import httpx
import pytest

from kilowatch.accounts.mail import SmtpMail, read_letters
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import open_house
from tests.server.test_people import OTHER, PASSWORD, Somebody, code_in, letters, somebody

__all__ = ["letters", "somebody"]
TRIES = 1000


@pytest.fixture(autouse=True)
def patience(parts: Parts) -> None:
    parts.login_tries = TRIES


async def test_who_signs_up_while_the_code_is_entered_gets_nothing(somebody: Somebody) -> None:
    """Whichever comes first: the thief's password must not be that of the account that was verified."""
    await somebody.post("signup", email=somebody.email, password=PASSWORD, name="Ada")
    code = code_in(somebody.letters)

    async def steal(after_s: float) -> None:
        await asyncio.sleep(after_s)
        await somebody.post("signup", email=somebody.email, password=OTHER, name="Eve")

    thieves = [asyncio.create_task(steal(number / 200)) for number in range(8)]
    shown = await somebody.post("verify", email=somebody.email, code=code)
    await asyncio.gather(*thieves)
    assert shown.status_code == 200  # a young code stays, whoever asks for another one
    assert (await somebody.post("login", email=somebody.email, password=OTHER)).status_code == 401


async def test_a_session_that_began_with_the_old_password_ends_with_it(somebody: Somebody) -> None:
    """Also one that began in the moment of the change."""
    await somebody.sign_up()

    async def log_in(after_s: float) -> httpx.Response:
        await asyncio.sleep(after_s)
        return await somebody.post("login", email=somebody.email, password=PASSWORD)

    changing = somebody.post("change-password", signed_in=True, old_password=PASSWORD, password=OTHER)
    changed, *tried = await asyncio.gather(changing, *(log_in(number / 100) for number in range(30)))
    assert changed.status_code == 204
    began = [answer.json()["refresh_token"] for answer in tried if answer.status_code == 200]
    assert {answer.status_code for answer in tried} <= {200, 401}
    for token in began:
        assert (await somebody.post("refresh", refresh_token=token)).status_code == 401


async def test_a_new_password_takes_codes_that_are_on_their_way(somebody: Somebody) -> None:
    await somebody.sign_up()
    code = await somebody.forget()
    await somebody.post("change-password", signed_in=True, old_password=PASSWORD, password=OTHER)
    late = await somebody.post("reset-password", email=somebody.email, code=code, password=PASSWORD)
    assert (late.status_code, late.json()["code"]) == (401, "bad_code")
    assert len(list(read_letters(somebody.letters))) == 2


async def test_a_mail_server_that_is_away_tells_of_no_account(
    parts: Parts, stream: Client, somebody: Somebody
) -> None:
    await somebody.sign_up()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        parts.mail = SmtpMail(f"smtp://127.0.0.1:{closed.getsockname()[1]}", "kw@example.org")
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        for email in (somebody.email, f"nobody-{somebody.email}"):
            answer = await http.post("/api/v1/auth/forgot-password", json={"email": email})
            assert (answer.status_code, answer.json()) == (202, {"status": "sent"})


async def test_many_wrong_tries_at_once_are_no_more_than_one_by_one(
    parts: Parts, stream: Client, somebody: Somebody
) -> None:
    await somebody.sign_up()
    parts.login_tries = 3
    told = {"email": somebody.email, "password": OTHER}
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url, timeout=30) as http:
        trying = [http.post("/api/v1/auth/login", json=told) for _ in range(20)]
        answers = [answer.status_code for answer in await asyncio.gather(*trying)]
    assert sorted(answers) == [401] * 3 + [429] * 17
