"""The second factor: codes of an authenticator app (RFC 6238), and recovery codes for when it is lost.

Keeps true: a code is good once, for the half minute that it is of and the ones beside it; who reads the
tables but not the instance's key learns no secret. Who has lost both the app and the recovery codes needs an
operator.
"""

import base64
import hmac
import secrets
import uuid
from dataclasses import dataclass
from typing import Literal

import pyotp
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from kilowatch.accounts.store import second_factors as store
from kilowatch.clock import MICROSECONDS, Clock
from kilowatch.errors import Problem
from kilowatch.postgres.engine import Connection

STEP_S = 30
STEPS_BESIDE = 1
"""Clocks may differ by so many steps."""
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
"""80 random bits, so a fast hash is enough."""
ISSUER = "Kilowatch"

Way = Literal["app", "recovery_code"]


@dataclass(frozen=True, slots=True)
class Offered:
    """A second factor to be confirmed: what the user types into the app, or shows it as a QR code."""

    secret: str
    uri: str


class SecondFactors:
    """Makes and checks second factors; `key` (32 bytes) seals their secrets."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._box = SecretBox(key)
        self._clock = clock

    async def offer(self, connection: Connection, user_id: uuid.UUID, email: str) -> Offered:
        """A new secret, which counts once a code of it is shown.

        Raises:
            Problem: 409 when a second factor is on already.
        """
        secret = pyotp.random_base32()
        if not await store.begin_second_factor(connection, user_id, self._box.encrypt(secret.encode())):
            raise _already_on()
        uri = pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=email, issuer_name=ISSUER)
        return Offered(secret, uri)

    async def confirm(self, connection: Connection, user_id: uuid.UUID, code: str) -> list[str] | None:
        """Switches it on for who shows a code of the app, and gives recovery codes; None for a wrong one.

        Raises:
            Problem: 409 when none was offered, or one is on already.
        """
        factor = await store.find_second_factor(connection, user_id)
        if factor is None:
            raise Problem(409, "no_second_factor", "First ask for a second factor, then show a code of it.")
        if factor.confirmed_at is not None:
            raise _already_on()
        if not await self._is_step(connection, user_id, factor, code):
            return None
        codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
        if not await store.confirm_second_factor(connection, user_id, [bare_code(one) for one in codes]):
            raise _already_on()
        return codes

    async def use(self, connection: Connection, user_id: uuid.UUID, code: str) -> Way | None:
        """What a code is of, which is used up with it; None for a wrong one."""
        factor = await store.find_second_factor(connection, user_id)
        if factor is None:
            return None
        if await self._is_step(connection, user_id, factor, code):
            return "app"
        if await store.use_recovery_code(connection, user_id, bare_code(code)):
            return "recovery_code"
        return None

    async def _is_step(
        self, connection: Connection, user_id: uuid.UUID, factor: store.SecondFactor, code: str
    ) -> bool:
        step = self._find_step(factor.secret, code.replace(" ", ""))
        return step is not None and await store.use_step(connection, user_id, step)

    def _find_step(self, sealed: bytes, code: str) -> int | None:
        """The step that a code is of. Without the key that the secret was sealed with, no code is right, and
        recovery codes remain."""
        try:
            otp = pyotp.TOTP(self._box.decrypt(sealed).decode(), interval=STEP_S)
        except CryptoError:
            return None
        now = self._clock.now_us() // MICROSECONDS // STEP_S
        near = range(now - STEPS_BESIDE, now + STEPS_BESIDE + 1)
        found = [step for step in near if hmac.compare_digest(otp.generate_otp(step).encode(), code.encode())]
        return found[-1] if found else None


def new_recovery_code() -> str:
    """Four groups of four small letters and digits."""
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def bare_code(code: str) -> str:
    """A recovery code however it was typed."""
    return code.replace("-", "").replace(" ", "").lower()


def _already_on() -> Problem:
    return Problem(409, "second_factor_on", "A second factor is on already; switch it off first.")
