"""Who is calling over HTTP: an `Authorization` header, or the session cookie of a browser.

Keeps true that a browser's cookie works only for pages of this very instance: anything that changes
something, and every WebSocket, must come from an origin that is the host asked. The cookie holds an API key
or an access token, is out of reach of scripts, and is never sent from other sites.
"""

import ipaddress
import uuid
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import HTTPConnection

from kilowatch.accounts.access import Guard, name_right
from kilowatch.accounts.identity import Authenticator, Caller, require_right
from kilowatch.accounts.rights import Verb
from kilowatch.accounts.routes.browser import (
    COOKIE,
    DAY_S,
    forget_session,
    require_own_origin,
    set_session,
)
from kilowatch.errors import Problem
from kilowatch.server.limits import Limits
from kilowatch.server.openapi import OPEN_PATHS
from kilowatch.wire.address import API

KEY_LIFE_S = 30 * DAY_S
"""How long a browser keeps an API key."""
NAMED = (
    "Slug or id of the organisation that a person listens in, as `X-Organisation` names it; counts before"
    " that header, which a browser cannot send here. The WebSocket `/api/v1/live` takes it, too."
)
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class SessionWanted(BaseModel):
    """A key to open a browser session with."""

    model_config = ConfigDict(extra="forbid")

    key: str = Field(min_length=1, max_length=512)


def find_header(connection: HTTPConnection) -> str | None:
    """The header `Authorization`, or what the session cookie of a browser stands for.

    Raises:
        Problem: 403 for a browser that comes from elsewhere.
    """
    header = connection.headers.get("authorization")
    cookie = connection.cookies.get(COOKIE)
    if header is not None or not cookie:
        return header
    if connection.scope.get("method") not in SAFE_METHODS:
        require_own_origin(connection)
    return f"Bearer {cookie}"


class Credentials:
    """Resolves callers; `anybody`, and what `may` makes, are dependencies of routes."""

    def __init__(self, authenticator: Authenticator, limits: Limits) -> None:
        self._authenticator = authenticator
        self._limits = limits

    async def find_caller(self, connection: HTTPConnection, organisation: str | None = None) -> Caller:
        """The caller behind a request or a WebSocket; a person in the organisation that is named here, or by
        the request.

        Raises:
            Problem: 401, or 403 for a browser that comes from elsewhere; 429.
            EngineUnavailable: if PostgreSQL cannot be asked.
        """
        header = find_header(connection)
        named = connection.headers.get("x-organisation") if organisation is None else organisation
        caller = await self._authenticate(connection, header, named)
        self._limits.count_caller(connection, caller)
        return caller

    async def _authenticate(
        self, connection: HTTPConnection, header: str | None, organisation: str | None = None
    ) -> Caller:
        try:
            return await self._authenticator.authenticate(header, organisation)
        except Problem as problem:
            if problem.status == 401 and header is not None:
                self._limits.count_stranger(connection)
            raise

    async def identify(self, request: Request) -> None:
        """Refuses whoever asks for what needs credentials and has none that are valid.

        Raises:
            Problem: see `find_caller`.
            EngineUnavailable: if PostgreSQL cannot be asked.
        """
        if request.scope["path"] not in OPEN_PATHS:
            await self.find_caller(request)

    async def anybody(self, request: Request) -> Caller:
        """A caller with valid credentials, whatever they may do."""
        return await self.find_caller(request)

    def may(self, resource: str, verb: Verb, there: bool = False) -> Guard:
        """A dependency that lets callers with this right pass; see `Access.may`."""

        async def require(request: Request) -> Caller:
            caller = await (self._find_there(request) if there else self.find_caller(request))
            require_right(caller, resource, verb)
            return caller

        return name_right(require, resource, verb)

    def may_by_address(self, resource: str, verb: Verb) -> Guard:
        """The same for channels that a browser opens with an address and no headers of its own: the query may
        name the organisation, and counts before the header."""

        async def require(
            request: Request, organisation: Annotated[str | None, Query(description=NAMED)] = None
        ) -> Caller:
            caller = await self.find_caller(request, organisation)
            require_right(caller, resource, verb)
            return caller

        return name_right(require, resource, verb)

    async def _find_there(self, request: Request) -> Caller:
        """The caller in the organisation of the path; to others it is not there."""
        named = str(request.path_params["organisation_id"])
        absent = Problem(404, "not_found", f"There is no organisation {named[:80]!r}.")
        try:
            organisation_id = uuid.UUID(named)
            caller = await self.find_caller(request, str(organisation_id))
        except ValueError:
            await self.find_caller(request)
            raise absent from None
        except Problem as problem:
            raise absent if problem.code == "no_member" else problem from None
        if caller.organisation_id != organisation_id:
            raise absent
        return caller

    def make_routes(self) -> APIRouter:
        """The routes that open and close a browser session."""
        routes = APIRouter(prefix=API)

        @routes.post("/session", status_code=204, tags=["accounts"])
        async def open_session(wanted: SessionWanted, request: Request, response: Response) -> None:
            """Opens a browser session: the key goes into a cookie that scripts cannot read."""
            if request.headers.get("origin") is not None:
                require_own_origin(request)
            await self._authenticate(request, f"Bearer {wanted.key}")
            set_session(request, response, wanted.key, KEY_LIFE_S)

        @routes.delete("/session", status_code=204, tags=["accounts"])
        async def close_session(request: Request, response: Response) -> None:
            """Forgets the browser session; one that somebody signed in to goes on elsewhere."""
            forget_session(request, response)

        return routes


def is_loopback(connection: HTTPConnection) -> bool:
    """Whether the caller sits at this machine and asked for it by a name of this machine.

    The name counts too, because a page from elsewhere can let its own host name point here. Behind a proxy
    everybody seems to sit here, so a forwarded request does not count.
    """
    forwarded = any(name in connection.headers for name in ("x-forwarded-for", "forwarded"))
    try:
        host = urlsplit("//" + connection.headers.get("host", "")).hostname or ""
    except ValueError:  # as `[` is no name
        return False
    client = connection.client.host if connection.client else ""
    return not forwarded and _is_loopback_name(host) and _is_loopback_name(client)


def _is_loopback_name(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
