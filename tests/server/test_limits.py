"""Rate limits: who asks too often is told when to come again, and nobody else is."""

from collections.abc import AsyncIterator

import httpx
import pytest

from kilowatch.server.app import Parts
from kilowatch.server.limits import Rates
from kilowatch.stream.client import Client
from tests.server.conftest import House, Member, open_house
from tests.server.test_people import PASSWORD, Somebody

PERSON, KEY, AUTH = 8, 12, 4


@pytest.fixture
async def house(parts: Parts, stream: Client) -> AsyncIterator[House]:
    """A server with little patience."""
    parts.rates = Rates(PERSON, KEY, AUTH)
    async with open_house(parts, stream, trusted_proxies=("127.0.0.1",)) as opened:  # type: ignore[arg-type]
        yield opened


async def ask(http: httpx.AsyncClient, count: int, path: str = "/api/v1/whoami", **more: object) -> list[int]:
    return [(await http.get(path, **more)).status_code for _ in range(count)]  # type: ignore[arg-type]


async def test_a_key_is_told_when_to_come_again(
    house: House, http: httpx.AsyncClient, member: Member
) -> None:
    headers = member.bearer()
    first = await http.get("/api/v1/whoami", headers=headers)
    assert first.headers["ratelimit-policy"] == f'"key";q={KEY};w=60'
    assert first.headers["ratelimit"] == f'"key";r={KEY - 1};t=0'
    assert await ask(http, KEY - 1, headers=headers) == [200] * (KEY - 1)
    refused = await http.get("/api/v1/whoami", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["content-type"] == "application/problem+json"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"].startswith('"key";r=0;t=')
    assert await ask(http, 1, headers=member.bearer("admin")) == [200]


async def test_a_person_counts_in_all_sessions_and_others_do_not(house: House, parts: Parts) -> None:
    assert parts.page is not None
    people = []
    for address in ("192.0.2.1", "192.0.2.2"):
        client = httpx.AsyncClient(base_url=house.url, headers={"X-Forwarded-For": address})
        people.append(Somebody(client, parts.page / "mail"))
        await people[-1].sign_up()
    ada, ben = people
    for path in ("/api/v1/me", "/api/v1/sites"):
        assert await ask(ada.http, PERSON // 2, path, headers=ada.bearer()) == [200] * (PERSON // 2)
    ada.tokens = (await ada.post("login", email=ada.email, password=PASSWORD)).json()
    answer = await ada.me()
    assert (answer.status_code, answer.headers["ratelimit-policy"]) == (429, f'"user";q={PERSON};w=60')
    assert (await ben.me()).status_code == 200
    for one in people:
        await one.http.aclose()


async def test_without_credentials_or_with_bad_ones_the_address_counts(
    house: House, http: httpx.AsyncClient, member: Member
) -> None:
    half = PERSON // 2
    assert await ask(http, half) == [401] * half
    assert await ask(http, half, headers={"Authorization": "Bearer kw_guessed"}) == [401] * half
    assert await ask(http, 1) == [429]
    assert await ask(http, 1, headers={"Authorization": "Bearer kw_guessed"}) == [429]
    assert await ask(http, 1, headers=member.bearer()) == [200]
    assert await ask(http, 1, headers={"X-Forwarded-For": "192.0.2.5"}) == [401]
    for path in ("/healthz", "/readyz", "/metrics", "/"):
        assert set(await ask(http, PERSON + 2, path)) == {200}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/openapi.json", b"", 200),
        ("GET", "/api/v1/no-such-thing", b"", 404),
        ("PUT", "/api/v1/whoami", b"", 405),
        ("POST", "/api/v1/sites", b"{", 401),
        ("POST", "/api/v1/sites", b"{}", 401),
    ],
)
@pytest.mark.parametrize(
    "junk",
    [{"Authorization": "Bearer kw_guessed"}, {"Authorization": "x"}, {"Cookie": "kilowatch_session=x"}],
)
async def test_junk_in_the_place_of_credentials_counts_always(
    house: House, member: Member, method: str, path: str, body: bytes, status: int, junk: dict[str, str]
) -> None:
    headers = {"Content-Type": "application/json", "Origin": house.url, **junk}
    async with httpx.AsyncClient(base_url=house.url, headers=headers) as http:
        statuses = [(await http.request(method, path, content=body)).status_code for _ in range(PERSON + 1)]
        last = await http.request(method, path, content=body)
    assert statuses == [status] * PERSON + [429]
    assert (last.status_code, last.json()["code"]) == (429, "too_many_requests")
    assert 0 < int(last.headers["retry-after"]) <= 60
    async with httpx.AsyncClient(base_url=house.url, headers=member.bearer()) as http:
        assert (await http.get("/api/v1/whoami")).status_code == 200


async def test_malformed_bodies_count_for_who_sends_them(house: House, member: Member) -> None:
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=house.url, headers=headers | member.bearer("admin")) as http:
        answers = [(await http.post("/api/v1/sites", content=b"{")) for _ in range(KEY + 1)]
    assert [answer.status_code for answer in answers] == [400] * KEY + [429]
    assert answers[0].headers["ratelimit-policy"] == f'"key";q={KEY};w=60'


async def test_signing_in_counts_by_account_and_address(house: House, http: httpx.AsyncClient) -> None:
    async def log_in(email: str, address: str = "192.0.2.1") -> httpx.Response:
        headers = {"X-Forwarded-For": address}
        body = {"email": email, "password": "guessed"}
        return await http.post("/api/v1/auth/login", json=body, headers=headers)

    for email in ("a@example.org", " A@Example.org"):
        for _ in range(AUTH // 2):
            assert (await log_in(email)).status_code == 401
    refused = await log_in("a@example.org")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["ratelimit-policy"] == f'"auth";q={AUTH};w=60'
    assert (await log_in("b@example.org")).status_code == 401
    assert (await log_in("a@example.org", "192.0.2.2")).status_code == 401


async def test_one_address_may_not_go_through_all_accounts(house: House, http: httpx.AsyncClient) -> None:
    statuses = [
        (await http.post("/api/v1/auth/login", json={"email": f"{n}@x.org", "password": "x"})).status_code
        for n in range(AUTH * 10 + 1)
    ]
    assert statuses == [401] * (AUTH * 10) + [429]


async def test_what_names_no_account_counts_too(house: House, http: httpx.AsyncClient) -> None:
    bodies = (b"", b"[1]", b'{"email": 5}', b'{"refresh_token": "kwr_guessed"}')
    for body in bodies:
        headers = {"Content-Type": "application/json", "X-Forwarded-For": f"192.0.2.{len(body)}"}
        answers = [
            (await http.post("/api/v1/auth/refresh", content=body, headers=headers)).status_code
            for _ in range(AUTH + 1)
        ]
        assert all(400 <= status < 429 for status in answers[:-1])
        assert answers[-1] == 429


async def test_a_live_connection_is_not_counted(house: House, member: Member) -> None:
    for _ in range(KEY + 3):
        async with house.listen(member) as listener:
            await listener.say(type="ping")
            assert await listener.hear_until("pong")
