"""Commands over HTTP: stored before they are answered, once a key, seen by whom they concern, cancelled in
time."""

import asyncio
import uuid
from datetime import datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.accounts.rights import Role
from kilowatch.accounts.store.assignments import assign_device
from kilowatch.clock import SystemClock, to_datetime
from kilowatch.control.store.sending import deliver
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from tests.server.conftest import House, Member
from tests.server.persons import TOKENS, Person, list_all, make_staff

OFF = {"name": "set_state", "arguments": {"state": "off"}}
COMMANDS = "/api/v1/devices/D1/commands"


@pytest.fixture(autouse=True)
def tokens(parts: Parts) -> None:
    """The house reads the tokens of these tests."""
    parts.tokens = TOKENS


@pytest.fixture
def control(member: Member) -> dict[str, str]:
    """Headers of a key that may tell devices what to do."""
    return member.bearer("admin")


async def send(http: httpx.AsyncClient, headers: dict[str, str], body: Any, path: str = COMMANDS) -> str:
    """Stores a command; its id."""
    answer = await http.post(path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued"), answer.text
    return str(answer.json()["id"])


async def test_a_command_is_stored_as_it_was_said(http: httpx.AsyncClient, control: dict[str, str]) -> None:
    """Property 35: what was accepted is there with its target, its name and who asked for it."""
    wanted = {"name": "vendor.blink", "arguments": {"times": 3, "how": [1.5, None, "ü"]}, "expires_in_s": 60}
    command = await send(http, control, wanted)
    (listed,) = await list_all(http, COMMANDS, control)
    assert listed == (await http.get(f"/api/v1/commands/{command}", headers=control)).json()
    assert listed["id"] == command
    assert (listed["device"], listed["name"], listed["arguments"]) == (
        "D1",
        "vendor.blink",
        wanted["arguments"],
    )
    assert (listed["status"], listed["tries"], listed["ended_at"], listed["detail"]) == (
        "queued",
        0,
        None,
        None,
    )
    lasts = datetime.fromisoformat(listed["expires_at"]) - datetime.fromisoformat(listed["created_at"])
    assert lasts.total_seconds() == 60
    (line,) = [
        one
        for one in await list_all(http, "/api/v1/audit-log", control)
        if one["action"] == "command.created"
    ]
    assert line["subject"] == command
    assert line["actor"] == listed["requested_by"]
    assert line["detail"] == {"device": "D1", "name": "vendor.blink"}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": "two words"},
        {"name": "toggle", "arguments": []},
        {"name": "toggle", "arguments": {"state": "purple"}},
        {"name": "set_state"},
        {"name": "set_power", "arguments": {"power_w": "much"}},
        {"name": "x", "expires_in_s": 0},
        {"name": "x", "expires_in_s": 604_801},
        {"name": "x", "arguments": {"text": "y" * 9000}},
        {"name": "x", "arguments": {"text": "\x00"}},
        {"name": "x", "more": 1},
    ],
)
async def test_what_cannot_be_sent_is_refused(
    http: httpx.AsyncClient, control: dict[str, str], wrong: Any
) -> None:
    answer = await http.post(COMMANDS, json=wrong, headers=control)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"]
    assert await list_all(http, COMMANDS, control) == []


async def test_what_is_not_there_is_not_there(http: httpx.AsyncClient, control: dict[str, str]) -> None:
    for device in ("never-was", "a b", "%00"):
        for method in ("GET", "POST"):
            body = OFF if method == "POST" else None
            answer = await http.request(
                method, f"/api/v1/devices/{device}/commands", headers=control, json=body
            )
            assert answer.status_code == 404, answer.text
        assert (
            await http.get("/api/v1/commands", params={"device_id": device}, headers=control)
        ).status_code == 404
    never = f"/api/v1/commands/{uuid.uuid4()}"
    assert (await http.get(never, headers=control)).status_code == 404
    assert (await http.post(f"{never}/cancel", headers=control)).status_code == 404
    for cursor in ("%%%", "WzFd", "WzFdXQ", "Wy0xXQ", "WzFlNDAwXQ", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTld"):
        answer = await http.get("/api/v1/commands", params={"cursor": cursor}, headers=control)
        assert answer.status_code in (200, 400), (cursor, answer.text)


async def test_the_same_key_stores_one_command(http: httpx.AsyncClient, control: dict[str, str]) -> None:
    keyed = control | {"Idempotency-Key": "press 1"}
    answers = await asyncio.gather(*(http.post(COMMANDS, json=OFF, headers=keyed) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert len(await list_all(http, COMMANDS, control)) == 1
    for other in (
        {"name": "toggle"},
        {"name": "set_state", "arguments": {"state": "on"}},
        OFF | {"expires_in_s": 299},
    ):
        refused = await http.post(COMMANDS, json=other, headers=keyed)
        assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_key_reused")
    elsewhere = await send(http, keyed, OFF, "/api/v1/devices/D2/commands")
    assert elsewhere != answers[0].json()["id"]
    lines = [one["action"] for one in await list_all(http, "/api/v1/audit-log", control)]
    assert lines.count("command.created") == 2
    bearer = control["Authorization"].encode()
    for key in ("ü".encode(), b"x" * 256):
        bad = await http.post(
            COMMANDS, json=OFF, headers=[(b"Authorization", bearer), (b"Idempotency-Key", key)]
        )
        assert (bad.status_code, bad.json()["code"]) == (400, "bad_idempotency_key")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["on", "off"])), min_size=1, max_size=3)
)
async def test_for_any_requests_a_key_is_one_command(
    http: httpx.AsyncClient, control: dict[str, str], asked: list[tuple[str, str]]
) -> None:
    """Property 35: what comes first under a key is stored, with who asked; the same again is the same, and
    anything else is refused."""
    run = uuid.uuid4().hex
    first: dict[str, tuple[str, str]] = {}
    for key, state in asked:
        wanted = {"name": "set_state", "arguments": {"state": state}}
        answer = await http.post(COMMANDS, json=wanted, headers=control | {"Idempotency-Key": f"{run} {key}"})
        if key in first and first[key][0] != state:
            assert answer.status_code == 409
        else:
            assert answer.status_code == 202
            assert first.setdefault(key, (state, answer.json()["id"]))[1] == answer.json()["id"]
    for state, command_id in first.values():
        kept = (await http.get(f"/api/v1/commands/{command_id}", headers=control)).json()
        assert (kept["name"], kept["arguments"], kept["device"]) == ("set_state", {"state": state}, "D1")
        assert kept["requested_by"].startswith("key:")


