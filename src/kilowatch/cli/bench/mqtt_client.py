"""One MQTT 3.1.1 connection that publishes readings at QoS 1 with many unacknowledged at a time.

Speaks just what publishing needs (CONNECT, PUBLISH, PUBACK, DISCONNECT), so that the client costs less than
what it measures. Keeps true that a reading counts only once its PUBACK came.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import cast

from kilowatch.cli.bench.load import Singles
from kilowatch.cli.bench.tally import Tally

CONNACK, PUBACK = 0x20, 0x40
PUBLISH_QOS_1 = 0x32
DISCONNECT = b"\xe0\x00"
KEEP_ALIVE_S = 600
PACKET_IDS = 65_535


class Publisher(asyncio.Protocol):
    """A connection in use; `ready` is set after CONNACK, `done` when the last message is acknowledged."""

    def __init__(
        self,
        login: bytes,
        topics: Sequence[bytes],
        singles: Singles,
        tally: Tally,
        more: Callable[[], bool],
        window: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()
        self._login, self._singles, self._tally, self._more = login, singles, tally, more
        self._topics = [len(topic).to_bytes(2, "big") + topic for topic in topics]
        self._window = window
        self._started = False
        self._in_flight = 0
        self._packet_id = 0
        self._sent_at = [0.0] * (PACKET_IDS + 1)
        self._pending = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected: logs in."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._login)

    @property
    def newest(self) -> tuple[str, int]:
        """Device and time of the last reading that was sent."""
        return self._singles.newest

    def start(self, delay_s: float = 0.0) -> None:
        """Fills the window, now or later."""
        self._started = True
        asyncio.get_running_loop().call_later(delay_s, self._fill)

    def data_received(self, data: bytes) -> None:
        """Packets of the server."""
        data = self._pending + data
        at, whole = 0, len(data) - len(data) % 4
        now = time.monotonic()
        # CONNACK and PUBACK, the only ones that come to a publisher, have four bytes each.
        while at < whole:
            if data[at] == PUBACK and data[at + 1] == 2:
                self._tally.waits.append(now - self._sent_at[data[at + 2] << 8 | data[at + 3]])
            elif data[at] == CONNACK and data[at + 1] == 2:
                self._welcome(data[at + 3])
                at += 4
                continue
            else:
                self._tally.fail(f"the MQTT server sent {data[at : at + 4].hex()}")
                self._close()
                return
            self._acknowledged(now)
            at += 4
        self._pending = data[whole:]
        if self._started and self._in_flight < self._window:
            self._fill()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; that is a failure while something is unacknowledged."""
        if not self.done.done():
            self._tally.fail(f"MQTT connection lost: {error or 'closed by the server'}")
            self._finish()

    def _welcome(self, code: int) -> None:
        if code:
            self._tally.fail(f"the MQTT server refused the login with code {code}")
            self._close()
        elif not self.ready.done():
            self.ready.set_result(None)

    def _acknowledged(self, now: float) -> None:
        self._in_flight -= 1
        self._tally.accepted += 1
        self._tally.answers += 1
        self._tally.last_at = now

    def _fill(self) -> None:
        if self.done.done():
            return
        packets: list[bytes] = []
        now = time.monotonic()
        while self._in_flight < self._window and self._more():
            place, payload = self._singles.take()
            self._packet_id = self._packet_id % PACKET_IDS + 1
            self._sent_at[self._packet_id] = now
            packets.append(publish_packet(self._topics[place], self._packet_id, payload))
            self._in_flight += 1
        if packets and self._transport is not None:
            self._transport.write(b"".join(packets))
        if not self._in_flight:
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.write(DISCONNECT)
            self._transport.close()
        self._finish()

    def _finish(self) -> None:
        for future in (self.ready, self.done):
            if not future.done():
                future.set_result(None)


def publish_packet(topic: bytes, packet_id: int, payload: bytes) -> bytes:
    """A PUBLISH at QoS 1; `topic` begins with its length."""
    size = len(topic) + 2 + len(payload)
    return b"%c%b%b%b%b" % (PUBLISH_QOS_1, length_bytes(size), topic, packet_id.to_bytes(2, "big"), payload)


def connect_packet(client_id: str, user: str, password: str) -> bytes:
    """A CONNECT with a clean session and credentials."""
    variable = _text("MQTT") + bytes([4, 0b1100_0010]) + KEEP_ALIVE_S.to_bytes(2, "big")
    content = variable + _text(client_id) + _text(user) + _text(password)
    return b"\x10" + length_bytes(len(content)) + content


def length_bytes(size: int) -> bytes:
    """A packet's length, seven bits a byte, lowest first."""
    if size < 128:
        return bytes((size,))
    found = bytearray()
    while size:
        size, low = divmod(size, 128)
        found.append(low | (128 if size else 0))
    return bytes(found)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded
