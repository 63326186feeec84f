"""Who may log in over MQTT, as what, and until when.

Owns the decision about each login and the end of those whose right has ended. Keeps true that a device
publishes and hears on its own topics only and a gateway for devices of its organisation only; and
that within a second of a token's, key's, device's or organisation's end no connection of theirs is left. The
server is asked which connections there are, so that any process can end what another one let in.
"""

import asyncio
import contextlib
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
import structlog

from kilowatch.accounts.store.api_keys import find_api_key
from kilowatch.accounts.store.device_tokens import (
    INACTIVE,
    find_device_login,
    find_good_keys,
    find_good_tokens,
)
from kilowatch.clock import MICROSECONDS, Clock, to_us
from kilowatch.errors import EngineUnavailable
from kilowatch.ids import DEVICE_ID, DEVICE_TOKEN_PREFIX, KEY_PREFIX, ORGANISATION_SLUG, hash_secret
from kilowatch.postgres.engine import Database
from kilowatch.stream.client import Client, Subscription
from kilowatch.stream.logins import Attempt, Grant, LiveLogin, Logins
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange

MARK_DIGITS = 16
KEY_MARK = "key-"
SECOND_LOOK_S = 0.4
"""A login that was being decided while its right ended appears a moment later."""
RETRY_S = 0.2
EVERYTHING_EVERY_S = 600.0
"""How often every connection is looked at without word of a change."""
RESERVED = "/"
"""A client id with this in it belongs to the login of that name."""
CLIENTS_MOST = 200_000
ENDING = frozenset(("organisations", "keys", "sites", "devices"))
"""Kinds of change that may end a login."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Name:
    """What a live connection is called at the server. user: as which it logged in; mark: the beginning of its
    token's hash, or its key's number."""

    user: str
    organisation_id: uuid.UUID
    mark: str

    def __str__(self) -> str:
        return f"{self.user} {self.organisation_id.hex} {self.mark}"

    @classmethod
    def read(cls, text: str) -> "Name | None":
        """The name in what the server says; None for a connection that is not a device's."""
        parts = text.split(" ")
        try:
            return cls(parts[0], uuid.UUID(parts[1]), parts[2])
        except (IndexError, ValueError):
            return None

    @property
    def device(self) -> str:
        """The device, empty for a gateway."""
        return self.user.partition("/")[2]


