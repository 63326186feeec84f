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

from kilowatch.errors import Problem
from kilowatch.ingest.answer import ACCEPTED_ONE, Answer, problem_answer
from kilowatch.ingest.request import REQUEST_ID, new_request_id

READINGS_URL = b"/api/v1/readings"
QUICK_BYTES = 16 * 1024
"""Bodies up to this size go the short way."""
QUICK_TYPES = frozenset((b"application/json", b"", b"application/json; charset=utf-8"))
UNUSUAL = (b"content-encoding", b"idempotency-key", b"transfer-encoding", b"expect", b"upgrade")

HEAD_BYTES = 64 * 1024
"""A head that is not over after so many bytes is refused."""
HEAD_END = b"\r\n\r\n"
HEADS_KEPT = 32
"""Heads that a connection knows again; they differ in the length of what follows."""

Respond = Callable[[Answer], None]


class QuickDoors(Protocol):
    """What takes readings without waiting."""

    def take_quickly(self, authorization: bytes, body: bytes, request_id: bytes, respond: Respond) -> bool:
        """Takes the body's readings and calls `respond` later; False when the long way must be gone."""


class _Head:
    """What the short way needs of a request's head."""

    __slots__ = ("authorization", "length", "request_id")

    def __init__(self, headers: dict[bytes, bytes]) -> None:
        self.authorization = headers.get(b"authorization", b"")
        self.length = int(headers[b"content-length"])
        given = headers.get(b"x-request-id")
        self.request_id = given if given is not None and REQUEST_ID.fullmatch(given) else None


class _Turn:
    """A request that is under way here. It stands where the connection keeps its ASGI requests, so that
    requests sent after it wait for its answer."""

    __slots__ = (
        "_connection",
        "_request_id",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
    )

    def __init__(self, connection: "DoorConnection", request_id: bytes) -> None:
        self._connection = connection
        self._request_id = request_id
        self.disconnected = False
        self.keep_alive = True
        self.message_event = _NOBODY_WAITS
        self.more_body = False
        self.response_complete = False

    def respond(self, answer: Answer) -> None:
        """Writes the answer, unless the sender has gone."""
        self.response_complete = True
        if not self.disconnected:
            self._connection.respond(answer, self._request_id, self.keep_alive)


