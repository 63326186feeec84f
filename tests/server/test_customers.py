"""A customer sees what is assigned to them and nothing else: in every list, form and live channel."""

import asyncio
import io

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from websockets.asyncio.client import connect

from kilowatch.accounts.rights import Role
from kilowatch.lake.writing import LakeWriter
from kilowatch.period import MINUTE_US
from kilowatch.postgres.engine import Database, Sight
from kilowatch.postgres.schema import metadata
from kilowatch.sites.store import create_site, update_device
from kilowatch.telemetry.metric import ENERGY_METRIC
from kilowatch.telemetry.store import define_metrics, ensure_series
from tests.server.conftest import House, Listener, Member
from tests.server.persons import Person, list_all, make_staff
from tests.server.test_readings import END, START, measured, sampled

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
SPAN = {"start": "2025-10-25T00:00:00Z", "end": "2025-10-26T00:00:00Z"}


pytestmark = pytest.mark.usefixtures("tokens")


@pytest.fixture
async def staff(house: House, member: Member, lake_writer: LakeWriter) -> dict[Role, Person]:
    """People of each role; D1 stands with D2 in the home and D3 in works of its own, all with readings."""
    organisation = member.organisation.id
    async with house.database.scope(organisation) as connection:
        works = await create_site(connection, organisation, "plant", "Works")
        member.devices |= {"D3": member.devices["D2"] + 1}
        made = await connection.execute(
            text(
                "INSERT INTO kilowatch.devices (organisation_id, id, site_id, name)"
                " VALUES (:organisation, 'D3', :site, 'D3') RETURNING device_no"
            ),
            {"organisation": organisation, "site": works.id},
        )
        member.devices["D3"] = made.scalar_one()
        await update_device(connection, "D3", {"site_id": works.id})
        energy = (await define_metrics(connection, organisation, [ENERGY_METRIC]))["energy_wh"].metric_no
        devices = [member.devices[name] for name in ("D1", "D2", "D3") for _ in range(2)]
        series = await ensure_series(connection, devices, [member.metrics["power"], energy] * 3)
    minutes, quarters = np.arange(START, END, MINUTE_US), np.arange(START, END, 15 * MINUTE_US)
    for place, (power_no, energy_no) in enumerate(series.reshape(3, 2).tolist()):
        lake_writer.commit(sampled(power_no, minutes, np.full(len(minutes), float(place + 1))))
        value = np.full(len(quarters), (place + 1) * 1_000_000)
        lake_writer.commit(measured(energy_no, quarters, value))
    return await make_staff(house.database, organisation)


@pytest.fixture
async def customer(http: httpx.AsyncClient, member: Member, staff: dict[Role, Person]) -> dict[str, str]:
    """Headers of a customer who has D1 and nothing else."""
    await assign(http, member, staff, "meters/D1")
    return staff["customer"].at(member.organisation.id)


async def assign(http: httpx.AsyncClient, member: Member, staff: dict[Role, Person], thing: str) -> None:
    operator = staff["operator"].at(member.organisation.id)
    wanted = {"user_id": str(staff["customer"].user_id)}
    made = await http.post(f"/api/v1/{thing}/assign", json=wanted, headers=operator)
    assert made.status_code == 200, made.text


async def test_without_assignments_there_is_nothing(
    http: httpx.AsyncClient, member: Member, staff: dict[Role, Person]
) -> None:
    customer = staff["customer"].at(member.organisation.id)
    for path in ("sites", "devices", "readings/latest"):
        answer = await http.get(f"/api/v1/{path}", headers=customer)
        assert answer.status_code == 200
        assert not any(one for key, one in answer.json().items() if key != "next_cursor"), answer.text


async def test_lists_hold_what_is_assigned(
    http: httpx.AsyncClient, member: Member, staff: dict[Role, Person], customer: dict[str, str]
) -> None:
    assert [one["id"] for one in await list_all(http, "/api/v1/devices", customer)] == ["D1"]
    (home,) = await list_all(http, "/api/v1/sites", customer)
    assert home["name"] == "Home"
    whole = (await http.get("/api/v1/sites", headers=member.bearer())).json()["items"]
    works = next(site["id"] for site in whole if site["name"] == "Works")
    assert (await http.get(f"/api/v1/sites/{works}", headers=customer)).status_code == 404
    assert (await http.get(f"/api/v1/sites/{home['id']}", headers=customer)).status_code == 200
    for device, status in (("D1", 200), ("D2", 404), ("D3", 404)):
        answer = await http.get(f"/api/v1/devices/{device}", headers=customer)
        assert answer.status_code == status
    await assign(http, member, staff, f"sites/{works}")
    assert [one["id"] for one in await list_all(http, "/api/v1/devices", customer)] == ["D1", "D3"]
    assert {one["name"] for one in await list_all(http, "/api/v1/sites", customer)} == {"Home", "Works"}
    # What comes later into an assigned site is seen, too.
    wanted = {"id": "D4", "site_id": works}
    await http.post("/api/v1/devices", json=wanted, headers=member.bearer("admin"))
    assert [one["id"] for one in await list_all(http, "/api/v1/devices", customer)] == ["D1", "D3", "D4"]


