"""Accounts under attack: guessing stops, owners get in, the disabled stay out, all of it is written down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kilowatch.accounts.store import audit
from kilowatch.accounts.store.users import disable, find_user
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import House, open_house
from tests.server.test_people import OTHER, PASSWORD, Somebody, gone

HOME, THIEF = "198.51.100.7", "192.0.2.1"
TRIES = 3


@pytest.fixture
async def house(parts: Parts, stream: Client) -> AsyncIterator[House]:
    """A server that lets three tries be wrong and believes its proxy, which the tests are."""
    parts.login_tries = TRIES
    async with open_house(parts, stream, trusted_proxies=("127.0.0.1",)) as opened:  # type: ignore[arg-type]
        yield opened


@asynccontextmanager
async def at(house: House, address: str, like: Somebody | None = None, letters: Path | None = None) -> Any:
    """Somebody who asks from this address."""
    headers = {"X-Forwarded-For": address}
    async with httpx.AsyncClient(base_url=house.url, headers=headers, timeout=30) as http:
        somebody = Somebody(http, letters or Path())
        if like is not None:
            somebody.email, somebody.tokens, somebody.letters = like.email, like.tokens, like.letters
        yield somebody


@pytest.fixture
async def owner(house: House, tmp_path: Path) -> AsyncIterator[Somebody]:
    """Somebody with an account, who has signed in at home."""
    async with at(house, HOME, letters=tmp_path / "mail") as somebody:
        await somebody.sign_up()
        yield somebody


async def log_in(somebody: Somebody, password: str = PASSWORD) -> int:
    answer = await somebody.post("login", email=somebody.email, password=password)
    return answer.status_code


async def actions(worker: Database, somebody: Somebody) -> list[tuple[str, dict[str, Any], str | None]]:
    """What the audit log says of somebody, oldest first."""
    async with worker.unscoped() as connection:
        user = await find_user(connection, somebody.email)
        assert user is not None
        lines = (await audit.list_audit_log(connection, 500, user_id=user.id)).items
    return [(line.action, line.detail, line.address) for line in reversed(lines)]


async def test_guessing_stops_and_the_owner_gets_in(house: House, owner: Somebody) -> None:
    async with at(house, THIEF, owner) as thief:
        assert [await log_in(thief, OTHER) for _ in range(TRIES)] == [401] * TRIES
        stopped = await thief.post("login", email=owner.email, password=PASSWORD)
        assert (stopped.status_code, stopped.json()["code"]) == (429, "too_many_attempts")
        assert 0 < int(stopped.headers["retry-after"]) <= 15 * 60
    assert await log_in(owner) == 200
    async with at(house, "192.0.2.77", owner) as elsewhere:
        assert await log_in(elsewhere) == 200


async def test_an_attack_from_many_addresses_spares_where_the_owner_was(
    house: House, owner: Somebody, parts: Parts, stream: Client
) -> None:
    for number in range(5):
        async with at(house, f"192.0.2.{number}", owner) as thief:
            assert [await log_in(thief, OTHER) for _ in range(TRIES)] == [401] * TRIES
    async with at(house, "203.0.113.9", owner) as stranger:
        assert await log_in(stranger, PASSWORD) == 429
    assert await log_in(owner) == 200
    # Another process knows from the audit log where the owner was.
    async with open_house(parts, stream, trusted_proxies=("127.0.0.1",)) as other:  # type: ignore[arg-type]
        for number in range(5):
            async with at(other, f"192.0.2.{number}", owner) as thief:
                await asyncio.gather(*(log_in(thief, OTHER) for _ in range(TRIES)))
        async with at(other, "203.0.113.9", owner) as stranger:
            assert await log_in(stranger, PASSWORD) == 429
        async with at(other, HOME, owner) as at_home:
            assert await log_in(at_home) == 200


async def test_who_reads_the_mail_gets_in_from_anywhere(
    house: House, owner: Somebody, tmp_path: Path
) -> None:
    for number in range(5):
        async with at(house, f"192.0.2.{number}", owner) as thief:
            await asyncio.gather(*(log_in(thief, OTHER) for _ in range(TRIES)))
    code = await owner.forget()
    reset = await owner.post("reset-password", email=owner.email, code=code, password=OTHER)
    assert reset.status_code == 204
    assert await log_in(owner, OTHER) == 200


async def test_an_address_that_nobody_has_is_stopped_alike(house: House, owner: Somebody) -> None:
    told = []
    for email in (owner.email, f"nobody-{owner.email}"):
        async with at(house, THIEF, owner) as thief:
            thief.email = email
            answers = [await thief.post("login", email=email, password=OTHER) for _ in range(TRIES + 2)]
        told.append([(one.status_code, {**one.json(), "instance": ""}) for one in answers])
    for known, unknown in zip(*told, strict=True):
        assert known[0] == unknown[0]
        assert known[1] == unknown[1]


async def test_wrong_codes_and_passwords_of_the_signed_in_count_too(house: House, owner: Somebody) -> None:
    async with at(house, THIEF, owner) as thief:
        for _ in range(TRIES):
            answer = await thief.post("reset-password", email=owner.email, code="000000", password=OTHER)
            assert answer.status_code == 401
        assert await log_in(thief) == 429
    for _ in range(TRIES):
        answer = await owner.post("change-password", signed_in=True, old_password=OTHER, password=OTHER)
        assert answer.status_code == 401
    answer = await owner.post("change-password", signed_in=True, old_password=PASSWORD, password=OTHER)
    assert answer.status_code == 429


async def test_of_one_ipv6_household_all_addresses_count_as_one(house: House, owner: Somebody) -> None:
    for number in range(TRIES):
        async with at(house, f"2001:db8::{number + 1}", owner) as thief:
            assert await log_in(thief, OTHER) == 401
    async with at(house, "2001:db8::abcd", owner) as thief:
        assert await log_in(thief) == 429
    async with at(house, "2001:db8:0:1::1", owner) as neighbour:
        assert await log_in(neighbour) == 200


async def test_nobody_but_a_trusted_proxy_says_who_asks(parts: Parts, stream: Client, tmp_path: Path) -> None:
    parts.login_tries = TRIES
    async with open_house(parts, stream) as house:
        async with at(house, HOME, letters=tmp_path / "mail") as somebody:
            await somebody.sign_up()
        for number in range(TRIES):
            async with at(house, f"192.0.2.{number}", somebody) as thief:
                assert await log_in(thief, OTHER) == 401
        async with at(house, "192.0.2.99", somebody) as thief:
            assert await log_in(thief) == 429


async def test_a_disabled_user_is_out(house: House, owner: Somebody, worker_database: Database) -> None:
    async with worker_database.unscoped() as connection:
        user = await find_user(connection, owner.email)
        assert user is not None
        await disable(connection, user.id)
    await gone(owner)
    wrong = await owner.post("login", email=owner.email, password=OTHER)
    right = await owner.post("login", email=owner.email, password=PASSWORD)
    assert right.status_code == wrong.status_code == 401
    assert {**right.json(), "instance": ""} == {**wrong.json(), "instance": ""}
    refreshed = await owner.post("refresh", refresh_token=owner.tokens["refresh_token"])
    assert refreshed.status_code == 401
    async with worker_database.unscoped() as connection:
        await disable(connection, user.id, disabled=False)
    assert await log_in(owner) == 200


async def test_a_disabled_user_hears_nothing_any_more(
    house: House, owner: Somebody, worker_database: Database
) -> None:
    listening = owner.http.stream("GET", "/api/v1/stream?topics=*", headers=owner.bearer(), timeout=20)
    async with listening as stream:
        assert stream.status_code == 200
        async with worker_database.unscoped() as connection:
            user = await find_user(connection, owner.email)
            assert user is not None
            await disable(connection, user.id)
        async with asyncio.timeout(5):
            async for _ in stream.aiter_bytes():
                continue


async def test_what_happens_to_an_account_is_written_down(
    house: House, owner: Somebody, worker_database: Database, tmp_path: Path
) -> None:
    async with at(house, THIEF, owner) as thief:
        for _ in range(TRIES + 1):
            await log_in(thief, OTHER)
    assert await log_in(owner) == 200
    used = owner.tokens["refresh_token"]
    await owner.post("refresh", refresh_token=used)
    await owner.post("refresh", refresh_token=used)
    owner.tokens = (await owner.post("login", email=owner.email, password=PASSWORD)).json()
    await owner.post("change-password", signed_in=True, old_password=PASSWORD, password=OTHER)
    code = await owner.forget()
    await owner.post("logout", refresh_token=owner.tokens["refresh_token"])
    await owner.post("reset-password", email=owner.email, code=code, password=PASSWORD)
    written = await actions(worker_database, owner)
    assert [action for action, _, _ in written] == [
        *("account.signed_up", "account.verified", "login.succeeded"),
        *["login.failed"] * TRIES,
        *("login.locked", "login.succeeded", "session.reused", "login.succeeded"),
        *("password.changed", "password.forgotten", "session.ended", "password.reset"),
    ]
    assert {address for action, _, address in written if action == "login.failed"} == {THIEF}
    assert {address for action, _, address in written if action == "login.succeeded"} == {HOME}
    assert [detail["reason"] for action, detail, _ in written if action == "login.failed"] == [
        "wrong_password"
    ] * TRIES
    for secret in (PASSWORD, OTHER, code, used, owner.tokens["access_token"]):
        assert secret not in repr(written)


async def test_tries_on_no_account_are_written_down_for_nobodys_eyes(
    house: House, owner: Somebody, worker_database: Database, database: Database
) -> None:
    email = f"nobody-{owner.email}"
    await owner.post("login", email=email, password=OTHER)
    async with worker_database.unscoped() as connection:
        (line, *_) = (await audit.list_audit_log(connection, 1, action="login")).items
    assert (line.detail, line.user_id) == ({"reason": "no_account", "email": email}, None)
    async with database.unscoped() as connection:
        assert not (await audit.list_audit_log(connection)).items


@pytest.mark.parametrize("text", [r"\u0000", r"a\u0000@example.org", r"\ud800@example.org", "'", "%", "\\\\"])
async def test_odd_texts_are_refused_like_any(house: House, owner: Somebody, text: str) -> None:
    bodies = (
        ("login", f'{{"email": "{text}", "password": "{text}"}}'),
        ("login", f'{{"email": "{owner.email}", "password": "{text}", "code": "{text}"}}'),
        ("verify", f'{{"email": "{text}", "code": "{text}"}}'),
        ("reset-password", f'{{"email": "{text}", "code": "{text}", "password": "{OTHER}"}}'),
        ("reset-password", f'{{"email": "{owner.email}", "code": "{text}", "password": "{OTHER}"}}'),
        ("refresh", f'{{"refresh_token": "{text}"}}'),
        ("logout", f'{{"refresh_token": "{text}"}}'),
        ("forgot-password", f'{{"email": "{text}"}}'),
        ("signup", f'{{"email": "{text}", "password": "{text}", "name": "{text}"}}'),
        ("second-factor", f'{{"password": "{text}"}}'),
        ("second-factor/confirm", f'{{"code": "{text}"}}'),
        ("change-password", f'{{"old_password": "{text}", "password": "{OTHER}{text}"}}'),
    )
    headers = {"Content-Type": "application/json", **owner.bearer()}
    for number, (path, body) in enumerate(bodies):
        origin = {"X-Forwarded-For": f"192.0.2.{number}"}
        answer = await owner.http.post(f"/api/v1/auth/{path}", content=body, headers=headers | origin)
        assert answer.status_code < 500, f"{path} {body}: {answer.text}"
