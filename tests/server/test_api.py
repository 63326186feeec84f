"""Every endpoint over a running server: what it answers, to whom, and in which shape it refuses."""

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from kilowatch.accounts.store.audit import list_audit_log
from kilowatch.errors import EngineUnavailable
from kilowatch.lake.reading import LakeReader
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.stream.client import Client
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.store.letters import keep_dead_letters, list_dead_letters
from kilowatch.wire.headers import SECURITY_HEADERS
from tests.server.conftest import PAGE, House, Member, open_house

Request = tuple[str, str, Any]


async def first_site(http: httpx.AsyncClient, member: Member) -> str:
    found = await http.get("/api/v1/sites", headers=member.bearer())
    return str(found.json()["items"][0]["id"])


async def first_key(http: httpx.AsyncClient, member: Member) -> str:
    found = await http.get("/api/v1/api-keys", headers=member.bearer("admin"))
    return str(found.json()["items"][0]["id"])


async def make_letter(database: Database, member: Member) -> str:
    letter = NewDeadLetter(
        member.organisation.id, "D1", "http", "too_old", "it is too old", {"device": "D1"}, datetime.now(UTC)
    )
    async with database.scope(member.organisation.id) as connection:
        await keep_dead_letters(connection, [letter])
        return str((await list_dead_letters(connection)).items[0].id)


def is_problem(response: httpx.Response) -> bool:
    body = response.json()
    return (
        response.headers["content-type"] == "application/problem+json"
        and {"type", "title", "status", "detail", "code"} <= body.keys()
        and body["status"] == response.status_code
        and body["instance"].endswith(response.headers["x-request-id"])
    )


async def test_sites_are_made_changed_listed_and_removed(http: httpx.AsyncClient, member: Member) -> None:
    admin, read = member.bearer("admin"), member.bearer()
    wanted = {"kind": "plant", "name": "Steel works", "time_zone": "Asia/Seoul", "region": "Gwangyang"}
    made = await http.post("/api/v1/sites", json=wanted, headers=admin)
    assert made.status_code == 201
    site = made.json()
    assert wanted.items() <= site.items()
    assert site["created_at"].endswith("Z")
    path = f"/api/v1/sites/{site['id']}"
    changed = await http.patch(path, json={"name": "Mill", "region": None}, headers=admin)
    assert (changed.json()["name"], changed.json()["region"]) == ("Mill", None)
    assert (await http.get(path, headers=read)).json() == changed.json()
    page = (await http.get("/api/v1/sites", params={"limit": 1}, headers=read)).json()
    rest = await http.get("/api/v1/sites", params={"cursor": page["next_cursor"]}, headers=read)
    assert [one["name"] for one in (*page["items"], *rest.json()["items"])] == ["Home", "Mill"]
    assert (await http.delete(path, headers=admin)).status_code == 204
    assert (await http.get(path, headers=read)).status_code == 404


async def test_devices_are_made_changed_listed_and_removed(http: httpx.AsyncClient, member: Member) -> None:
    admin, read = member.bearer("admin"), member.bearer()
    made = await http.post(
        "/api/v1/devices",
        json={"id": "pump-1", "rated_power_w": 1500, "metadata": {"a": ["C:\\u0000"], "b": nested(31)}},
        headers=admin,
    )
    assert made.status_code == 201
    assert (made.json()["name"], made.json()["metadata"]) == (
        "pump-1",
        {"a": ["C:\\u0000"], "b": nested(31)},
    )
    twice = await http.post("/api/v1/devices", json={"id": "pump-1"}, headers=admin)
    assert (twice.status_code, twice.json()["code"]) == (409, "device_exists")
    changed = await http.patch("/api/v1/devices/pump-1", json={"status": "maintenance"}, headers=admin)
    assert changed.json()["status"] == "maintenance"
    listed = await http.get("/api/v1/devices", params={"status": "maintenance"}, headers=read)
    assert [one["id"] for one in listed.json()["items"]] == ["pump-1"]
    await http.patch("/api/v1/devices/pump-1", json={"room": "Cellar", "region": "north"}, headers=admin)
    for narrowed, found in (
        ({"room": "Cellar", "region": "north", "state": "on"}, ["pump-1"]),
        ({"room": "cellar"}, []),
        ({"region": "south"}, []),
        ({"state": "standby"}, []),
    ):
        listed = await http.get("/api/v1/devices", params=narrowed, headers=read)
        assert [one["id"] for one in listed.json()["items"]] == found
    for wrong in ({"room": "\x00"}, {"state": "ajar"}, {"region": ""}):
        refused = await http.get("/api/v1/devices", params=wrong, headers=read)
        assert refused.status_code == 422
        assert is_problem(refused)
    assert (await http.delete("/api/v1/devices/pump-1", headers=admin)).status_code == 204
    assert (await http.get("/api/v1/devices/pump-1", headers=read)).status_code == 404


