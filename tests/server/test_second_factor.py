"""The second factor over HTTP: on, asked for, good once, and off again."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from sqlalchemy import text

from kilowatch.clock import MICROSECONDS, DrivenClock
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import House, open_house
from tests.server.test_people import OTHER, PASSWORD, Somebody

STEP_S = 30


@pytest.fixture
def clock(parts: Parts) -> DrivenClock:
    """The server's clock, which only tests move; it begins now, since PostgreSQL has a clock of its own."""
    parts.clock = DrivenClock(time.time_ns() // 1000)
    return parts.clock


@pytest.fixture
async def ada(clock: DrivenClock, parts: Parts, stream: Client, tmp_path: Path) -> AsyncIterator[Somebody]:
    """Somebody who is signed in at a server with the clock."""
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url, timeout=30) as http:
        somebody = Somebody(http, tmp_path / "mail")
        await somebody.sign_up()
        yield somebody


def code_of(secret: str, clock: DrivenClock, steps: int = 0) -> str:
    """What the app shows, or showed so many steps ago."""
    return pyotp.TOTP(secret).at(clock.now_us() // MICROSECONDS + steps * STEP_S)


async def switch_on(ada: Somebody, clock: DrivenClock) -> tuple[str, list[str]]:
    """Secret and recovery codes of a second factor that is on."""
    offered = await ada.post("second-factor", signed_in=True, password=PASSWORD)
    assert offered.status_code == 201, offered.text
    secret = offered.json()["secret"]
    assert f"secret={secret}" in offered.json()["uri"]
    confirmed = await ada.post("second-factor/confirm", signed_in=True, code=code_of(secret, clock))
    assert confirmed.status_code == 200, confirmed.text
    codes = confirmed.json()["recovery_codes"]
    assert len(set(codes)) == 10
    clock.advance(STEP_S)
    return secret, codes


async def log_in(ada: Somebody, **more: Any) -> tuple[int, str]:
    """Status and, of a refusal, its code."""
    answer = await ada.post("login", email=ada.email, password=PASSWORD, **more)
    return answer.status_code, answer.json().get("code", "")


async def remove(ada: Somebody, **body: str) -> httpx.Response:
    return await ada.http.request("DELETE", "/api/v1/auth/second-factor", json=body, headers=ada.bearer())


async def test_signing_in_asks_for_a_code_that_is_good_once(ada: Somebody, clock: DrivenClock) -> None:
    assert (await ada.me()).json()["second_factor"] is False
    secret, _ = await switch_on(ada, clock)
    assert (await ada.me()).json()["second_factor"] is True
    assert await log_in(ada) == (401, "second_factor_needed")
    wrong = await ada.post("login", email=ada.email, password=OTHER, code=code_of(secret, clock))
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_login")
    code = code_of(secret, clock)
    assert await log_in(ada, code=f"{code[:3]} {code[3:]}") == (200, "")
    assert await log_in(ada, code=code) == (401, "bad_second_factor")
    clock.advance(STEP_S)
    assert await log_in(ada, code=code_of(secret, clock)) == (200, "")


async def test_clocks_may_differ_by_one_step_and_no_more(ada: Somebody, clock: DrivenClock) -> None:
    secret, _ = await switch_on(ada, clock)
    clock.advance(10 * STEP_S)
    for steps in (-2, 2):
        assert await log_in(ada, code=code_of(secret, clock, steps)) == (401, "bad_second_factor")
    for steps in (-1, 0, 1):
        assert await log_in(ada, code=code_of(secret, clock, steps)) == (200, "")


async def test_a_later_code_uses_up_the_earlier_ones(ada: Somebody, clock: DrivenClock) -> None:
    secret, _ = await switch_on(ada, clock)
    clock.advance(10 * STEP_S)
    assert await log_in(ada, code=code_of(secret, clock, 1)) == (200, "")
    for steps in (-1, 0):
        assert await log_in(ada, code=code_of(secret, clock, steps)) == (401, "bad_second_factor")


async def test_a_recovery_code_is_good_once_however_it_is_typed(ada: Somebody, clock: DrivenClock) -> None:
    _, codes = await switch_on(ada, clock)
    assert await log_in(ada, code=codes[0]) == (200, "")
    assert await log_in(ada, code=codes[0]) == (401, "bad_second_factor")
    assert await log_in(ada, code=codes[1].replace("-", " ").upper()) == (200, "")


async def test_nothing_is_asked_for_before_a_code_was_shown(ada: Somebody, clock: DrivenClock) -> None:
    early = await ada.post("second-factor/confirm", signed_in=True, code="123456")
    assert (early.status_code, early.json()["code"]) == (409, "no_second_factor")
    refused = await ada.post("second-factor", signed_in=True, password=OTHER)
    assert (refused.status_code, refused.json()["code"]) == (401, "bad_login")
    first = (await ada.post("second-factor", signed_in=True, password=PASSWORD)).json()["secret"]
    second = (await ada.post("second-factor", signed_in=True, password=PASSWORD)).json()["secret"]
    assert first != second
    assert await log_in(ada) == (200, "")
    old = await ada.post("second-factor/confirm", signed_in=True, code=code_of(first, clock))
    assert (old.status_code, old.json()["code"]) == (401, "bad_second_factor")
    assert await log_in(ada) == (200, "")


async def test_it_is_switched_off_by_password_and_code(ada: Somebody, clock: DrivenClock) -> None:
    none = await remove(ada, password=PASSWORD, code="123456")
    assert (none.status_code, none.json()["code"]) == (409, "no_second_factor")
    secret, codes = await switch_on(ada, clock)
    again = await ada.post("second-factor", signed_in=True, password=PASSWORD)
    assert (again.status_code, again.json()["code"]) == (409, "second_factor_on")
    assert (await remove(ada, password=OTHER, code=codes[0])).status_code == 401
    assert (await remove(ada, password=PASSWORD, code="000000")).status_code == 401
    assert (await ada.me()).json()["second_factor"] is True
    assert (await remove(ada, password=PASSWORD, code=code_of(secret, clock))).status_code == 204
    assert await log_in(ada) == (200, "")
    assert (await ada.me()).json()["second_factor"] is False


async def test_a_new_password_by_mail_does_not_switch_it_off(
    ada: Somebody, clock: DrivenClock, tmp_path: Path
) -> None:
    secret, _ = await switch_on(ada, clock)
    code = await ada.forget()
    reset = await ada.post("reset-password", email=ada.email, code=code, password=OTHER)
    assert reset.status_code == 204
    needed = await ada.post("login", email=ada.email, password=OTHER)
    assert needed.json()["code"] == "second_factor_needed"
    passed = await ada.post("login", email=ada.email, password=OTHER, code=code_of(secret, clock))
    assert passed.status_code == 200


async def test_guessing_codes_stops(ada: Somebody, clock: DrivenClock) -> None:
    secret, _ = await switch_on(ada, clock)
    right = code_of(secret, clock)
    wrong = f"{(int(right) + 500_000) % 1_000_000:06d}"
    answers = [await log_in(ada, code=wrong) for _ in range(11)]
    assert answers[:10] == [(401, "bad_second_factor")] * 10
    assert answers[10] == (429, "too_many_attempts")
    assert await log_in(ada, code=right) == (429, "too_many_attempts")


async def test_neither_secret_nor_codes_stand_in_the_tables(
    ada: Somebody, clock: DrivenClock, worker_database: Database
) -> None:
    secret, codes = await switch_on(ada, clock)
    async with worker_database.unscoped() as connection:
        kept: list[Any] = [
            *(await connection.execute(text("SELECT secret FROM kilowatch.second_factors"))).scalars(),
            *(await connection.execute(text("SELECT code_hash FROM kilowatch.recovery_codes"))).scalars(),
        ]
    assert len(kept) >= 11
    for told in (secret, *codes, *(code.replace("-", "") for code in codes)):
        assert not any(told.encode() in row for row in kept)


async def test_another_key_of_the_instance_leaves_recovery_codes_only(
    ada: Somebody, clock: DrivenClock, parts: Parts, stream: Client
) -> None:
    """`parts` has no key of its own, so each server has a new one."""
    secret, codes = await switch_on(ada, clock)
    async with open_house(parts, stream) as other, httpx.AsyncClient(base_url=other.url) as http:
        moved = Somebody(http, ada.letters)
        moved.email = ada.email
        assert await log_in(moved, code=code_of(secret, clock)) == (401, "bad_second_factor")
        assert await log_in(moved, code=codes[0]) == (200, "")


async def test_keys_have_no_second_factor(house: House, member: Any) -> None:
    async with httpx.AsyncClient(base_url=house.url, headers=member.bearer("admin")) as http:
        answer = await http.post("/api/v1/auth/second-factor", json={"password": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "people_only")
