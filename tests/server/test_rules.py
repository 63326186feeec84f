"""Rules over HTTP: made, changed, archived, refused with all that is wrong, and tried on history."""

import uuid
from datetime import datetime
from typing import Any

import httpx
import numpy as np
import pytest

from kilowatch.clock import rfc3339, to_us
from kilowatch.lake.writing import LakeWriter
from kilowatch.postgres.engine import Database, Sight
from kilowatch.rules.store import create_rule, list_rules
from kilowatch.sites.store import create_site, update_device
from kilowatch.telemetry.store import device_sources, ensure_series
from tests.server.conftest import Member
from tests.server.persons import list_all
from tests.server.test_readings import ZONE, sampled

RULES = "/api/v1/rules"
HIGH = {"name": "High", "metric": "power", "operator": ">", "threshold": 100.0}
START = to_us(datetime.fromisoformat("2025-10-25T00:00:00+02:00"))
MINUTE_US = 60_000_000


async def make(http: httpx.AsyncClient, member: Member, **more: Any) -> dict[str, Any]:
    answer = await http.post(RULES, json=HIGH | more, headers=member.bearer("admin"))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_rule_is_made_shown_changed_and_archived(http: httpx.AsyncClient, member: Member) -> None:
    wanted = {"name": "On duty", "address": "ntfy://a-topic", "whole_organisation": True}
    headers = member.bearer("admin")
    channel = (await http.post("/api/v1/notification-channels", json=wanted, headers=headers)).json()["id"]
    more = {"for_s": 60, "clear_threshold": 80, "channels": [channel, channel]}
    made = await make(http, member, device_id="D1", **more)
    assert made["device_id"] == "D1"
    assert (made["input"], made["severity"], made["status"]) == ("value", "medium", "active")
    assert made["channels"] == [channel]
    path, admin = f"{RULES}/{made['id']}", member.bearer("admin")
    assert (await http.get(path, headers=member.bearer())).json() == made
    changes = {"threshold": 200, "device_id": None, "device_type": "kettle", "status": "paused"}
    changed = (await http.patch(path, json=changes, headers=admin)).json()
    assert changed["updated_at"] > made["updated_at"]
    assert {name: changed[name] for name in changes} == changes
    assert changed["clear_threshold"] == 80
    assert (await http.delete(path, headers=admin)).status_code == 204
    assert (await http.get(path, headers=admin)).json()["status"] == "archived"
    assert (await http.get(RULES, headers=admin)).json()["items"] == []
    archived = await http.get(RULES, params={"status": "archived"}, headers=admin)
    assert [one["id"] for one in archived.json()["items"]] == [made["id"]]
    log = (await http.get("/api/v1/audit-log", params={"action": "rule"}, headers=admin)).json()["items"]
    assert [one["action"] for one in log] == ["rule.archived", "rule.changed", "rule.created"]
    assert (await http.patch(path, json={"status": "active"}, headers=admin)).json()["status"] == "active"


async def test_pages_and_filters_find_each_rule_once(http: httpx.AsyncClient, member: Member) -> None:
    made = [await make(http, member, name=f"R{n}", severity=["low", "high"][n % 2]) for n in range(5)]
    device = await make(http, member, device_id="D2", input="no_data", operator=None, threshold=None, for_s=9)
    found = await list_all(http, RULES, member.bearer())
    assert [one["id"] for one in found] == [one["id"] for one in [*made, device]]
    asked = {"severity": "high", "metric": "power"}
    some = (await http.get(RULES, params=asked, headers=member.bearer())).json()["items"]
    assert [one["name"] for one in some] == ["R1", "R3"]
    of_device = (await http.get(RULES, params={"device_id": "D2"}, headers=member.bearer())).json()["items"]
    assert [one["id"] for one in of_device] == [device["id"]]


