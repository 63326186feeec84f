"""Who is calling: from the `Authorization` header to an organisation and what may be done in it.

Keeps true: a revoked key and an ended session stop working within `ttl_s` (a second), a key at once in a
process that was told; what has expired, at its very moment. Every door asks here. A caller is an API key,
a device with its token, or a person who has signed in, in one of their organisations. Readings come in by
keys and tokens only.
"""

import asyncio
import uuid
from dataclasses import dataclass

from kilowatch.accounts.access_token import BEGINNING, AccessTokens, Bearer
from kilowatch.accounts.rights import RIGHTS, Role, Verb, may_do
from kilowatch.accounts.store.api_keys import find_api_key
from kilowatch.accounts.store.device_tokens import ensure_counting_key, find_device_token
from kilowatch.accounts.store.members import list_memberships
from kilowatch.accounts.store.sessions import is_session_open
from kilowatch.clock import MICROSECONDS, Clock, to_us
from kilowatch.errors import Problem
from kilowatch.ids import DEVICE_TOKEN_PREFIX, hash_secret
from kilowatch.postgres.engine import Database, Sight

SCHEMES = ("bearer", "token")
SECRET_MAX = 1024
DEVICE_SCOPES = frozenset(("ingest",))
DEVICE_KEY_NAME = "device tokens"
"""The key under whose number the ledger counts what devices send with their tokens."""
COUNTING_KEYS_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who showed valid credentials: an API key, a device, or a person.

    key_no: number of the API key, which the ledger counts by, 0 for a person; scopes: what a key may do;
    auto_register: whether devices that are not known are made when this caller sends for them;
    user_id, session_id, role: of a person; device, device_no: id and number of a device, which sends readings
    of its own only.
    """

    organisation_id: uuid.UUID
    slug: str
    key_no: int
    scopes: frozenset[str]
    auto_register: bool
    user_id: uuid.UUID | None = None
    session_id: uuid.UUID | None = None
    role: Role | None = None
    device: str | None = None
    device_no: int = 0

    def may(self, resource: str, verb: Verb) -> bool:
        """Whether they have this right; see `rights.py`."""
        if self.role is not None:
            return may_do(self.role, resource, verb)
        return RIGHTS[resource, verb].scope in self.scopes

    @property
    def actor(self) -> str:
        """Who they are in the audit log."""
        return f"key:{self.key_no}" if self.user_id is None else f"user:{self.user_id}"

    @property
    def sight(self) -> Sight:
        """Whose rows they see."""
        return Sight(self.organisation_id, self.user_id, self.role == "customer")


@dataclass(slots=True)
class _Known:
    caller: Caller | None
    expires_us: int | None
    read_us: int


class Authenticator:
    """Resolves keys and sessions through PostgreSQL and remembers each answer, good or bad, for `ttl_s`.

    Concurrent requests with one unknown key ask once. Belongs to one event loop.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ttl_s: float = 1.0,
        size: int = 10_000,
        tokens: AccessTokens | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._ttl_us = round(ttl_s * MICROSECONDS)
        self._size = size
        self._known: dict[bytes, _Known] = {}
        self._asking: dict[bytes, asyncio.Task[_Known]] = {}
        self._counting_keys: dict[uuid.UUID, int] = {}

    async def authenticate(self, authorization: str | None, organisation: str | None = None) -> Caller:
        """The caller behind an `Authorization` header (`Bearer <key>` or `Token <key>`). A person may name
        one of their `organisation`s by slug or id; without it they are in their own.

        Raises:
            Problem: 401; 403 for a person who is no member there.
            EngineUnavailable: if the key is not remembered and PostgreSQL does not answer.
        """
        secret = _secret_of(authorization)
        bearer = self._tokens.read(secret) if self._tokens and secret.startswith(BEGINNING) else None
        place = hash_secret(secret) if bearer is None else hash_secret(f"{secret} {organisation!r}")
        now_us = self._clock.now_us()
        known = self._known.get(place)
        if known is None or not 0 <= now_us - known.read_us < self._ttl_us:
            is_device = secret.startswith(DEVICE_TOKEN_PREFIX)
            known = await self._ask(place, bearer, organisation, is_device=is_device)
        if known.caller is None or (known.expires_us is not None and known.expires_us <= now_us):
            raise Problem(401, "bad_credentials", "This key is not known, or was revoked, or has expired.")
        return known.caller

    def recall(self, authorization: str | None) -> Caller | None:
        """The caller behind the header when the answer is remembered and good, else None: then ask
        `authenticate`. For those who cannot wait."""
        try:
            known = self._known.get(hash_secret(_secret_of(authorization)))
        except Problem:
            return None
        now_us = self._clock.now_us()
        if known is None or not 0 <= now_us - known.read_us < self._ttl_us:
            return None
        return None if known.expires_us is not None and known.expires_us <= now_us else known.caller

    def invalidate(self) -> None:
        """Forgets all answers, so that a change of keys holds from the next request on."""
        self._known.clear()
        self._asking.clear()

    async def _ask(
        self, secret_hash: bytes, bearer: Bearer | None, organisation: str | None, *, is_device: bool
    ) -> _Known:
        task = self._asking.get(secret_hash)
        if task is None:
            if bearer is not None:
                reading = self._read_person(bearer, organisation)
            else:
                reading = self._read_device(secret_hash) if is_device else self._read(secret_hash)
            task = asyncio.create_task(reading)
            self._asking[secret_hash] = task
            task.add_done_callback(lambda done: self._asked(secret_hash, done))
        # One waiter's end (a closed connection) must not take the answer from the others.
        return await asyncio.shield(task)

    def _asked(self, secret_hash: bytes, task: "asyncio.Task[_Known]") -> None:
        """Keeps an answer, unless it was overtaken by `invalidate`; makes room by letting the oldest go."""
        if self._asking.get(secret_hash) is not task:
            return
        del self._asking[secret_hash]
        if task.cancelled() or task.exception() is not None:
            return
        self._known.pop(secret_hash, None)
        while len(self._known) >= self._size:
            del self._known[next(iter(self._known))]
        self._known[secret_hash] = task.result()

    async def _read(self, secret_hash: bytes) -> _Known:
        read_us = self._clock.now_us()
        async with self._database.unscoped() as connection:
            rights = await find_api_key(connection, secret_hash)
        if rights is None:
            return _Known(None, None, read_us)
        caller = Caller(
            rights.organisation_id, rights.slug, rights.key_no, frozenset(rights.scopes), rights.auto_register
        )
        return _Known(caller, None if rights.expires_at is None else to_us(rights.expires_at), read_us)

    async def _read_device(self, token_hash: bytes) -> _Known:
        read_us = self._clock.now_us()
        async with self._database.unscoped() as connection:
            found = await find_device_token(connection, token_hash)
        if found is None:
            return _Known(None, None, read_us)
        key_no = await self._counting_key(found.organisation_id)
        return _Known(
            Caller(
                found.organisation_id,
                found.slug,
                key_no,
                DEVICE_SCOPES,
                False,
                device=found.id,
                device_no=found.device_no,
            ),
            None,
            read_us,
        )

    async def _counting_key(self, organisation_id: uuid.UUID) -> int:
        """The number never changes while the organisation lives; a key that was ended counts on."""
        known = self._counting_keys.get(organisation_id)
        if known is None:
            async with self._database.scope(organisation_id) as connection:
                known = (await ensure_counting_key(connection, organisation_id, DEVICE_KEY_NAME)).key_no
            if len(self._counting_keys) >= COUNTING_KEYS_MOST:
                self._counting_keys.clear()
            self._counting_keys[organisation_id] = known
        return known

    async def _read_person(self, bearer: Bearer, organisation: str | None) -> _Known:
        read_us = self._clock.now_us()
        async with self._database.person(bearer.user_id) as connection:
            is_open = await is_session_open(connection, bearer.session_id)
            memberships = await list_memberships(connection) if is_open else []
        if not memberships:
            return _Known(None, None, read_us)
        named = [one for one in memberships if organisation in (None, one.slug, str(one.id))]
        if not named:
            raise Problem(403, "no_member", f"You are no member of an organisation {organisation!r}.")
        chosen = named[0]
        caller = Caller(
            chosen.id, chosen.slug, 0, frozenset(), False, bearer.user_id, bearer.session_id, chosen.role
        )
        return _Known(caller, bearer.expires_us, read_us)


