"""People: signing up, in and out, and what concerns their own account.

Keeps true: no answer tells whether an address is known to whoever does not read its mail; a refresh token
works once, and one that comes a second time ends its session, since one of the two holders stole it. A code
that is mailed is good for at least a minute, however often another one is asked for.
"""

import asyncio
import re
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from kilowatch.accounts import letters
from kilowatch.accounts.access_token import LIFE_S, AccessTokens
from kilowatch.accounts.gate import Gate
from kilowatch.accounts.letters import Letter
from kilowatch.accounts.mail import Mail, mail_unsent
from kilowatch.accounts.password import hash_password, is_password, password_faults
from kilowatch.accounts.postage import NOTICE, Postage
from kilowatch.accounts.second_factor import Offered
from kilowatch.accounts.store import audit, members, second_factors, sessions, users
from kilowatch.clock import Clock, to_datetime
from kilowatch.errors import EngineUnavailable, Fault, Problem
from kilowatch.ids import name_faults, new_id
from kilowatch.observe.request import ORIGIN
from kilowatch.postgres.engine import Connection, Database

log = structlog.get_logger()

EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[^\s@<>\"(),:;\\\[\]]{1,189}")
REFRESH_PREFIX = "kwr_"
SIGNED_UP = "The sign-up stands, but nothing is on its way to its address: sign up again in a moment."
"""Said for every address, so it tells nothing of any."""
NO_PASSWORD = "!"  # noqa: S105 - stands where a hash would, and no password has it
OpenHousehold = Callable[[Connection, uuid.UUID, str, str], Awaitable[object]]
"""Makes an organisation (id, slug, name) with its default home."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What somebody gets who has signed in."""

    access_token: str
    refresh_token: str
    expires_in: int = LIFE_S