async def test_readings_in_every_form_are_those_of_assigned_devices(
    http: httpx.AsyncClient, member: Member, customer: dict[str, str]
) -> None:
    for device in ("D1", "D2", "D3"):
        for form in ("application/json", "text/csv", ARROW, PARQUET):
            asked = {**SPAN, "metrics": "power", "resolution": "1h"}
            answer = await http.get(
                f"/api/v1/devices/{device}/readings", params=asked, headers=customer | {"Accept": form}
            )
            assert answer.status_code == (200 if device == "D1" else 404), (device, form)
            if device == "D1":
                rows = {
                    "application/json": lambda body: body.count(b"T"),
                    "text/csv": lambda body: pa_csv.read_csv(io.BytesIO(body)).num_rows,
                    ARROW: lambda body: pa.ipc.open_stream(body).read_all().num_rows,
                    PARQUET: lambda body: pq.read_table(io.BytesIO(body)).num_rows,
                }[form](answer.content)
                assert rows >= 24
    latest = await http.get("/api/v1/readings/latest", headers=customer)
    assert "D1" in latest.text
    assert not {"D2", "D3"} & set(latest.text.split('"'))


async def test_the_energy_of_a_site_is_that_of_the_devices_that_are_seen(
    http: httpx.AsyncClient, member: Member, staff: dict[Role, Person], customer: dict[str, str]
) -> None:
    (home,) = await list_all(http, "/api/v1/sites", customer)
    path, asked = f"/api/v1/sites/{home['id']}/energy", {**SPAN, "resolution": "1d"}
    mine = (await http.get(path, params=asked, headers=customer)).json()
    whole = (await http.get(path, params=asked, headers=member.bearer())).json()
    assert [one["device"] for one in mine["devices"]] == ["D1"]
    assert [one["device"] for one in whole["devices"]] == ["D1", "D2"]
    assert mine["total"]["energy_wh"] == mine["devices"][0]["energy_wh"] > 0
    assert whole["total"]["energy_wh"] == pytest.approx(3 * mine["total"]["energy_wh"])
    await assign(http, member, staff, f"sites/{home['id']}")
    after = (await http.get(path, params=asked, headers=customer)).json()
    assert after["total"] == whole["total"]


async def test_live_tells_what_is_assigned_and_follows_at_once(
    house: House, http: httpx.AsyncClient, member: Member, staff: dict[Role, Person], customer: dict[str, str]
) -> None:
    url = f"ws://127.0.0.1:{house.port}/api/v1/live"
    async with connect(url, additional_headers=customer) as socket:
        listener = Listener(socket)
        await listener.subscribe("*")
        await listener.say(type="ping")
        await listener.hear_until("pong")
        heard = await devices_heard(house, member, listener, until="D1")
        assert heard == {"D1"}
        await assign(http, member, staff, "meters/D2")
        assert "D3" not in await devices_heard(house, member, listener, until="D2")
        gone = await http.delete(
            f"/api/v1/meters/D1/assign/{staff['customer'].user_id}", headers=member.bearer("admin")
        )
        assert gone.status_code == 204
        async with asyncio.timeout(10):
            while "D1" in await devices_heard(house, member, listener, until="D2"):
                continue


