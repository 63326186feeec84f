"""How often somebody may ask: by person, by key, by address for who shows no credentials, and by account for
ways of signing in.

Keeps true: whoever asks too often is told when to come again, and everybody else is answered as before;
readings that come in, live connections, health and the page are never counted. In the memory of this
process: N processes allow N times as much.
"""

from dataclasses import dataclass

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilowatch.accounts.identity import Caller
from kilowatch.accounts.routes.browser import COOKIE
from kilowatch.accounts.window import Standing, Window
from kilowatch.clock import Clock
from kilowatch.errors import Problem
from kilowatch.observe.request import ORIGIN
from kilowatch.server.problems import problem_response, request_id_of

MINUTE_S = 60
API, AUTH = "/api/", "/api/v1/auth/"
ADDRESS_TIMES = 10
"""All accounts together may be signed in to so many times as often from one address as one account."""
STANDING = "kilowatch.standing"
"""Where a request's scope says how its sender stands."""
COUNTED = "kilowatch.counted"
"""Where a request's scope says that it was counted."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a minute; 0 is as many as they like."""

    person: int = 100
    key: int = 6_000
    auth: int = 20


class Limits:
    """Counts requests and refuses what is too much."""

    def __init__(self, clock: Clock, rates: Rates) -> None:
        self._addresses = Window(clock, rates.person, MINUTE_S)
        self._persons = Window(clock, rates.person, MINUTE_S)
        self._keys = Window(clock, rates.key, MINUTE_S)
        self._accounts = Window(clock, rates.auth, MINUTE_S)
        self._signing_in = Window(clock, rates.auth * ADDRESS_TIMES, MINUTE_S)

    def count_arrival(self, scope: Scope) -> None:
        """Counts a request by its sender's address: on the ways of signing in, and without credentials.

        Raises:
            Problem: 429 `too_many_requests`.
        """
        path, network = scope["path"], ORIGIN.get().network
        if path.startswith(AUTH):
            self._note(scope, "address", self._signing_in.take(network))
        elif path.startswith(API) and not _has_credentials(scope):
            self._note(scope, "address", self._addresses.take(network))

    def count_unasked(self, scope: Scope) -> None:
        """Counts a request by its sender's address when nobody has looked at the credentials that it shows:
        with junk in their place it would count nowhere.

        Raises:
            Problem: 429 `too_many_requests`.
        """
        if scope["path"].startswith(API) and COUNTED not in scope:
            self._note(scope, "address", self._addresses.take(ORIGIN.get().network))

    def count_caller(self, connection: HTTPConnection, caller: Caller) -> None:
        """Counts a request of somebody who showed valid credentials; a WebSocket is none.

        Raises:
            Problem: 429 `too_many_requests`.
        """
        if connection.scope["type"] != "http":
            return
        if caller.user_id is not None:
            self._note(connection.scope, "user", self._persons.take(caller.user_id))
        else:
            self._note(connection.scope, "key", self._keys.take(caller.key_no))

    def count_stranger(self, connection: HTTPConnection) -> None:
        """Counts a request whose credentials were not valid.

        Raises:
            Problem: 429 `too_many_requests`.
        """
        self._note(connection.scope, "address", self._addresses.take(ORIGIN.get().network))

    async def count_signing_in(self, request: Request) -> None:
        """A dependency: counts a request on a way of signing in by its sender's address and the account that
        its body names, or the way where it names none.

        Raises:
            Problem: 429 `too_many_requests`.
        """
        path = request.scope["path"]
        if path.startswith(AUTH):
            account = await _account_of(request) or path
            self._note(request.scope, "auth", self._accounts.take((ORIGIN.get().network, account)))

    def _note(self, scope: Scope, name: str, standing: Standing) -> None:
        scope[COUNTED] = True
        if not standing.most:
            return
        scope[STANDING] = (name, standing)
        if not standing.passed:
            raise Problem(
                429,
                "too_many_requests",
                f"At most {standing.most} requests in {standing.per_s} s; wait {standing.wait_s} s.",
                retry_after_s=standing.wait_s,
            )


class Turnstile:
    """Wraps an application: counts requests as they arrive, and the rest before they are answered."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._limits.count_arrival(scope)
            except Problem as problem:
                await problem_response(problem, request_id_of(Request(scope)))(scope, receive, send)
                return
            send = self._counting(scope, receive, send)
        await self._app(scope, receive, send)

    def _counting(self, scope: Scope, receive: Receive, send: Send) -> Send:
        """Sends an answer, or the refusal where its request is one too many."""
        refused = False

        async def send_counted(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start":
                try:
                    self._limits.count_unasked(scope)
                except Problem as problem:
                    refused = True
                    await problem_response(problem, request_id_of(Request(scope)))(scope, receive, send)
            if not refused:
                await send(message)

        return send_counted


def standing_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """How the sender stands, as the IETF's draft of the RateLimit fields has it."""
    told = scope.get(STANDING)
    if told is None:
        return []
    name, standing = told
    return [
        (b"ratelimit-policy", f'"{name}";q={standing.most};w={standing.per_s}'.encode()),
        (b"ratelimit", f'"{name}";r={standing.left};t={standing.wait_s}'.encode()),
    ]


def _has_credentials(scope: Scope) -> bool:
    cookie = f"{COOKIE}=".encode()
    return any(
        name == b"authorization" or (name == b"cookie" and cookie in value)
        for name, value in scope["headers"]
    )


async def _account_of(request: Request) -> str | None:
    """The address that a body names; None for one that names none."""
    try:
        body = await request.json()
    except (ValueError, UnicodeDecodeError, RecursionError):
        return None
    email = body.get("email") if isinstance(body, dict) else None
    return email.strip().lower()[:254] if isinstance(email, str) else None