class DoorConnection(HttpToolsProtocol):
    """A connection of the doors; `connection_class` gives it the doors.

    Senders of single readings repeat their request's head byte for byte. A head that the parser has read and
    that nothing is unusual about is known again by its bytes, and its requests are then not parsed at all.
    """

    doors: QuickDoors
    _quick: _Head | None = None
    _body = b""
    _between = True
    """Whether the parser stands between two requests."""
    _rested_at = 0.0
    _head_bytes: int | None = None
    """What has come of a head that is not over yet."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop."""
        super().connection_made(transport)
        self._heads: dict[bytes, _Head] = {}
        self._read: _Head | None = None

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if not self._between or self._is_busy():
            self._read = None
            self._parse(data)
            return
        end = data.find(HEAD_END)
        begin = end + len(HEAD_END)
        head = self._heads.get(data[:end])
        if head is not None and len(data) == begin + head.length and self._take(head, data[begin:]):
            return
        self._read = None
        self._parse(data)
        read = self._read
        if read is not None and self._between and len(data) == begin + read.length:
            self._remember(data[:end], read)

    def _parse(self, data: bytes) -> None:
        """Gives data to the parser, and refuses a head that grows too long. What came together with the end
        of something else is not counted, since nobody knows where in it the head begins."""
        goes_on = self._head_bytes is not None
        super().data_received(data)
        if not goes_on or self._head_bytes is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(Problem(431, "head_too_large", f"A request's head has at most {HEAD_BYTES} bytes"))

    def _remember(self, text: bytes, head: _Head) -> None:
        """Keeps a head that was read from just these bytes, the only ones of the data but for the body."""
        if text.startswith(b"POST ") and head.request_id is None and len(self._heads) < HEADS_KEPT:
            self._heads[text] = head

    def on_message_begin(self) -> None:
        """Called by the parser; the ASGI scope is made only where it is needed."""
        self._between = False
        self._head_bytes = 0
        self._read = None
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._quick = None

    def on_headers_complete(self) -> None:
        """Called by the parser: chooses the way."""
        self._head_bytes = None
        head = self._usual_head() if self.url == READINGS_URL else None
        if head is not None:
            self._quick = self._read = head
            self._body = b""
        else:
            self._go_long_way()

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        if self._quick is not None:
            self._body = self._body + body if self._body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._between = True
        head, self._quick = self._quick, None
        if head is None:
            super().on_message_complete()
            return
        body = self._body
        if self._take(head, body):
            return
        self._go_long_way()
        if body:
            super().on_body(body)
        super().on_message_complete()

    def _take(self, head: _Head, body: bytes) -> bool:
        """Whether the doors took the readings; the answer follows."""
        request_id = head.request_id or new_request_id()
        turn = _Turn(self, request_id)
        if not self.doors.take_quickly(head.authorization, body, request_id, turn.respond):
            return False
        self.cycle = turn  # type: ignore[assignment]
        return True

    def _is_busy(self) -> bool:
        """Whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _usual_head(self) -> _Head | None:
        """The head, if nothing but the readings themselves can need the long way."""
        if self._is_busy():
            return None
        head = dict(self.headers)
        length = head.get(b"content-length", b"")
        usual = (
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
        return _Head(head) if usual else None

    def _go_long_way(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)
        super().on_headers_complete()

    def respond(self, answer: Answer, request_id: bytes, keep_alive: bool) -> None:
        """Writes an answer in one piece."""
        if self.transport.is_closing():
            return
        self._write(answer, request_id, keep_alive)
        self.on_response_complete()

    def _write(self, answer: Answer, request_id: bytes, keep_alive: bool) -> None:
        opening = _openings.of(answer, self.server_state.default_headers)
        end = b"\r\n\r\n" if keep_alive else b"\r\nconnection: close\r\n\r\n"
        self.transport.write(b"%b%b%b%b" % (opening, request_id, end, answer.body))
        if not keep_alive:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Called when the parser cannot read on."""
        self._refuse(Problem(400, "malformed", msg))

    def _refuse(self, problem: Problem) -> None:
        """Refuses what cannot be read on, in the shape of every refusal, and closes.

        While earlier requests wait for their answers the connection closes after the last of these instead:
        a refusal written now would be taken for the answer to the first.
        """
        if self._is_busy() and not self.cycle.more_body:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        request_id = new_request_id()
        self._write(problem_answer(problem, request_id), request_id, False)

    def on_response_complete(self) -> None:
        """Called when an answer was written: goes on with the next request, or waits for one.

        While requests follow each other the timer of a waiting connection is left to run, and only looks
        again later when it fires; a timer for each request would cost more than its reading.
        """
        self._rested_at = self.loop.time()
        if self.pipeline or self.timeout_keep_alive_task is None or self.flow.read_paused:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1

    def timeout_keep_alive_handler(self) -> None:
        """Called by the timer of a waiting connection."""
        self.timeout_keep_alive_task = None
        rest = self._rested_at + self.timeout_keep_alive - self.loop.time()
        if self._is_busy() or not self._between:
            rest = self.timeout_keep_alive
        if rest > 0:
            self.timeout_keep_alive_task = self.loop.call_later(rest, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()


def connection_class(doors: QuickDoors) -> type[DoorConnection]:
    """The class to give to uvicorn as `http`, for connections that these doors stand behind."""
    return type("DoorConnection", (DoorConnection,), {"doors": doors})


class _Openings:
    """Makes an answer's bytes up to its request's id. The most frequent answer is always the same object, and
    its opening is made once a second, with the date in it."""

    def __init__(self) -> None:
        self._usual: object = None
        self._accepted_one = b""

    def of(self, answer: Answer, usual: list[tuple[bytes, bytes]]) -> bytes:
        """The opening; `usual` are the headers of every answer, a new list whenever they change."""
        if answer is not ACCEPTED_ONE:
            return _opening(answer, usual)
        if usual is not self._usual:
            self._accepted_one, self._usual = _opening(answer, usual), usual
        return self._accepted_one


def _opening(answer: Answer, usual: list[tuple[bytes, bytes]]) -> bytes:
    lines = [
        b"HTTP/1.1 %d %b\r\n" % (answer.status, HTTPStatus(answer.status).phrase.encode()),
        *(b"%b: %b\r\n" % header for header in usual),
        *(b"%b: %b\r\n" % header for header in answer.headers),
        b"x-request-id: ",
    ]
    return b"".join(lines)


_openings = _Openings()
_NOBODY_WAITS: Any = asyncio.Event()
