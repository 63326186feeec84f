"""Logins at the MQTT server: each is asked for here, each live one is known here and can be ended here.

Owns the server's auth callout and its system requests (see docs/decisions/0008-mqtt-logins.md). Keeps true
that a login gets no other topics than those it was granted, that one which nobody decides in time is refused,
and that what is ended is ended now, not at its next message.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from nats.aio.msg import Msg

from kilowatch.errors import EngineUnavailable
from kilowatch.stream.client import Client, Subscription
from kilowatch.stream.issuer import Issuer

REQUEST_SUBJECT = "$SYS.REQ.USER.AUTH"
QUEUE = "logins"
ACCOUNT = "$G"
"""The account of devices: the one in which the inbox is read."""
CONNECTION_BYTES = 1024
"""More than the server says of one connection."""
OVERLAP = 64
"""Connections that are asked for twice at the seam of two pages, since others end meanwhile."""
SERVERS_WITHIN_S = 0.15
"""How long servers of a cluster may take to say that they are there."""
AT_A_TIME = 8
"""Logins that are decided at the same time, so that a rush leaves others their part of PostgreSQL."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody who wants to log in."""

    user: str
    password: str
    client_id: str
    """As which MQTT client they come; a second one of the same id takes the first one's place."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login may do. name: what live connections are found by; publish, subscribe: subjects;
    expires_s: when it ends by itself, epoch seconds."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...] = ()
    expires_s: int | None = None


@dataclass(frozen=True, slots=True)
class LiveLogin:
    """A connection that is there. server_id, number: the server that holds it, and its number there; name:
    that of its grant."""

    server_id: str
    number: int
    name: str
    client_id: str


Decide = Callable[[Attempt], Awaitable[Grant | None]]


class _Server(msgspec.Struct):
    id: str


class _ClientInfo(msgspec.Struct):
    type: str = ""
    mqtt_id: str = ""


class _Credentials(msgspec.Struct):
    user: str = ""
    password: str = msgspec.field(default="", name="pass")


class _Question(msgspec.Struct):
    server_id: _Server
    user_nkey: str
    client_info: _ClientInfo
    connect_opts: _Credentials


class _Request(msgspec.Struct):
    nats: _Question


class _Connection(msgspec.Struct):
    cid: int
    authorized_user: str = ""
    mqtt_client: str = ""


class _Connections(msgspec.Struct):
    total: int
    connections: list[_Connection] = []


class _Page(msgspec.Struct):
    data: _Connections


_REQUEST = msgspec.json.Decoder(_Request)
_PAGE = msgspec.json.Decoder(_Page)
_SERVER = msgspec.json.Decoder(_Server)


class Logins:
    """A connection to the MQTT server's system account."""

    def __init__(self, client: Client, issuer: Issuer) -> None:
        self._client = client
        self._issuer = issuer
        self._subscription: Subscription | None = None
        self._turn = asyncio.Semaphore(AT_A_TIME)
        self._deciding: set[asyncio.Task[None]] = set()

    async def serve(self, decide: Decide) -> None:
        """Answers the server's questions with what `decide` says from now on; of several processes one is
        asked. While there is none, nobody can log in, and who is logged in stays."""

        async def asked(message: Msg) -> None:
            task = asyncio.create_task(self._answer(message, decide))
            self._deciding.add(task)
            task.add_done_callback(self._deciding.discard)

        self._subscription = await self._client.subscribe_raw(REQUEST_SUBJECT, asked, queue=QUEUE)
        # A server that does not know of us yet lets the first device wait in vain.
        await self._client.flush()

    async def stop(self) -> None:
        """Answers no more, once what was asked already is answered."""
        if self._subscription is not None:
            await self._subscription.stop()
        if self._deciding:
            await asyncio.wait(self._deciding)

    async def list_live(self, user: str = "") -> list[LiveLogin]:
        """The devices' connections at all servers; with `user` those of one grant's name.

        Raises:
            EngineUnavailable: if the server does not answer.
        """
        found: dict[tuple[str, int], LiveLogin] = {}
        for server_id in await self._servers():
            async for one in self._connections(server_id, {"user": user} if user else {}):
                found[server_id, one.cid] = _live(server_id, one)
        return [login for login in found.values() if login.client_id]

    async def find_clients(self, client_id: str) -> list[LiveLogin]:
        """The connections of one MQTT client id.

        Raises:
            EngineUnavailable: if the server does not answer.
        """
        return [
            _live(server_id, one)
            for server_id in await self._servers()
            async for one in self._connections(server_id, {"mqtt_client": client_id})
            if one.authorized_user
        ]

    async def end(self, login: LiveLogin) -> None:
        """Ends a connection; one that is gone already is no error.

        Raises:
            EngineUnavailable: if the server does not answer.
        """
        wish = msgspec.json.encode({"cid": login.number})
        await self._client.request(f"$SYS.REQ.SERVER.{login.server_id}.KICK", wish)

    async def _servers(self) -> list[str]:
        answers = await self._client.gather("$SYS.REQ.SERVER.PING.IDZ", b"", within_s=SERVERS_WITHIN_S)
        if not answers:
            raise EngineUnavailable("no MQTT server answers its system account")
        return [_SERVER.decode(answer).id for answer in answers]

    async def _connections(self, server_id: str, narrowed: dict[str, Any]) -> AsyncIterator[_Connection]:
        limit = max(2 * OVERLAP, self._client.payload_max_bytes // CONNECTION_BYTES)
        offset = 0
        while True:
            wish = {"auth": True, "acc": ACCOUNT, "limit": limit, "offset": offset, **narrowed}
            answer = await self._client.request(
                f"$SYS.REQ.SERVER.{server_id}.CONNZ", msgspec.json.encode(wish)
            )
            page = _PAGE.decode(answer.data).data
            for one in page.connections:
                yield one
            offset += limit - OVERLAP
            if len(page.connections) < limit:
                return

    async def _answer(self, message: Msg, decide: Decide) -> None:
        try:
            asked = _REQUEST.decode(_claims(message.data)).nats
        except (msgspec.MsgspecError, ValueError, IndexError):
            _log.warning("mqtt_login_unreadable")
            return
        answer: dict[str, Any] = {"type": "authorization_response", "version": 2}
        try:
            async with self._turn:
                grant = await self._decide(asked, decide)
        except EngineUnavailable as error:
            _log.info("mqtt_login_waits", detail=str(error))
            grant = None
        except Exception:
            _log.exception("mqtt_login_failed")
            grant = None
        if grant is None:
            answer["error"] = "these credentials are not known"
        else:
            answer["jwt"] = self._issuer.sign(
                _user(grant),
                subject=asked.user_nkey,
                audience=ACCOUNT,
                name=grant.name,
                expires_s=grant.expires_s,
            )
        signed = self._issuer.sign(answer, subject=asked.user_nkey, audience=asked.server_id.id)
        try:
            await self._client.publish(message.reply, signed.encode())
        except EngineUnavailable as error:
            _log.info("mqtt_login_unanswered", detail=str(error))

    async def _decide(self, asked: _Question, decide: Decide) -> Grant | None:
        if asked.client_info.type != "mqtt":
            return None
        given = asked.connect_opts
        return await decide(Attempt(given.user, given.password, asked.client_info.mqtt_id))


def _live(server_id: str, one: _Connection) -> LiveLogin:
    return LiveLogin(server_id, one.cid, one.authorized_user, one.mqtt_client)


def _user(grant: Grant) -> dict[str, Any]:
    """A grant as the server's claims. No subject is said as a denial, since an empty list allows all."""
    return {
        "pub": {"allow": list(grant.publish)} if grant.publish else {"deny": [">"]},
        "sub": {"allow": list(grant.subscribe)} if grant.subscribe else {"deny": [">"]},
        "subs": -1,
        "data": -1,
        "payload": -1,
        "allowed_connection_types": ["MQTT"],
        "type": "user",
        "version": 2,
    }


def _claims(token: bytes) -> bytes:
    """What a token says. Who signed it is not asked: only the server publishes in its system account."""
    said = token.split(b".")[1]
    return base64.urlsafe_b64decode(said + b"=" * (-len(said) % 4))
