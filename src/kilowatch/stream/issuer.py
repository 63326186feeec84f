"""The key that answers of the login service are signed with: a NATS account key (an "nkey").

Owns its making, its file and the JSON Web Tokens that nats-server takes. Keeps true that the seed stands in a
file that only its owner reads, or in a setting; servers are told the public half only.
"""

import base64
import hashlib
import secrets
from typing import Any

import msgspec
import nkeys

from kilowatch.clock import MICROSECONDS, Clock
from kilowatch.errors import StartRefused
from kilowatch.secret_file import keep_secret
from kilowatch.settings import Settings

SEED_FILE = "mqtt-issuer"
HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


class Issuer:
    """Signs what nats-server shall believe."""

    def __init__(self, seed: str, clock: Clock) -> None:
        """Raises:
        StartRefused: if the seed is not one of an account.
        """
        try:
            self._pair = nkeys.from_seed(seed.strip().encode())
            self.public_key: str = self._pair.public_key.decode()
        except (nkeys.NkeysError, ValueError) as error:
            raise StartRefused(f"The seed of the MQTT logins is no nkey: {error}") from error
        if not self.public_key.startswith("A"):
            raise StartRefused("The seed of the MQTT logins must be an account's; it begins with SA.")
        self._clock = clock

    def sign(
        self,
        claims: dict[str, Any],
        *,
        subject: str,
        audience: str,
        name: str = "",
        expires_s: int | None = None,
    ) -> str:
        """A token with these claims about `subject`, for `audience`; `expires_s` in epoch seconds."""
        content: dict[str, Any] = {
            "iss": self.public_key,
            "sub": subject,
            "aud": audience,
            "iat": self._clock.now_us() // MICROSECONDS,
            "name": name,
            "nats": claims,
        }
        if expires_s is not None:
            content["exp"] = expires_s
        content["jti"] = hashlib.sha256(msgspec.json.encode(content)).hexdigest()
        said = f"{_packed(HEADER)}.{_packed(content)}"
        return f"{said}.{_base64(self._pair.sign(said.encode()))}"


def make_seed() -> str:
    """The seed of a new account key."""
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_ACCOUNT)
    return seed.decode()


def find_issuer(settings: Settings, clock: Clock) -> Issuer:
    """The issuer of this instance: the setting's, or the file's in the data folder, made if there is none.

    Raises:
        StartRefused: if the seed is none.
    """
    if settings.mqtt_issuer_seed is not None:
        return Issuer(settings.mqtt_issuer_seed.get_secret_value(), clock)
    seed = keep_secret(settings.data, SEED_FILE, make_seed)
    return Issuer(seed.decode("ascii"), clock)


def _packed(content: dict[str, Any]) -> str:
    return _base64(msgspec.json.encode(content))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
