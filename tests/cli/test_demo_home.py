"""A home to try in a whole instance: live within seconds, unharmed by a killed simulator, switched by its
owner, and gone without a trace."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import psutil
import psycopg
import pytest
from websockets.sync.client import connect

from kilowatch.clock import rfc3339, to_us
from kilowatch.ids import new_id
from kilowatch.period import MINUTE_US
from kilowatch.simulator.home.household import APPLIANCES, ON, report
from kilowatch.simulator.home.moments import moments_at
from kilowatch.wire.simulation import ROLES
from tests.cli.conftest import Instance, run_kw
from tests.conftest import wait_until

WITHIN_S = 60.0
FRESH = timedelta(seconds=6)
ZONE = "Europe/Berlin"


@dataclass
class Owner:
    """Somebody with an organisation of their own."""

    instance: Instance
    slug: str
    http: httpx.Client
    site_id: str = ""

    def make_home(self) -> None:
        made = self.http.post("/sites/demo", json={"time_zone": ZONE})
        assert made.status_code == 201, made.text
        self.site_id = made.json()["id"]
        assert len(made.json()["devices"]) == 5

    def newest(self) -> dict[str, dict[str, tuple[datetime, Any]]]:
        """Device -> metric -> newest time and value."""
        answer = self.http.get("/readings/latest", params={"site_id": self.site_id}).json()["items"]
        return {
            one["device"]: {
                value["metric"]: (datetime.fromisoformat(value["ts"]), value["value"])
                for value in one["metrics"]
            }
            for one in answer
        }

    def is_live(self) -> bool:
        """Whether each of five devices has a power of the last seconds."""
        newest = self.newest()
        now = datetime.now(UTC)
        return len(newest) == 5 and all(
            "power" in one and now - one["power"][0] < FRESH for one in newest.values()
        )

    def raw(
        self, device: str, start: datetime, end: datetime, metric: str = "power"
    ) -> list[tuple[str, Any]]:
        """The samples of a metric."""
        asked = {"start": start.isoformat(), "end": end.isoformat(), "resolution": "raw", "metrics": metric}
        answer = self.http.get(f"/devices/{device}/readings", params=asked)
        assert answer.status_code == 200, answer.text
        return [(ts, value) for ts, value in answer.json()["series"][0]["points"]]

    def dead_letters(self) -> list[Any]:
        return list(self.http.get("/dead-letters").json()["items"])

    def rows(self) -> dict[str, list[str]]:
        """Every row of the organisation, by table."""
        with psycopg.connect(self.instance.run_file()["addresses"]["owner_url"]) as connection:
            tables = connection.execute(
                "SELECT table_name FROM information_schema.columns"
                " WHERE table_schema = 'kilowatch' AND column_name = 'organisation_id'"
            ).fetchall()
            return {
                table: sorted(
                    row[0]
                    for row in connection.execute(
                        f"SELECT t::text FROM kilowatch.{table} t JOIN kilowatch.organisations o"  # noqa: S608
                        " ON o.id = t.organisation_id WHERE o.slug = %s".encode(),
                        [self.slug],
                    )
                )
                for (table,) in tables
            }


@pytest.fixture
def new_owner(running: Instance) -> Iterator[Callable[[], Owner]]:
    """Makes owners."""
    made: list[Owner] = []

    def make() -> Owner:
        slug = f"o-{new_id().hex[:12]}"
        wish = [
            "--organisation",
            slug,
            "--create",
            "--scopes",
            "read,control,admin",
            "--data",
            str(running.data),
        ]
        key = json.loads(run_kw("key", "create", *wish).stdout)["key"]
        url = f"http://127.0.0.1:{running.run_file()['port']}/api/v1"
        http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        made.append(Owner(running, slug, http))
        return made[-1]

    yield make
    for owner in made:
        owner.http.delete(f"/sites/{owner.site_id}")
        owner.http.close()


def expected(site_id: str, role: Any, ts_us: Any) -> list[float]:
    at = moments_at([site_id], [ZONE], ts_us)
    return list(report(role, at, np.full(len(ts_us), ON, np.int8))["power"])


def test_39_a_demo_home_is_live_within_seconds_and_has_a_month_behind_it(
    new_owner: Callable[[], Owner],
) -> None:
    owner = new_owner()
    owner.make_home()
    wait_until(owner.is_live, WITHIN_S, "live readings")
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=12)
    for role in ROLES:
        found = owner.raw(f"demo-{role}", end - timedelta(days=1), end)
        ts_us = to_us(end) - 86_400_000_000 + np.arange(1440, dtype=np.int64) * MINUTE_US
        assert [ts for ts, _ in found] == [rfc3339(int(one)) for one in ts_us]
        assert [value for _, value in found] == expected(owner.site_id, role, ts_us)
    first = datetime.now(UTC) - timedelta(days=31)
    days = owner.http.get(
        f"/sites/{owner.site_id}/energy", params={"start": first.isoformat(), "resolution": "1d"}
    ).json()
    assert len(days["devices"]) == 5
    for one in days["devices"]:
        assert len([value for _, value in one["points"] if value is not None]) in (30, 31, 32), one
    assert owner.dead_letters() == []


def test_the_energy_of_a_home_is_its_power_over_time(new_owner: Callable[[], Owner]) -> None:
    owner = new_owner()
    owner.make_home()
    wait_until(owner.is_live, WITHIN_S, "live readings")
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    start = end - timedelta(days=7)
    answer = owner.http.get(
        f"/sites/{owner.site_id}/energy",
        params={"start": start.isoformat(), "end": end.isoformat(), "resolution": "1h"},
    ).json()
    ts_us = np.arange(to_us(start), to_us(end), MINUTE_US)
    for one, role in zip(answer["devices"], ROLES, strict=True):
        told_wh = sum(value for _, value in one["points"])
        true_wh = np.mean(expected(owner.site_id, role, ts_us)) * 7 * 24
        assert told_wh == pytest.approx(true_wh, rel=0.02), role


def test_a_killed_simulator_goes_on_where_it_was(running: Instance, new_owner: Callable[[], Owner]) -> None:
    owner = new_owner()
    owner.make_home()
    wait_until(owner.is_live, WITHIN_S, "live readings")
    began = datetime.now(UTC)
    killed = running.pid("simulator")
    psutil.Process(killed).kill()
    wait_until(lambda: running.pid("simulator") not in (0, killed), WITHIN_S, "another simulator")
    back = datetime.now(UTC)
    wait_until(
        lambda: owner.is_live() and owner.newest()["demo-fridge"]["power"][0] > back, WITHIN_S, "new readings"
    )
    times = [
        datetime.fromisoformat(ts) for ts, _ in owner.raw("demo-fridge", began - timedelta(hours=1), back)
    ]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) <= timedelta(seconds=121)
    assert owner.dead_letters() == []


def test_the_simulator_outlives_the_server(running: Instance, new_owner: Callable[[], Owner]) -> None:
    owner = new_owner()
    owner.make_home()
    wait_until(owner.is_live, WITHIN_S, "live readings")
    simulator, server = running.pid("simulator"), running.pid("server")
    psutil.Process(server).kill()
    wait_until(lambda: running.pid("server") not in (0, server), WITHIN_S, "another server")
    wait_until(running.is_ready, WITHIN_S, "readiness")
    back = datetime.now(UTC)
    wait_until(lambda: owner.newest()["demo-lights"]["power"][0] > back, WITHIN_S, "new readings")
    assert running.pid("simulator") == simulator
    assert owner.dead_letters() == []


def test_what_its_owner_switches_off_draws_nothing_from_then_on(new_owner: Callable[[], Owner]) -> None:
    owner = new_owner()
    owner.make_home()
    wait_until(owner.is_live, WITHIN_S, "live readings")
    for device, state, power_w in (
        ("demo-fridge", "off", 0.0),
        ("demo-heat-pump", "standby", APPLIANCES["heat-pump"].standby_w),
    ):
        before = owner.raw(
            device, datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) - timedelta(hours=1)
        )
        switched = owner.http.post(f"/devices/{device}/toggle", json={"state": state})
        assert (switched.status_code, switched.json()["state"]) == (200, state)

        def is_switched(device: str = device, state: str = state, power_w: float = power_w) -> bool:
            told = owner.newest()[device]
            return (told["power"][1], told["state"][1]) == (power_w, state)

        wait_until(is_switched, WITHIN_S, f"{device} {state}")
        after = owner.raw(
            device, datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) - timedelta(hours=1)
        )
        kept = dict(before)
        assert all(kept[ts] == value for ts, value in after if ts in kept)
        assert len(kept) > 1300
    assert owner.dead_letters() == []


def test_a_removed_home_leaves_nothing_and_is_played_no_more(new_owner: Callable[[], Owner]) -> None:
    owner, neighbour = new_owner(), new_owner()
    before = owner.rows()
    owner.make_home()
    neighbour.make_home()
    wait_until(lambda: owner.is_live() and neighbour.is_live(), WITHIN_S, "live readings")
    assert owner.http.delete(f"/sites/{owner.site_id}").status_code == 204
    gone = datetime.now(UTC)

    def has_played_on() -> bool:
        newest = neighbour.newest()
        return all(one["power"][0] > gone + timedelta(seconds=4) for one in newest.values())

    wait_until(has_played_on, WITHIN_S, "the neighbour's readings of after the removal")
    after = owner.rows()
    assert len(after.pop("vanished_series")) > len(before.pop("vanished_series")), "upkeep erases the lake"
    assert len(after) > 8
    # What words such as `power` mean is the organisation's own from their first use on.
    assert len(after.pop("metrics")) == len(before.pop("metrics")) + 4
    assert len(after.pop("audit_log")) > len(before.pop("audit_log")), (
        "who made and removed it stays on record"
    )
    assert after == before
    assert owner.http.get("/devices").json()["items"] == []
    owner.make_home()
    wait_until(owner.is_live, WITHIN_S, "live readings of another home")


def test_a_phantom_load_on_a_button_is_found_told_and_over_when_it_is_switched_off_or_stopped(
    running: Instance, new_owner: Callable[[], Owner]
) -> None:
    owner, device = new_owner(), "demo-television"
    owner.make_home()
    wait_until(owner.is_live, WITHIN_S, "live readings")

    def alerts(status: str) -> list[dict[str, Any]]:
        asked = {"device_id": device, "kind": "phantom_load", "status": status}
        return list(owner.http.get("/alerts", params=asked).json()["items"])

    def power_w(of: str) -> float:
        return float(owner.newest()[of]["power"][1])

    def switch(state: str) -> None:
        assert owner.http.post(f"/devices/{device}/toggle", json={"state": state}).status_code == 200

    wait_until(
        lambda: owner.http.get("/simulation/worlds").status_code == 200, WITHIN_S, "somebody who plays worlds"
    )
    assert alerts("open") == []
    address = f"ws://127.0.0.1:{running.run_file()['port']}/api/v1/live"
    bearer = {"Authorization": owner.http.headers["Authorization"]}
    with connect(address, additional_headers=bearer) as socket:
        socket.send(json.dumps({"type": "subscribe", "topics": ["alerts"]}))
        begun = owner.http.post("/simulation/scenario", json={"scenario_id": "phantom_load"})
        assert begun.status_code == 200, begun.text
        assert begun.json()["scenario"]["status"] == "active"
        told: list[dict[str, Any]] = []
        while not any(one["data"].get("kind") == "phantom_load" for one in told):
            told += json.loads(socket.recv(timeout=WITHIN_S)).get("messages", [])
    (alert,) = alerts("open")
    assert (alert["value"], alert["limit"]) == (95.5, 2.0)
    wait_until(lambda: owner.newest()[device]["state"][1] == "standby", WITHIN_S, "what was found in it")
    switch("off")
    wait_until(lambda: power_w(device) == 0.0 and not alerts("open"), WITHIN_S, "nothing to be found")
    switch("on")
    wait_until(lambda: bool(alerts("open")), WITHIN_S, "the phantom load again")
    assert owner.http.post("/simulation/stop").status_code == 200
    wait_until(lambda: power_w(device) != 95.5 and not alerts("open"), WITHIN_S, "the end of it")
    assert [one["status"] for one in alerts("resolved")] == ["resolved"] * 2
    assert owner.http.get(f"/devices/{device}").json()["state"] == "on"
    over = datetime.now(UTC)
    wait_until(lambda: bool(owner.raw(device, over, datetime.now(UTC))), WITHIN_S, "a reading after it")
    found = dict(owner.raw(device, over, datetime.now(UTC)))
    ts_us = np.array([to_us(datetime.fromisoformat(ts)) for ts in found], np.int64)
    assert list(found.values()) == expected(owner.site_id, "television", ts_us), "as if nothing had been"
    assert owner.dead_letters() == []
