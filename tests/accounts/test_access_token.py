"""Access tokens: good for their time, for this instance, and unchanged; and the key that signs them."""

import stat
import threading
from pathlib import Path

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.accounts.access_token import LIFE_S, AccessTokens, find_token_key
from kilowatch.clock import DrivenClock
from kilowatch.ids import new_id
from kilowatch.settings import load_settings

NOW_US = 1_790_000_000_000_000
KEY = b"k" * 48


def test_a_token_says_whose_session_it_is_until_its_time_is_over() -> None:
    clock = DrivenClock(NOW_US)
    tokens = AccessTokens(KEY, clock)
    user, session = new_id(), new_id()
    token = tokens.make(user, session)
    bearer = tokens.read(token)
    assert bearer is not None
    assert (bearer.user_id, bearer.session_id) == (user, session)
    clock.advance(LIFE_S - 1)
    assert tokens.read(token) == bearer
    clock.advance(1)
    assert tokens.read(token) is None


@given(place=st.integers(0, 400), sign=st.characters(codec="ascii"))
def test_a_changed_token_speaks_for_nobody_else(place: int, sign: str) -> None:
    """Some changes of a last sign change no bit; all others make the token none."""
    tokens = AccessTokens(KEY, DrivenClock(NOW_US))
    token = tokens.make(new_id(), new_id())
    place %= len(token)
    changed = token[:place] + sign + token[place + 1 :]
    assert tokens.read(changed) in (None, tokens.read(token))
    payload = slice(token.index("."), token.rindex("."))
    if changed[payload] != token[payload]:
        assert tokens.read(changed) is None


@pytest.mark.parametrize(
    "claims",
    [{"iss": "other"}, {"aud": "other"}, {"sub": "x"}, {"sid": None}, {"exp": "soon"}, {"exp": None}],
)
def test_tokens_of_others_are_none(claims: dict[str, object]) -> None:
    tokens = AccessTokens(KEY, DrivenClock(NOW_US))
    now_s = NOW_US // 1_000_000
    good: dict[str, object] = {
        "iss": "kilowatch",
        "aud": "kilowatch-api",
        "sub": str(new_id()),
        "sid": str(new_id()),
        "exp": now_s + 60,
    }
    assert tokens.read(jwt.encode(good, KEY, "HS256")) is not None
    changed = {name: value for name, value in (good | claims).items() if value is not None}
    assert tokens.read(jwt.encode(changed, KEY, "HS256")) is None
    assert tokens.read(jwt.encode(good, b"o" * 48, "HS256")) is None
    assert tokens.read(jwt.encode(good, None, "none")) is None


def test_an_instance_makes_one_key_and_keeps_it(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path)
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(find_token_key(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found[0]) >= 48
    (file,) = (tmp_path / "secrets").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert find_token_key(load_settings(data=tmp_path, token_key="x" * 40)) == b"x" * 40
