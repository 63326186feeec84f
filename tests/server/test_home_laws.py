"""What must hold for any homes, devices and readings of any two people: each sees and changes their own, all
of it, and nothing else. Over HTTP, PostgreSQL and the lake as they are.

The numbers are those of the laws in docs/concepts/walls.md, each tried with at least 100 examples.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.clock import SystemClock, rfc3339
from kilowatch.ids import new_id
from kilowatch.lake.writing import LakeWriter
from kilowatch.period import MINUTE_US, SECOND_US
from kilowatch.postgres.engine import Database
from kilowatch.server.app import Parts
from kilowatch.simulator.home.household import APPLIANCES
from kilowatch.simulator.home.readings import live_bodies
from kilowatch.sites.store import get_device
from kilowatch.telemetry.store import ensure_metrics, ensure_series
from kilowatch.wire.simulation import HOMES_PATH, STATES, PlayedHome, PlayedHomes, home_key, simulator_token
from tests.server.conftest import House
from tests.server.test_people import PASSWORD, code_in
from tests.server.test_readings import sampled

SLUG = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
NAME = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=30)
KIND = st.sampled_from(["home", "plant", "microgrid", "area"])
ZONE = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"])
HOMES = st.lists(st.tuples(KIND, NAME, ZONE), max_size=3)
WHO = st.integers(0, 1)

law = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@dataclass
class Resident:
    """A person who has signed in, and what the test knows to be theirs."""

    http: httpx.Client
    sites: dict[str, dict[str, Any]] = field(default_factory=dict)
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def organisation_id(self) -> uuid.UUID:
        """Their personal organisation."""
        return uuid.UUID(self.http.get("/me").json()["organisations"][0]["id"])

    def everything(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.http.get(path, params={"limit": 500, **query}).json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    def make_site(self, kind: str, name: str, zone: str) -> dict[str, Any]:
        made = self.http.post("/sites", json={"kind": kind, "name": name, "time_zone": zone})
        assert made.status_code == 201, made.text
        self.sites[made.json()["id"]] = made.json()
        return dict(made.json())

    def make_device(self, site_id: str, device_id: str | None = None) -> dict[str, Any]:
        wanted = {"id": device_id or f"d-{new_id().hex}", "site_id": site_id}
        made = self.http.post("/devices", json=wanted)
        assert made.status_code == 201, made.text
        self.devices[made.json()["id"]] = made.json()
        return dict(made.json())


def enter(house: House, letters: Path, name: str = "Ada") -> Resident:
    """A new person, from the sign-up to the home that every newcomer has."""
    email = f"{new_id().hex[:12]}@example.org"
    http = httpx.Client(base_url=f"{house.url}/api/v1", timeout=30)
    answer = http.post("/auth/signup", json={"email": email, "password": PASSWORD, "name": name})
    assert answer.status_code == 202, answer.text
    shown = http.post("/auth/verify", json={"email": email, "code": code_in(letters)})
    http.headers["Authorization"] = f"Bearer {shown.json()['access_token']}"
    resident = Resident(http)
    resident.sites = {site["id"]: site for site in resident.everything("/sites")}
    return resident


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Where the house's mail lies."""
    return tmp_path / "mail"


@pytest.fixture
async def residents(house: House, letters: Path) -> AsyncIterator[tuple[Resident, Resident]]:
    """Two people who have nothing to do with each other."""
    pair = await asyncio.to_thread(lambda: (enter(house, letters), enter(house, letters)))
    yield pair
    for one in pair:
        one.http.close()


async def holds(check: Callable[[], None]) -> None:
    """Tries a law in a thread, while the server goes on in this one."""
    await asyncio.to_thread(check)


