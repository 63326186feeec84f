"""One HTTP connection, with a short way for single readings.

Most requests here are one small reading. For those the connection reads head and body by itself, hands the
reading to the gatherer, and writes the answer in one piece when the log has it: no task and no ASGI messages,
which cost several times what the reading does. Keeps true that a client cannot tell the two ways apart:
everything else, also a small reading that needs anything unusual, takes the ASGI application's way, and
answers leave in the order of their requests.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kilowatch.ingest.answer import Answer
from kilowatch.ingest.request import REQUEST_ID, new_request_id

READINGS_URL = b"/api/v1/readings"
QUICK_BYTES = 16 * 1024
"""Bodies up to this size go the short way."""
QUICK_TYPES = frozenset((b"application/json", b"", b"application/json; charset=utf-8"))
UNUSUAL = (b"content-encoding", b"idempotency-key", b"transfer-encoding", b"expect", b"upgrade")

Respond = Callable[[Answer], None]


class QuickDoors(Protocol):
    """What takes readings without waiting."""

    def take_quickly(self, authorization: bytes, body: bytes, request_id: bytes, respond: Respond) -> bool:
        """Takes the body's readings and calls `respond` later; False when the long way must be gone."""


class _Turn:
    """Stands for a request that is under way here, where the connection keeps its ASGI requests, so that
    requests sent after it wait for its answer."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self, message_event: asyncio.Event) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.message_event = message_event
        self.response_complete = False


class DoorConnection(HttpToolsProtocol):
    """A connection of the doors; `connection_class` gives it the doors."""

    doors: QuickDoors
    _quick = False
    _body = b""
    _head: dict[bytes, bytes]

    def on_message_begin(self) -> None:
        """Called by the parser; the ASGI scope is made only where it is needed."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._quick = False

    def on_headers_complete(self) -> None:
        """Called by the parser: chooses the way."""
        if self.url == READINGS_URL and self._is_usual():
            self._quick = True
            self._body = b""
        else:
            self._go_long_way()

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        if self._quick:
            self._body = self._body + body if self._body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if not self._quick:
            super().on_message_complete()
            return
        self._quick = False
        body = self._body
        given = self._head.get(b"x-request-id")
        request_id = given if given is not None and REQUEST_ID.fullmatch(given) else new_request_id()
        turn = _Turn(_NOBODY_WAITS)

        def respond(answer: Answer) -> None:
            self._respond(turn, answer, request_id)

        if self.doors.take_quickly(self._head.get(b"authorization", b""), body, request_id, respond):
            self.cycle = turn  # type: ignore[assignment]
            return
        self._go_long_way()
        if body:
            super().on_body(body)
        super().on_message_complete()

    def _is_usual(self) -> bool:
        """Whether nothing but the readings themselves can need the long way."""
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        head = self._head = dict(self.headers)
        length = head.get(b"content-length", b"")
        return (
            length.isdigit()
            and int(length) <= QUICK_BYTES
            and head.get(b"content-type", b"") in QUICK_TYPES
            and not any(name in head for name in UNUSUAL)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.root_path
            and self.limit_concurrency is None
        )

    def _go_long_way(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)
        super().on_headers_complete()

    def _respond(self, turn: _Turn, answer: Answer, request_id: bytes) -> None:
        turn.response_complete = True
        if turn.disconnected or self.transport.is_closing():
            return
        parts = [
            _status_line(answer.status),
            *(b"%b: %b\r\n" % header for header in self.server_state.default_headers),
            *(b"%b: %b\r\n" % header for header in answer.headers),
            b"x-request-id: ",
            request_id,
            b"\r\n\r\n" if turn.keep_alive else b"\r\nconnection: close\r\n\r\n",
            answer.body,
        ]
        self.transport.write(b"".join(parts))
        if not turn.keep_alive:
            self.transport.close()
        self.on_response_complete()


def connection_class(doors: QuickDoors) -> type[DoorConnection]:
    """The class to give to uvicorn as `http`, for connections that these doors stand behind."""
    return type("DoorConnection", (DoorConnection,), {"doors": doors})


def _status_line(status: int) -> bytes:
    line = _STATUS_LINES.get(status)
    if line is None:
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        _STATUS_LINES[status] = line
    return line


_STATUS_LINES: dict[int, bytes] = {}
_NOBODY_WAITS: Any = asyncio.Event()
