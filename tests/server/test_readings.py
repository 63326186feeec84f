"""Reading back over a real lake: the same numbers in every form and resolution, and sums that are exact."""

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from kilowatch.clock import rfc3339, to_us
from kilowatch.lake.writing import LakeWriter
from kilowatch.period import DAY_US, HOUR_US, MINUTE_US, Resolution, local_buckets
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import create_site, update_device
from kilowatch.telemetry.metric import ENERGY_METRIC
from kilowatch.telemetry.resample import Partials, partials_of
from kilowatch.telemetry.store import define_metrics, ensure_series
from tests.server.conftest import Member

ZONE = "Europe/Berlin"
# The clocks go back in Berlin on 26 October 2025, a day of 25 hours.
START = to_us(datetime.fromisoformat("2025-10-25T00:00:00+02:00"))
END = to_us(datetime.fromisoformat("2025-10-28T00:00:00+01:00"))
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


@dataclass
class Stored:
    """A site in Berlin with two devices: minutes of power, a state and exact energy over three days."""

    member: Member
    site_id: str
    ts_us: Any
    power: Any
    energy: dict[str, Any]


def rollup_table(rows: Partials) -> pa.Table:
    stamps = pa.timestamp("us")
    return pa.table(
        {
            "series_no": pa.array(rows.series, pa.int32()),
            "bucket": pa.array(rows.bucket_us).cast(stamps),
            "count": rows.count,
            "sum": rows.sum,
            "min": rows.min,
            "max": rows.max,
            "first": rows.first,
            "first_ts": pa.array(rows.first_us).cast(stamps),
            "last": rows.last,
            "last_ts": pa.array(rows.last_us).cast(stamps),
            "covered_us": rows.covered_us,
        }
    )


def sampled(series_no: Any, ts_us: Any, value: Any) -> dict[str, pa.Table]:
    """A series, or rows of several, as the worker stores it: samples and every roll-up."""
    series = np.full(len(ts_us), series_no, dtype=np.int32)
    stamps = pa.array(ts_us).cast(pa.timestamp("us"))
    tables = {"samples": pa.table({"series_no": series, "ts": stamps, "value": value})}
    for tier in ("1m", "15m", "1h", "1d"):
        buckets = local_buckets(ts_us, ZONE, tier)
        tables[f"rollups_{tier}"] = rollup_table(partials_of(series, ts_us, value, buckets))
    return tables


def measured(series_no: int, quarter_us: Any, energy_uwh: Any) -> dict[str, pa.Table]:
    """Canonical energy as the worker stores it."""
    series = np.full(len(quarter_us), series_no, dtype=np.int32)
    value = energy_uwh.astype(np.float64)
    covered = np.full(len(quarter_us), 15 * MINUTE_US)
    return {
        f"rollups_{tier}": rollup_table(
            partials_of(series, quarter_us, value, local_buckets(quarter_us, ZONE, tier), covered)
        )
        for tier in ("15m", "1h", "1d")
    }


