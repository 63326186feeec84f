"""The entrance: what happens to every HTTP request before and after its route.

Gives each request an id (the client's own if it is decent) that answers and logs carry, adds the security
headers, logs the request, and turns a bug into a 500 problem without details. Plain ASGI, so that it adds
microseconds and leaves streams alone.
"""

import re
import time
import uuid

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilowatch.errors import Problem
from kilowatch.observe.request import ORIGIN, RequestOrigin
from kilowatch.server.limits import standing_headers
from kilowatch.server.problems import REQUEST_ID, problem_response
from kilowatch.wire.headers import NO_STORE, SECURITY_HEADERS, STRICT_TRANSPORT

DECENT_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

log = structlog.get_logger()


class Entrance:
    """Wraps an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = find_request_id(scope)
        scope[REQUEST_ID] = request_id
        sender = scope.get("client")
        told = ORIGIN.set(RequestOrigin(request_id, sender[0] if sender else None))
        try:
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                if scope["type"] == "websocket":
                    await self._app(scope, receive, send)
                else:
                    await self._answer(scope, receive, send, request_id)
        finally:
            ORIGIN.reset(told)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        began = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    *_extra_headers(scope, message, request_id),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("request.failed", method=scope["method"], path=scope["path"])
            if status:
                raise
            problem = Problem(500, "internal_error", "Something went wrong here; it has been logged.")
            await problem_response(problem, request_id)(scope, receive, send_with_headers)
        finally:
            log.debug(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((time.perf_counter() - began) * 1000, 1),
            )


def find_request_id(scope: Scope) -> str:
    """The id that the client sent, if it is decent, or else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = str(value.decode("latin-1"))
            if DECENT_ID.fullmatch(given):
                return given
    return uuid.uuid4().hex


def _extra_headers(scope: Scope, message: Message, request_id: str) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in message.get("headers", ())}
    extra = [(b"x-request-id", request_id.encode()), *standing_headers(scope)]
    extra += [header for header in SECURITY_HEADERS if header[0] not in names]
    if scope["scheme"] == "https":
        extra.append(STRICT_TRANSPORT)
    if scope["path"].startswith("/api/") and b"cache-control" not in names:
        extra.append(NO_STORE)
    return extra
