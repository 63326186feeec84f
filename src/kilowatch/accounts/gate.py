"""Who says to be somebody shows it here: by password, by a mailed code, by a second factor.

Keeps true: every try that could be a guess is counted and written to the audit log, whether or not there is
such an account; a disabled account is refused as a wrong password is.
"""

import asyncio
import uuid
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from kilowatch.accounts.attempts import Attempts
from kilowatch.accounts.password import is_password
from kilowatch.accounts.second_factor import SecondFactors, Way
from kilowatch.accounts.store import audit, users
from kilowatch.accounts.store.second_factors import has_second_factor
from kilowatch.errors import Problem
from kilowatch.ids import new_id
from kilowatch.observe.request import ORIGIN
from kilowatch.postgres.engine import Connection, Database


@dataclass(frozen=True, slots=True)
class Gate:
    """Checks what people show."""

    database: Database
    attempts: Attempts
    second_factors: SecondFactors
    _turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def check_password(self, email: str, password: str) -> users.User:
        """The user of this address and password.

        Raises:
            Problem: 401 `bad_login`; 403 `not_verified` to who knows the password; 429 `too_many_attempts`.
        """
        async with self.turn(email):
            user = await self._find(email)
            await self._stop(email, user)
            right = await is_password(password, None if user is None else user.password_hash)
            if user is None or not right or user.disabled_at is not None:
                reason = "no_account" if user is None else "disabled" if right else "wrong_password"
                await self._refuse(email, user, reason)
                raise Problem(401, "bad_login", "Address or password are wrong.")
        if user.verified_at is None:
            await self._write(user, "login.failed", reason="not_verified")
            raise Problem(
                403, "not_verified", "First enter the code from our mail; sign up again for a new one."
            )
        return user

    async def check_code(self, email: str, purpose: users.Purpose, code: str) -> users.User:
        """The user of this address, to whom this code was mailed. It is used up; whoever read it has shown in
        the same moment that the address is theirs.

        Raises:
            Problem: 401 `bad_code`; 429 `too_many_attempts`.
        """
        async with self.turn(email):
            user = await self._find(email)
            await self._stop(email, user)
            user_id = new_id() if user is None else user.id  # nobody's codes are looked for, too
            async with self.database.person(user_id) as connection:
                await users.lock_user(connection, user_id)
                right = await users.use_code(connection, user_id, purpose, code.strip())
                if right:
                    await users.verify_user(connection, user_id)
            if user is None or not right or user.disabled_at is not None:
                reason = "no_account" if user is None else "disabled" if right else "wrong_code"
                await self._refuse(email, user, reason)
                raise Problem(401, "bad_code", "The code is wrong or too old; ask for a new one.")
            return user

    async def check_second_factor(self, user: users.User, code: str | None) -> Way | None:
        """By what the user passed the second factor; None where they have none.

        Raises:
            Problem: 401 `second_factor_needed`, or `bad_second_factor` for a wrong code; 429
                `too_many_attempts`.
        """
        async with self.database.person(user.id) as connection:
            if not await has_second_factor(connection, user.id):
                return None
        if code is None:
            raise Problem(
                401, "second_factor_needed", "Send `code` too: of your authenticator app, or a recovery code."
            )
        async with self.turn(user.email):
            await self._stop(user.email, user)
            async with self.database.person(user.id) as connection:
                way = await self.second_factors.use(connection, user.id, code)
            if way is None:
                raise await self.refuse_second_factor(user)
        return way

    async def welcome(self, connection: Connection, user: users.User, way: str) -> None:
        """Writes down that somebody has signed in, and frees the address that they did it from. Called in a
        transaction of theirs."""
        self.attempts.note_right(user.email, ORIGIN.get().network)
        await self.write(connection, user.id, "login.succeeded", way=way)

    async def confirm(self, user_id: uuid.UUID, password: str) -> users.User:
        """The user, who has signed in and shown the password once more.

        Raises:
            Problem: 401 `bad_login`; 429 `too_many_attempts`.
        """
        async with self.database.person(user_id) as connection:
            user = await users.get_user(connection, user_id)
        email = "" if user is None else user.email
        async with self.turn(email):
            await self._stop(email, user)
            right = await is_password(password, None if user is None else user.password_hash)
            if user is None or not right:
                await self._refuse(email, user, "wrong_password")
                raise Problem(401, "bad_login", "The password is wrong.")
        return user

    def turn(self, email: str) -> asyncio.Lock:
        """Held during a try: of those on one account from one address each waits for the one before, so that
        many at once are no more tries than one by one. Others do not wait."""
        return self._turns.setdefault((_account(email), ORIGIN.get().network), asyncio.Lock())

    async def refuse_second_factor(self, user: users.User) -> Problem:
        """Counts a wrong code of somebody who has signed in; what to raise."""
        await self._refuse(user.email, user, "wrong_second_factor")
        return wrong_second_factor()

    async def stop_guessing(self, user: users.User) -> None:
        """Refuses somebody who has signed in and tried too often.

        Raises:
            Problem: 429 `too_many_attempts`.
        """
        await self._stop(user.email, user)

    async def write(self, connection: Connection, user_id: uuid.UUID, action: str, **detail: object) -> None:
        """Writes down what somebody did with their account, in a transaction of theirs."""
        await audit.record(
            connection, action, actor=f"user:{user_id}", user_id=user_id, subject=user_id, detail=detail
        )

    async def _find(self, email: str) -> users.User | None:
        async with self.database.unscoped() as connection:
            return await users.find_user(connection, email.strip())

    async def _stop(self, email: str, user: users.User | None) -> None:
        account, network = _account(email), ORIGIN.get().network
        stop = self.attempts.find_stop(account, network)
        if stop is None:
            return
        if stop.spares_known and user is not None and await self._was_here(user):
            self.attempts.know(account, network)
            return
        await self._write(user, "login.locked", email=_account(email))
        raise stop.as_problem()

    async def _was_here(self, user: users.User) -> bool:
        """Whether the user has signed in from this address before, also before this process began."""
        address = ORIGIN.get().address
        if address is None:
            return False
        async with self.database.person(user.id) as connection:
            return await audit.has_signed_in(connection, user.id, address)

    async def _refuse(self, email: str, user: users.User | None, reason: str) -> None:
        self.attempts.note_wrong(_account(email), ORIGIN.get().network)
        await self._write(user, "login.failed", reason=reason, email=_account(email))

    async def _write(self, user: users.User | None, action: str, **detail: str) -> None:
        """Writes down what was tried, by nobody knows whom, on a user's account or on none."""
        known = None if user is None else user.id
        async with self.database.person(known or new_id()) as connection:
            await audit.record(
                connection, action, actor="nobody", user_id=known, subject=known, detail=detail
            )


def _account(email: str) -> str:
    """An address as it is counted and written down, whatever was sent in its place."""
    return email.replace("\0", "").strip().lower()[: audit.TEXT_MAX]


def wrong_second_factor() -> Problem:
    """What a wrong code is told."""
    return Problem(401, "bad_second_factor", "The code is wrong, or was used before; wait for the next one.")