async def test_a_device_is_switched_by_those_who_may(http: httpx.AsyncClient, member: Member) -> None:
    made = await http.post(
        "/api/v1/api-keys", json={"name": "hand", "scopes": ["control"]}, headers=member.bearer("admin")
    )
    hand = {"Authorization": f"Bearer {made.json()['key']}"}
    path = "/api/v1/devices/D1"
    shown = (await http.get(path, headers=member.bearer())).json()
    assert (shown["state"], shown["last_seen"]) == ("on", None)
    pushes: list[tuple[str, Any, str]] = [
        ("toggle", None, "off"),
        ("toggle", {}, "on"),
        ("toggle", {"state": "standby"}, "standby"),
        ("state", {"state": "off"}, "off"),
    ]
    for verb, body, state in pushes:
        answer = await http.post(f"{path}/{verb}", json=body, headers=hand)
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        assert (await http.get(path, headers=member.bearer())).json() == answer.json()
    for verb in ("toggle", "state"):
        body = {"state": "on"}
        assert (await http.post(f"{path}/{verb}", json=body, headers=member.bearer())).status_code == 403
        assert (await http.post(f"/api/v1/devices/D9/{verb}", json=body, headers=hand)).status_code == 404
        assert (await http.post(f"{path}/{verb}", json={"state": "ajar"}, headers=hand)).status_code == 422
    assert (await http.post(f"{path}/state", json={}, headers=hand)).status_code == 422


async def test_what_is_deleted_is_written_down(
    http: httpx.AsyncClient, member: Member, database: Database
) -> None:
    admin = member.bearer("admin")
    made = await http.post("/api/v1/sites", json={"kind": "home", "name": "Hut"}, headers=admin)
    site = made.json()["id"]
    assert (await http.patch("/api/v1/devices/D1", json={"site_id": site}, headers=admin)).is_success
    assert (await http.delete("/api/v1/devices/D2", headers=admin)).status_code == 204
    assert (await http.delete(f"/api/v1/sites/{site}", headers=admin)).status_code == 204
    assert (await http.get("/api/v1/devices", headers=admin)).json()["items"] == []
    async with database.scope(member.organisation.id) as connection:
        lines = await list_audit_log(connection)
    found = [(line.action, line.subject) for line in lines.items if line.action.endswith(".deleted")]
    assert found == [("site.deleted", site), ("device.deleted", "D2")]


async def test_a_key_is_shown_once_and_ends_when_revoked(http: httpx.AsyncClient, member: Member) -> None:
    admin = member.bearer("admin")
    made = await http.post("/api/v1/api-keys", json={"name": "dash", "scopes": ["read"]}, headers=admin)
    assert made.status_code == 201
    secret = made.json()["key"]
    mine = {"Authorization": f"Bearer {secret}"}
    whoami = await http.get("/api/v1/whoami", headers=mine)
    told = whoami.json()
    assert {"sites:read", "readings:read"} <= set(told.pop("rights"))
    assert told == {
        "organisation_id": str(member.organisation.id),
        "organisation": member.organisation.slug,
        "role": None,
        "scopes": ["read"],
    }
    listed = await http.get("/api/v1/api-keys", headers=admin)
    assert secret not in listed.text
    assert (await http.delete(f"/api/v1/api-keys/{made.json()['id']}", headers=admin)).status_code == 204
    assert (await http.get("/api/v1/whoami", headers=mine)).status_code == 401