@dataclass(slots=True)
class People:
    """All that people do with their accounts."""

    database: Database
    tokens: AccessTokens
    mail: Mail
    clock: Clock
    session_days: int
    open_household: OpenHousehold
    gate: Gate
    postage: Postage
    _sending: set[asyncio.Task[None]] = field(default_factory=set)

    async def sign_up(self, email: str, password: str, name: str) -> None:
        """Makes a user with a personal organisation and a home, and sends a code to the address. For an
        address that is known, its owner is told instead; the answer is the same.

        Raises:
            Problem: 422 with all that is wrong; 503 `mail_unsent`.
        """
        email = email.strip().lower()
        faults = email_faults(email) + name_faults(name) + password_faults(password, email, name)
        if faults:
            raise Problem(422, "invalid", faults[0].detail, faults)
        password_hash = await hash_password(password)
        async with self.database.unscoped() as connection:
            known = await users.find_user(connection, email)
        # Compared for everybody, so that it takes as long.
        same = await is_password(password, None if known is None else known.password_hash)
        if known is None:
            user_id, code = new_id(), self._take_code("verify", email)
            if not await self._make(user_id, email, name, password_hash, code):
                if code is not None:
                    self.postage.give_back("verify", email)
                await self.sign_up(email, password, name)  # somebody else was first, a moment ago
                return
            letter = _verify(letters.VERIFY, code, user_id, email, name)
        else:
            newest = known.password_hash if same else password_hash
            letter = await self._sign_up_again(known, name, newest)
        if letter is None:
            return
        try:
            await self._send(letter)
        except EngineUnavailable as error:
            log.warning("mail.unsent", reason=str(error))
            raise mail_unsent(SIGNED_UP) from error

    async def _sign_up_again(self, known: users.User, name: str, password_hash: str) -> Letter | None:
        """Takes a further sign-up for an address that nobody has shown to be theirs; what to write to it. The
        newest password counts, unless an earlier sign-up with another one still waits for its code: then
        nobody can tell whose password the reader of the mail would confirm, and none of them counts. Once the
        address is verified, perhaps in this very moment, nothing is changed."""
        async with self.database.person(known.id) as connection:
            await users.lock_user(connection, known.id)
            user = await users.get_user(connection, known.id)
            if user is None or user.verified_at is not None:
                free = self.postage.take(NOTICE, known.email)
                return letters.write_notice(known.id, known.email, known.name) if free else None
            same = password_hash == user.password_hash
            contested = not same and await users.has_code(connection, known.id, "verify")
            kept = NO_PASSWORD if contested else password_hash
            await users.change_user(connection, known.id, name=name, password_hash=kept)
            code = await self._replace_code(connection, user, "verify")
        words = letters.CONTESTED if contested else letters.VERIFY
        return _verify(words, code, known.id, known.email, name)

    async def _make(
        self, user_id: uuid.UUID, email: str, name: str, password_hash: str, code: str | None
    ) -> bool:
        organisation_id = new_id()
        async with self.database.person(user_id, organisation_id) as connection:
            if not await users.create_user(connection, user_id, email, name, password_hash):
                return False
            if code is not None:
                await users.set_code(connection, user_id, "verify", code)
            slug = f"home-{organisation_id.hex[:12]}"
            await self.open_household(connection, organisation_id, slug, name)
            await members.add_member(connection, organisation_id, user_id, "admin", is_personal=True)
            await self.gate.write(connection, user_id, "account.signed_up")
        return True

    def _take_code(self, purpose: users.Purpose, email: str) -> str | None:
        """A new code, if one more letter with one may go to the address."""
        return new_code() if self.postage.take(purpose, email) else None

    async def _replace_code(
        self, connection: Connection, user: users.User, purpose: users.Purpose
    ) -> str | None:
        """The code that counts from now on, of a user whom the transaction holds; None where the one before
        goes on, since it is young, or since no further letter goes to the address now."""
        if await users.has_young_code(connection, user.id, purpose):
            return None
        code = self._take_code(purpose, user.email)
        if code is not None:
            await users.set_code(connection, user.id, purpose, code)
        return code

    async def _send(self, letter: Letter) -> None:
        """Sends a letter; where that fails its code is taken back, so that the next one is sent at once.

        Raises:
            EngineUnavailable: if it cannot be sent.
        """
        try:
            await self.mail.send(letter.to, letter.subject, letter.text)
        except EngineUnavailable:
            self.postage.give_back(letter.purpose or NOTICE, letter.to)
            if letter.purpose is not None:
                async with self.database.person(letter.user_id) as connection:
                    await users.drop_code(connection, letter.user_id, letter.purpose, letter.code)
            raise

    async def verify(self, email: str, code: str) -> Tokens:
        """Signs somebody in who has read the code.

        Raises:
            Problem: 401 `bad_code`, `second_factor_needed`; 429 `too_many_attempts`.
        """
        user = await self.gate.check_code(email, "verify", code)
        await self.gate.check_second_factor(user, None)
        async with self.database.person(user.id) as connection:
            await self.gate.write(connection, user.id, "account.verified")
        return await self._start_session(user.id, "mailed_code")

    async def log_in(self, email: str, password: str, code: str | None = None) -> Tokens:
        """A new session. `code`: of the second factor, where there is one.

        Raises:
            Problem: 401 `bad_login`, `second_factor_needed`, `bad_second_factor`; 403 `not_verified` to who
                knows the password; 429 `too_many_attempts`.
        """
        user = await self.gate.check_password(email, password)
        second = await self.gate.check_second_factor(user, code)
        way = "password" if second is None else f"password_and_{second}"
        return await self._start_session(user.id, way, user.password_hash)

    async def refresh(self, refresh_token: str) -> Tokens:
        """A new pair for a refresh token, which is used up.

        Raises:
            Problem: 401 `session_over`; also when the token was used before, which ends its session.
        """
        async with self.database.unscoped() as connection:
            shown = await sessions.find_refresh_token(connection, refresh_token)
        over = Problem(401, "session_over", "This session is over; sign in again.")
        if shown is None or shown.ended_at is not None or shown.expires_at <= self._now():
            raise over
        following = new_refresh_token()
        async with self.database.person(shown.user_id) as connection:
            first = await sessions.use_refresh_token(connection, refresh_token)
            if first:
                await sessions.add_refresh_token(connection, shown.user_id, shown.session_id, following)
            else:
                await sessions.end_sessions(connection, shown.user_id, only=shown.session_id)
                await audit.record(
                    connection,
                    "session.reused",
                    actor="nobody",
                    user_id=shown.user_id,
                    subject=shown.session_id,
                )
        if not first:
            raise over
        return Tokens(self.tokens.make(shown.user_id, shown.session_id), following)

    async def log_out(self, refresh_token: str) -> None:
        """Ends the token's session, if there is one."""
        async with self.database.unscoped() as connection:
            shown = await sessions.find_refresh_token(connection, refresh_token)
        if shown is not None and shown.ended_at is None:
            async with self.database.person(shown.user_id) as connection:
                await sessions.end_sessions(connection, shown.user_id, only=shown.session_id)
                await self.gate.write(connection, shown.user_id, "session.ended")

    async def forget_password(self, email: str) -> None:
        """Sends a code to set a new password with, if there is such a user. The answer does not wait for it,
        since how long it took, or that no mail can be sent now, would tell that there is."""
        async with self.database.unscoped() as connection:
            user = await users.find_user(connection, email.strip())
        if user is None or user.disabled_at is not None:
            return
        sending = asyncio.create_task(self._send_reset_code(user))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send_reset_code(self, user: users.User) -> None:
        try:
            code = await self._write_reset_code(user)
            if code is not None:
                await self._send(
                    letters.write_code(
                        letters.RESET, "reset", code, user_id=user.id, to=user.email, name=user.name
                    )
                )
        except EngineUnavailable as error:
            log.warning("mail.reset_code_unsent", reason=str(error))

    async def _write_reset_code(self, user: users.User) -> str | None:
        async with self.database.person(user.id) as connection:
            await users.lock_user(connection, user.id)
            code = await self._replace_code(connection, user, "reset")
            if code is not None:
                await audit.record(
                    connection, "password.forgotten", actor="nobody", user_id=user.id, subject=user.id
                )
        return code

    async def reset_password(self, email: str, code: str, password: str) -> None:
        """Sets a new password and ends all sessions. A second factor stays on.

        Raises:
            Problem: 422 for a weak password, which costs no try; 401 `bad_code`; 429 `too_many_attempts`.
        """
        _refuse_weak(password, email)
        user = await self.gate.check_code(email, "reset", code)
        password_hash = await hash_password(password)
        async with self.database.person(user.id) as connection:
            # Whoever read the code has the address, so it counts as verified.
            verified_at = user.verified_at or self._now()
            await users.change_user(connection, user.id, password_hash=password_hash, verified_at=verified_at)
            await users.drop_codes(connection, user.id)
            await sessions.end_sessions(connection, user.id)
            await self.gate.write(connection, user.id, "password.reset")
        self.gate.attempts.note_right(user.email, ORIGIN.get().network)

    async def change_password(self, user_id: uuid.UUID, session_id: uuid.UUID, old: str, new: str) -> None:
        """Sets a new password and ends all other sessions.

        Raises:
            Problem: 401 `bad_login`, 422; 429 `too_many_attempts`.
        """
        user = await self.gate.confirm(user_id, old)
        _refuse_weak(new, user.email, user.name)
        password_hash = await hash_password(new)
        async with self.database.person(user_id) as connection:
            await users.change_user(connection, user_id, password_hash=password_hash)
            await users.drop_codes(connection, user_id)
            await sessions.end_sessions(connection, user_id, but=session_id)
            await self.gate.write(connection, user_id, "password.changed")

    async def offer_second_factor(self, user_id: uuid.UUID, password: str) -> Offered:
        """A second factor to be confirmed.

        Raises:
            Problem: 401 `bad_login`; 409 when one is on; 429 `too_many_attempts`.
        """
        user = await self.gate.confirm(user_id, password)
        async with self.database.person(user_id) as connection:
            return await self.gate.second_factors.offer(connection, user_id, user.email)

    async def confirm_second_factor(self, user_id: uuid.UUID, code: str) -> list[str]:
        """Switches the second factor on and gives the recovery codes.

        Raises:
            Problem: 401 `bad_second_factor`; 409 when none was offered, or one is on; 429
                `too_many_attempts`.
        """
        user = await self._get(user_id)
        async with self.gate.turn(user.email):
            await self.gate.stop_guessing(user)
            async with self.database.person(user_id) as connection:
                codes = await self.gate.second_factors.confirm(connection, user_id, code)
                if codes is not None:
                    await self.gate.write(connection, user_id, "second_factor.switched_on")
            if codes is None:
                raise await self.gate.refuse_second_factor(user)
        return codes

    async def remove_second_factor(self, user_id: uuid.UUID, password: str, code: str) -> None:
        """Switches the second factor off.

        Raises:
            Problem: 401 `bad_login`, `bad_second_factor`; 409 when there is none; 429 `too_many_attempts`.
        """
        user = await self.gate.confirm(user_id, password)
        if await self.gate.check_second_factor(user, code) is None:
            raise Problem(409, "no_second_factor", "There is no second factor to switch off.")
        async with self.database.person(user_id) as connection:
            await second_factors.remove_second_factor(connection, user_id)
            await self.gate.write(connection, user_id, "second_factor.switched_off")

    async def _get(self, user_id: uuid.UUID) -> users.User:
        async with self.database.person(user_id) as connection:
            user = await users.get_user(connection, user_id)
        if user is None:
            raise Problem(401, "bad_credentials", "This account is no more.")
        return user

    def _now(self) -> datetime:
        return to_datetime(self.clock.now_us())

    async def _start_session(self, user_id: uuid.UUID, way: str, password_hash: str | None = None) -> Tokens:
        """A session for who has shown what was asked for, unless they were shut out or got a new password
        meanwhile; `password_hash` is of the one that was shown."""
        session_id, refresh_token = new_id(), new_refresh_token()
        async with self.database.person(user_id) as connection:
            await users.lock_user(connection, user_id)
            user = await users.get_user(connection, user_id)
            if (
                user is None
                or user.disabled_at is not None
                or password_hash not in (None, user.password_hash)
            ):
                raise Problem(401, "bad_login", "Address or password are wrong.")
            await sessions.start_session(connection, user_id, session_id, self.session_days, refresh_token)
            await self.gate.welcome(connection, user, way)
        return Tokens(self.tokens.make(user_id, session_id), refresh_token)


def _verify(words: str, code: str | None, user_id: uuid.UUID, to: str, name: str) -> Letter | None:
    """The letter with a code, if there is one."""
    if code is None:
        return None
    return letters.write_code(words, "verify", code, user_id=user_id, to=to, name=name)


def new_code() -> str:
    """Six random digits."""
    return f"{secrets.randbelow(1_000_000):06d}"


def new_refresh_token() -> str:
    """A refresh token: 256 random bits."""
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def _refuse_weak(password: str, *own: str) -> None:
    if faults := password_faults(password, *own):
        raise Problem(422, "invalid", faults[0].detail, faults)


def email_faults(email: str) -> list[Fault]:
    """What is wrong with an address in small letters; empty when nothing is."""
    if EMAIL.fullmatch(email) and email.isprintable():
        return []
    return [Fault("bad_email", "An address looks like name@example.org.", pointer="/email")]
