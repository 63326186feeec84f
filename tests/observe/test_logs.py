"""No secret is ever written to the log, by whatever name it comes."""

import io
import json
import logging

import jwt
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.accounts.people import new_refresh_token
from kilowatch.accounts.second_factor import new_recovery_code
from kilowatch.ids import new_secret
from kilowatch.observe.logs import MASK, configure_logging, mask_secrets

WEB_TOKEN = jwt.encode({"sub": "x", "sid": "y"}, b"k" * 48, "HS256")


def masked(**event: object) -> str:
    return repr(mask_secrets(None, "info", dict(event)))


@pytest.mark.parametrize(
    "name",
    ["password", "old_password", "refresh_token", "Authorization", "smtp_secret", "recovery_codes", "cookie"],
)
def test_a_telling_name_masks_whatever_it_holds(name: str) -> None:
    assert "hidden" not in masked(**{name: "hidden"})
    assert "hidden" not in masked(body={name: "hidden"})


@given(around=st.sampled_from(["{}", "key {} was sent", "Bearer {}", '{{"a": "{}"}}', "https://x/?k={}"]))
def test_secrets_are_known_by_their_look(around: str) -> None:
    for secret in (new_secret(), new_refresh_token(), new_secret().replace("kw_", "kwd_"), WEB_TOKEN):
        assert secret not in masked(text=around.format(secret))
        assert secret not in masked(several=[{"inside": around.format(secret)}])


@given(code=st.from_regex(r"[0-9]{6}", fullmatch=True))
def test_mailed_codes_are_masked_and_words_are_not(code: str) -> None:
    assert code not in masked(code=code)
    recovery = new_recovery_code()
    assert recovery not in masked(code=recovery)
    assert "bad_login" in masked(code="bad_login")


def test_a_written_line_has_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:], logging.getLogger().level, structlog.get_config()
    stream = io.StringIO()
    try:
        configure_logging("info", "json", stream)
        structlog.get_logger().info("shown", authorization=f"Bearer {WEB_TOKEN}", note=f"got {WEB_TOKEN}")
        logging.getLogger("else").info("of the library: %s", WEB_TOKEN)
    finally:
        logging.getLogger().handlers[:], level, kept = before
        logging.getLogger().setLevel(level)
        structlog.configure(**kept)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 2
    assert WEB_TOKEN not in stream.getvalue()
    assert lines[0]["authorization"] == MASK
