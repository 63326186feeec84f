"""Which passwords are good enough, and how they are compared."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.accounts.password import LONGEST, SHORTEST, hash_password, is_password, password_faults

OWN = ("ada@example.org", "Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * (LONGEST + 1),
        "password123",
        "Passw0rd!!!!",
        "1234567890",
        "0987654321",
        "qwertyuiop",
        "aaaaaaaaaaaa",
        "ababababab",
        "hellohello",
        "kilowatch2026",
        "adalovelace",
        "Ada Lovelace1",
        "ada@example.org",
    ],
)
def test_weak_passwords_are_refused_with_a_reason(password: str) -> None:
    own = (*OWN, "adalovelace")
    (fault,) = password_faults(password, *own)
    assert (fault.code, fault.pointer) == ("weak_password", "/password")


@pytest.mark.parametrize(
    "password", ["correct horse battery", "vier wörter ohne sinn", "zK9!pQ2#mX7", "     leading blanks ok"]
)
def test_good_passwords_need_no_special_signs(password: str) -> None:
    assert password_faults(password, *OWN) == []


@given(st.text(max_size=SHORTEST - 1) | st.text(min_size=LONGEST + 1, max_size=LONGEST + 50))
def test_length_is_all_that_a_long_random_password_needs(password: str) -> None:
    assert password_faults(password)


async def test_only_the_password_itself_is_right() -> None:
    kept = await hash_password("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert await is_password("correct horse battery", kept)
    assert not await is_password("correct horse batterx", kept)
    assert not await is_password("nobody's", None)
    assert not await is_password("anything", "no hash at all")
    assert await hash_password("correct horse battery") != kept


async def test_where_no_password_counts_comparing_takes_as_long() -> None:
    async def cost_s(kept: str | None) -> float:
        began = time.process_time()
        for _ in range(5):
            assert not await is_password("correct horse battery", kept)
        return time.process_time() - began

    await cost_s(None)
    assert await cost_s("!") > await cost_s(None) / 3
