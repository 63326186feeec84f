"""Homes to try over HTTP: who may make one, and whom the simulator's doors open to."""

from pathlib import Path

import httpx
import numpy as np

from kilowatch.lake.writing import LakeWriter
from kilowatch.period import MINUTE_US
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.sites.store import find_devices
from kilowatch.telemetry.store import ensure_metrics, ensure_series
from kilowatch.wire.simulation import HOMES_PATH, ROLES, home_key, simulator_token
from tests.server.conftest import Member
from tests.server.test_people import Somebody
from tests.server.test_readings import START, sampled


def simulator(parts: Parts) -> dict[str, str]:
    return {"Authorization": f"Bearer {simulator_token(parts.simulator_key)}"}


async def make(http: httpx.AsyncClient, member: Member, **wanted: str) -> httpx.Response:
    return await http.post("/api/v1/sites/demo", json=wanted or None, headers=member.bearer("admin"))


async def test_whoever_may_make_sites_makes_a_demo_home(
    http: httpx.AsyncClient, member: Member, stranger: Member
) -> None:
    made = await make(http, member, time_zone="Europe/Oslo", currency="NOK")
    assert made.status_code == 201, made.text
    home = made.json()
    assert (home["kind"], home["time_zone"], home["currency"]) == ("home", "Europe/Oslo", "NOK")
    listed = await http.get(f"/api/v1/devices?site_id={home['id']}", headers=member.bearer())
    assert listed.json()["items"] == home["devices"]
    assert [one["type"] for one in home["devices"]] == list(ROLES)
    again = await make(http, member)
    assert (again.status_code, again.json()["code"]) == (409, "demo_exists")
    assert home["id"] in again.json()["detail"]
    theirs = await make(http, stranger)
    assert (theirs.status_code, theirs.json()["time_zone"]) == (201, "UTC")


async def test_a_home_that_cannot_be_is_refused_with_all_that_is_wrong(
    http: httpx.AsyncClient, member: Member
) -> None:
    refused = await make(http, member, time_zone="Mars/Base", currency="eur")
    assert refused.status_code == 422
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/time_zone", "/currency"]
    assert (await make(http, member, kind="plant")).status_code == 422
    for key in ("read", "ingest"):
        lesser = await http.post("/api/v1/sites/demo", headers=member.bearer(key))
        assert lesser.status_code == 403


async def test_the_simulator_alone_learns_of_homes_and_only_what_changed(
    http: httpx.AsyncClient, member: Member, parts: Parts
) -> None:
    site = (await make(http, member)).json()["id"]
    shown = await http.get(HOMES_PATH, headers=simulator(parts))
    assert shown.status_code == 200
    (home,) = [one for one in shown.json()["items"] if one["site_id"] == site]
    assert [one["role"] for one in home["devices"]] == list(ROLES)
    assert home["organisation_id"] == str(member.organisation.id), "whose worlds surround it"
    same = await http.get(HOMES_PATH, headers=simulator(parts) | {"If-None-Match": shown.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert (
        await http.delete("/api/v1/devices/demo-lights", headers=member.bearer("admin"))
    ).status_code == 204
    fresh = await http.get(HOMES_PATH, headers=simulator(parts) | {"If-None-Match": shown.headers["etag"]})
    assert fresh.status_code == 200
    assert fresh.headers["etag"] != shown.headers["etag"]
    derived = home_key(parts.simulator_key, site)
    for path in (HOMES_PATH, f"{HOMES_PATH}/{site}/newest"):
        assert (await http.get(path)).status_code == 401
        for bearer, status in ((member.keys["admin"], 403), (derived, 403), (simulator_token(b"other"), 401)):
            refused = await http.get(path, headers={"Authorization": f"Bearer {bearer}"})
            assert refused.status_code == status
            assert site not in refused.text
    whoami = await http.get("/api/v1/whoami", headers=simulator(parts))
    assert whoami.status_code == 401, "the simulator's word opens nothing else"


async def test_a_home_is_told_until_the_moment_that_all_its_devices_have(
    http: httpx.AsyncClient, member: Member, parts: Parts, database: Database, lake_writer: LakeWriter
) -> None:
    site = (await make(http, member)).json()["id"]
    path = f"{HOMES_PATH}/{site}/newest"
    assert (await http.get(path, headers=simulator(parts))).json() == {"newest_us": None}
    organisation_id = member.organisation.id
    async with database.scope(organisation_id) as connection:
        devices = list(
            (await find_devices(connection, organisation_id, [f"demo-{role}" for role in ROLES])).values()
        )
        power = (await ensure_metrics(connection, organisation_id, ["power"]))["power"].metric_no
        numbers = (await ensure_series(connection, devices, [power] * 5)).tolist()
    for further, series_no in enumerate(numbers):
        ts_us = START + np.arange(10 + further) * MINUTE_US
        lake_writer.commit(sampled(series_no, ts_us, np.ones(len(ts_us))))
        told = (await http.get(path, headers=simulator(parts))).json()["newest_us"]
        assert told == (None if further < 4 else START + 9 * MINUTE_US)
    gone = await http.get(f"{HOMES_PATH}/{organisation_id}/newest", headers=simulator(parts))
    assert gone.status_code == 404


async def test_a_new_user_has_a_demo_home_for_the_asking(
    http: httpx.AsyncClient, parts: Parts, tmp_path: Path
) -> None:
    somebody = Somebody(http, tmp_path / "mail")
    await somebody.sign_up()
    made = await somebody.http.post("/api/v1/sites/demo", headers=somebody.bearer())
    assert made.status_code == 201, made.text
    site = made.json()["id"]
    homes = (await somebody.http.get(HOMES_PATH, headers=simulator(parts))).json()["items"]
    assert [len(one["devices"]) for one in homes if one["site_id"] == site] == [5]
    removed = await somebody.http.delete(f"/api/v1/sites/{site}", headers=somebody.bearer())
    assert removed.status_code == 204, removed.text
    assert (await somebody.http.get("/api/v1/devices", headers=somebody.bearer())).json()["items"] == []
    keys = (await somebody.http.get("/api/v1/api-keys", headers=somebody.bearer())).json()["items"]
    assert keys == []
    assert site not in (await somebody.http.get(HOMES_PATH, headers=simulator(parts))).text
