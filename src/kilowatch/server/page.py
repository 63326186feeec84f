"""The web app: its files as the build wrote them, and its shell for every address that is a page.

Keeps true that an address of a page works when it is asked for first; that what is no page stays a refusal;
that a file whose name tells its content is kept for ever, and the shell never without asking; and that what
is sent is compressed already.
"""

import os
import stat
from pathlib import PurePosixPath

from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Scope

from kilowatch.accounts.routes.browser import COOKIE, PERSON_COOKIE, set_session
from kilowatch.server.credentials import KEY_LIFE_S, is_loopback
from kilowatch.wire.headers import PAGE_SECURITY_POLICY

SHELL = "index.html"
PICTURES = (".svg", ".png")
NO_PAGES = ("api", "assets")
"""First parts of addresses below which no page lies."""
WAYS_IN = ("/sign-in", "/sign-up", "/reset-password")
"""Pages of people who want to be somebody else than the demo's reader."""
FOR_EVER = "public, max-age=31536000, immutable"
A_DAY = "public, max-age=86400"
ASK_FIRST = "no-cache"
VALIDATORS = ("etag", "last-modified")
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
"""How files are compressed, best first, and the ending of the compressed one."""
NOT_BUILT = (
    "Kilowatch runs, but its web app was not built. Build it with `make web`, or install Kilowatch without"
    " KILOWATCH_WEB=skip, and load this page again.\n"
)


class Page(StaticFiles):
    """The folder of the app. `demo_key` signs in browsers of this machine that ask for a page."""

    def __init__(self, folder: os.PathLike[str], demo_key: str | None = None) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._demo_key = demo_key

    async def check_config(self) -> None:
        """The folder may come later, when somebody builds the app."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at this address, or the shell if it is a page's.

        Raises:
            HTTPException: 404, 405.
        """
        if is_page(scope):
            return await self._get_shell(scope)
        return await super().get_response(path, scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """The file, compressed as the client likes it where the build wrote that."""
        taken = Headers(scope=scope).get("accept-encoding", "")
        for encoding, ending in ENCODINGS:
            if takes(taken, encoding) and (found := _look_at(f"{full_path}{ending}")) is not None:
                response = super().file_response(f"{full_path}{ending}", found, scope, status_code)
                response.headers["Content-Encoding"] = encoding
                break
        else:
            response = super().file_response(full_path, stat_result, scope, status_code)
        _describe(response.headers, scope["path"])
        return response

    async def _get_shell(self, scope: Scope) -> Response:
        try:
            response = await super().get_response(SHELL, scope)
        except HTTPException as refusal:
            if refusal.status_code != 404:
                raise
            return PlainTextResponse(NOT_BUILT, headers={"Cache-Control": ASK_FIRST})
        response.headers["Content-Security-Policy"] = PAGE_SECURITY_POLICY
        self._sign_in(Request(scope), response)
        return response

    def _sign_in(self, request: Request, response: Response) -> None:
        is_somebody = COOKIE in request.cookies or PERSON_COOKIE in request.cookies
        wants_to_be = request.url.path in WAYS_IN
        if self._demo_key is not None and not (is_somebody or wants_to_be) and is_loopback(request):
            set_session(request, response, self._demo_key, KEY_LIFE_S)


def is_page(scope: Scope) -> bool:
    """Whether a page of the app may be meant: no file, nothing of the API, and who asks reads pages, as
    browsers say of themselves and programs do not."""
    parts = PurePosixPath(scope["path"]).parts[1:]
    if not parts:
        return True
    reads_pages = "text/html" in HTTPConnection(scope).headers.get("accept", "")
    return reads_pages and parts[0] not in NO_PAGES and "." not in parts[-1]


def takes(header: str, encoding: str) -> bool:
    """Whether a header Accept-Encoding names this encoding and does not refuse it."""
    for part in header.split(","):
        name, _, weight = part.partition(";")
        if name.strip().lower() == encoding:
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _look_at(path: str) -> os.stat_result | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _describe(headers: MutableHeaders, path: str) -> None:
    headers.add_vary_header("Accept-Encoding")
    if path.startswith("/assets/"):
        headers["Cache-Control"] = FOR_EVER
        return
    headers["Cache-Control"] = A_DAY if path.endswith(PICTURES) else ASK_FIRST
    # They are made of a file's time and size, which a new build may have in common with the old.
    for name in VALIDATORS:
        del headers[name]
