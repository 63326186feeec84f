"""Browsers: cookies that only this instance's own pages can use, headers that keep others out, and sizes."""

import asyncio
from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from kilowatch.accounts.access_token import LIFE_S, AccessTokens
from kilowatch.clock import DrivenClock, SystemClock
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import House, Listener, open_house
from tests.server.test_people import PASSWORD, Somebody

ELSEWHERE = "https://evil.example"
FRIEND = "https://app.example.org"
NOT_OURS: list[dict[str, str]] = [
    {},
    {"Origin": "null"},
    {"Origin": ELSEWHERE},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": ELSEWHERE, "Sec-Fetch-Site": "same-origin"},
]


def cookies_of(answer: httpx.Response) -> "dict[str, Morsel[str]]":
    """The cookies that an answer sets."""
    found: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        found.load(line)
    return dict(found)


@pytest.fixture
async def ada(house: House, http: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[Somebody]:
    """Somebody who has an account, and a browser without cookies."""
    somebody = Somebody(http, tmp_path / "mail")
    await somebody.sign_up()
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as browser:
        somebody.http = browser
        yield somebody


async def sign_in(ada: Somebody, **headers: str) -> httpx.Response:
    body = {"email": ada.email, "password": PASSWORD}
    return await ada.http.post("/api/v1/auth/login", json=body, headers=headers)


async def test_a_page_of_ours_gets_cookies_that_no_script_reads(house: House, ada: Somebody) -> None:
    answer = await sign_in(ada, Origin=house.url)
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] is None
    cookies = cookies_of(answer)
    session, refresh = cookies["kilowatch_session"], cookies["kilowatch_refresh"]
    assert cookies["kilowatch_person"].value == "1"
    for name, cookie in cookies.items():
        # Pages read this one, which opens nothing.
        assert bool(cookie["httponly"]) is (name != "kilowatch_person")
        assert cookie["samesite"].lower() == "strict"
    assert (session["path"], refresh["path"]) == ("/", "/api/v1/auth")
    assert (session["max-age"], refresh["max-age"]) == (str(LIFE_S), str(30 * 86_400))
    assert session.value == answer.json()["access_token"]
    assert (await ada.http.get("/api/v1/me")).json()["email"] == ada.email
    fetched = await sign_in(ada, **{"Sec-Fetch-Site": "same-origin"})
    assert fetched.json()["refresh_token"] is None


@pytest.mark.parametrize("headers", NOT_OURS)
async def test_others_get_tokens_in_the_body_and_no_cookie(ada: Somebody, headers: dict[str, str]) -> None:
    answer = await sign_in(ada, **headers)
    assert answer.json()["refresh_token"].startswith("kwr_")
    assert not cookies_of(answer)