async def test_a_metric_is_defined_anew_unless_values_would_change_their_meaning(
    http: httpx.AsyncClient, member: Member
) -> None:
    admin = member.bearer("admin")
    path = "/api/v1/metrics/pressure_bar"
    made = await http.put(path, json={"unit": "bar", "minimum": 0}, headers=admin)
    assert (made.status_code, made.json()["unit"]) == (200, "bar")
    listed = (await http.get("/api/v1/metrics", headers=member.bearer())).json()["items"]
    assert {"pressure_bar", "power"} <= {one["name"] for one in listed}
    for wrong in ({"kind": "state"}, {"states": ["a"]}, {"minimum": 2, "maximum": 1}, {"unit": "\u0000"}):
        refused = await http.put(path, json=wrong, headers=admin)
        assert refused.status_code == 422
        assert is_problem(refused)
    assert (await http.put("/api/v1/metrics/energy_wh", json={}, headers=admin)).status_code == 422


async def test_dead_letters_are_listed_shown_and_thrown_away(
    http: httpx.AsyncClient, member: Member, database: Database
) -> None:
    letter_id = await make_letter(database, member)
    listed = await http.get("/api/v1/dead-letters", params={"code": "too_old"}, headers=member.bearer())
    assert [one["id"] for one in listed.json()["items"]] == [letter_id]
    path = f"/api/v1/dead-letters/{letter_id}"
    assert (await http.get(path, headers=member.bearer())).json()["payload"] == {"device": "D1"}
    assert (await http.delete(path, headers=member.bearer("admin"))).status_code == 204
    assert (await http.get(path, headers=member.bearer())).status_code == 404
    (line,) = (await http.get("/api/v1/audit-log", headers=member.bearer("admin"))).json()["items"]
    assert (line["action"], line["subject"]) == ("dead_letter.deleted", letter_id)


async def test_what_is_somebody_elses_is_not_there(
    http: httpx.AsyncClient, member: Member, stranger: Member, database: Database
) -> None:
    site, key = await first_site(http, stranger), await first_key(http, stranger)
    letter = await make_letter(database, stranger)
    made = await http.post("/api/v1/devices", json={"id": "theirs"}, headers=stranger.bearer("admin"))
    assert made.status_code == 201
    there: list[Request] = [
        ("GET", f"/api/v1/sites/{site}", None),
        ("PATCH", f"/api/v1/sites/{site}", {"name": "Mine"}),
        ("DELETE", f"/api/v1/sites/{site}", None),
        ("GET", f"/api/v1/sites/{site}/energy", None),
        ("GET", f"/api/v1/readings/latest?site_id={site}", None),
        ("GET", "/api/v1/devices/theirs", None),
        ("PATCH", "/api/v1/devices/theirs", {"name": "Mine"}),
        ("DELETE", "/api/v1/devices/theirs", None),
        ("POST", "/api/v1/devices/theirs/state", {"state": "off"}),
        ("POST", "/api/v1/devices/theirs/toggle", None),
        ("GET", "/api/v1/devices/theirs/readings", None),
        ("DELETE", f"/api/v1/api-keys/{key}", None),
        ("GET", f"/api/v1/dead-letters/{letter}", None),
        ("DELETE", f"/api/v1/dead-letters/{letter}", None),
    ]
    for method, path, body in there:
        scope = "read" if method == "GET" else "admin"
        response = await http.request(method, path, json=body, headers=member.bearer(scope))
        assert (method, path, response.status_code) == (method, path, 404)
        assert is_problem(response)
    moved = await http.patch("/api/v1/devices/D1", json={"site_id": site}, headers=member.bearer("admin"))
    assert (moved.status_code, moved.json()["code"]) == (422, "unknown_site")
    devices = (await http.get(f"/api/v1/devices?site_id={site}", headers=member.bearer())).json()
    assert devices["items"] == []
    assert "theirs" not in (await http.get("/api/v1/devices", headers=member.bearer())).text
    assert letter not in (await http.get("/api/v1/dead-letters", headers=member.bearer())).text
    assert key not in (await http.get("/api/v1/api-keys", headers=member.bearer("admin"))).text
    assert site not in (await http.get("/api/v1/sites", headers=member.bearer())).text
    assert site not in (await http.get("/api/v1/readings/latest", headers=member.bearer())).text
    unharmed = await http.get("/api/v1/devices/theirs", headers=stranger.bearer())
    assert unharmed.json()["name"] == "theirs"


FOR_EVERYBODY = {"/api/v1/whoami", "/api/v1/organisations"}
"""What every caller with valid credentials is answered, whatever else they may do."""