@pytest.mark.parametrize(
    ("given", "pointers"),
    [
        ({"name": " "}, ["/name"]),
        ({"clear_threshold": 101}, ["/clear_threshold"]),
        ({"operator": "<", "clear_threshold": 99}, ["/clear_threshold"]),
        ({"operator": "=", "clear_threshold": 100}, ["/clear_threshold"]),
        ({"threshold": None}, ["/threshold"]),
        ({"operator": None}, ["/operator"]),
        ({"metric": None}, ["/metric"]),
        ({"metric": "energy_wh"}, ["/metric"]),
        ({"metric": "nobody_knows"}, ["/metric"]),
        ({"input": "energy_15m"}, ["/metric"]),
        ({"device_id": "D1", "device_type": "meter"}, ["/device_id"]),
        ({"device_id": "D9"}, ["/device_id"]),
        ({"device_id": "\u0000"}, ["/device_id"]),
        ({"site_id": str(uuid.uuid4())}, ["/site_id"]),
        ({"channels": ["email", str(uuid.uuid4()), "pigeon"]}, ["/channels", "/channels"]),
        ({"channels": ["\u0000"]}, ["/channels"]),
        ({"device_type": "Kettle!"}, ["/device_type"]),
        ({"input": "no_data", "for_s": 0}, ["/operator", "/threshold", "/for_s"]),
        ({"for_s": 604_801}, ["/body/for_s"]),
        ({"cooldown_s": -1}, ["/body/cooldown_s"]),
        ({"severity": "dire"}, ["/body/severity"]),
        ({"organisation_id": "x"}, ["/body/organisation_id"]),
    ],
)
async def test_a_rule_that_cannot_be_is_refused_with_all_that_is_wrong(
    http: httpx.AsyncClient, member: Member, given: dict[str, Any], pointers: list[str]
) -> None:
    for method, path in (("POST", RULES), ("PATCH", f"{RULES}/{(await make(http, member))['id']}")):
        answer = await http.request(method, path, json=HIGH | given, headers=member.bearer("admin"))
        assert answer.status_code == 422, answer.text
        assert sorted(one["pointer"] for one in answer.json()["errors"]) == sorted(pointers)


