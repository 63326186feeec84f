"""A request's head as the doors need it, read from the ASGI scope.

Owns which headers and query parameters mean something here. Keeps true that every request has an id that is
safe to log and to send back: the sender's own when it looks like one, else a new one.
"""

import itertools
import re
import secrets
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from kilowatch.errors import Fault, Problem
from kilowatch.wire.frame import OnConflict

REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
IDEMPOTENCY_KEY = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")

_process = secrets.token_hex(8).encode()
_counter = itertools.count(1)


class Request:
    """The head of one request."""

    __slots__ = (
        "_idempotency",
        "authorization",
        "encoding",
        "id",
        "length",
        "method",
        "path",
        "query",
        "type",
    )

    def __init__(self, scope: Any) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        get = headers.get
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.authorization = get(b"authorization", b"")
        self.type = get(b"content-type", b"")
        self.encoding = get(b"content-encoding", b"")
        length = get(b"content-length", b"")
        self.length = int(length) if length.isdigit() else -1
        self._idempotency = get(b"idempotency-key")
        given = get(b"x-request-id")
        self.id: bytes = given if given is not None and REQUEST_ID.fullmatch(given) else new_request_id()

    @property
    def keyed(self) -> bool:
        """Whether the sender gave an Idempotency-Key."""
        return self._idempotency is not None

    @property
    def idempotency_key(self) -> str:
        """The sender's Idempotency-Key.

        Raises:
            Problem: 400 when it is not 1 to 255 visible ASCII characters.
        """
        if self._idempotency is None or not IDEMPOTENCY_KEY.fullmatch(self._idempotency):
            raise Problem(
                400, "bad_idempotency_key", "Idempotency-Key must be 1 to 255 visible ASCII characters"
            )
        return self._idempotency.decode("ascii")

    @property
    def media_type(self) -> bytes:
        """The Content-Type without its parameters, in small letters."""
        return self.type.partition(b";")[0].strip().lower()


def new_request_id() -> bytes:
    """An id that no other request of any process has."""
    return b"%b-%x" % (_process, next(_counter))


@lru_cache(maxsize=1024)
def parameters(query: bytes) -> dict[str, str]:
    """The query's parameters; the last of a name counts. Not to be changed: the answer is kept."""
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace"))


def on_conflict(query: bytes) -> OnConflict:
    """What the sender wants done with another value for a moment that is stored already.

    Raises:
        Problem: 422 when `on_conflict` is neither `reject` nor `replace`.
    """
    if not query:
        return "reject"
    wish = parameters(query).get("on_conflict", "reject")
    if wish == "replace":
        return "replace"
    if wish == "reject":
        return "reject"
    fault = Fault("bad_parameter", "on_conflict is reject or replace", pointer="#/query/on_conflict")
    raise Problem(422, "bad_parameter", fault.detail, [fault])
