"""One HTTP/1.1 connection that sends readings as fast as they are acknowledged, or at a given pace.

Written for little cost: the next request leaves from the callback that the last answer came in, and of an
answer only the status, the length and the count of accepted readings are read. Keeps true that every answer
is checked: anything but "all accepted" or "not now" is a failure of the run.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

from kilowatch.cli.bench.load import Share, Singles, Template, Templates
from kilowatch.cli.bench.tally import Tally

RETRY_S = 0.25
_ALL_OF_ONE = b'{"accepted":1,"rejected":[]}'
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_ACCEPTED = re.compile(rb'\{"accepted": ?([0-9]+), ?"rejected": ?\[\]\}')


class Parcel(NamedTuple):
    """One body on its way."""

    body: "bytes | bytearray"
    readings: int
    template: Template | None = None


class Source(Protocol):
    """Where a connection gets its bodies."""

    def take(self) -> Parcel: ...

    def give_back(self, parcel: Parcel) -> None: ...


class BatchSource:
    """Whole bodies of one connection's devices."""

    def __init__(self, templates: Templates, share: Share, rows: int) -> None:
        self._templates, self._share, self._rows = templates, share, rows

    def take(self) -> Parcel:
        """The next body; it must be given back when it is acknowledged."""
        template = self._templates.take(self._share)
        return Parcel(template.body, self._rows, template)

    def give_back(self, parcel: Parcel) -> None:
        """Says that the body may be written over."""
        if parcel.template is not None:
            self._templates.give_back(parcel.template)


class SingleSource:
    """One reading a request."""

    def __init__(self, singles: Singles) -> None:
        self._singles = singles

    def take(self) -> Parcel:
        """The next reading."""
        return Parcel(self._singles.take()[1], 1)

    def give_back(self, parcel: Parcel) -> None:
        """Nothing to do: the body was made for one sending."""


class Sender(asyncio.Protocol):
    """A connection in use. `more` says whether to send another body; `done` is set when the last is answered.

    With `pace_s` a body leaves that long after the one before was due, as long as answers keep up.
    """

    def __init__(
        self,
        request_head: bytes,
        source: Source,
        tally: Tally,
        more: Callable[[], bool],
        pace_s: float = 0.0,
    ) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head, self._source, self._tally, self._more = request_head, source, tally, more
        self._pace_s, self._due = pace_s, 0.0
        self._pending = b""
        self._parcel = Parcel(b"", 0)
        self._sent_at = 0.0
        self._closing = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected; nothing is sent before `start`."""
        self._transport = cast(asyncio.Transport, transport)

    def start(self, delay_s: float = 0.0) -> None:
        """Sends the first body, now or later (so that paced connections do not send all at once)."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() + delay_s
        if delay_s:
            loop.call_at(self._due, self._send_next)
        else:
            self._send_next()

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        if self._pending:
            data = self._pending + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or not self._is_whole(data, end):
            self._pending = data
            return
        self._pending = b""
        self._answered(data, end)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; that is a failure unless we closed it."""
        if not self._closing:
            self._tally.fail(f"connection lost: {error or 'closed by the server'}")
        self._finish()

    def _is_whole(self, data: bytes, end: int) -> bool:
        found = _LENGTH.search(data, 0, end)
        if found is not None:
            return len(data) >= end + int(found[1])
        return _CHUNKED.search(data, 0, end) is None or data.endswith(b"0\r\n\r\n")

    def _answered(self, data: bytes, end: int) -> None:
        now = time.monotonic()
        status = data[9:12]
        if status in (b"503", b"429"):
            self._tally.refused += 1
            asyncio.get_running_loop().call_later(RETRY_S, self._send_again)
            return
        accepted = count_accepted(data, end, self._parcel.readings)
        if accepted != self._parcel.readings:
            self._tally.fail(data[:1000].decode("utf-8", "replace"))
            self._close()
            return
        self._accept(accepted, now)
        self._send_when_due()

    def _accept(self, accepted: int, now: float) -> None:
        tally = self._tally
        tally.accepted += accepted
        tally.answers += 1
        tally.waits.append(now - self._sent_at)
        tally.last_at = now
        self._source.give_back(self._parcel)

    def _send_when_due(self) -> None:
        if not self._pace_s:
            self._send_next()
            return
        loop = asyncio.get_running_loop()
        self._due += self._pace_s
        if self._due <= loop.time():
            self._send_next()
        else:
            loop.call_at(self._due, self._send_next)

    def _send_next(self) -> None:
        if not self._more() or self._tally.failures:
            self._close()
            return
        self._parcel = self._source.take()
        self._sent_at = time.monotonic()
        self._send_again()

    def _send_again(self) -> None:
        if self._transport is None or self.done.done():
            return
        body = self._parcel.body
        head = self._head + b"%d\r\n\r\n" % len(body)
        if isinstance(body, bytes):
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])

    def _close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.close()
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def count_accepted(data: bytes, end: int, readings: int) -> int:
    """How many readings an answer says were accepted, all others being none; -1 where it says otherwise."""
    status = data[9:12]
    if status == b"202":
        if data.endswith(_ALL_OF_ONE):
            return 1
        counted = _ACCEPTED.search(data, end)
        return int(counted[1]) if counted else -1
    return readings if status == b"204" else -1


def request_head(method_path: str, host: str, headers: dict[str, str]) -> bytes:
    """A request up to and with the name of the Content-Length header, whose value comes next."""
    lines = [
        f"{method_path} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")
