"""Sites and devices on a real PostgreSQL."""

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.errors import Problem
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Database
from kilowatch.sites import store
from kilowatch.sites.currency import CURRENCIES
from kilowatch.sites.site import site_faults
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.store import ensure_metrics, ensure_series
from kilowatch.telemetry.store.letters import keep_dead_letters, list_dead_letters


async def test_an_organisation_starts_with_a_home(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        page = await store.list_sites(connection)
    assert [(site.kind, site.name, site.time_zone) for site in page.items] == [("home", "Home", "UTC")]
    assert page.next_cursor is None


async def test_a_taken_slug_is_a_conflict(database: Database, organisation: Organisation) -> None:
    again = new_id()
    with pytest.raises(Problem) as refused:
        async with database.scope(again) as connection:
            await store.create_organisation_with_home(connection, again, organisation.slug, "Again")
    assert (refused.value.status, refused.value.code) == (409, "slug_taken")


async def test_all_faults_of_a_site_are_told_at_once(database: Database, organisation: Organisation) -> None:
    with pytest.raises(Problem) as refused:
        async with database.scope(organisation.id) as connection:
            await store.create_site(connection, organisation.id, "castle", " x", "Mars/Base", "eur", "")
    assert refused.value.status == 422
    assert [fault.pointer for fault in refused.value.errors] == [
        "/name",
        "/kind",
        "/time_zone",
        "/currency",
        "/region",
    ]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]
)
async def test_a_site_follows_a_time_zone(database: Database, organisation: Organisation, zone: str) -> None:
    async with database.scope(organisation.id) as connection:
        site = await store.create_site(connection, organisation.id, "plant", "Works", zone, "AUD", "south")
        assert await store.get_site(connection, site.id) == site
        changed = await store.update_site(connection, site.id, {"name": "Mill", "region": None})
    assert (changed.name, changed.region, changed.time_zone) == ("Mill", None, zone)