def require_right(caller: Caller, resource: str, verb: Verb) -> None:
    """Lets a caller with this right pass.

    Raises:
        Problem: 403.
    """
    if caller.may(resource, verb):
        return
    if caller.role is not None:
        raise Problem(403, "role_missing", f"As {caller.role} you may not {verb} {resource}.")
    scope = RIGHTS[resource, verb].scope
    if scope is None:
        raise Problem(403, "people_only", f"Only people {verb} {resource}, and no API key; sign in.")
    require_scope(caller, scope)


def require_scope(caller: Caller, scope: str) -> None:
    """Lets a caller with this scope pass; no scope includes another.

    Raises:
        Problem: 403.
    """
    if scope not in caller.scopes:
        has = ", ".join(sorted(caller.scopes))
        raise Problem(403, "scope_missing", f"This needs the scope {scope!r}; the key has: {has}.")


def _secret_of(authorization: str | None) -> str:
    if not authorization:
        raise Problem(401, "no_credentials", "Send the header Authorization: Bearer <API key>.")
    scheme, _, secret = authorization.strip().partition(" ")
    secret = secret.strip()
    if scheme.lower() not in SCHEMES or not 0 < len(secret) <= SECRET_MAX:
        raise Problem(
            401, "bad_credentials", "The header Authorization is Bearer <API key> or Token <API key>."
        )
    return secret