class MqttLogins:
    """Decides logins and ends them. `start` it once; `stop` leaves every connection as it is."""

    def __init__(self, logins: Logins, database: Database, client: Client, clock: Clock) -> None:
        """client: the NATS that word of changes comes on."""
        self._logins = logins
        self._database = database
        self._client = client
        self._clock = clock
        self._clients: dict[str, str] = {}
        self._changed: set[uuid.UUID] = set()
        self._everything = True
        self._woken = asyncio.Event()
        self._subscription: Subscription | None = None
        self._forget_connection: Callable[[], None] | None = None
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to answer the MQTT server, to hear of changes, and to look through what is connected.

        Raises:
            EngineUnavailable: if a NATS server is away.
        """
        self._subscription = await self._client.subscribe(REGISTRY_SUBJECT, self._on_change)
        self._forget_connection = self._client.on_connection(self._on_connection)
        await self._logins.serve(self.decide)
        self._woken.set()
        self._loop = asyncio.create_task(self._run(), name="mqtt logins")

    async def stop(self) -> None:
        """Decides nothing more; harmless when stopped already."""
        await self._logins.stop()
        if self._subscription is not None:
            await self._subscription.stop()
        if self._forget_connection is not None:
            self._forget_connection()
            self._forget_connection = None
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop

    async def decide(self, attempt: Attempt) -> Grant | None:
        """What a login may do; None where it is refused.

        Raises:
            EngineUnavailable: if PostgreSQL does not answer.
        """
        slug, slash, device = attempt.user.partition("/")
        if not ORGANISATION_SLUG.fullmatch(slug) or len(attempt.client_id) > 256:
            return None
        if slash:
            grant = await self._decide_device(slug, device, attempt.password)
        else:
            grant = await self._decide_gateway(slug, attempt.password)
        if grant is None or not await self._may_be(attempt.client_id, attempt.user):
            return None
        return grant

    async def _decide_device(self, slug: str, device: str, password: str) -> Grant | None:
        if not DEVICE_ID.fullmatch(device) or not password.startswith(DEVICE_TOKEN_PREFIX):
            return None
        async with self._database.unscoped() as connection:
            found = await find_device_login(connection, slug, device)
        given = hash_secret(password)
        if found is None or found.status == INACTIVE or found.token_hash is None or found.token_hash != given:
            return None
        topics = f"{slug}.devices.{device}"
        return Grant(
            str(Name(f"{slug}/{device}", found.organisation_id, mark_of(given))),
            (f"{topics}.telemetry", f"{topics}.commands.ack"),
            (f"{topics}.commands",),
        )

    async def _decide_gateway(self, slug: str, password: str) -> Grant | None:
        if not password.startswith(KEY_PREFIX):
            return None
        async with self._database.unscoped() as connection:
            rights = await find_api_key(connection, hash_secret(password))
        if rights is None or rights.slug != slug or "ingest" not in rights.scopes:
            return None
        expires_s = None
        if rights.expires_at is not None:
            expires_s = to_us(rights.expires_at) // MICROSECONDS
            if expires_s <= self._clock.now_us() // MICROSECONDS:
                return None
        name = Name(slug, rights.organisation_id, f"{KEY_MARK}{rights.key_no}")
        publish, subscribe = [f"{slug}.devices.*.telemetry"], []
        if "control" in rights.scopes:
            publish.append(f"{slug}.devices.*.commands.ack")
            subscribe.append(f"{slug}.devices.*.commands")
        return Grant(str(name), tuple(publish), tuple(subscribe), expires_s)

    async def _may_be(self, client_id: str, user: str) -> bool:
        """Whether this login may come as this MQTT client. All devices share the ids of clients, and a second
        client of one id ends the first: so nobody gets an id that another login is connected as."""
        if RESERVED in client_id and client_id != user and not client_id.startswith(f"{user}{RESERVED}"):
            return False
        if self._clients.get(client_id, user) != user:
            there = [Name.read(login.name) for login in await self._logins.find_clients(client_id)]
            if any(name is not None and name.user != user for name in there):
                return False
        if len(self._clients) >= CLIENTS_MOST:
            self._clients.clear()
        self._clients[client_id] = user
        return True

    def _on_change(self, _subject: str, data: bytes) -> None:
        try:
            change = RegistryChange.decode(data)
            if change.kind in ENDING:
                self._changed.add(uuid.UUID(change.organisation))
                self._woken.set()
        except (msgspec.MsgspecError, ValueError):
            return

    def _on_connection(self, connected: bool) -> None:
        """Words may have been missed."""
        if connected:
            self._everything = True
            self._woken.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERYTHING_EVERY_S):
                    await self._woken.wait()
            everything = self._everything or not self._woken.is_set()
            changed, self._changed = self._changed, set()
            self._everything = False
            self._woken.clear()
            try:
                await self.end_ended(None if everything else changed)
                await asyncio.sleep(SECOND_LOOK_S)
                await self.end_ended(None if everything else changed)
            except EngineUnavailable as error:
                _log.info("mqtt_logins_wait", detail=str(error))
                self._everything |= everything
                self._changed |= changed
                self._woken.set()
                await asyncio.sleep(RETRY_S)
            except Exception:
                _log.exception("mqtt_logins_failed")

    async def end_ended(self, organisations: set[uuid.UUID] | None) -> int:
        """Ends the connections whose right has ended, of these organisations or of all; returns how many.

        Raises:
            EngineUnavailable: if PostgreSQL or the MQTT server does not answer.
        """
        by_organisation: dict[uuid.UUID, list[tuple[Name, LiveLogin]]] = defaultdict(list)
        for login in await self._logins.list_live():
            name = Name.read(login.name)
            if name is not None and (organisations is None or name.organisation_id in organisations):
                by_organisation[name.organisation_id].append((name, login))
        ended = 0
        for organisation_id, there in by_organisation.items():
            good = await self._good_names(organisation_id, {name for name, _ in there})
            for name, login in there:
                if name not in good:
                    await self._logins.end(login)
                    ended += 1
                    _log.info("mqtt_login_ended", user=name.user)
        return ended

    async def _good_names(self, organisation_id: uuid.UUID, names: Iterable[Name]) -> set[Name]:
        """Those whose token or key is still good."""
        devices = {name: name.device for name in names if name.device}
        keys = {name: int(name.mark.removeprefix(KEY_MARK)) for name in names if not name.device}
        async with self._database.scope(organisation_id) as connection:
            tokens = await find_good_tokens(connection, list(devices.values())) if devices else {}
            numbers = await find_good_keys(connection, set(keys.values())) if keys else set()
        marks = {device: mark_of(token_hash) for device, token_hash in tokens.items()}
        good = {name for name, device in devices.items() if marks.get(device) == name.mark}
        return good | {name for name, number in keys.items() if number in numbers}


def mark_of(token_hash: bytes) -> str:
    """By which a token is told from the one after it."""
    return token_hash.hex()[:MARK_DIGITS]
