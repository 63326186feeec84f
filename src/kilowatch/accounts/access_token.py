"""Access tokens: JSON Web Tokens that say for a quarter of an hour whose session a request belongs to.

Keeps true: a token names a user and a session and nothing that could change meanwhile; what they may do is
looked up. Its key is a setting, or made once per instance in a file that only its owner reads.
"""

import hmac
import uuid
from dataclasses import dataclass

import jwt
from jwt.types import Options

from kilowatch.clock import MICROSECONDS, Clock
from kilowatch.secret_file import keep_secret
from kilowatch.settings import Settings

LIFE_S = 15 * 60
ISSUER, AUDIENCE = "kilowatch", "kilowatch-api"
ALGORITHM = "HS256"
BEGINNING = "eyJ"
"""How every JSON Web Token begins, and no API key."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose token it is, and until when it is good."""

    user_id: uuid.UUID
    session_id: uuid.UUID
    expires_us: int


class AccessTokens:
    """Makes and reads access tokens."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def make(self, user_id: uuid.UUID, session_id: uuid.UUID) -> str:
        """A token for a session, good for `LIFE_S`."""
        now_s = self._clock.now_us() // MICROSECONDS
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": now_s,
            "exp": now_s + LIFE_S,
        }
        return jwt.encode(claims, self._key, ALGORITHM)

    def derive_key(self, purpose: str) -> bytes:
        """Another key of 32 bytes, which tells nothing of the one that signs."""
        return hmac.digest(self._key, f"kilowatch {purpose}".encode(), "sha256")

    def read(self, token: str) -> Bearer | None:
        """Who is behind a token; None when it is not ours, was changed, or is over."""
        checks: Options = {"require": ["exp", "sub", "sid"], "verify_exp": False, "verify_iat": False}
        try:
            claims = jwt.decode(
                token, self._key, [ALGORITHM], issuer=ISSUER, audience=AUDIENCE, options=checks
            )
            bearer = Bearer(
                uuid.UUID(claims["sub"]), uuid.UUID(claims["sid"]), int(claims["exp"]) * MICROSECONDS
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
            return None
        return bearer if self._clock.now_us() < bearer.expires_us else None


def find_token_key(settings: Settings) -> bytes:
    """The key of this instance: the setting's, or the file's in the data folder, made if there is none."""
    if settings.token_key is not None:
        return settings.token_key.get_secret_value().encode()
    return keep_secret(settings.data, "token")