async def test_1_without_valid_credentials_everything_is_closed(house: House) -> None:
    closed = [
        (method, path)
        for path, operations in house.application.app.openapi()["paths"].items()
        for method, operation in operations.items()
        if "security" in operation
    ]
    shown = st.one_of(
        st.none(),
        st.from_regex(r"(Bearer|Token|Basic)? ?(kw_|kwd_|kwr_|eyJ)?[A-Za-z0-9._-]{0,80}", fullmatch=True).map(
            str.strip
        ),
    )
    with httpx.Client(base_url=house.url, timeout=30) as http:

        @law
        @given(st.sampled_from(closed), shown, SLUG)
        def check(operation: tuple[str, str], authorization: str | None, name: str) -> None:
            method, path = operation
            for part in path.split("/"):
                if part.startswith("{"):
                    path = path.replace(part, str(uuid.uuid4()) if part.endswith("_id}") else name)
            headers = {} if authorization is None else {"Authorization": authorization}
            answer = http.request(method, path, headers=headers, params={"topics": "alerts"})
            assert answer.status_code == 401, (method, path, answer.text)

        await holds(check)


async def test_2_whoever_signs_up_has_an_account_and_a_home(house: House, letters: Path) -> None:
    @law
    @given(NAME)
    def check(name: str) -> None:
        resident = enter(house, letters, name)
        me = resident.http.get("/me").json()
        assert me["name"] == name
        assert [(one["role"], one["is_personal"]) for one in me["organisations"]] == [("admin", True)]
        assert [site["kind"] for site in resident.sites.values()] == ["home"]
        assert resident.everything("/devices") == []
        resident.http.close()

    await holds(check)


async def test_3_and_8_everybody_sees_exactly_the_homes_they_made(
    residents: tuple[Resident, Resident],
) -> None:
    @law
    @given(HOMES, HOMES)
    def check(hers: list[tuple[str, str, str]], his: list[tuple[str, str, str]]) -> None:
        for resident, wanted in zip(residents, (hers, his), strict=True):
            for kind, name, zone in wanted:
                made = resident.make_site(kind, name, zone)
                assert (made["kind"], made["name"], made["time_zone"]) == (kind, name, zone)
        for resident in residents:
            assert {site["id"]: site for site in resident.everything("/sites")} == resident.sites

    await holds(check)


async def test_4_and_12_devices_are_listed_to_their_owner_by_home(
    residents: tuple[Resident, Resident],
) -> None:
    @law
    @given(WHO, st.booleans(), st.integers(0, 3))
    def check(who: int, new_home: bool, count: int) -> None:
        resident, other = residents[who], residents[1 - who]
        site = resident.make_site("home", "Home", "UTC")["id"] if new_home else next(iter(resident.sites))
        made = {resident.make_device(site)["id"] for _ in range(count)}
        listed = resident.everything("/devices")
        assert {device["id"] for device in listed} == set(resident.devices)
        here = resident.everything("/devices", site_id=site)
        assert made <= {device["id"] for device in here}
        assert here == [device for device in listed if device["site_id"] == site]
        assert other.everything("/devices", site_id=site) == []
        assert not set(resident.devices) & {device["id"] for device in other.everything("/devices")}

    await holds(check)


