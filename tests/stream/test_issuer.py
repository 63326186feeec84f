"""The key that logins are signed with: made once, private, and nobody else's."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import nkeys
import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from kilowatch.clock import SystemClock
from kilowatch.errors import StartRefused
from kilowatch.settings import load_settings
from kilowatch.stream.issuer import Issuer, find_issuer, make_seed

CLOCK = SystemClock()


def unpacked(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_a_signature_holds_for_what_was_signed_only() -> None:
    issuer = Issuer(make_seed(), CLOCK)
    token = issuer.sign({"type": "user"}, subject="U1", audience="$G", name="home/D1", expires_s=7)
    head, body, signature = token.split(".")
    claims = msgspec.json.decode(unpacked(body))
    assert (claims["iss"], claims["sub"], claims["aud"]) == (issuer.public_key, "U1", "$G")
    assert (claims["name"], claims["exp"], claims["nats"]) == ("home/D1", 7, {"type": "user"})
    # An nkey is a letter for its kind, 32 bytes and a checksum, in base32.
    known = VerifyKey(base64.b32decode(issuer.public_key)[1:33])
    known.verify(f"{head}.{body}".encode(), unpacked(signature))
    with pytest.raises(BadSignatureError):
        known.verify(f"{head}.{body}x".encode(), unpacked(signature))


def test_processes_that_start_together_make_one_private_file(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path)
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: find_issuer(settings, CLOCK).public_key, range(8)))
    assert len(keys) == 1
    (file,) = (tmp_path / "secrets").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_setting_comes_first_and_is_shown_nowhere(tmp_path: Path) -> None:
    seed = make_seed()
    settings = load_settings(data=tmp_path, mqtt_issuer_seed=seed)
    assert find_issuer(settings, CLOCK).public_key == Issuer(seed, CLOCK).public_key
    assert seed not in repr(settings)
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize("kind", ["", "nonsense", "user"])
def test_what_is_no_seed_of_an_account_is_refused(kind: str) -> None:
    seed = nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER).decode() if kind == "user" else kind
    with pytest.raises(StartRefused):
        Issuer(seed, CLOCK)
