"""A bare connection to NATS that takes small messages in bulk.

Owns as much of the NATS protocol as the inbox of devices needs: subscribe, publish, receive. Keeps true
that a message costs about two microseconds, where the general client (`client.py`) takes thirty; nothing
here reconnects, whoever holds a tap makes a new one.
"""

import asyncio
import json
from typing import NamedTuple, Self, cast
from urllib.parse import unquote, urlsplit

from kilowatch.errors import EngineUnavailable
from kilowatch.observe import metrics

LINE_END = b"\r\n"
LIMIT = 200_000
"""Messages that may wait for `take`; more are dropped (only QoS 0 can come unasked)."""


class Message(NamedTuple):
    """One message as it came."""

    subject: bytes
    sid: bytes
    reply: bytes
    headers: bytes
    data: bytes


class Tap(asyncio.Protocol):
    """One connection. `connect` makes it; `closed` tells that it is gone."""

    def __init__(self, login: dict[str, object]) -> None:
        self._login = login
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._messages: list[Message] = []
        self._arrived = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False

    @classmethod
    async def connect(cls, url: str, *, name: str, timeout_s: float = 5.0) -> Self:
        """A tap on the first server of `url` (several joined by commas) that lets us in.

        Raises:
            EngineUnavailable: if none does.
        """
        reason: BaseException | None = None
        for address in url.split(","):
            parts = urlsplit(address)
            login: dict[str, object] = {
                "verbose": False,
                "pedantic": False,
                "headers": True,
                "no_responders": True,
                "lang": "python",
                "version": "1",
                "protocol": 1,
                "name": name,
            }
            if parts.username and parts.password is None:
                login["auth_token"] = unquote(parts.username)
            elif parts.username:
                login |= {"user": unquote(parts.username), "pass": unquote(parts.password or "")}
            try:
                return await cls._connect(parts.hostname or "127.0.0.1", parts.port or 4222, login, timeout_s)
            except (OSError, TimeoutError, EngineUnavailable) as error:
                reason = error
        raise EngineUnavailable(f"the MQTT server does not answer: {reason}") from reason

    @classmethod
    async def _connect(cls, host: str, port: int, login: dict[str, object], timeout_s: float) -> Self:
        tap = cls(login)
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().create_connection(lambda: tap, host, port)
            try:
                await tap._ready
            except BaseException:
                tap.close()
                raise
        return tap

    def subscribe(self, subject: str, sid: bytes, queue: str = "") -> None:
        """Asks for the messages of a subject; they carry `sid`."""
        self.write(b"SUB %s %s %s\r\n" % (subject.encode(), queue.encode(), sid))

    def publish(self, subject: str, data: bytes, reply: str = "") -> None:
        """Sends one message."""
        self.write(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(data), data))

    def write(self, commands: bytes) -> None:
        """Sends ready-made commands.

        Raises:
            EngineUnavailable: if the connection is gone.
        """
        if self.closed or self._transport is None:
            raise EngineUnavailable("the MQTT server went away")
        self._transport.write(commands)

    async def take(self, timeout_s: float) -> list[Message]:
        """Everything that has come; waits up to `timeout_s` for the first.

        Raises:
            EngineUnavailable: if the connection is gone and nothing is left.
        """
        if not self._messages and not self.closed:
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        if not self._messages and self.closed:
            raise EngineUnavailable("the MQTT server went away")
        taken, self._messages = self._messages, []
        return taken

    def close(self) -> None:
        """Closes the connection after what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        # uvloop's transports are no subclasses of asyncio's, but do the same.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self.closed = True
        self._arrived.set()
        self._refuse(EngineUnavailable(f"the MQTT server closed the connection: {exc or 'no reason'}"))

    def data_received(self, data: bytes) -> None:
        """Called by the event loop: cuts the stream into messages."""
        buffer = self._rest + data if self._rest else data
        position = 0
        messages = self._messages
        while (end := buffer.find(LINE_END, position)) >= 0:
            line = buffer[position:end]
            if line[:4] == b"HMSG" or line[:4] == b"MSG ":
                parts = line.split(b" ")
                size = int(parts[-1])
                start = end + 2
                after = start + size + 2
                if after > len(buffer):
                    break
                headers = int(parts[-2]) if parts[0] == b"HMSG" else 0
                reply = parts[3] if len(parts) == (6 if headers else 5) else b""
                body = start + headers
                messages.append(
                    Message(parts[1], parts[2], reply, buffer[start:body], buffer[body : after - 2])
                )
                position = after
            else:
                position = end + 2
                self._control(line)
        self._rest = buffer[position:]
        if len(messages) > LIMIT:
            metrics.MQTT_DROPPED.inc(len(messages) - LIMIT)
            del messages[LIMIT:]
        if messages:
            self._arrived.set()

    def _control(self, line: bytes) -> None:
        if line.startswith(b"PING"):
            self.write(b"PONG\r\n")
        elif line.startswith(b"PONG"):
            if not self._ready.done():
                self._ready.set_result(None)
        elif line.startswith(b"INFO") and not self._ready.done():
            self.write(b"CONNECT " + json.dumps(self._login).encode() + b"\r\nPING\r\n")
        elif line.startswith(b"-ERR"):
            self._refuse(EngineUnavailable(f"the MQTT server says {line[5:].decode(errors='replace')}"))

    def _refuse(self, error: EngineUnavailable) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