async def test_5_readings_are_shown_to_their_owner_only(
    residents: tuple[Resident, Resident], database: Database, lake_writer: LakeWriter
) -> None:
    now_us = SystemClock().now_us() // 60_000_000 * 60_000_000
    ts_us = now_us - np.arange(60, 0, -1) * 60_000_000
    owned: list[list[str]] = [[], []]
    for who, resident in enumerate(residents):
        organisation_id = await asyncio.to_thread(getattr, resident, "organisation_id")
        for _ in range(3):
            device_id = (await asyncio.to_thread(resident.make_device, next(iter(resident.sites))))["id"]
            owned[who].append(device_id)
            async with database.scope(organisation_id) as connection:
                device = await get_device(connection, device_id)
                metric = (await ensure_metrics(connection, organisation_id, ["power"]))["power"]
                (series_no,) = await ensure_series(connection, [device.device_no], [metric.metric_no])
            value = np.full(60, 1000.0 * (who + 1))
            lake_writer.commit(sampled(int(series_no), ts_us, value))
    forms = ["application/json", "text/csv"]
    span = st.tuples(st.integers(0, 60), st.integers(0, 60)).filter(lambda pair: pair[0] < pair[1])

    @law
    @given(WHO, st.integers(0, 2), st.integers(0, 1), span, st.sampled_from(forms), st.booleans())
    def check(who: int, index: int, of: int, minutes: tuple[int, int], form: str, with_site: bool) -> None:
        resident, device = residents[who], owned[of][index]
        start, end = (rfc3339(int(now_us - 60 * 60_000_000 + minute * 60_000_000)) for minute in minutes)
        query = {"start": start, "end": end, "resolution": "raw", "metrics": "power"}
        answer = resident.http.get(f"/devices/{device}/readings", params=query, headers={"Accept": form})
        if who != of:
            assert answer.status_code == 404
        else:
            assert answer.status_code == 200, answer.text
            assert f"{1000 * (2 - who)}" not in answer.text
            if form == "application/json":
                (series,) = answer.json()["series"]
                assert [value for _, value in series["points"]] == [1000.0 * (who + 1)] * (
                    minutes[1] - minutes[0]
                )
        site = {"site_id": next(iter(residents[of].sites))} if with_site else {}
        latest = resident.http.get("/readings/latest", params=site)
        if with_site and who != of:
            assert latest.status_code == 404
        else:
            assert not any(stranger in latest.text for stranger in owned[1 - who])

    await holds(check)


async def test_9_only_its_owner_changes_a_home(residents: tuple[Resident, Resident]) -> None:
    changes = st.fixed_dictionaries(
        {}, optional={"name": NAME, "kind": KIND, "time_zone": ZONE, "region": NAME}
    ).filter(bool)

    @law
    @given(WHO, WHO, changes)
    def check(who: int, of: int, wanted: dict[str, str]) -> None:
        resident, owner = residents[who], residents[of]
        site_id = next(iter(owner.sites))
        answer = resident.http.patch(f"/sites/{site_id}", json=wanted)
        if who == of:
            assert answer.status_code == 200, answer.text
            owner.sites[site_id] |= wanted
        else:
            assert answer.status_code == 404
        assert owner.http.get(f"/sites/{site_id}").json() == owner.sites[site_id]

    await holds(check)


async def test_10_a_home_that_goes_takes_its_devices_and_all_they_told_along(
    residents: tuple[Resident, Resident], database: Database, lake_writer: LakeWriter
) -> None:
    minute_us = SystemClock().now_us() // MINUTE_US * MINUTE_US
    loop = asyncio.get_running_loop()
    ids = st.lists(st.sampled_from(["heater", "lamp"]), unique=True)

    async def tell(resident: Resident, device_ids: list[str]) -> None:
        """Every device has told its power a minute ago."""
        organisation_id = await asyncio.to_thread(getattr, resident, "organisation_id")
        async with database.scope(organisation_id) as connection:
            metric = (await ensure_metrics(connection, organisation_id, ["power"]))["power"]
            numbers = [(await get_device(connection, device_id)).device_no for device_id in device_ids]
            series = await ensure_series(connection, numbers, [metric.metric_no] * len(numbers))
        rows = sampled(np.array(series), np.full(len(series), minute_us), np.full(len(series), 230.0))
        lake_writer.commit({name: rows[name] for name in ("samples", "rollups_1d")})

    def shown(resident: Resident) -> set[str]:
        latest = resident.http.get("/readings/latest").json()["items"]
        return {one["device"] for one in latest if one["metrics"]}

    kept: list[set[str]] = []
    for resident in residents:
        device = await asyncio.to_thread(resident.make_device, next(iter(resident.sites)))
        await tell(resident, [device["id"]])
        kept.append({device["id"]})

    @law
    @given(WHO, ids, st.booleans())
    def check(who: int, names: list[str], other_tries: bool) -> None:
        resident, other = residents[who], residents[1 - who]
        site_id = resident.make_site("home", "Home", "UTC")["id"]
        devices = [resident.make_device(site_id, name)["id"] for name in names]
        if devices:
            asyncio.run_coroutine_threadsafe(tell(resident, devices), loop).result()
        assert shown(resident) == {*devices, *kept[who]}
        if other_tries:
            assert other.http.delete(f"/sites/{site_id}").status_code == 404
            assert shown(resident) == {*devices, *kept[who]}
        assert resident.http.delete(f"/sites/{site_id}").status_code == 204
        assert {one["id"] for one in resident.everything("/devices")} == shown(resident) == kept[who]
        for device in devices:
            assert resident.http.get(f"/devices/{device}").status_code == 404
            assert resident.http.get(f"/devices/{device}/readings").status_code == 404
        if devices:
            resident.make_device(next(iter(resident.sites)), devices[0])
            assert shown(resident) == kept[who], "a device of the same name begins without a past"
            assert resident.http.delete(f"/devices/{devices[0]}").status_code == 204

    await holds(check)