async def test_every_route_refuses_strangers_and_lesser_keys_in_one_shape(
    house: House, http: httpx.AsyncClient, member: Member
) -> None:
    paths = house.application.app.openapi()["paths"]
    asked = 0
    for path, operations in paths.items():
        for method, operation in operations.items():
            if "security" not in operation:
                continue
            own = path.replace("{organisation_id}", str(member.organisation.id))
            url = re.sub(r"\{[a-z]+_id\}", str(uuid.uuid4()), own).replace("{name}", "power")
            params = {"topics": "alerts"} if path.endswith("/stream") else {}
            body: dict[str, str] | None = {} if method in ("post", "put", "patch") else None
            for headers, status in (({}, 401), ({"Authorization": "Bearer kw_no"}, 401)):
                response = await http.request(method, url, params=params, json=body, headers=headers)
                assert (method, path, response.status_code) == (method, path, status)
                assert is_problem(response)
                assert response.headers["www-authenticate"] == "Bearer"
                if body is not None:  # who is nobody learns nothing of how bodies must be
                    typed = {"Content-Type": "application/json", **headers}
                    broken = await http.request(method, url, content=b"{", headers=typed)
                    assert (method, path, broken.status_code) == (method, path, status)
            asked += 1
            if path in FOR_EVERYBODY:
                continue
            lesser = await http.request(
                method, url, params=params, json=body, headers=member.bearer("ingest")
            )
            assert (method, path, lesser.status_code) == (method, path, 403)
            assert is_problem(lesser)
    assert asked > 20


def nested(depth: int) -> dict[str, Any]:
    """Objects in each other."""
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/nothing/here", {}, 404, "not_found"),
        ("GET", "/api/v1/nothing", {}, 404, "not_found"),
        ("PUT", "/api/v1/sites", {}, 405, "method_not_allowed"),
        ("POST", "/api/v1/sites", {"content": b"{"}, 400, "malformed"),
        ("POST", "/api/v1/sites", {"json": {"kind": "moon", "name": "x", "extra": 1}}, 422, "invalid"),
        (
            "POST",
            "/api/v1/sites",
            {"json": {"kind": "home", "name": "x", "time_zone": "Mars"}},
            422,
            "invalid",
        ),
        ("POST", "/api/v1/devices", {"json": {"id": "a b"}}, 422, "invalid"),
        ("POST", "/api/v1/devices", {"json": {"id": "a", "metadata": {"a": "\u0000"}}}, 422, "invalid"),
        ("POST", "/api/v1/devices", {"content": b'{"id":"a","metadata":{"a":NaN}}'}, 422, "invalid"),
        ("POST", "/api/v1/devices", {"content": b'{"id":"a","name":"\\ud800"}'}, 422, "invalid"),
        ("POST", "/api/v1/devices", {"json": {"id": "a", "metadata": nested(33)}}, 422, "invalid"),
        ("POST", "/api/v1/devices", {"json": {"id": "a", "metadata": nested(300)}}, 422, "invalid"),
        ("PATCH", "/api/v1/devices/D1", {"json": {"metadata": nested(300)}}, 422, "invalid"),
        (
            "POST",
            "/api/v1/sites",
            {"json": {"kind": "home", "name": "x", "metadata": nested(300)}},
            422,
            "invalid",
        ),
        ("POST", "/api/v1/sites/demo", {"json": {"time_zone": "", "currency": ""}}, 422, "invalid"),
        ("POST", "/api/v1/devices", {"content": b'{"id":"a","rated_power_w":1e999}'}, 422, "invalid"),
        ("GET", "/api/v1/devices/%00", {}, 404, "not_found"),
        ("GET", "/api/v1/devices?limit=501", {}, 422, "invalid"),
        ("GET", "/api/v1/devices?cursor=%00", {}, 400, "bad_cursor"),
        ("GET", "/api/v1/devices?cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk", {}, 400, "bad_cursor"),
        ("GET", "/api/v1/devices?site_id=1", {}, 422, "invalid"),
        ("GET", "/api/v1/dead-letters?device=%00", {}, 422, "invalid"),
    ],
)
async def test_bad_input_is_a_problem_that_says_what_is_wrong(
    http: httpx.AsyncClient,
    member: Member,
    method: str,
    path: str,
    sent: dict[str, Any],
    status: int,
    code: str,
) -> None:
    headers = member.bearer("read" if method == "GET" else "admin") | {"Content-Type": "application/json"}
    response = await http.request(method, path, headers=headers, **sent)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert is_problem(response)