@pytest.mark.parametrize("headers", NOT_OURS)
async def test_a_cookie_changes_nothing_for_pages_of_others(
    house: House, ada: Somebody, headers: dict[str, str]
) -> None:
    await sign_in(ada, Origin=house.url)
    for method, path, body in (
        ("PATCH", "/api/v1/me", {"name": "Eve"}),
        ("POST", "/api/v1/sites", {"kind": "home", "name": "Eve"}),
        ("POST", "/api/v1/auth/refresh", None),
        ("POST", "/api/v1/auth/logout", None),
    ):
        refused = await ada.http.request(method, path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin"), path
    assert (await ada.http.get("/api/v1/me")).json()["name"] == "Ada"
    changed = await ada.http.patch("/api/v1/me", json={"name": "Ada L."}, headers={"Origin": house.url})
    assert changed.status_code == 200
    # Nothing of all that has used up the refresh token.
    assert (await ada.http.post("/api/v1/auth/refresh", headers={"Origin": house.url})).status_code == 200


async def test_the_refresh_cookie_turns_and_logging_out_takes_both(house: House, ada: Somebody) -> None:
    own = {"Origin": house.url}
    first = cookies_of(await sign_in(ada, **own))["kilowatch_refresh"].value
    turned = await ada.http.post("/api/v1/auth/refresh", headers=own)
    assert turned.json()["refresh_token"] is None
    second = cookies_of(turned)["kilowatch_refresh"].value
    assert second not in (first, "")
    assert (await ada.http.get("/api/v1/me")).status_code == 200
    out = await ada.http.post("/api/v1/auth/logout", headers=own)
    assert out.status_code == 204
    assert {name: cookie["max-age"] for name, cookie in cookies_of(out).items()} == {
        "kilowatch_session": "0",
        "kilowatch_refresh": "0",
        "kilowatch_person": "0",
    }
    for token in (first, second):
        answer = await ada.http.post("/api/v1/auth/refresh", json={"refresh_token": token})
        assert answer.status_code == 401
    none = await ada.http.post("/api/v1/auth/refresh", headers=own)
    assert (none.status_code, none.json()["code"]) == (401, "no_credentials")


@pytest.mark.parametrize("origin", [ELSEWHERE, "null", None])
async def test_a_cookie_opens_no_websocket_from_elsewhere(
    house: House, ada: Somebody, origin: str | None
) -> None:
    token = (await sign_in(ada, Origin=house.url)).json()["access_token"]
    headers = {"Cookie": f"kilowatch_session={token}"} | ({"Origin": origin} if origin else {})
    async with connect(f"ws{house.url[4:]}/api/v1/live", additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


async def test_a_live_connection_outlives_the_access_token_of_its_cookie(
    parts: Parts, stream: Client, tmp_path: Path
) -> None:
    clock = DrivenClock(SystemClock().now_us())
    parts.clock, parts.tokens = clock, AccessTokens(b"k" * 48, clock)
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        ada = Somebody(http, tmp_path / "mail")
        await ada.sign_up()
        headers = {"Cookie": f"kilowatch_session={ada.tokens['access_token']}", "Origin": house.url}
        async with connect(f"ws{house.url[4:]}/api/v1/live", additional_headers=headers) as socket:
            listener = Listener(socket)
            await listener.say(type="ping")
            await listener.hear_until("pong")
            clock.advance(LIFE_S + 1)
            assert (await ada.me()).status_code == 401
            await listener.say(type="ping")
            await listener.hear_until("pong")
            await ada.post("logout", refresh_token=ada.tokens["refresh_token"])
            async with asyncio.timeout(5):
                await socket.wait_closed()


# --- headers ---------------------------------------------------------------------------------------------


async def test_over_tls_cookies_are_secure_and_browsers_told_to_stay(parts: Parts, stream: Client) -> None:
    key = {"key": "kw_guessed"}
    for trusted in ((), ("127.0.0.1",)):
        async with (
            open_house(parts, stream, trusted_proxies=trusted) as house,  # type: ignore[arg-type]
            httpx.AsyncClient(base_url=house.url, headers={"X-Forwarded-Proto": "https"}) as http,
        ):
            plain = await http.get("/", headers={"X-Forwarded-Proto": "http"})
            answer = await http.get("/")
            gone = await http.delete("/api/v1/session")
            refused = await http.post("/api/v1/session", json=key)
        assert "strict-transport-security" not in plain.headers
        assert ("strict-transport-security" in answer.headers) == bool(trusted)
        assert ("strict-transport-security" in refused.headers) == bool(trusted)
        assert all(bool(cookie["secure"]) == bool(trusted) for cookie in cookies_of(gone).values())


@pytest.mark.parametrize("path", ["/", "/api/v1/me", "/nothing", "/nothing.js"])
async def test_every_answer_keeps_other_sites_out(http: httpx.AsyncClient, path: str) -> None:
    headers = (await http.get(path)).headers
    policy = dict(part.partition(" ")[::2] for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    is_page = headers["content-type"].startswith("text/html")
    assert policy["style-src"] == ("'self' 'unsafe-inline'" if is_page else "'self'")
    assert headers.get_list("content-security-policy") == [headers["content-security-policy"]]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


# --- other sites -----------------------------------------------------------------------------------------


async def ask_before(http: httpx.AsyncClient, origin: str) -> httpx.Response:
    """What a browser asks before it lets a page of another site send credentials."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return await http.options("/api/v1/sites", headers=headers)


async def test_no_other_site_is_let_in_by_default(http: httpx.AsyncClient) -> None:
    for origin in (FRIEND, "null"):
        assert not (await ask_before(http, origin)).is_success
        answer = await http.get("/api/v1/whoami", headers={"Origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_named_sites_are_let_in_without_cookies(parts: Parts, stream: Client) -> None:
    parts.cors_origins = (FRIEND,)
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        allowed = await ask_before(http, FRIEND)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == FRIEND
        answer = await http.get("/api/v1/whoami", headers={"Origin": FRIEND})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "origin" in answer.headers["vary"].lower()
        for one in (allowed, answer):
            assert "access-control-allow-credentials" not in one.headers
        refused = await ask_before(http, ELSEWHERE)
        assert refused.status_code == 400
        for one in (refused, await http.get("/api/v1/whoami", headers={"Origin": ELSEWHERE})):
            assert "access-control-allow-origin" not in one.headers


# --- sizes -----------------------------------------------------------------------------------------------


async def test_too_large_a_body_is_413(http: httpx.AsyncClient) -> None:
    large = b'{"email": "' + b"a" * (1024 * 1024) + b'"}'

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 64 * 1024):
            yield large[start : start + 64 * 1024]

    for content in (large, in_pieces()):
        headers = {"Content-Type": "application/json"}
        answer = await http.post("/api/v1/auth/login", content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("size", [2_000, 60_000])
async def test_too_long_a_head_is_a_4xx(http: httpx.AsyncClient, size: int) -> None:
    long = "a" * size
    asked = (
        http.get(f"/api/v1/devices/{long}"),
        http.get(f"/api/v1/devices?cursor={long}"),
        http.get("/api/v1/whoami", headers={"Authorization": f"Bearer {long}"}),
        http.get("/api/v1/whoami", headers={"Cookie": f"kilowatch_session={long}"}),
        http.get("/api/v1/whoami", headers={"X-Organisation": long}),
    )
    for asking in asked:
        answer = await asking
        assert 400 <= answer.status_code < 500
    assert (await http.get("/healthz")).status_code == 200