async def test_11_a_device_stands_only_in_a_home_of_its_owner(residents: tuple[Resident, Resident]) -> None:
    @law
    @given(WHO, st.sampled_from(["own", "other's", "nobody's"]))
    def check(who: int, whose: str) -> None:
        resident, other = residents[who], residents[1 - who]
        homes = {
            "own": next(iter(resident.sites)),
            "other's": next(iter(other.sites)),
            "nobody's": str(new_id()),
        }
        wanted = {"id": f"d-{new_id().hex}", "site_id": homes[whose]}
        made = resident.http.post("/devices", json=wanted)
        assert (made.status_code == 201) == (whose == "own"), made.text
        assert whose == "own" or (made.status_code, made.json()["code"]) == (422, "unknown_site")
        found = resident.http.get(f"/devices/{wanted['id']}")
        assert found.status_code == (200 if whose == "own" else 404)
        assert other.http.get(f"/devices/{wanted['id']}").status_code == 404

    await holds(check)


async def test_13_only_its_owner_changes_a_device(residents: tuple[Resident, Resident]) -> None:
    devices = await asyncio.to_thread(
        lambda: [resident.make_device(next(iter(resident.sites)))["id"] for resident in residents]
    )
    changes = st.fixed_dictionaries(
        {},
        optional={
            "name": NAME,
            "room": NAME,
            "rated_power_w": st.floats(0.1, 1e6),
            "idle_threshold_w": st.floats(0, 1e6),
            "metadata": st.dictionaries(NAME, st.integers(-1000, 1000), max_size=3),
            "status": st.sampled_from(["active", "inactive", "maintenance", "error"]),
        },
    ).filter(bool)

    @law
    @given(WHO, WHO, changes)
    def check(who: int, of: int, wanted: dict[str, Any]) -> None:
        before = residents[of].http.get(f"/devices/{devices[of]}").json()
        answer = residents[who].http.patch(f"/devices/{devices[of]}", json=wanted)
        after = residents[of].http.get(f"/devices/{devices[of]}").json()
        assert answer.status_code == (200 if who == of else 404), answer.text
        assert after == (before | wanted if who == of else before)

    await holds(check)


async def test_14_only_its_owner_removes_a_device(residents: tuple[Resident, Resident]) -> None:
    @law
    @given(WHO, WHO)
    def check(who: int, of: int) -> None:
        device = residents[of].make_device(next(iter(residents[of].sites)))["id"]
        answer = residents[who].http.delete(f"/devices/{device}")
        assert answer.status_code == (204 if who == of else 404), answer.text
        assert residents[of].http.get(f"/devices/{device}").status_code == (404 if who == of else 200)

    await holds(check)


