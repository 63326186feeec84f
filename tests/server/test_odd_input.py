"""What no program of ours would send: it is refused by name, and nothing breaks."""

from datetime import datetime

import httpx
import pytest

from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import House, Member, open_house
from tests.server.persons import PASSWORD

ORIGINS = ("http://[", "http://[::1", "http://]", "//", "null")


@pytest.mark.parametrize("origin", ORIGINS)
async def test_an_origin_that_is_none_is_a_foreign_one(http: httpx.AsyncClient, origin: str) -> None:
    told = {"Origin": origin, "Cookie": "kilowatch_session=kw_x"}
    made = await http.post("/api/v1/organisations", json={"name": "Works"}, headers=told)
    assert (made.status_code, made.json()["code"]) == (403, "foreign_origin")
    opened = await http.post("/api/v1/session", json={"key": "kw_x"}, headers={"Origin": origin})
    assert (opened.status_code, opened.json()["code"]) == (403, "foreign_origin")
    left = await http.post("/api/v1/auth/logout", json={"refresh_token": "x"}, headers={"Origin": origin})
    assert left.status_code == 204


async def test_a_host_that_is_none_is_not_this_machine(parts: Parts, stream: Client, member: Member) -> None:
    parts.demo_key = member.keys["read"]
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        signed_in = await http.get("/")
        assert "set-cookie" in signed_in.headers
        http.cookies.clear()
        page = await http.get("/", headers={"Host": "["})
    assert (page.status_code, page.headers.get("set-cookie")) == (200, None)


@pytest.mark.parametrize(
    "email", ["a\0b@x.org", "a\x01@x.org", "a\u200b@x.org", "\ua7cb@x.org", "\u1c89@x.org"]
)
async def test_an_address_that_cannot_be_read_is_none(http: httpx.AsyncClient, email: str) -> None:
    """The last two are capitals that PostgreSQL knows and this Python does not."""
    told = {"email": email, "password": PASSWORD, "name": "Ada"}
    answer = await http.post("/api/v1/auth/signup", json=told)
    assert answer.status_code == 422, answer.text
    assert [fault["code"] for fault in answer.json()["errors"]] == ["bad_email"]


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_key_ends_at_a_moment_that_there_is(
    house: House, http: httpx.AsyncClient, member: Member, end: str
) -> None:
    assert datetime.fromisoformat(end)
    wanted = {"name": "odd", "scopes": ["read"], "expires_at": end}
    answer = await http.post("/api/v1/api-keys", json=wanted, headers=member.bearer("admin"))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "bad_timestamp")
