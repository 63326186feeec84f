"""What a browser keeps of somebody who has signed in: cookies that no script can read, and one that says so.

Keeps true that a browser's cookies work only for pages of this very instance: both are SameSite=Strict, and
whatever changes something must come from an origin that is the host asked. The refresh token's goes to
`/api/v1/auth` only.
"""

from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.requests import HTTPConnection

from kilowatch.accounts.access_token import LIFE_S
from kilowatch.accounts.people import Tokens
from kilowatch.errors import Problem
from kilowatch.wire.address import API

COOKIE = "kilowatch_session"
REFRESH_COOKIE = "kilowatch_refresh"
REFRESH_PATH = f"{API}/auth"
PERSON_COOKIE = "kilowatch_person"
"""Says, for as long as a session can be renewed, that a person (`1`) or a key is signed in; it opens nothing.
Pages read it, so that nobody asks who is there where nobody is."""
DAY_S = 86_400


def is_own_page(request: HTTPConnection) -> bool:
    """Whether the request comes from a page of this instance."""
    if "origin" in request.headers:
        return is_own_origin(request)
    return request.headers.get("sec-fetch-site") == "same-origin"


def is_own_origin(connection: HTTPConnection) -> bool:
    """Whether the header Origin names the host that is asked."""
    try:
        place = urlsplit(connection.headers.get("origin", "")).netloc
    except ValueError:  # as `http://[` is no address
        return False
    return bool(place) and place.lower() == connection.headers.get("host", "").lower()


def require_own_origin(connection: HTTPConnection) -> None:
    """Lets a browser pass whose page came from this instance.

    Raises:
        Problem: 403 `foreign_origin`.
    """
    if not is_own_origin(connection):
        raise Problem(403, "foreign_origin", "A browser session works only on this instance's own pages.")


def hand_over(request: Request, response: Response, tokens: Tokens, days: int) -> bool:
    """Gives tokens to a page of this instance as cookies; False for any other client, which takes them from
    the body."""
    if not is_own_page(request):
        return False
    set_session(request, response, tokens.access_token, LIFE_S, known_s=days * DAY_S)
    response.set_cookie(
        REFRESH_COOKIE,
        tokens.refresh_token,
        max_age=days * DAY_S,
        path=REFRESH_PATH,
        httponly=True,
        samesite="strict",
        secure=is_secure(request),
    )
    return True


def shown_refresh_token(request: Request, given: str | None) -> str:
    """The refresh token of the body, or else of the cookie.

    Raises:
        Problem: 401 when there is neither; 403 `foreign_origin`.
    """
    if given is not None:
        return given
    kept = request.cookies.get(REFRESH_COOKIE)
    if kept is None:
        raise Problem(401, "no_credentials", "Send refresh_token, or sign in.")
    require_own_origin(request)
    return kept


def set_session(
    request: HTTPConnection, response: Response, secret: str, life_s: int, *, known_s: int | None = None
) -> None:
    """Puts the session cookie into a response: an API key or an access token.

    known_s: how long a person counts as signed in; None for a key, which is no person.
    """
    who = ("key", life_s) if known_s is None else ("1", known_s)
    kept = ((COOKIE, secret, life_s, True), (PERSON_COOKIE, *who, False))
    for name, value, max_age, httponly in kept:
        response.set_cookie(
            name, value, max_age=max_age, httponly=httponly, samesite="strict", secure=is_secure(request)
        )


def forget_session(request: HTTPConnection, response: Response) -> None:
    """Takes all cookies away."""
    for name, path in ((COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH), (PERSON_COOKIE, "/")):
        response.delete_cookie(name, path=path, httponly=True, samesite="strict", secure=is_secure(request))


def is_secure(connection: HTTPConnection) -> bool:
    """Whether the request came over TLS, to this process or to a proxy that it trusts."""
    return connection.url.scheme in ("https", "wss")