@pytest.fixture
async def stored(database: Database, member: Member, lake_writer: LakeWriter) -> Stored:
    """Three days of data in the lake."""
    organisation_id = member.organisation.id
    async with database.scope(organisation_id) as connection:
        site = await create_site(connection, organisation_id, "home", "Berlin", ZONE)
        for device in ("D1", "D2"):
            await update_device(connection, device, {"site_id": site.id})
        energy_no = (await define_metrics(connection, organisation_id, [ENERGY_METRIC]))[
            "energy_wh"
        ].metric_no
        devices = [member.devices["D1"]] * 3 + [member.devices["D2"]]
        metrics = [member.metrics["power"], member.metrics["state"], energy_no, energy_no]
        power_no, state_no, first, second = (await ensure_series(connection, devices, metrics)).tolist()
    ts_us = np.arange(START, END, MINUTE_US)
    random = np.random.default_rng(2)
    power = random.normal(500, 100, len(ts_us)).round(2)
    state = (np.arange(len(ts_us)) // 600 % 3).astype(np.float64)
    quarters = np.arange(START, END, 15 * MINUTE_US)
    energy = {name: random.integers(0, 10**9, len(quarters)) for name in ("D1", "D2")}
    for tables in (
        sampled(power_no, ts_us, power),
        sampled(state_no, ts_us, state),
        measured(first, quarters, energy["D1"]),
        measured(second, quarters, energy["D2"]),
    ):
        lake_writer.commit(tables)
    return Stored(member, str(site.id), ts_us, power, energy)


async def read(
    http: httpx.AsyncClient, stored: Stored, accept: str | None = None, **asked: Any
) -> httpx.Response:
    params = {"start": rfc3339(START), "end": rfc3339(END)} | asked
    headers = stored.member.bearer() | ({"Accept": accept} if accept else {})
    response = await http.get("/api/v1/devices/D1/readings", params=params, headers=headers)
    assert response.status_code == 200, response.text
    return response


async def test_raw_is_what_was_sent(http: httpx.AsyncClient, stored: Stored) -> None:
    body = (await read(http, stored, metrics="power", resolution="raw")).json()
    (series,) = body["series"]
    assert (body["device"], body["resolution"], body["time_zone"]) == ("D1", "raw", ZONE)
    assert (series["metric"], series["unit"], series["kind"]) == ("power", "W", "gauge")
    assert [value for _, value in series["points"]] == stored.power.tolist()
    assert series["points"][0][0] == rfc3339(START)
    assert series["coverage"] == 1.0


@pytest.mark.parametrize(("resolution", "count"), [("1m", 4380), ("15m", 292), ("1h", 73), ("1d", 3)])
@pytest.mark.parametrize("agg", ["mean", "min", "max", "sum", "last"])
async def test_every_tier_and_aggregate_is_that_of_its_samples(
    http: httpx.AsyncClient, stored: Stored, resolution: Resolution, count: int, agg: str
) -> None:
    body = (await read(http, stored, metrics="power", resolution=resolution, agg=agg)).json()
    (series,) = body["series"]
    buckets = local_buckets(stored.ts_us, ZONE, resolution)
    expected = []
    for bucket in np.unique(buckets):
        values = stored.power[buckets == bucket]
        found = {"mean": values.mean(), "min": values.min(), "max": values.max(), "sum": values.sum()}
        expected.append((rfc3339(int(bucket)), found.get(agg, values[-1])))
    assert len(expected) == count
    assert [ts for ts, _ in series["points"]] == [ts for ts, _ in expected]
    assert [value for _, value in series["points"]] == pytest.approx(
        [value for _, value in expected], rel=1e-12
    )
    assert series["agg"] == agg


async def test_states_are_read_back_by_name(http: httpx.AsyncClient, stored: Stored) -> None:
    body = (await read(http, stored, metrics="state", resolution="1h", agg="mean")).json()
    (series,) = body["series"]
    assert series["agg"] == "last"
    assert {value for _, value in series["points"]} == {"off", "on", "standby"}


@pytest.mark.parametrize("limit", [1, 2, 3, 50, 100, 300, 1000, 5000])
async def test_auto_never_returns_more_points_than_asked_for(
    http: httpx.AsyncClient, stored: Stored, limit: int
) -> None:
    body = (await read(http, stored, limit_points=limit)).json()
    assert [series["metric"] for series in body["series"]] == ["power", "state", "energy_wh"]
    assert all(0 < len(series["points"]) <= limit for series in body["series"])
    total = sum(Fraction(str(value)) for _, value in body["series"][2]["points"])
    assert total * 10**6 == int(stored.energy["D1"].sum())
    # A request of one, two or three days' worth of points puts whole days together.
    expected = {1: "3d", 2: "2d", 3: "1d", 50: "1d", 100: "1h", 300: "15m", 1000: "15m", 5000: "raw"}
    assert body["resolution"] == expected[limit]


async def test_energy_is_the_canonical_one_when_the_device_reports_none(
    http: httpx.AsyncClient, stored: Stored
) -> None:
    body = (await read(http, stored, metrics="energy", resolution="1h")).json()
    (series,) = body["series"]
    assert (series["metric"], series["unit"], series["agg"], series["coverage"]) == (
        "energy",
        "Wh",
        "sum",
        1.0,
    )
    total = sum(Fraction(str(value)) for _, value in series["points"])
    assert total * 10**6 == int(stored.energy["D1"].sum())


@pytest.mark.parametrize("resolution", ["raw", "15m", "auto"])
async def test_every_form_has_the_same_rows(http: httpx.AsyncClient, stored: Stored, resolution: str) -> None:
    asked = {"resolution": resolution}
    rows = [
        (series["metric"], series["unit"], ts, value)
        for series in (await read(http, stored, **asked)).json()["series"]
        for ts, value in series["points"]
    ]
    arrow = pa.ipc.open_stream((await read(http, stored, ARROW, **asked)).content).read_all()
    parquet = pq.read_table(io.BytesIO((await read(http, stored, PARQUET, **asked)).content))
    assert arrow.equals(parquet)
    shown = [
        state if state is not None else value
        for state, value in zip(arrow["state"].to_pylist(), arrow["value"].to_pylist(), strict=True)
    ]
    times = [rfc3339(ts) for ts in arrow["ts"].cast(pa.int64()).to_pylist()]
    assert (
        list(zip(arrow["metric"].to_pylist(), arrow["unit"].to_pylist(), times, shown, strict=True)) == rows
    )
    csv = (await read(http, stored, "text/csv", **asked)).content
    text = pa_csv.ConvertOptions(column_types={"value": pa.string(), "ts": pa.string()})
    table = pa_csv.read_csv(io.BytesIO(csv), convert_options=text)
    assert table["ts"].to_pylist() == times
    numbers = [value if isinstance(value, str) else float(value) for value in shown]
    read_back = [
        value if isinstance(number, str) else float(value)
        for value, number in zip(table["value"].to_pylist(), numbers, strict=True)
    ]
    assert read_back == numbers


@pytest.mark.parametrize(("resolution", "count"), [("15m", 292), ("1h", 73), ("1d", 3)])
async def test_the_energy_of_a_site_is_exactly_the_sum_of_its_devices(
    http: httpx.AsyncClient, stored: Stored, resolution: str, count: int
) -> None:
    response = await http.get(
        f"/api/v1/sites/{stored.site_id}/energy",
        params={"start": rfc3339(START), "end": rfc3339(END), "resolution": resolution},
        headers=stored.member.bearer(),
    )
    body = response.json()
    assert (body["unit"], body["resolution"], body["time_zone"]) == ("Wh", resolution, ZONE)
    assert (body["currency"], body["price_per_kwh"]) == ("EUR", "0.30")
    sums: dict[str, Fraction] = {}
    for part in body["devices"]:
        assert len(part["points"]) == count
        assert part["coverage"] == 1.0
        exact = sum(Fraction(str(value)) for _, value in part["points"]) * 10**6
        assert exact == Fraction(str(part["energy_wh"])) * 10**6 == int(stored.energy[part["device"]].sum())
        for ts, value in part["points"]:
            sums[ts] = sums.get(ts, Fraction(0)) + Fraction(str(value))
    assert [[ts, float(value)] for ts, value in sums.items()] == body["total"]["points"]
    assert Fraction(str(body["total"]["energy_wh"])) == sum(sums.values())


async def test_a_sites_own_price_goes_before_the_instances(http: httpx.AsyncClient, stored: Stored) -> None:
    path, admin = f"/api/v1/sites/{stored.site_id}", stored.member.bearer("admin")
    for price, holds in (("0.415", "0.415"), (None, "0.30")):
        assert (await http.patch(path, json={"price_per_kwh": price}, headers=admin)).status_code == 200
        body = (await http.get(f"{path}/energy", headers=admin)).json()
        assert (body["price_per_kwh"], body["currency"]) == (holds, "EUR")


async def test_a_month_of_energy_is_exactly_the_sum_of_its_days(
    http: httpx.AsyncClient, stored: Stored
) -> None:
    path, headers = f"/api/v1/sites/{stored.site_id}/energy", stored.member.bearer()
    asked = {"start": rfc3339(START + DAY_US), "end": rfc3339(END), "resolution": "1mo", "devices": "D2"}
    body = (await http.get(path, params=asked, headers=headers)).json()
    (part,) = body["devices"]
    assert (body["resolution"], part["device"]) == ("1mo", "D2")
    # The month is whole: it has the day before the span too.
    assert part["points"] == [["2025-09-30T22:00:00Z", int(stored.energy["D2"].sum()) / 10**6]]
    assert body["total"]["points"] == part["points"]
    assert part["coverage"] == pytest.approx(3 / 31, abs=0.002)


@pytest.mark.parametrize("resolution", ["15m", "1h", "1d", "1mo"])
async def test_the_energy_of_a_site_has_the_same_rows_in_every_form(
    http: httpx.AsyncClient, stored: Stored, resolution: str
) -> None:
    path, bearer = f"/api/v1/sites/{stored.site_id}/energy", stored.member.bearer()
    asked = {"start": rfc3339(START), "end": rfc3339(END), "resolution": resolution}
    body = (await http.get(path, params=asked, headers=bearer)).json()
    shown = [
        (one["device"], "energy_wh", "Wh", ts, value)
        for one in body["devices"]
        for ts, value in one["points"]
    ]
    assert shown
    table = await http.get(path, params=asked, headers=bearer | {"Accept": "text/csv"})
    assert _lines(table.text) == shown
    parquet = await http.get(path, params=asked, headers=bearer | {"Accept": PARQUET})
    assert _rows(parquet.content) == shown


async def test_readings_of_several_devices_are_those_of_each(http: httpx.AsyncClient, stored: Stored) -> None:
    path, bearer = f"/api/v1/sites/{stored.site_id}/readings", stored.member.bearer()
    asked = {"start": rfc3339(START), "end": rfc3339(END), "metrics": "power,energy", "limit_points": "100"}
    body = (await http.get(path, params=asked, headers=bearer)).json()
    assert body["resolution"] == "1h"
    assert [(one["device"], [own["metric"] for own in one["series"]]) for one in body["devices"]] == [
        ("D1", ["power", "energy"]),
        ("D2", ["energy"]),
    ]
    alone = (await read(http, stored, metrics="power,energy", resolution="1h")).json()
    assert body["devices"][0]["series"] == alone["series"]
    shown = [
        (one["device"], own["metric"], own["unit"], ts, value)
        for one in body["devices"]
        for own in one["series"]
        for ts, value in own["points"]
    ]
    table = await http.get(path, params=asked, headers=bearer | {"Accept": "text/csv"})
    assert _lines(table.text) == shown
    parquet = await http.get(path, params=asked, headers=bearer | {"Accept": PARQUET})
    assert _rows(parquet.content) == shown


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"metrics": "warp"}, 422, "unknown_metric"),
        ({"devices": "D1,nowhere"}, 404, "not_found"),
        ({"devices": ",".join(f"m{at}" for at in range(101))}, 422, "too_many_devices"),
        ({"start": "yesterday"}, 422, "bad_span"),
    ],
)
async def test_what_a_site_does_not_have_is_refused(
    http: httpx.AsyncClient, stored: Stored, asked: dict[str, str], status: int, code: str
) -> None:
    path = f"/api/v1/sites/{stored.site_id}/readings"
    response = await http.get(path, params=asked, headers=stored.member.bearer())
    assert (response.status_code, response.json()["code"]) == (status, code)