async def test_a_number_that_is_none_is_refused(http: httpx.AsyncClient, member: Member) -> None:
    body = b'{"name":"x","metric":"power","operator":">","threshold":1e999}'
    answer = await http.post(RULES, content=body, headers=member.bearer("admin"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_channel_that_is_removed_leaves_the_rules(http: httpx.AsyncClient, member: Member) -> None:
    """Named otherwise than by its id it stays: there may be another of that name."""
    admin = member.bearer("admin")
    wanted = {"name": "On duty", "address": "ntfy://a-topic", "whole_organisation": True}
    channel = (await http.post("/api/v1/notification-channels", json=wanted, headers=admin)).json()["id"]
    made = await make(http, member, channels=[channel, "On duty", "ntfy", "email"])
    path = f"{RULES}/{made['id']}"
    assert (await http.delete(f"/api/v1/notification-channels/{channel}", headers=admin)).status_code == 204
    left = (await http.get(path, headers=admin)).json()
    assert left["channels"] == ["On duty", "ntfy", "email"]
    assert left["updated_at"] > made["updated_at"]
    changed = await http.patch(path, json={"channels": ["email"]}, headers=admin)
    assert changed.json()["channels"] == ["email"]


async def test_a_rule_goes_with_its_device(http: httpx.AsyncClient, member: Member) -> None:
    made = await make(http, member, device_id="D1")
    admin = member.bearer("admin")
    assert (await http.delete("/api/v1/devices/D1", headers=admin)).status_code == 204
    assert (await http.get(f"{RULES}/{made['id']}", headers=admin)).status_code == 404


async def test_a_customer_sees_no_rule(database: Database, member: Member) -> None:
    async with database.scope(member.organisation.id) as connection:
        await create_rule(connection, member.organisation.id, HIGH)
    customer = Sight(member.organisation.id, uuid.uuid4(), is_customer=True)
    async with database.scope(customer) as connection:
        assert (await list_rules(connection)).items == []


@pytest.fixture
async def stored(database: Database, member: Member, lake_writer: LakeWriter) -> int:
    """Two days of minutes of D1 in Berlin: 50 W, but 150 W for ten minutes at noon and for an hour late on
    the second day; D2 has only the first hour. Returns D1's series."""
    organisation_id = member.organisation.id
    async with database.scope(organisation_id) as connection:
        site = await create_site(connection, organisation_id, "home", "Berlin", ZONE)
        for device in ("D1", "D2"):
            await update_device(connection, device, {"site_id": site.id})
        devices = [member.devices["D1"], member.devices["D2"]]
        first, second = await ensure_series(connection, devices, [member.metrics["power"]] * 2)
    ts_us = START + np.arange(2 * 1440) * MINUTE_US
    power = np.full(len(ts_us), 50.0)
    power[720:730] = 150.0
    power[1440 + 1200 : 1440 + 1260] = 150.0
    lake_writer.commit(sampled(int(first), ts_us, power))
    lake_writer.commit(sampled(int(second), ts_us[:60], power[:60]))
    return int(first)


def _in_seconds(span: tuple[str, str, str]) -> tuple[str, float, float]:
    device, start, end = span
    return device, datetime.fromisoformat(start).timestamp(), datetime.fromisoformat(end).timestamp()


SPAN = {"start": rfc3339(START), "end": rfc3339(START + 2 * 1440 * MINUTE_US)}


async def test_a_backtest_says_how_often_how_long_where_and_the_worst_day(
    http: httpx.AsyncClient, member: Member, stored: int
) -> None:
    made = await make(http, member)
    read = member.bearer()
    told = (await http.post(f"{RULES}/{made['id']}/backtest", json=SPAN, headers=read)).json()
    spans = [(one["device"], one["start"], one["end"]) for one in told.pop("spans")]
    assert [end_s - start_s for _, start_s, end_s in map(_in_seconds, spans)] == [3600.0, 600.0]
    assert spans[0][:2] == ("D1", "2025-10-26T18:00:00Z")
    assert told == {
        "raises": 2,
        "seconds_raised": 4200.0,
        "devices": [{"device": "D1", "raises": 2, "seconds": 4200.0}],
        "worst_day": {"date": "2025-10-26", "raises": 1, "seconds": 3600.0},
        "samples": 2 * 1440 + 60,
    }
    unsaved = {"rule": HIGH | {"for_s": 900}, **SPAN}
    longer = (await http.post(f"{RULES}/backtest", json=unsaved, headers=read)).json()
    assert (longer["raises"], longer["seconds_raised"]) == (1, 2700.0)
    nothing = {"rule": HIGH | {"device_id": "D2"}, **SPAN}
    none = (await http.post(f"{RULES}/backtest", json=nothing, headers=read)).json()
    assert (none["raises"], none["devices"], none["worst_day"], none["samples"]) == (0, [], None, 60)


async def test_silence_and_energy_are_tried_too(
    http: httpx.AsyncClient, member: Member, stored: int, database: Database
) -> None:
    read = member.bearer()
    silence = {"name": "Silent", "input": "no_data", "for_s": 600}
    told = (await http.post(f"{RULES}/backtest", json={"rule": silence, **SPAN}, headers=read)).json()
    assert [(one["device"], one["raises"]) for one in told["devices"]] == [("D2", 1)]
    assert told["seconds_raised"] == 2 * 86_400 - 59 * 60 - 600
    of_nobody = silence | {"device_type": "nobody"}
    none = await http.post(f"{RULES}/backtest", json={"rule": of_nobody, **SPAN}, headers=read)
    assert (none.status_code, none.json()["raises"]) == (200, 0)
    async with database.scope(member.organisation.id) as connection:
        await device_sources(connection, list(member.devices.values()))
    energy = {"name": "Hungry", "input": "energy_15m", "operator": ">", "threshold": 36.0}
    told = (await http.post(f"{RULES}/backtest", json={"rule": energy, **SPAN}, headers=read)).json()
    # An hour at 150 W fills four quarters; each is told at its end.
    assert told["raises"] == 1
    assert told["seconds_raised"] == 3600.0


@pytest.mark.parametrize(
    ("span", "code"),
    [
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "bad_span"),
        ({"start": "noon"}, "bad_span"),
        ({"start": "2020-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "span_too_long"),
    ],
)
async def test_a_span_that_cannot_be_tried_is_refused(
    http: httpx.AsyncClient, member: Member, span: dict[str, str], code: str
) -> None:
    answer = await http.post(f"{RULES}/backtest", json={"rule": HIGH, **span}, headers=member.bearer())
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert all(one["pointer"].startswith("/body/") for one in answer.json()["errors"])
