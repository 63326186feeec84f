"""Notifications over HTTP and live: everybody's own, and nobody else's."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.accounts.store.assignments import assign_site
from kilowatch.clock import SystemClock
from kilowatch.ids import new_id
from kilowatch.notifications.notice import Notice, tell
from kilowatch.notifications.severity import SEVERITIES
from kilowatch.notifications.store.channels import CHANNELS_MOST
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.sites.store import list_sites
from kilowatch.stream.client import Client
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from tests.notifications.conftest import Hook, hook  # noqa: F401 - the fixture
from tests.server.conftest import House, Listener, Member, open_house
from tests.server.persons import TOKENS, Person, join, list_all, make_person, make_staff

V1 = "/api/v1"
SECRET = "hunter22secret"


@pytest.fixture(autouse=True)
def tokens(parts: Parts) -> None:
    """The house reads the tokens of these tests."""
    parts.tokens = TOKENS


@pytest.fixture
async def private_house(parts: Parts, stream: Client) -> AsyncIterator[House]:
    """A house whose channels may reach this machine."""
    parts.private_hosts = True
    async with open_house(parts, stream) as opened:
        yield opened


async def site_of(database: Database, member: Member) -> uuid.UUID:
    async with database.scope(member.organisation.id) as connection:
        return (await list_sites(connection)).items[0].id


async def say(house: House, worker: Database, member: Member, count: int = 1, **more: Any) -> list[LiveEvent]:
    """Notices of this organisation, told as the worker tells them."""
    site_id = await site_of(house.database, member)
    notices = [
        Notice(
            member.organisation.id,
            more.get("alert_id", new_id()),
            site_id,
            more.get("severity", "high"),
            f"Kettle {number}",
            "It takes 12 W.",
            "Pull the plug.",
            1_760_000_000_000_000,
        )
        for number in range(count)
    ]
    async with worker.unscoped() as connection:
        events = await tell(connection, notices, SystemClock().now_us())
    for event in events:
        await house.stream.publish(EVENTS_SUBJECT, event.encode())
    await house.stream.flush()
    return events


async def test_everybody_reads_their_own(
    house: House, http: httpx.AsyncClient, member: Member, stranger: Member, worker_database: Database
) -> None:
    place = member.organisation.id
    ada, bob = [await join(house.database, place, await make_person(house.database), "viewer") for _ in "ab"]
    await say(house, worker_database, member, 3)
    shown = (await http.get(f"{V1}/notifications", headers=ada.at(place))).json()
    assert (shown["unread"], len(shown["items"])) == (3, 3)
    first = shown["items"][-1]["id"]
    read = await http.post(f"{V1}/notifications/{first}/read", headers=ada.at(place))
    assert read.status_code == 200
    assert read.json()["read_at"] is not None
    listed = await list_all(http, f"{V1}/notifications", ada.at(place))
    assert [one["read_at"] is None for one in listed] == [True, True, False]
    assert (await http.get(f"{V1}/notifications", headers=bob.at(place))).json()["unread"] == 3
    for method, path in (("POST", f"/notifications/{first}/read"), ("DELETE", f"/notifications/{first}")):
        theirs = await http.request(method, V1 + path, headers=bob.at(place))
        never = await http.request(method, V1 + path.replace(first, str(uuid.uuid4())), headers=bob.at(place))
        assert theirs.status_code == never.status_code == 404
        at_home = await http.request(method, V1 + path, headers=ada.headers)  # her own, elsewhere
        assert at_home.status_code == 404
    assert (await http.delete(f"{V1}/notifications/{first}", headers=ada.at(place))).status_code == 204
    assert (await http.delete(f"{V1}/notifications/{first}", headers=ada.at(place))).status_code == 404
    assert (await http.post(f"{V1}/notifications/read-all", headers=ada.at(place))).json() == {"unread": 0}
    assert (await http.get(f"{V1}/notifications", headers=member.bearer("admin"))).status_code == 403


@pytest.mark.parametrize("cursor", ["x", "W3RydWUsOTk5OTk5OTk5OTk5OTk5OTk5OTksIngiXQ"])
async def test_a_foreign_cursor_is_refused(
    house: House, http: httpx.AsyncClient, member: Member, cursor: str
) -> None:
    place = member.organisation.id
    ada = await join(house.database, place, await make_person(house.database), "viewer")
    answer = await http.get(f"{V1}/notifications", params={"cursor": cursor}, headers=ada.at(place))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def heard_of(listener: Listener) -> list[dict[str, Any]]:
    """What was told until now, by way of an event that everybody hears."""
    found: list[dict[str, Any]] = []
    while True:
        message = await listener.hear()
        if message["type"] == "batch":
            for one in message["messages"]:
                if one["type"] == "last":
                    return found
                found.append(one)


async def test_nobody_hears_others_notifications(
    house: House, member: Member, worker_database: Database
) -> None:
    """Property 18: what somebody is told comes to them live, with its words, and to nobody else; neither by
    `*`, nor with an API key, nor to a customer to whom the site is not assigned, nor after a return with a
    cursor."""
    place = member.organisation.id
    staff = await make_staff(house.database, place)
    away = await join(house.database, place, await make_person(house.database), "customer")
    async with house.database.scope(place) as connection:
        await assign_site(connection, place, staff["customer"].user_id, await site_of(house.database, member))
    last = LiveEvent(str(place), "alerts", 1, "last", device_no=member.devices["D1"])
    async with (
        house.listen(None, **staff["admin"].at(place)) as one,
        house.listen(None, **staff["viewer"].at(place)) as two,
        house.listen(None, **staff["customer"].at(place)) as three,
        house.listen(None, **away.at(place)) as four,
        house.listen(member) as key,
        house.listen(None, **staff["viewer"].headers) as elsewhere,
    ):
        await one.subscribe("*")
        await two.subscribe("notifications", "alerts")
        await three.subscribe("notifi*", "alerts")
        await four.subscribe("*")
        await key.subscribe("*")
        await elsewhere.subscribe("*")
        for listener in (one, two, three, four, key, elsewhere):
            await listener.say(type="ping")
            await listener.hear_until("pong")
        events = await say(house, worker_database, member)
        await house.stream.publish(EVENTS_SUBJECT, last.encode())
        await house.stream.flush()
        ids = {event.user: event.data["id"] for event in events}
        assert len(ids) == 4
        for listener, person in ((one, "admin"), (two, "viewer")):
            (message,) = await heard_of(listener)
            assert message["data"]["id"] == ids[str(staff[person].user_id)]  # type: ignore[index]
            assert (message["data"]["title"], message["data"]["remedy"]) == ("Kettle 0", "Pull the plug.")
        (message,) = await three.hear_messages(1)
        assert message["data"]["id"] == ids[str(staff["customer"].user_id)]
        assert await heard_of(key) == []
        for listener in (four, elsewhere):
            await listener.say(type="ping")
            await listener.hear_until("pong")
            assert not [one for one in listener.told if one["type"] == "batch"]
        cursor = two.cursor
        await say(house, worker_database, member)
        await house.stream.publish(EVENTS_SUBJECT, last.encode())
        await house.stream.flush()
        assert len(await heard_of(two)) == 1
    async with house.listen(None, **staff["operator"].at(place)) as thief:
        await thief.subscribe("notifications", "alerts", cursor=cursor)
        told = await heard_of(thief)
        operator = str(staff["operator"].user_id)
        assert [one["topic"] for one in told] == ["notifications"]
        assert told[0]["data"]["id"] != ids[operator]


async def test_other_windows_hear_what_was_read(
    house: House, http: httpx.AsyncClient, member: Member, worker_database: Database
) -> None:
    place = member.organisation.id
    ada = await join(house.database, place, await make_person(house.database), "viewer")
    (event,) = await say(house, worker_database, member)
    async with house.listen(None, **ada.at(place)) as listener:
        await listener.subscribe("notifications")
        await listener.say(type="ping")
        await listener.hear_until("pong")
        await http.post(f"{V1}/notifications/{event.data['id']}/read", headers=ada.at(place))
        (message,) = await listener.hear_messages(1)
    assert (message["type"], message["data"]) == (
        "notification_read",
        {"id": event.data["id"], "unread": 0},
    )


async def test_channels_are_made_changed_listed_tested_and_removed(
    private_house: House,
    member: Member,
    hook: Hook,  # noqa: F811
) -> None:
    place = member.organisation.id
    staff = await make_staff(private_house.database, place)
    operator = staff["operator"].at(place)
    async with httpx.AsyncClient(base_url=private_house.url + V1, timeout=30) as http:
        wanted = {"name": "Hook", "address": hook.address, "severity": "medium"}
        made = await http.post("/notification-channels", json=wanted, headers=operator)
        assert made.status_code == 201
        channel = made.json()
        assert channel["address"] == "json://127.0.0.1/..."
        assert (channel["breaker"], channel["whole_organisation"]) == ("closed", False)
        path = f"/notification-channels/{channel['id']}"
        tested = await http.post(f"{path}/test", headers=operator)
        assert tested.json() == {"ok": True, "detail": "taken by the service"}
        assert hook.taken[0]["title"] == "A message from Kilowatch"
        hook.answers = [403]
        tested = await http.post(f"{path}/test", headers=operator)
        assert (tested.status_code, tested.json()["ok"]) == (200, False)
        assert "403" in tested.json()["detail"]
        changed = await http.patch(path, json={"name": "Other", "enabled": False}, headers=operator)
        assert (changed.json()["name"], changed.json()["enabled"]) == ("Other", False)
        log = (await http.get(f"{path}/deliveries", headers=operator)).json()["items"]
        assert [(one["status"], one["attempts"][0]["ok"]) for one in log] == [
            ("failed", False),
            ("sent", True),
        ]
        page = (await http.get(f"{path}/deliveries", params={"limit": 1}, headers=operator)).json()
        rest = await http.get(f"{path}/deliveries", params={"cursor": page["next_cursor"]}, headers=operator)
        assert [*page["items"], *rest.json()["items"]] == log
        shown = [
            (await http.get(one, headers=operator)).text
            for one in ("/notification-channels", path, f"{path}/deliveries")
        ]
        assert not any("s3cr3t" in one for one in (*shown, made.text, changed.text))
        for role in ("admin", "viewer", "customer"):
            other = staff[role].at(place)
            assert (await http.get(path, headers=other)).status_code == 404
            assert (await http.post(f"{path}/test", headers=other)).status_code == 404
            assert (await http.patch(path, json={"name": "x"}, headers=other)).status_code == 404
            assert (await http.delete(path, headers=other)).status_code == 404
            assert (await http.get(f"{path}/deliveries", headers=other)).status_code == 404
        assert (await http.delete(path, headers=operator)).status_code == 204
        assert (await http.get(path, headers=operator)).status_code == 404
        audit = (await http.get("/audit-log", headers=staff["admin"].at(place))).text
        assert "notification_channel.created" in audit
        assert "s3cr3t" not in audit


async def test_the_organisations_channels_are_for_those_who_may(
    house: House, http: httpx.AsyncClient, member: Member
) -> None:
    place = member.organisation.id
    staff = await make_staff(house.database, place)
    wanted = {"name": "Ops", "address": f"ntfy://{SECRET}", "whole_organisation": True}
    path = f"{V1}/notification-channels"
    for role, status in (("admin", 201), ("operator", 201), ("viewer", 403), ("customer", 403)):
        made = await http.post(path, json=wanted, headers=staff[role].at(place))  # type: ignore[index]
        assert made.status_code == status, role
        assert SECRET not in made.text
    assert (await http.post(path, json=wanted, headers=member.bearer("admin"))).status_code == 201
    own = {**wanted, "whole_organisation": False}
    by_key = await http.post(path, json=own, headers=member.bearer("admin"))
    assert by_key.json()["whole_organisation"]
    counts = {
        role: len(await list_all(http, path, staff[role].at(place)))
        for role in ("admin", "viewer", "customer")
    }
    assert counts == {"admin": 4, "viewer": 4, "customer": 0}
    (first, *_) = await list_all(http, path, staff["viewer"].at(place))
    one = f"{path}/{first['id']}"
    viewer, customer = staff["viewer"].at(place), staff["customer"].at(place)
    assert (await http.get(one, headers=viewer)).status_code == 200
    for headers, status in ((viewer, 403), (customer, 404)):
        assert (await http.patch(one, json={"name": "x"}, headers=headers)).status_code == status
        assert (await http.post(f"{one}/test", headers=headers)).status_code == status
        assert (await http.delete(one, headers=headers)).status_code == status
    mine = await http.post(path, json=own, headers=customer)
    assert (mine.status_code, len(await list_all(http, path, customer))) == (201, 1)
    changed = await http.patch(f"{path}/{mine.json()['id']}", json={"enabled": False}, headers=customer)
    assert changed.json()["enabled"] is False


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("json://127.0.0.1:8000/x", "private_host"),
        ("json://localhost/x", "private_host"),
        ("json://169.254.169.254/latest", "private_host"),
        ("json://[::1]/x", "private_host"),
        ("file:///etc/passwd", "bad_address"),
        ("syslog://", "bad_address"),
        ("mailto:somebody.else@example.org", "bad_address"),
        ("json://example.org/\u0000", "bad_address"),
        ("x", "bad_address"),
        ("json://example.org/\ud800", "malformed"),
    ],
)
async def test_addresses_that_would_do_harm_are_refused(
    house: House, http: httpx.AsyncClient, member: Member, address: str, code: str
) -> None:
    place = member.organisation.id
    ada = await join(house.database, place, await make_person(house.database), "viewer")
    body = json.dumps({"name": "x", "address": address})
    headers = ada.at(place) | {"Content-Type": "application/json"}
    refused = await http.post(f"{V1}/notification-channels", content=body, headers=headers)
    assert 400 <= refused.status_code < 500
    assert refused.json()["code"] == code or code == "malformed"
    good = {"name": "x", "address": "ntfy://topic"}
    made = (await http.post(f"{V1}/notification-channels", json=good, headers=ada.at(place))).json()
    path = f"{V1}/notification-channels/{made['id']}"
    changed = await http.patch(path, content=json.dumps({"address": address}), headers=headers)
    assert 400 <= changed.status_code < 500


async def test_there_are_so_many_channels_and_no_more(
    house: House, http: httpx.AsyncClient, member: Member
) -> None:
    place = member.organisation.id
    ada = await join(house.database, place, await make_person(house.database), "viewer")
    wanted = {"name": "x", "address": "ntfy://topic"}

    async def make() -> int:
        return (
            await http.post(f"{V1}/notification-channels", json=wanted, headers=ada.at(place))
        ).status_code

    found = await asyncio.gather(*(make() for _ in range(CHANNELS_MOST + 5)))
    assert sorted(found) == [201] * CHANNELS_MOST + [409] * 5


minutes = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
severities = st.sampled_from(SEVERITIES)
wishes = st.fixed_dictionaries(
    {
        "severity": severities,
        "quiet_hours": st.one_of(
            st.none(),
            st.tuples(minutes, minutes, st.one_of(st.none(), severities))
            .filter(lambda one: one[0] != one[1])
            .map(lambda one: {"start": one[0], "end": one[1], "lets_through": one[2]}),
        ),
        "digest": st.one_of(st.none(), st.fixed_dictionaries({"at": minutes, "severity": severities})),
        "storm": st.fixed_dictionaries({"most": st.integers(1, 1000), "minutes": st.integers(1, 1440)}),
        "time_zone": st.sampled_from([None, "Europe/Berlin", "Asia/Kathmandu"]),
    }
)


@given(wishes)
@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
async def test_what_somebody_wants_is_kept(
    house: House, http: httpx.AsyncClient, member: Member, wanted: dict[str, Any]
) -> None:
    place = member.organisation.id
    ada, bob = [
        await join(house.database, place, await make_person(house.database), "operator") for _ in "ab"
    ]
    path = f"{V1}/notification-preferences"
    wanted = wanted | {"escalation": [step(user_id=bob.user_id)]}
    said = await http.put(path, json=wanted, headers=ada.at(place))
    assert (said.status_code, said.json()) == (200, wanted)
    assert (await http.get(path, headers=ada.at(place))).json() == wanted
    everybody = (await http.get(path, headers=bob.at(place))).json()
    assert everybody == (await http.put(path, json={}, headers=bob.at(place))).json()
    assert everybody["storm"] == {"most": 10, "minutes": 5}


def step(**more: Any) -> dict[str, Any]:
    empty = {"after_minutes": 5, "channel_id": None, "user_id": None, "repeat_minutes": None, "repeats": 0}
    return empty | {
        name: str(value) if isinstance(value, uuid.UUID) else value for name, value in more.items()
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"quiet_hours": {"start": "22:00", "end": "22:00"}}, "bad_quiet_hours"),
        ({"quiet_hours": {"start": "24:00", "end": "07:00"}}, "invalid"),
        ({"quiet_hours": {"start": "22:00\n", "end": "07:00"}}, "invalid"),
        ({"digest": {"at": "7:00"}}, "invalid"),
        ({"time_zone": "Mars/Olympus"}, "bad_time_zone"),
        ({"severity": "mild"}, "invalid"),
        ({"storm": {"most": 0}}, "invalid"),
        ({"escalation": [step()]}, "bad_step"),
        ({"escalation": [step(user_id=uuid.uuid4(), channel_id=uuid.uuid4())]}, "bad_step"),
        ({"escalation": [step(user_id=uuid.uuid4(), repeats=2)]}, "bad_step"),
        ({"escalation": [step(user_id=uuid.uuid4())]}, "unknown_target"),
        ({"escalation": [step(channel_id=uuid.uuid4())]}, "unknown_target"),
        ({"escalation": [step(user_id=uuid.uuid4())] * 11}, "invalid"),
    ],
)
async def test_wishes_that_cannot_be_are_refused(
    house: House, http: httpx.AsyncClient, member: Member, body: dict[str, Any], code: str
) -> None:
    place = member.organisation.id
    ada = await join(house.database, place, await make_person(house.database), "operator")
    refused = await http.put(f"{V1}/notification-preferences", json=body, headers=ada.at(place))
    assert (refused.status_code, refused.json()["code"]) == (422, code)


async def test_only_staff_escalate_to_others(house: House, http: httpx.AsyncClient, member: Member) -> None:
    place = member.organisation.id
    staff = await make_staff(house.database, place)
    body = {"escalation": [step(user_id=staff["admin"].user_id)]}
    for role, status in (("operator", 200), ("viewer", 403), ("customer", 403)):
        person: Person = staff[role]  # type: ignore[index]
        said = await http.put(f"{V1}/notification-preferences", json=body, headers=person.at(place))
        assert said.status_code == status, role