async def test_15_what_is_switched_is_so_in_what_the_device_tells_next(
    house: House, residents: tuple[Resident, Resident], parts: Parts
) -> None:
    """From the push of a button to what the simulator's devices tell, but for the way back in."""
    simulator = {"Authorization": f"Bearer {simulator_token(parts.simulator_key)}"}
    homes_url = f"{house.url}{HOMES_PATH}"
    owner, other = residents
    made = await asyncio.to_thread(owner.http.post, "/sites/demo", json={"time_zone": "Asia/Kathmandu"})
    site_id = made.json()["id"]
    devices = st.sampled_from([one["id"] for one in made.json()["devices"]])
    pushes = st.lists(st.tuples(devices, st.sampled_from([None, "on", "off", "standby"])), max_size=4)
    states = {one["id"]: one["state"] for one in made.json()["devices"]}

    @law
    @given(pushes, st.integers(0, 10**9))
    def check(pushed: list[tuple[str, str | None]], later_s: int) -> None:
        for device, wanted in pushed:
            body = None if wanted is None else {"state": wanted}
            assert other.http.post(f"/devices/{device}/toggle", json=body).status_code == 404
            answer = owner.http.post(f"/devices/{device}/toggle", json=body)
            states[device] = wanted or ("off" if states[device] == "on" else "on")
            assert (answer.status_code, answer.json()["state"]) == (200, states[device])
        assert {one["id"]: one["state"] for one in owner.everything("/devices")} == states
        played = msgspec.json.decode(owner.http.get(homes_url, headers=simulator).content, type=PlayedHomes)
        home = next(one for one in played.items if one.site_id == site_id)
        ((_, body_told),) = live_bodies([home], home.since_us + later_s * SECOND_US)
        roles = {one.id: one.role for one in home.devices}
        for reading in msgspec.json.decode(body_told):
            told, state = reading["metrics"], states[reading["device"]]
            appliance = APPLIANCES[roles[reading["device"]]]
            if state == "on":
                assert told["state"] in ("on", STATES[appliance.resting])
            else:
                power_w = 0.0 if state == "off" else appliance.standby_w
                assert (told["state"], told["power"]) == (state, power_w)

    await holds(check)


async def test_39_whoever_makes_a_demo_home_has_it_played(
    house: House, residents: tuple[Resident, Resident], parts: Parts
) -> None:
    """The simulator is told of it at once and may send what its five devices tell, until it is gone.
    That readings come by themselves is tried on a whole instance in tests/cli/test_demo_home.py."""
    simulator = {"Authorization": f"Bearer {simulator_token(parts.simulator_key)}"}
    base = f"{house.url}/api/v1"

    def played(http: httpx.Client) -> dict[str, PlayedHome]:
        told = http.get(f"{house.url}{HOMES_PATH}", headers=simulator).content
        return {one.site_id: one for one in msgspec.json.decode(told, type=PlayedHomes).items}

    @law
    @given(WHO, ZONE, st.integers(0, 10**9))
    def check(who: int, zone: str, later_s: int) -> None:
        http = residents[who].http
        made = http.post("/sites/demo", json={"time_zone": zone}).json()
        home = played(http)[made["id"]]
        assert home.time_zone == zone
        ((_, body),) = live_bodies([home], home.since_us + later_s * SECOND_US)
        told = {one["device"]: one["metrics"] for one in msgspec.json.decode(body)}
        assert set(told) == {one["id"] for one in made["devices"]}
        assert all({"power", "state"} <= set(metrics) for metrics in told.values())
        key = {"Authorization": f"Bearer {home_key(parts.simulator_key, made['id'])}"}
        sender = httpx.get(f"{base}/whoami", headers=key)
        assert (sender.status_code, sender.json()["scopes"]) == (200, ["ingest"])
        assert http.delete(f"/sites/{made['id']}").status_code == 204
        assert made["id"] not in played(http)
        assert httpx.get(f"{base}/whoami", headers=key).status_code == 401

    await holds(check)