async def test_lists_are_narrowed_and_paged(http: httpx.AsyncClient, control: dict[str, str]) -> None:
    sent = [await send(http, control, OFF) for _ in range(5)]
    elsewhere = await send(http, control, OFF, "/api/v1/devices/D2/commands")
    await http.post(f"/api/v1/commands/{sent[2]}/cancel", headers=control)

    async def ids(path: str, **narrowed: str) -> list[str]:
        if not narrowed:
            return [one["id"] for one in await list_all(http, path, control)]
        answer = await http.get(path, params=narrowed, headers=control)
        return [one["id"] for one in answer.json()["items"]]

    assert await ids("/api/v1/commands") == [elsewhere, *reversed(sent)]
    assert await ids(COMMANDS) == sent[::-1]
    assert await ids("/api/v1/commands", device_id="D2") == [elsewhere]
    assert await ids("/api/v1/commands", status="cancelled") == [sent[2]]
    assert await ids(COMMANDS, status="queued") == [sent[4], sent[3], sent[1], sent[0]]
    assert (await http.get("/api/v1/commands?status=lost", headers=control)).status_code == 422


async def test_a_command_is_cancelled_until_it_is_sent(
    http: httpx.AsyncClient, control: dict[str, str], worker_database: Database
) -> None:
    early, late = await send(http, control, OFF), await send(http, control, OFF)
    cancelled = await http.post(f"/api/v1/commands/{early}/cancel", headers=control)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["ended_at"]
    again = await http.post(f"/api/v1/commands/{early}/cancel", headers=control)
    assert (again.status_code, again.json()["code"]) == (409, "command_ended")
    async with worker_database.unscoped() as connection:
        sent = await deliver(connection, to_datetime(SystemClock().now_us()), 1000)
    assert late in {str(one.command.id) for one in sent}, "the turn was passed on"
    begun = await http.post(f"/api/v1/commands/{late}/cancel", headers=control)
    assert (begun.status_code, begun.json()["code"]) == (409, "command_begun")
    lines = [one for one in await list_all(http, "/api/v1/audit-log", control) if "cancel" in one["action"]]
    assert [(one["action"], one["subject"]) for one in lines] == [("command.cancelled", early)]


async def test_who_sees_the_device_sees_its_commands(
    http: httpx.AsyncClient, house: House, member: Member, control: dict[str, str]
) -> None:
    organisation = member.organisation.id
    staff: dict[Role, Person] = await make_staff(house.database, organisation)
    async with house.database.scope(organisation) as connection:
        await assign_device(connection, organisation, staff["customer"].user_id, "D1")
    mine = await send(http, staff["operator"].at(organisation), OFF)
    theirs = await send(http, control, OFF, "/api/v1/devices/D2/commands")
    sights: dict[Role, set[str]] = {"viewer": {mine, theirs}, "customer": {mine}}
    for role, seen in sights.items():
        headers = staff[role].at(organisation)
        assert {one["id"] for one in await list_all(http, "/api/v1/commands", headers)} == seen
        for command in (mine, theirs):
            answer = await http.get(f"/api/v1/commands/{command}", headers=headers)
            assert answer.status_code == (200 if command in seen else 404)
        assert (await http.post(COMMANDS, json=OFF, headers=headers)).status_code == 403
        assert (await http.post(f"/api/v1/commands/{mine}/cancel", headers=headers)).status_code == 403
    told = (await http.get(f"/api/v1/commands/{mine}", headers=control)).json()
    assert told["requested_by"] == f"user:{staff['operator'].user_id}"


async def test_each_change_is_told_live(
    http: httpx.AsyncClient, house: House, member: Member, control: dict[str, str]
) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("commands")
        await listener.say(type="ping")
        await listener.hear_until("pong")
        command = await send(http, control, OFF)
        await http.post(f"/api/v1/commands/{command}/cancel", headers=control)
        told = await listener.hear_messages(2)
    assert [(one["topic"], one["type"], one["data"]["status"]) for one in told] == [
        ("commands", "command", "queued"),
        ("commands", "command", "cancelled"),
    ]
    assert told[1]["data"] == (await http.get(f"/api/v1/commands/{command}", headers=control)).json()


async def test_commands_go_with_their_device(http: httpx.AsyncClient, control: dict[str, str]) -> None:
    command = await send(http, control, OFF)
    assert (await http.delete("/api/v1/devices/D1", headers=control)).status_code == 204
    assert (await http.get(f"/api/v1/commands/{command}", headers=control)).status_code == 404