async def test_every_answer_carries_an_id_and_the_security_headers(
    http: httpx.AsyncClient, member: Member
) -> None:
    for path in ("/", "/healthz", "/api/v1/sites", "/nothing"):
        response = await http.get(path, headers=member.bearer() | {"X-Request-Id": "abc-1"})
        assert response.headers["x-request-id"] == "abc-1"
        assert "//" not in response.headers["content-security-policy"]  # nothing from elsewhere
        for name, value in SECURITY_HEADERS:
            if name != b"content-security-policy" or path.startswith("/api"):
                assert response.headers[name.decode()] == value.decode()
    made_up = await http.get("/healthz", headers={"X-Request-Id": "a b<"})
    assert re.fullmatch(r"[0-9a-f]{32}", made_up.headers["x-request-id"])


async def test_large_answers_are_packed(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/v1/openapi.json")
    assert response.headers["content-encoding"] == "gzip"
    assert response.json()["openapi"].startswith("3.1")


async def test_health_names_every_part(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "alive"}
    ready = await http.get("/readyz")
    assert ready.status_code == 200
    assert {name: part["ok"] for name, part in ready.json()["parts"].items()} == {
        "postgres": True,
        "lake": True,
        "log": True,
        "disk": True,
    }
    figures = await http.get("/metrics")
    assert "kilowatch_live_clients" in figures.text


async def test_a_part_that_is_away_is_named_and_a_bug_says_nothing(parts: Parts, stream: Client) -> None:
    async def away() -> dict[str, Any]:
        raise EngineUnavailable("connection to 10.0.0.1 refused, password=hunter2")

    async def broken() -> dict[str, Any]:
        raise ZeroDivisionError("a secret")

    parts.probes = {"postgres": away}
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        response = await http.get("/readyz")
        assert (response.status_code, response.json()["parts"]) == (503, {"postgres": {"ok": False}})
        assert response.headers["retry-after"]
        assert "hunter2" not in response.text
    parts.probes = {"postgres": broken}
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        response = await http.get("/readyz")
        assert (response.status_code, response.json()["code"]) == (500, "internal_error")
        assert is_problem(response)
        assert "secret" not in response.text


async def test_an_engine_that_is_away_is_a_503_with_retry_after(
    parts: Parts, stream: Client, lake: LakeReader, member: Member
) -> None:
    parts.database = Database("postgresql://nobody@127.0.0.1:1/none")
    try:
        async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
            response = await http.get("/api/v1/sites", headers=member.bearer())
    finally:
        await parts.database.close()
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["retry-after"]
    assert "127.0.0.1" not in response.text


async def test_a_browser_session_holds_the_key_out_of_reach_of_scripts_and_of_other_sites(
    http: httpx.AsyncClient, member: Member, house: House
) -> None:
    opened = await http.post("/api/v1/session", json={"key": member.keys["admin"]})
    assert opened.status_code == 204
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    wanted = {"kind": "home", "name": "Second"}
    assert (await http.get("/api/v1/sites")).status_code == 200
    for origin in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        refused = await http.post("/api/v1/sites", json=wanted, headers=origin)
        assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin")
    own = await http.post("/api/v1/sites", json=wanted, headers={"Origin": house.url})
    assert own.status_code == 201
    assert (await http.delete("/api/v1/session")).status_code == 204
    assert (await http.get("/api/v1/sites")).status_code == 401
    assert (await http.post("/api/v1/session", json={"key": "kw_wrong"})).status_code == 401


async def test_a_demo_signs_in_browsers_of_this_machine_only(
    parts: Parts, stream: Client, member: Member
) -> None:
    parts.demo_key = member.keys["read"]
    async with open_house(parts, stream) as house:
        for headers in ({"Host": "kilowatch.example"}, {"X-Forwarded-For": "10.0.0.9"}):
            async with httpx.AsyncClient(base_url=house.url) as http:
                page = await http.get("/", headers=headers)
                assert page.text == PAGE
                assert "set-cookie" not in page.headers
        async with httpx.AsyncClient(base_url=house.url) as http:
            assert (await http.get("/")).text == PAGE
            assert (await http.get("/api/v1/devices")).status_code == 200
            assert (await http.get("/api/v1/api-keys")).status_code == 403