async def test_what_cannot_be_set_is_refused(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        site = (await store.list_sites(connection)).items[0]
        with pytest.raises(Problem) as refused:
            await store.update_site(connection, site.id, {"organisation_id": new_id(), "time_zone": None})
        assert [fault.pointer for fault in refused.value.errors] == ["/organisation_id", "/time_zone"]
        with pytest.raises(Problem) as refused:
            await store.create_device(connection, organisation.id, "D1", device_no=7)
        assert [fault.pointer for fault in refused.value.errors] == ["/device_no"]


async def test_the_last_site_stays_and_others_go_with_their_devices(
    database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        home = (await store.list_sites(connection)).items[0]
        await store.create_device(connection, organisation.id, "D0")
        with pytest.raises(Problem, match="last_site"):
            await store.delete_site(connection, home.id)
        plant = await store.create_site(connection, organisation.id, "plant", "Works")
        gone = await store.create_device(connection, organisation.id, "D1", plant.id)
        metric = (await ensure_metrics(connection, organisation.id, ["power"]))["power"]
        (number,) = await ensure_series(connection, [gone.device_no], [metric.metric_no])
        letters = [
            NewDeadLetter(organisation.id, device, "http", "conflict", "", {}, gone.created_at)
            for device in ("D0", "D1", None)
        ]
        await keep_dead_letters(connection, letters)
        await store.delete_site(connection, plant.id)
        assert [site.id for site in (await store.list_sites(connection)).items] == [home.id]
        assert [device.id for device in (await store.list_devices(connection)).items] == ["D0"]
        left = (await list_dead_letters(connection)).items
        assert {letter.device for letter in left} == {"D0", None}
        found = await connection.execute(
            text("SELECT series_no, device_no, erased_at FROM kilowatch.vanished_series")
        )
        assert [tuple(row) for row in found] == [(number, gone.device_no, None)]
        with pytest.raises(Problem, match="not_found"):
            await store.delete_site(connection, plant.id)


async def test_a_site_that_goes_while_devices_register_loses_none(
    database: Database, organisation: Organisation
) -> None:
    """The oldest site takes new devices; deleted at the same moment it takes them along or leaves them."""
    async with database.scope(organisation.id) as connection:
        home = (await store.list_sites(connection)).items[0]
        await store.create_site(connection, organisation.id, "plant", "Works")

    async def remove() -> None:
        async with database.scope(organisation.id) as connection:
            await store.delete_site(connection, home.id)

    async def register(number: int) -> None:
        async with database.scope(organisation.id) as connection:
            assert await store.register_devices(connection, organisation.id, [f"D{number}"])

    await asyncio.gather(*map(register, range(4)), remove(), *map(register, range(4, 8)))
    async with database.scope(organisation.id) as connection:
        (left,) = (await store.list_sites(connection)).items
        assert {device.site_id for device in (await store.list_devices(connection)).items} <= {left.id}


async def test_devices_are_made_and_changed_beside_others_that_have_been_seen(
    database: Database, worker_database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        made = [await store.create_device(connection, organisation.id, f"D{number}") for number in range(2)]
    async with worker_database.unscoped() as connection:
        for one in made:
            await connection.execute(
                text(
                    "INSERT INTO kilowatch.device_sightings (organisation_id, device_no, last_seen)"
                    " VALUES (:organisation_id, :device_no, now())"
                ),
                {"organisation_id": organisation.id, "device_no": one.device_no},
            )
    async with database.scope(organisation.id) as connection:
        another = await store.create_device(connection, organisation.id, "D2")
        assert another.last_seen is None
        changed = await store.update_device(connection, "D1", {"room": "Cellar"})
        assert changed.last_seen is not None


async def test_a_region_is_one_of_the_organisations_own(
    database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        anywhere = await store.create_site(connection, organisation.id, "area", "A", region="atlantis")
        await connection.execute(text("UPDATE kilowatch.organisations SET regions = ARRAY['north', 'south']"))
        kept = await store.update_site(connection, anywhere.id, {"name": "B"})
        assert kept.region == "atlantis"
        await store.update_site(connection, anywhere.id, {"region": "north"})
        await store.create_device(connection, organisation.id, "D1", region="south")
        attempts = (
            lambda: store.create_site(connection, organisation.id, "area", "C", region="west"),
            lambda: store.update_site(connection, anywhere.id, {"region": "west"}),
            lambda: store.create_device(connection, organisation.id, "D2", region="west"),
            lambda: store.update_device(connection, "D1", {"region": "west"}),
        )
        for attempt in attempts:
            with pytest.raises(Problem, match="unknown_region") as refused:
                await attempt()
            assert refused.value.status == 422
            assert [fault.pointer for fault in refused.value.errors] == ["/region"]
            assert "north, south" in refused.value.detail
        await store.update_device(connection, "D1", {"region": None})


@given(st.text(max_size=4) | st.from_regex("[A-Z]{3}", fullmatch=True) | st.none() | st.integers())
def test_a_currency_is_one_of_iso_4217(currency: object) -> None:
    assert bool(site_faults({"currency": currency})) == (currency not in CURRENCIES)


def test_the_currencies_are_those_in_use() -> None:
    assert {"EUR", "USD", "CHF", "JPY", "XCG", "ZWG"} <= CURRENCIES
    assert not CURRENCIES & {"HRK", "BGN", "DEM", "XXX", "XTS", "eur", "ABC"}
    assert all(len(code) == 3 and code.isalpha() and code.isupper() for code in CURRENCIES)


async def test_a_site_has_icon_and_metadata(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        site = await store.create_site(
            connection, organisation.id, "home", "Hut", icon="hut", metadata={"floors": [1, 2]}
        )
        assert (site.icon, site.metadata) == ("hut", {"floors": [1, 2]})
        changed = await store.update_site(connection, site.id, {"metadata": {}, "icon": None})
        assert (changed.icon, changed.metadata) == (None, {})
        wrong: dict[str, Any] = {"icon": "", "metadata": [1], "currency": "ABC"}
        with pytest.raises(Problem) as refused:
            await store.update_site(connection, site.id, wrong)
    assert {fault.pointer for fault in refused.value.errors} == {f"/{name}" for name in wrong}


async def test_a_device_is_switched(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        assert (await store.create_device(connection, organisation.id, "D1")).state == "on"
        pushes = [(None, "off"), (None, "on"), ("standby", "standby"), (None, "on"), ("on", "on")]
        for wanted, state in pushes:
            assert (await store.set_state(connection, "D1", wanted)).state == state
            assert (await store.get_device(connection, "D1")).state == state
        assert [one.id for one in (await store.list_devices(connection, state="on")).items] == ["D1"]
        assert (await store.list_devices(connection, state="off")).items == []
        with pytest.raises(Problem, match="invalid"):
            await store.set_state(connection, "D1", "ajar")
        with pytest.raises(Problem, match="not_found"):
            await store.set_state(connection, "D9", "on")

    async def push(_: int) -> None:
        async with database.scope(organisation.id) as connection:
            await store.set_state(connection, "D1", None)

    await asyncio.gather(*map(push, range(6)))
    async with database.scope(organisation.id) as connection:
        assert (await store.get_device(connection, "D1")).state == "on", "an even number of pushes"


async def test_a_device_is_made_read_changed_and_deleted(
    database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        made = await store.create_device(
            connection,
            organisation.id,
            "heat-pump_1",
            name="Heat pump",
            type="heat-pump",
            room="Cellar",
            rated_power_w=3500.0,
            idle_threshold_w=4,
            metadata={"maker": "Müller", "phases": [1, 2, 3]},
        )
        assert await store.get_device(connection, "heat-pump_1") == made
        changed = await store.update_device(connection, made.id, {"status": "maintenance", "room": None})
        assert (changed.status, changed.room, changed.metadata) == ("maintenance", None, made.metadata)
        assert await store.delete_device(connection, made.id) == made.device_no
        with pytest.raises(Problem) as refused:
            await store.get_device(connection, made.id)
        assert refused.value.status == 404
        again = await store.create_device(connection, organisation.id, made.id)
    assert again.device_no > made.device_no
    assert (again.name, again.type, again.status) == (made.id, "meter", "active")


async def test_all_faults_of_a_device_are_told_at_once(
    database: Database, organisation: Organisation
) -> None:
    wrong: dict[str, Any] = {
        "name": "",
        "type": "Heat Pump",
        "status": "gone",
        "rated_power_w": math.nan,
        "idle_threshold_w": -1,
        "room": "\x00",
        "metadata": {"note": "\x00"},
    }
    with pytest.raises(Problem) as refused:
        async with database.scope(organisation.id) as connection:
            await store.create_device(connection, organisation.id, "-x", **wrong)
    pointers = {fault.pointer for fault in refused.value.errors}
    assert pointers == {f"/{name}" for name in wrong} | {"/id"}


async def test_a_device_id_is_taken_once(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        await store.create_device(connection, organisation.id, "D1")
        with pytest.raises(Problem, match="device_exists"):
            await store.create_device(connection, organisation.id, "D1")


async def test_pages_of_devices_are_complete(database: Database, organisation: Organisation) -> None:
    ids = [f"D{number}" for number in range(7)]
    async with database.scope(organisation.id) as connection:
        await store.register_devices(connection, organisation.id, ids)
        seen, cursor = [], None
        while True:
            page = await store.list_devices(connection, 3, cursor)
            seen += [device.id for device in page.items]
            if (cursor := page.next_cursor) is None:
                break
        other = await store.create_site(connection, organisation.id, "plant", "Works")
        assert (await store.list_devices(connection, site_id=other.id)).items == []
        with pytest.raises(Problem, match="bad_cursor"):
            await store.list_devices(connection, cursor="bm9uc2Vuc2U")
        with pytest.raises(Problem, match="bad_limit"):
            await store.list_devices(connection, limit=501)
    assert seen == ids


async def test_pages_of_sites_are_complete(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        for number in range(4):
            await store.create_site(connection, organisation.id, "area", f"A{number}")
        first = await store.list_sites(connection, 2)
        second = await store.list_sites(connection, 2, first.next_cursor)
        third = await store.list_sites(connection, 2, second.next_cursor)
    names = {site.name for page in (first, second, third) for site in page.items}
    assert names == {"Home", "A0", "A1", "A2", "A3"}
    assert third.next_cursor is None


async def test_registering_twice_changes_nothing(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        first = await store.register_devices(connection, organisation.id, ["b", "a", "a", "no good", ""])
        second = await store.register_devices(connection, organisation.id, ["a", "c", "b"])
        known = await store.find_devices(connection, organisation.id, ["a", "b", "c", "d"])
        last = await connection.execute(text("SELECT max(device_no) - min(device_no) FROM kilowatch.devices"))
    assert set(first) == {"a", "b"}
    assert second == known == {**first, "c": second["c"]}
    assert last.scalar_one() == 2, "devices that existed used up no numbers"


async def test_many_devices_register_at_once_with_one_answer(
    database: Database, organisation: Organisation
) -> None:
    ids = [f"meter-{number:06d}" for number in range(20_000)]

    async def register(names: list[str]) -> dict[str, int]:
        async with database.scope(organisation.id) as connection:
            return await store.register_devices(connection, organisation.id, names)

    first, second = await asyncio.gather(register(ids), register(ids[::-1]))
    assert first == second
    assert len(set(first.values())) == len(ids)
