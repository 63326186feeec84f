"""Tokens of devices over the API: shown once, told of in device and audit log, good for readings only."""

from collections import defaultdict

import httpx
import pytest

from kilowatch.accounts.store.audit import list_audit_log
from kilowatch.ids import DEVICE_TOKEN_PREFIX, hash_secret, new_id
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from tests.server.conftest import House, Member, open_house

PATH = "/api/v1/devices/D1/token"


async def made(http: httpx.AsyncClient, member: Member) -> str:
    """A new token of D1."""
    answer = await http.post(PATH, headers=member.bearer("admin"))
    assert answer.status_code == 201
    assert list(answer.json()) == ["token", "mqtt_port"]
    return str(answer.json()["token"])


async def test_a_token_says_where_the_mqtt_door_is(parts: Parts, stream: Client, member: Member) -> None:
    parts.mqtt_port = 21883
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        answer = await http.post(PATH, headers=member.bearer("admin"))
    assert answer.json()["mqtt_port"] == 21883


async def test_a_token_is_shown_once_and_told_of(
    http: httpx.AsyncClient, member: Member, database: Database
) -> None:
    admin = member.bearer("admin")
    before = (await http.get("/api/v1/devices/D1", headers=admin)).json()
    assert before["token_made_at"] is None
    token = await made(http, member)
    assert token.startswith(DEVICE_TOKEN_PREFIX)
    after = await http.get("/api/v1/devices/D1", headers=admin)
    assert after.json()["token_made_at"] is not None
    assert token not in after.text
    assert hash_secret(token).hex() not in after.text
    assert (await http.delete(PATH, headers=admin)).status_code == 204
    assert (await http.delete(PATH, headers=admin)).status_code == 204
    assert (await http.get("/api/v1/devices/D1", headers=admin)).json() == before
    async with database.scope(member.organisation.id) as connection:
        lines = (await list_audit_log(connection, action="device_token")).items
    assert [(line.action, line.subject) for line in reversed(lines)] == [
        ("device_token.created", "D1"),
        ("device_token.deleted", "D1"),
        ("device_token.deleted", "D1"),
    ]
    assert token not in str(lines)


@pytest.mark.parametrize("path", ["/api/v1/devices/never/token", "/api/v1/devices/%00/token"])
async def test_a_device_that_is_not_there_has_no_token(
    http: httpx.AsyncClient, member: Member, path: str
) -> None:
    for method in ("POST", "DELETE"):
        answer = await http.request(method, path, headers=member.bearer("admin"))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


OWN = {"/api/v1/whoami", "/api/v1/organisations"}
"""These tell a device which organisation it is in."""


async def test_a_token_reads_nothing(house: House, http: httpx.AsyncClient, member: Member) -> None:
    token = {"Authorization": f"Bearer {await made(http, member)}"}
    own = defaultdict(lambda: str(new_id()), device_id="D1", organisation_id=str(member.organisation.id))
    asked = 0
    for path, methods in house.application.app.openapi()["paths"].items():
        if path.startswith("/api/v1/") and path not in OWN and "security" in methods.get("get", {}):
            url = path.format_map(own)
            params = {"topics": "devices.D1"} if path.endswith("/stream") else {}
            answer = await http.get(url, headers=token, params=params)
            assert answer.status_code == 403, f"{path}: {answer.text}"
            asked += 1
    assert asked > 5


async def test_a_new_token_ends_the_one_before(http: httpx.AsyncClient, member: Member) -> None:
    first = {"Authorization": f"Bearer {await made(http, member)}"}
    assert (await http.get("/api/v1/whoami", headers=first)).status_code == 200
    second = {"Authorization": f"Bearer {await made(http, member)}"}
    assert (await http.get("/api/v1/whoami", headers=first)).status_code == 401
    assert (await http.get("/api/v1/whoami", headers=second)).json()["rights"] == []
