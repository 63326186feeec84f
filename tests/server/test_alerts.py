"""Alerts, maintenance windows and detectors over HTTP, as an operator, a viewer and a customer meet them."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from kilowatch.accounts.rights import Role
from kilowatch.accounts.store.assignments import assign_device, assign_site
from kilowatch.accounts.store.audit import list_audit_log
from kilowatch.alerts.finding import Finding, Key
from kilowatch.alerts.notices import Notices
from kilowatch.alerts.store.raising import lift_alerts, raise_alerts
from kilowatch.clock import SystemClock
from kilowatch.notifications.escalation import Step
from kilowatch.notifications.notice import Notice, tell
from kilowatch.notifications.preference import Preferences
from kilowatch.notifications.store.preferences import set_preferences
from kilowatch.postgres.engine import Connection, Database
from kilowatch.server.app import Parts
from kilowatch.sites.store import list_sites
from kilowatch.stream.client import Client
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from tests.server.conftest import House, Member, open_house
from tests.server.persons import TOKENS, Person, list_all, make_staff
from tests.worker import house as workhouse

MINUTE_US = 60_000_000


@pytest.fixture(autouse=True)
def tokens(parts: Parts) -> None:
    """The house reads the tokens of these tests."""
    parts.tokens = TOKENS


@pytest.fixture
async def staff(database: Database, member: Member) -> dict[Role, Person]:
    return await make_staff(database, member.organisation.id)


async def breach(worker: Database, member: Member, device: str = "D1", **more: Any) -> Finding:
    """An alert about a device, raised just now."""
    now_us = SystemClock().now_us()
    kind = more.pop("kind", "phantom_load")
    key = more.pop("key", None) or Key(member.organisation.id, kind, member.devices[device])
    given: dict[str, Any] = {
        "severity": "medium",
        "metric": "power",
        "value": 40.0,
        "limit": 5.0,
        "excess_w": 35.0,
    }
    finding = Finding(key, since_us=now_us - 5 * MINUTE_US, ts_us=now_us, **given | more)
    async with worker.unscoped() as connection:
        assert (await raise_alerts(connection, [finding], now_us, Decimal("0.30"))).opened
    return finding


async def test_an_alert_says_what_happened_and_what_to_do(
    http: httpx.AsyncClient, worker_database: Database, member: Member
) -> None:
    admin = member.bearer("admin")
    finding = await breach(worker_database, member)
    path = f"/api/v1/alerts/{finding.alert_id}"
    alert = (await http.get(path, headers=admin)).json()
    assert (alert["device"], alert["status"], alert["kind"]) == ("D1", "open", "phantom_load")
    assert (alert["value"], alert["limit"], alert["excess_w"]) == (40, 5, 35)
    # 35 W x 24 h x 0.30
    assert (Decimal(alert["cost_per_day"]), alert["currency"]) == (Decimal("0.252"), "EUR")
    for figure in ("40 W", "5 W", "35 W", "about 0.25 EUR", "5 minutes"):
        assert figure in alert["description"], figure
    assert "D1" in alert["title"]
    assert alert["remedy"]
    assert alert["comments"] == []
    changed = await http.patch(
        f"/api/v1/sites/{alert['site_id']}", json={"voice": "oracle", "price_per_kwh": "0.25"}, headers=admin
    )
    assert (changed.json()["voice"], changed.json()["price_per_kwh"]) == ("oracle", "0.25")
    oracle = (await http.get(path, headers=admin)).json()
    assert oracle["voice"] == "oracle"
    assert oracle["title"] != alert["title"]
    assert oracle["remedy"] == alert["remedy"]


async def test_sites_refuse_voices_and_prices_that_are_none(http: httpx.AsyncClient, member: Member) -> None:
    admin = member.bearer("admin")
    (site, *_) = (await http.get("/api/v1/sites", headers=admin)).json()["items"]
    for bad in (
        {"voice": "ghost"}, {"price_per_kwh": "-1"}, {"price_per_kwh": "NaN"}, {"price_per_kwh": "Infinity"},
        {"price_per_kwh": "0.1234567"}, {"price_per_kwh": "1e7"}, {"price_per_kwh": "1e99999"},
    ):  # fmt: skip
        refused = await http.patch(f"/api/v1/sites/{site['id']}", json=bad, headers=admin)
        assert refused.status_code == 422, bad
    free = await http.patch(f"/api/v1/sites/{site['id']}", json={"price_per_kwh": 0}, headers=admin)
    assert Decimal(free.json()["price_per_kwh"]) == 0


async def test_alerts_are_listed_newest_first_narrowed_and_counted(
    http: httpx.AsyncClient, worker_database: Database, member: Member
) -> None:
    read = member.bearer()
    made = [
        await breach(worker_database, member, "D1", kind="spike", severity="high"),
        await breach(worker_database, member, "D2", kind="spike", severity="low"),
        await breach(worker_database, member, "D2", kind="offline", severity="high"),
    ]
    done = f"/api/v1/alerts/{made[1].alert_id}/resolve"
    assert (await http.post(done, headers=member.bearer("admin"))).status_code == 200
    listed = await list_all(http, "/api/v1/alerts", read)
    assert [one["id"] for one in listed] == [str(one.alert_id) for one in reversed(made)]
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    for asked, places in (
        ({"kind": "spike"}, [1, 0]),
        ({"status": "resolved"}, [1]),
        ({"severity": "high"}, [2, 0]),
        ({"device_id": "D2"}, [2, 1]),
        ({"site_id": listed[0]["site_id"], "device_id": "D1"}, [0]),
        ({"start": listed[1]["raised_at"]}, [2, 1]),
        ({"end": listed[1]["raised_at"]}, [0]),
        ({"start": soon}, []),
    ):
        found = (await http.get("/api/v1/alerts", params=asked, headers=read)).json()["items"]
        assert [one["id"] for one in found] == [str(made[place].alert_id) for place in places], asked
    summary = (await http.get("/api/v1/alerts/summary", headers=read)).json()
    assert summary == {
        "status": {"open": 2, "resolved": 1},
        "severity": {"high": 2, "low": 1},
        "kind": {"spike": 2, "offline": 1},
    }
    for bad in ({"kind": "x"}, {"status": "x"}, {"limit": 0}, {"start": "yesterday"}, {"device_id": "\x00"}):
        assert (await http.get("/api/v1/alerts", params=bad, headers=read)).status_code == 422, bad
    assert (await http.get("/api/v1/alerts", params={"cursor": "x"}, headers=read)).status_code == 400


async def test_an_operator_looks_after_an_alert_and_everybody_who_listens_hears(
    house: House,
    http: httpx.AsyncClient,
    worker_database: Database,
    member: Member,
    staff: dict[Role, Person],
) -> None:
    operator = staff["operator"].at(member.organisation.id)
    finding = await breach(worker_database, member)
    path = f"/api/v1/alerts/{finding.alert_id}"
    async with house.listen(member) as listener:
        await listener.subscribe("alerts", "anomalies")
        await listener.say(type="ping")
        await listener.hear_until("pong")
        seen = await http.post(f"{path}/acknowledge", json={"comment": "on my way"}, headers=operator)
        (first, second) = (await listener.hear_messages(2))[:2]
    assert {first["topic"], second["topic"]} == {"alerts", "anomalies"}
    assert (first["type"], first["data"]["status"], first["data"]["id"]) == (
        "alert", "acknowledged", str(finding.alert_id),
    )  # fmt: skip
    who = f"user:{staff['operator'].user_id}"
    assert (seen.json()["status"], seen.json()["acknowledged_by"]) == ("acknowledged", who)
    assert (
        await http.post(f"{path}/comment", json={"comment": "fixed"}, headers=operator)
    ).status_code == 201
    for until in ("2020-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "tomorrow"):
        refused = await http.post(f"{path}/suppress", json={"until": until}, headers=operator)
        assert refused.status_code == 422, until
    hidden = await http.post(f"{path}/suppress", headers=operator)
    assert hidden.json()["status"] == "suppressed"
    refused = await http.post(f"{path}/acknowledge", headers=operator)
    assert (refused.status_code, refused.json()["code"]) == (409, "alert_suppressed")
    assert (await http.post(f"{path}/lift", headers=operator)).json()["status"] == "open"
    before = datetime.now(UTC)
    done = (await http.post(f"{path}/resolve", headers=operator)).json()
    assert (done["status"], done["how"], done["resolved_by"]) == ("resolved", "by_hand", who)
    assert before <= datetime.fromisoformat(done["resolved_at"]) <= datetime.now(UTC)
    late = await http.post(f"{path}/suppress", headers=operator)
    assert (late.status_code, late.json()["code"]) == (409, "alert_resolved")
    comments = (await http.get(path, headers=operator)).json()["comments"]
    assert [(one["actor"], one["text"]) for one in comments] == [(who, "on my way"), (who, "fixed")]
    async with house.database.scope(member.organisation.id) as connection:
        lines = [line.action for line in (await list_audit_log(connection)).items]
    told = [line for line in lines if line.startswith("alert.")]
    assert told == ["alert.resolved", "alert.lifted", "alert.suppressed", "alert.acknowledged"]


async def test_a_customer_sees_alerts_of_what_is_theirs_and_changes_none(
    http: httpx.AsyncClient,
    database: Database,
    worker_database: Database,
    member: Member,
    staff: dict[Role, Person],
) -> None:
    place = member.organisation.id
    customer = staff["customer"].at(place)
    async with database.scope(place) as connection:
        (home,) = (await list_sites(connection)).items
        await assign_device(connection, place, staff["customer"].user_id, "D1")
    mine, other = await breach(worker_database, member, "D1"), await breach(worker_database, member, "D2")
    whole = await breach(worker_database, member, key=Key(place, "ghost_walk", site_id=home.id))
    admin = member.bearer("admin")
    await http.post(f"/api/v1/alerts/{mine.alert_id}/comment", json={"comment": "inside"}, headers=admin)
    assert [one["id"] for one in await list_all(http, "/api/v1/alerts", customer)] == [str(mine.alert_id)]
    assert (await http.get("/api/v1/alerts/summary", headers=customer)).json()["status"] == {"open": 1}
    for hidden in (other, whole):
        assert (await http.get(f"/api/v1/alerts/{hidden.alert_id}", headers=customer)).status_code == 404
    shown = await http.get(f"/api/v1/alerts/{mine.alert_id}", headers=customer)
    assert shown.json()["comments"] == []
    acted = await http.post(f"/api/v1/alerts/{mine.alert_id}/resolve", headers=customer)
    assert acted.status_code == 403
    async with database.scope(place) as connection:
        await assign_site(connection, place, staff["customer"].user_id, home.id)
    assert len(await list_all(http, "/api/v1/alerts", customer)) == 3


async def test_a_window_stops_what_is_told_of_what_it_hides_and_goes_on_hiding_when_it_is_changed(
    http: httpx.AsyncClient,
    database: Database,
    worker_database: Database,
    member: Member,
    staff: dict[Role, Person],
) -> None:
    admin = member.bearer("admin")
    finding = await breach(worker_database, member)
    place, operator = member.organisation.id, staff["operator"].user_id
    async with database.person(operator, place) as connection:
        wishes = Preferences(escalation=(Step(60, user_id=operator),))
        await set_preferences(connection, place, operator, wishes)
    shown = Notice(place, finding.alert_id, None, "high", "Kettle", "", "", finding.ts_us)
    async with worker_database.unscoped() as connection:
        await tell(connection, [shown], finding.ts_us)

    async def waiting() -> int:
        steps = text("SELECT count(*) FROM kilowatch.escalations WHERE alert_id = :id AND ended_at IS NULL")
        async with worker_database.unscoped() as connection:
            return int((await connection.execute(steps, {"id": finding.alert_id})).scalar_one())

    assert await waiting() == 1
    now = datetime.now(UTC)
    wanted = {"device_id": "D1", "starts_at": (now - timedelta(hours=1)).isoformat()}
    made = await http.post(
        "/api/v1/maintenance-windows",
        json=wanted | {"ends_at": (now + timedelta(hours=1)).isoformat()},
        headers=admin,
    )
    assert await waiting() == 0
    path = f"/api/v1/maintenance-windows/{made.json()['id']}"
    for hours, hidden in ((2, True), (3, True), (-0.5, False)):
        changed = {"ends_at": (now + timedelta(hours=hours)).isoformat(), "reason": f"{hours} h"}
        assert (await http.patch(path, json=changed, headers=admin)).status_code == 200
        now_us = SystemClock().now_us()
        async with worker_database.unscoped() as connection:
            lifted = await lift_alerts(connection, now_us)
        assert (finding.alert_id in lifted) is not hidden


async def test_windows_are_made_changed_listed_and_removed(
    http: httpx.AsyncClient, worker_database: Database, member: Member
) -> None:
    admin = member.bearer("admin")
    finding = await breach(worker_database, member)
    starts, ends = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    wanted = {
        "device_id": "D1",
        "starts_at": starts.isoformat(),
        "ends_at": ends.isoformat(),
        "reason": "work",
    }
    made = await http.post("/api/v1/maintenance-windows", json=wanted, headers=admin)
    assert made.status_code == 201, made.text
    window = made.json()
    assert (window["device_id"], window["reason"], window["made_by"]) == ("D1", "work", window["made_by"])
    alert = (await http.get(f"/api/v1/alerts/{finding.alert_id}", headers=admin)).json()
    assert (alert["status"], alert["suppressed_by"]) == ("suppressed", f"window:{window['id']}")
    path = f"/api/v1/maintenance-windows/{window['id']}"
    changed = await http.patch(path, json={"reason": None}, headers=admin)
    assert changed.json() == window | {"reason": None}
    assert await list_all(http, "/api/v1/maintenance-windows", admin) == [changed.json()]
    later = {"after": (ends + timedelta(days=1)).isoformat()}
    assert (await http.get("/api/v1/maintenance-windows", params=later, headers=admin)).json()["items"] == []
    for bad, code in (
        (wanted | {"ends_at": wanted["starts_at"]}, "invalid"),
        (wanted | {"device_id": "never-was"}, "unknown_device"),
        (wanted | {"site_id": "00000000-0000-0000-0000-000000000000"}, "unknown_site"),
        (wanted | {"reason": ""}, "invalid"),
        (wanted | {"kind": "ghost"}, "invalid"),
        (wanted | {"starts_at": "2026-01-01T00:00:00"}, "invalid"),
        (wanted | {"starts_at": "0001-01-01T00:00:00+14:00"}, "invalid"),
        (wanted | {"ends_at": "9999-12-31T23:59:59-14:00"}, "invalid"),
    ):
        refused = await http.post("/api/v1/maintenance-windows", json=bad, headers=admin)
        assert (refused.status_code, refused.json()["code"]) == (422, code), bad
    assert (await http.delete(path, headers=admin)).status_code == 204
    assert (await http.get(path, headers=admin)).status_code == 404


async def test_detectors_are_set_for_the_organisation_and_its_sites(
    http: httpx.AsyncClient, member: Member
) -> None:
    admin, read = member.bearer("admin"), member.bearer()
    (site, *_) = (await http.get("/api/v1/sites", headers=read)).json()["items"]
    here = {"site_id": site["id"]}
    defaults = (await http.get("/api/v1/detectors", headers=read)).json()["items"]
    assert len(defaults) == 7
    assert all(one["is_on"] for one in defaults)
    limits = {"limits": {"limit_kwh": 50, "by_type": {"industrial": 500}}, "severity": "low"}
    path = "/api/v1/detectors/high_consumption"
    assert (await http.patch(path, json=limits, headers=admin)).status_code == 200
    off = await http.patch(
        path, json={"is_on": False, "limits": {"limit_kwh": 20}}, params=here, headers=admin
    )
    assert off.json() == {
        "kind": "high_consumption", "is_on": False, "severity": "low",
        "limits": {"limit_kwh": 20}, "by_type": {"industrial": 500},
    }  # fmt: skip
    house = {one["kind"]: one for one in (await http.get("/api/v1/detectors", headers=read)).json()["items"]}
    assert (house["high_consumption"]["is_on"], house["high_consumption"]["limits"]) == (
        True,
        {"limit_kwh": 50},
    )
    back = await http.patch(path, json={"is_on": None, "limits": None}, params=here, headers=admin)
    assert back.json() == house["high_consumption"]
    for kind, bad in (
        ("high_consumption", {"limits": {"limit_kWh": 5}}),
        ("high_consumption", {"limits": {"limit_kwh": -1}}),
        ("high_consumption", {"limits": {"limit_kwh": "5"}}),
        ("high_consumption", {"limits": {"limit_kwh": 10**400}}),
        ("high_consumption", {"limits": {"limit_kwh": True}}),
        ("high_consumption", {"limits": {"by_type": None}}),
        ("high_consumption", {"limits": {"by_type": {"Not a type": 5}}}),
        ("high_consumption", {"limits": {"by_type": [5]}}),
        ("spike", {"limits": {"by_type": {"meter": 5}}}),
        ("spike", {"severity": "grave"}),
        ("spike", {"is_of": False}),
        ("rule", {"is_on": False}),
        ("no-such", {"is_on": False}),
    ):
        refused = await http.patch(f"/api/v1/detectors/{kind}", json=bad, headers=admin)
        assert refused.status_code == 422, (kind, bad, refused.text)
    nowhere = {"site_id": "00000000-0000-0000-0000-000000000000"}
    assert (await http.get("/api/v1/detectors", params=nowhere, headers=read)).status_code == 404
    assert (await http.patch(path, json={}, params=nowhere, headers=admin)).status_code == 404


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_moments_that_no_clock_shows_are_refused(
    http: httpx.AsyncClient, member: Member, moment: str
) -> None:
    for path, name in (
        ("alerts", "start"), ("alerts", "end"), ("alerts/summary", "start"), ("alerts/summary", "end"),
        ("maintenance-windows", "after"),
    ):  # fmt: skip
        answer = await http.get(f"/api/v1/{path}", params={name: moment}, headers=member.bearer("admin"))
        assert answer.status_code in (200, 422), (path, name, answer.text)


async def test_a_window_stops_what_was_still_to_be_sent(
    parts: Parts, stream: Client, worker_database: Database, member: Member
) -> None:
    settled: list[uuid.UUID] = []

    async def settle(connection: Connection, alert_ids: Sequence[uuid.UUID], now_us: int) -> None:
        del connection, now_us
        settled.extend(alert_ids)

    parts.notices = Notices(settle=settle)
    events: list[LiveEvent] = []
    await stream.subscribe(EVENTS_SUBJECT, lambda _, message: events.append(LiveEvent.decode(message)))
    await stream.flush()
    finding = await breach(worker_database, member)
    starts, ends = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    wanted = {"starts_at": starts.isoformat(), "ends_at": ends.isoformat()}
    async with open_house(parts, stream) as house, httpx.AsyncClient(base_url=house.url) as http:
        admin = member.bearer("admin")
        made = await http.post("/api/v1/maintenance-windows", json=wanted, headers=admin)
        assert (made.status_code, settled) == (201, [finding.alert_id]), made.text

        async def heard() -> bool:
            return "suppressed" in [one.data.get("status") for one in events]

        await workhouse.until(heard, "word of it", 5.0)


@pytest.mark.parametrize("value", [1e30, 1e308])
async def test_whatever_a_device_reports_can_be_told(
    http: httpx.AsyncClient, worker_database: Database, member: Member, value: float
) -> None:
    finding = await breach(worker_database, member, value=value, excess_w=value)
    alert = (await http.get(f"/api/v1/alerts/{finding.alert_id}", headers=member.bearer())).json()
    assert (alert["value"], alert["status"]) == (value, "open")


async def test_a_rules_rate_has_its_unit(
    http: httpx.AsyncClient, worker_database: Database, member: Member
) -> None:
    finding = await breach(worker_database, member, kind="spike", metric="power/min", excess_w=None)
    alert = (await http.get(f"/api/v1/alerts/{finding.alert_id}", headers=member.bearer())).json()
    assert alert["unit"] == "W/min"


async def test_who_suppresses_anew_is_in_the_log_too(
    http: httpx.AsyncClient, worker_database: Database, member: Member
) -> None:
    admin = member.bearer("admin")
    path = f"/api/v1/alerts/{(await breach(worker_database, member)).alert_id}/suppress"
    hour = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for until in (hour, None, None):
        answer = await http.post(path, json={"until": until}, headers=admin)
        assert answer.status_code == 200, answer.text
    log = (await http.get("/api/v1/audit-log", params={"action": "alert"}, headers=admin)).json()["items"]
    assert [one["action"] for one in log] == ["alert.suppressed"] * 2