def _lines(text: str) -> list[tuple[str, str, str, str, float]]:
    _, *rows = csv.reader(text.splitlines())
    return [(device, metric, unit, ts, float(value)) for device, metric, unit, ts, value in rows]


def _rows(parquet: bytes) -> list[tuple[str, str, str, str, float]]:
    table = pq.read_table(io.BytesIO(parquet))
    times = [rfc3339(to_us(ts)) for ts in table["ts"].to_pylist()]
    columns = [table[name].to_pylist() for name in ("device", "metric", "unit")]
    return list(zip(*columns, times, table["value"].to_pylist(), strict=True))


async def test_the_newest_values_are_those_of_the_newest_samples(
    http: httpx.AsyncClient, stored: Stored
) -> None:
    params = {"site_id": stored.site_id}
    body = (await http.get("/api/v1/readings/latest", params=params, headers=stored.member.bearer())).json()
    assert [one["device"] for one in body["items"]] == ["D1", "D2"]
    values = {one["metric"]: (one["ts"], one["value"]) for one in body["items"][0]["metrics"]}
    newest = rfc3339(int(stored.ts_us[-1]))
    assert values == {"power": (newest, stored.power[-1]), "state": (newest, "on")}
    assert body["items"][1]["metrics"] == []


async def test_a_gap_lowers_coverage_and_the_future_does_not(http: httpx.AsyncClient, stored: Stored) -> None:
    before = {"start": rfc3339(START - 3 * DAY_US - HOUR_US), "resolution": "1h"}
    half = (await read(http, stored, metrics="power,energy", **before)).json()["series"]
    assert [series["coverage"] for series in half] == pytest.approx([0.5, 0.5], abs=0.01)
    ahead = {"end": "2190-01-01T00:00:00Z", "resolution": "1d", "metrics": "power"}
    (long,) = (await read(http, stored, **ahead)).json()["series"]
    assert 0 < long["coverage"] < 0.05


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"start": "yesterday"}, "bad_span"),
        ({"start": "2025-01-01T00:00:00"}, "bad_span"),
        ({"end": "1969-01-01T00:00:00Z"}, "bad_span"),
        ({"end": "99999999999999999"}, "bad_span"),
        ({"start": "2025-01-02T00:00:00Z", "end": "2025-01-01T00:00:00Z"}, "bad_span"),
        ({"metrics": "power,nope"}, "unknown_metric"),
        ({"resolution": "5m"}, "invalid"),
        ({"agg": "median"}, "invalid"),
        ({"limit_points": "0"}, "invalid"),
        ({"start": "0", "end": "2199-01-01T00:00:00Z", "resolution": "1m"}, "too_many_points"),
    ],
)
async def test_a_question_that_makes_no_sense_is_answered_with_what_is_wrong(
    http: httpx.AsyncClient, stored: Stored, asked: dict[str, str], code: str
) -> None:
    for accept in ("application/json", "text/csv"):
        headers = stored.member.bearer() | {"Accept": accept}
        response = await http.get("/api/v1/devices/D1/readings", params=asked, headers=headers)
        assert (response.status_code, response.json()["code"]) == (422, code)


async def test_a_form_that_we_do_not_write_is_406(http: httpx.AsyncClient, stored: Stored) -> None:
    headers = stored.member.bearer() | {"Accept": "text/html"}
    response = await http.get("/api/v1/devices/D1/readings", headers=headers)
    assert response.status_code == 406


async def test_times_may_be_milliseconds_and_offsets(http: httpx.AsyncClient, stored: Stored) -> None:
    asked = {"metrics": "power", "resolution": "1d"}
    plain = await read(http, stored, **asked)
    millis = await read(http, stored, **asked, start=str(START // 1000), end=str(END // 1000))
    offset = await read(
        http, stored, **asked, start="2025-10-25T00:00:00+02:00", end="2025-10-28T00:00:00 01:00"
    )
    assert plain.json() == millis.json() == offset.json()
