"""A gateway for many pretend devices on one MQTT connection: hears their commands and answers at once.

Speaks just what that needs (CONNECT, SUBSCRIBE, PUBLISH at QoS 0), so that it costs less than what it
measures. Keeps true what a device must: a command that comes again is answered and not done again, and who
lost the connection comes back.
"""

import asyncio
import time
from contextlib import suppress
from typing import cast

import msgspec

from kilowatch.cli.bench.mqtt_client import CONNACK, connect_packet, length_bytes

SUBACK, PUBLISH = 0x90, 0x30
RECONNECT_S = 0.2


class _Told(msgspec.Struct):
    id: str


_TOLD = msgspec.json.Decoder(_Told)


class Gateway(asyncio.Protocol):
    """`ready` is set once it hears; `heard_at`: when each command came first, monotonic seconds; `order`: the
    commands of each device in the order in which they were done; `repeats`: how many came again."""

    def __init__(self, organisation: str, key: str, port: int) -> None:
        self.ready = asyncio.Event()
        self.heard_at: dict[str, float] = {}
        self.order: dict[str, list[str]] = {}
        self.repeats = 0
        self._port = port
        self._login = connect_packet("bench-gateway", organisation, key)
        self._topic = f"{organisation}/devices/+/commands".encode()
        self._pending = b""
        self._transport: asyncio.Transport | None = None
        self._staying: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()

    def start(self) -> None:
        """Connects, again and again until `close`."""
        self._staying = asyncio.create_task(self._stay())

    async def _stay(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._gone.clear()
            self._pending = b""
            with suppress(OSError):
                await loop.create_connection(lambda: self, "127.0.0.1", self._port)
                await self._gone.wait()
            await asyncio.sleep(RECONNECT_S)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected: logs in."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._login)

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is gone."""
        self._transport = None
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        """Packets of the server."""
        data = self._pending + data
        at = 0
        answers: list[bytes] = []
        while (body := _body_of(data, at)) is not None:
            begin, end = body
            kind = data[at] & 0xF0
            if kind == PUBLISH:
                answers.append(self._told(data[begin:end]))
            elif kind == CONNACK:
                self._subscribe(data[begin + 1])
            elif kind == SUBACK:
                self._granted(data[end - 1])
            at = end
        self._pending = data[at:]
        if answers and self._transport is not None:
            self._transport.write(b"".join(answers))

    def close(self) -> None:
        """Ends the connection for good."""
        if self._staying is not None:
            self._staying.cancel()
        if self._transport is not None:
            self._transport.close()

    def _told(self, body: bytes) -> bytes:
        """What is answered to a command."""
        size = int.from_bytes(body[:2], "big")
        topic, payload = body[2 : 2 + size], body[2 + size :]
        command = _TOLD.decode(payload).id
        if command in self.heard_at:
            self.repeats += 1
        else:
            self.heard_at[command] = time.monotonic()
            self.order.setdefault(topic.split(b"/")[2].decode(), []).append(command)
        answer = topic + b"/ack"
        packet = len(answer).to_bytes(2, "big") + answer + b'{"id":"%b","ok":true}' % command.encode()
        return bytes((PUBLISH,)) + length_bytes(len(packet)) + packet

    def _subscribe(self, code: int) -> None:
        """Logged in, unless the code says otherwise; then the server closes the connection."""
        if not code and self._transport is not None:
            content = b"\x00\x01" + len(self._topic).to_bytes(2, "big") + self._topic + b"\x00"
            self._transport.write(b"\x82" + length_bytes(len(content)) + content)

    def _granted(self, code: int) -> None:
        if code < 0x80:
            self.ready.set()


def _body_of(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at this place begins and ends; None while it is not whole."""
    size, shift, place = 0, 0, at + 1
    while place < len(data):
        size |= (data[place] & 0x7F) << shift
        place += 1
        if not data[place - 1] & 0x80:
            return (place, place + size) if place + size <= len(data) else None
        shift += 7
    return None