async def devices_heard(house: House, member: Member, listener: Listener, until: str) -> set[str]:
    """Publishes readings of every device until one is told of `until`; what the last round told."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + 5
    while loop.time() < ends:
        for device in ("D1", "D3", "D2"):
            await house.publish(member, device, round(loop.time() * 1_000_000), power=1.0)
        await listener.say(type="ping")
        told = len(listener.told)
        try:
            async with asyncio.timeout(0.3):
                while True:
                    await listener.hear()
        except TimeoutError:
            pass
        batches = [one for one in listener.told[told:] if one["type"] == "batch"]
        heard = {one["data"]["device"] for batch in batches for one in batch["messages"]}
        if until in heard:
            return heard
    pytest.fail(f"nothing was told of {until}")


async def test_events_tell_a_customer_the_same(
    house: House, http: httpx.AsyncClient, member: Member, customer: dict[str, str]
) -> None:
    async with http.stream("GET", "/api/v1/stream?topics=*", headers=customer) as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        heard = ""
        async with asyncio.timeout(5):
            while '"D1"' not in heard:
                for device in ("D3", "D2", "D1"):
                    await house.publish(
                        member, device, round(asyncio.get_running_loop().time() * 1e6), power=1.0
                    )
                heard += await anext(lines)
    assert '"D2"' not in heard
    assert '"D3"' not in heard


async def test_a_customer_changes_nothing_even_without_a_guard(
    database: Database, worker_database: Database, member: Member, staff: dict[Role, Person]
) -> None:
    """The database itself refuses, also for what is assigned to them."""
    organisation = member.organisation.id
    user_id = staff["customer"].user_id
    async with database.scope(organisation) as connection:
        for insert in (
            "INSERT INTO kilowatch.device_assignments (organisation_id, user_id, device_no)"
            " SELECT organisation_id, :user, device_no FROM kilowatch.devices",
            "INSERT INTO kilowatch.site_assignments (organisation_id, user_id, site_id)"
            " SELECT organisation_id, :user, id FROM kilowatch.sites",
        ):
            await connection.execute(text(insert), {"user": user_id})
    before = await rows_of(worker_database, member)
    for table in metadata.sorted_tables:
        if "organisation_id" not in table.columns and table.name != "organisations":
            continue  # a person's own
        for change in (f"DELETE FROM {table.fullname}", f"UPDATE {table.fullname} SET {set_of(table.name)}"):  # noqa: S608
            try:
                async with database.scope(Sight(organisation, user_id, True)) as connection:
                    await connection.execute(text(change))
            except DBAPIError as refused:
                words = str(refused)
                allowed = "row-level security" in words or "permission denied" in words
                assert allowed, change
    assert await rows_of(worker_database, member) == before


def set_of(table: str) -> str:
    """An assignment that leaves a row of this table as it is."""
    columns = [column.name for column in metadata.tables[f"kilowatch.{table}"].columns if not column.identity]
    return f"{columns[-1]} = {columns[-1]}"


async def rows_of(worker: Database, member: Member) -> dict[str, list[str]]:
    """Every row of the organisation with the transaction that wrote it."""
    async with worker.scope(member.organisation.id) as connection:
        return {
            table.name: sorted(
                (
                    await connection.execute(text(f"SELECT t.xmin::text || t::text FROM {table.fullname} t"))  # noqa: S608
                ).scalars()
            )
            for table in metadata.sorted_tables
            if "organisation_id" in table.columns or table.name == "organisations"
        }


async def test_only_customers_of_the_organisation_are_assigned_something(
    http: httpx.AsyncClient, member: Member, stranger: Member, staff: dict[Role, Person]
) -> None:
    admin = member.bearer("admin")
    customer = str(staff["customer"].user_id)
    for user_id, status, code in (
        (str(staff["viewer"].user_id), 422, "no_customer"),
        (str(stranger.organisation.id), 404, "not_found"),
    ):
        refused = await http.post("/api/v1/meters/D1/assign", json={"user_id": user_id}, headers=admin)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    absent = await http.post("/api/v1/meters/D9/assign", json={"user_id": customer}, headers=admin)
    assert absent.status_code == 404
    (theirs, *_) = (await http.get("/api/v1/sites", headers=stranger.bearer())).json()["items"]
    for path in (f"sites/{theirs['id']}", "meters/never-was", "meters/no id"):
        refused = await http.post(f"/api/v1/{path}/assign", json={"user_id": customer}, headers=admin)
        assert refused.status_code == 404
        assert (await http.delete(f"/api/v1/{path}/assign/{customer}", headers=admin)).status_code == 404
    first = await http.post("/api/v1/meters/D1/assign", json={"user_id": customer}, headers=admin)
    again = await http.post("/api/v1/meters/D1/assign", json={"user_id": customer}, headers=admin)
    assert (first.status_code, first.json()) == (200, again.json())
    (home, *_) = (await http.get("/api/v1/sites", headers=admin)).json()["items"]
    for thing in ("meters/D2", "meters/D3", f"sites/{home['id']}"):
        await assign(http, member, staff, thing)
    path = f"/api/v1/organisations/{member.organisation.id}/members"
    listed = await list_all(http, f"{path}/{customer}/assignments", admin)
    shown = [(one["kind"], one["id"]) for one in listed]
    assert shown == [("device", "D1"), ("device", "D2"), ("device", "D3"), ("site", home["id"])]
    nobody = await http.get(f"{path}/{stranger.organisation.id}/assignments", headers=admin)
    assert nobody.status_code == 404
    gone = await http.delete(f"{path}/{customer}", headers=staff["admin"].headers)
    assert gone.status_code == 204
    assert (await http.get(f"{path}/{customer}/assignments", headers=admin)).status_code == 404
