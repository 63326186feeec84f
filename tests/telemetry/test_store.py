"""Metrics, series, energy sources, dead letters and remembered requests on a real PostgreSQL."""

import asyncio
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kilowatch.accounts.store.api_keys import create_api_key
from kilowatch.accounts.store.organisations import Organisation, delete_organisation
from kilowatch.errors import Problem
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Connection, Database
from kilowatch.sites.store import create_device, create_site, delete_device, register_devices, update_device
from kilowatch.telemetry import store
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.metric import Metric, StoredMetric
from kilowatch.telemetry.source import DeviceSource
from kilowatch.telemetry.store import letters

DOORS = ("http", "mqtt")
NOON = datetime(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC)


async def add_device(connection: Connection, organisation: Organisation, name: str, *metrics: str) -> int:
    """A device that has sent these metrics."""
    device_no = (await create_device(connection, organisation.id, name)).device_no
    await send(connection, organisation, device_no, *metrics)
    return device_no


async def send(connection: Connection, organisation: Organisation, device_no: int, *metrics: str) -> None:
    known = await store.ensure_metrics(connection, organisation.id, metrics)
    numbers = [known[name].metric_no for name in metrics]
    await store.ensure_series(connection, [device_no] * len(numbers), numbers)


async def test_no_metric_is_made_for_an_organisation_that_is_being_deleted(
    database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        await delete_organisation(connection, organisation.id)
        late = asyncio.create_task(define(database, organisation))
        await asyncio.wait([late], timeout=0.3)
    assert await late == {}


async def define(database: Database, organisation: Organisation) -> dict[str, StoredMetric]:
    async with database.scope(organisation.id) as connection:
        return await store.ensure_metrics(connection, organisation.id, ["power"])


async def test_known_names_mean_what_the_catalogue_says(
    database: Database, organisation: Organisation
) -> None:
    names = ["power", "energy", "state", "voltage_l2", "flux", "energy_wh", "no good"]
    async with database.scope(organisation.id) as connection:
        made = await store.ensure_metrics(connection, organisation.id, names)
        assert await store.ensure_metrics(connection, organisation.id, names) == made
        assert await store.find_metrics(connection, organisation.id) == made
        assert await store.find_metrics(connection, organisation.id, ["flux", "none"]) == {
            "flux": made["flux"]
        }
    assert {name: stored.metric for name, stored in made.items()} == {
        "power": Metric("power", "W"),
        "energy": Metric("energy", "kWh", "counter"),
        "state": Metric("state", "", "state", ("off", "on", "standby")),
        "voltage_l2": Metric("voltage_l2", "V", minimum=0.0),
        "flux": Metric("flux"),
    }


async def test_a_metric_stays_as_it_was_defined_first(database: Database, organisation: Organisation) -> None:
    mine = Metric("flux", "Wb", "state", ("low", "high"), None, None)
    async with database.scope(organisation.id) as connection:
        first = await store.define_metrics(connection, organisation.id, [mine, Metric("power", "kW")])
        again = await store.ensure_metrics(connection, organisation.id, ["power", "flux"])
    assert again == first
    assert first["flux"].metric == mine


async def test_metrics_made_at_once_get_one_number(database: Database, organisation: Organisation) -> None:
    names = [f"m{number}" for number in range(300)]

    async def ensure(wanted: list[str]) -> dict[str, StoredMetric]:
        async with database.scope(organisation.id) as connection:
            return await store.ensure_metrics(connection, organisation.id, wanted)

    first, second = await asyncio.gather(ensure(names), ensure(names[::-1]))
    assert first == second


async def test_many_series_are_numbered_in_the_order_asked(
    database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        ids = [f"D{number}" for number in range(10_000)]
        devices = await register_devices(connection, organisation.id, ids)
        metrics = await store.ensure_metrics(
            connection, organisation.id, ["power", "energy", "voltage", "state"]
        )
    device_nos = np.repeat(np.array(list(devices.values()), np.int32), 4)
    metric_nos = np.tile(np.array([stored.metric_no for stored in metrics.values()], np.int32), len(devices))

    async def ensure(order: slice) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
        async with database.scope(organisation.id) as connection:
            return await store.ensure_series(connection, device_nos[order], metric_nos[order])

    first, second = await asyncio.gather(ensure(slice(None)), ensure(slice(None, None, -1)))
    assert (first == second[::-1]).all()
    assert len(np.unique(first)) == 40_000
    assert first.dtype == np.int32
    assert (await ensure(slice(None)) == first).all()
    async with database.scope(organisation.id) as connection:
        listed = await store.list_series(connection, device_nos[:4])
    assert [(series.device, series.metric) for series in listed] == [
        (ids[0], name) for name in sorted(metrics)
    ]


async def test_pairs_of_strangers_have_no_series(
    database: Database,
    worker_database: Database,
    organisation: Organisation,
    other_organisation: Organisation,
) -> None:
    async with database.scope(organisation.id) as connection:
        mine = await add_device(connection, organisation, "D1", "power")
        power = (await store.find_metrics(connection, organisation.id))["power"].metric_no
    async with database.scope(other_organisation.id) as connection:
        theirs = await add_device(connection, other_organisation, "D1", "power")
    async with worker_database.unscoped() as connection:
        numbers = await store.ensure_series(connection, [mine, theirs, 2_000_000_000], [power] * 3)
    assert numbers[0] > 0
    assert numbers[1:].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("metrics", "source"),
    [
        (["power", "energy_interval", "voltage", "energy"], "energy"),
        (["power", "energy_interval", "energy_export"], "energy_interval"),
        (["power", "power_l1", "energy_l1"], "power"),
        (["energy_import", "energy_export"], "energy_import"),
        (["voltage", "reactive_energy", "energy_export"], None),
        ([], None),
    ],
)
async def test_energy_is_made_from_the_best_metric(
    worker_database: Database,
    database: Database,
    organisation: Organisation,
    metrics: list[str],
    source: str | None,
) -> None:
    async with database.scope(organisation.id) as connection:
        device_no = await add_device(connection, organisation, "D1", *metrics)
    async with worker_database.unscoped() as connection:
        found = (await store.device_sources(connection, [device_no]))[0]
        assert found.metric == source
        assert (found.energy_series_no is None) == (source is None)
        assert await store.device_sources(connection, [device_no]) == [found]
        known = await store.list_series(connection, [device_no])
    assert ("energy_wh" in {series.metric for series in known}) == (source is not None)


async def test_a_source_once_chosen_stays(
    worker_database: Database, database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        plant = await create_site(connection, organisation.id, "plant", "Works", "Asia/Kathmandu")
        device_no = await add_device(connection, organisation, "D1", "power")
        await update_device(connection, "D1", {"site_id": plant.id, "rated_power_w": 1500})
    async with worker_database.unscoped() as connection:
        first = (await store.device_sources(connection, np.array([device_no], np.int32)))[0]
        await send(connection, organisation, device_no, "energy")
        second = (await store.device_sources(connection, [device_no]))[0]
    assert second == first
    assert (first.metric, first.kind, first.unit) == ("power", "gauge", "W")
    assert (first.device, first.organisation_id) == ("D1", organisation.id)
    assert (first.time_zone, first.rated_power_w) == ("Asia/Kathmandu", 1500.0)


async def test_sources_of_many_organisations_come_in_one_call(
    worker_database: Database,
    database: Database,
    organisation: Organisation,
    other_organisation: Organisation,
) -> None:
    numbers = []
    for owner in (organisation, other_organisation):
        async with database.scope(owner.id) as connection:
            numbers.append(await add_device(connection, owner, "D1", "energy", "power"))

    async def ask(order: list[int]) -> list[DeviceSource]:
        async with worker_database.unscoped() as connection:
            return await store.device_sources(connection, order)

    first, second = await asyncio.gather(ask(numbers), ask(numbers[::-1]))
    assert first == second
    assert [source.organisation_id for source in first] == [organisation.id, other_organisation.id]
    assert len({source.energy_series_no for source in first}) == 2
    async with database.scope(organisation.id) as connection:
        await delete_device(connection, "D1")
    assert [source.organisation_id for source in await ask(numbers)] == [other_organisation.id]


def letter(organisation: Organisation, number: int, source: str | None = None) -> NewDeadLetter:
    moment = NOON + timedelta(seconds=number // 2)
    return NewDeadLetter(
        organisation.id, f"D{number}", "http", "conflict", "why", {"n": number}, moment, source
    )


async def test_a_dead_letter_is_kept_listed_replayed_and_deleted(
    database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        kept_codes = await letters.keep_dead_letters(connection, [letter(organisation, n) for n in range(5)])
        assert kept_codes == ["conflict"] * 5
        first = await letters.list_dead_letters(connection, 2)
        second = await letters.list_dead_letters(connection, 2, first.next_cursor)
        third = await letters.list_dead_letters(connection, 2, second.next_cursor)
        shown = first.items + second.items + third.items
        assert {kept.payload["n"] for kept in shown} == set(range(5))
        assert [kept.received_at for kept in shown] == sorted(
            (kept.received_at for kept in shown), reverse=True
        )
        assert third.next_cursor is None

        one = shown[0]
        assert await letters.get_dead_letter(connection, one.id) == one
        marked = await letters.mark_replayed(connection, one.id)
        assert marked.replayed_at is not None
        with pytest.raises(Problem) as again:
            await letters.mark_replayed(connection, one.id)
        assert (again.value.status, again.value.code) == (409, "already_replayed")
        assert (await letters.list_dead_letters(connection, replayed=True)).items == [marked]
        assert len((await letters.list_dead_letters(connection, replayed=False)).items) == 4
        assert len((await letters.list_dead_letters(connection, device="D3", code=None)).items) == 1
        assert (await letters.list_dead_letters(connection, code="bad_shape", door="mqtt")).items == []

        await letters.delete_dead_letter(connection, one.id)
        with pytest.raises(Problem) as refused:
            await letters.delete_dead_letter(connection, one.id)
        assert refused.value.status == 404


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.lists(
        st.tuples(st.sampled_from(DOORS), st.sampled_from(["conflict", "bad_shape"]), st.booleans()),
        max_size=8,
    ),
    door=st.sampled_from([None, *DOORS]),
    replayed=st.sampled_from([None, True, False]),
    most=st.integers(1, 10),
)
async def test_letters_are_counted_by_door_and_code_and_discarded_as_they_are_named(
    database: Database,
    organisation: Organisation,
    kept: list[tuple[str, str, bool]],
    door: str | None,
    replayed: bool | None,
    most: int,
) -> None:
    async with database.scope(organisation.id) as connection:
        await letters.discard_dead_letters(connection, 1000)
        for place, (by, code, was_replayed) in enumerate(kept):
            moment = NOON + timedelta(seconds=place)
            refused = NewDeadLetter(organisation.id, "D1", by, code, "why", {}, moment, None)
            await letters.keep_dead_letters(connection, [refused])
            if was_replayed:
                (newest,) = (await letters.list_dead_letters(connection, 1)).items
                await letters.mark_replayed(connection, newest.id)
        counts = {
            (one.door, one.code): (one.waiting, one.replayed)
            for one in await letters.summarise_dead_letters(connection)
        }
        assert counts == {
            (by, code): (kept.count((by, code, False)), kept.count((by, code, True))) for by, code, _ in kept
        }
        meant = [one for one in kept if door in (None, one[0]) and replayed in (None, one[2])]
        gone = await letters.discard_dead_letters(connection, most, replayed, door=door)
        assert gone == min(most, len(meant))
        left = [
            (one.door, one.code, one.replayed_at is not None)
            for one in (await letters.list_dead_letters(connection)).items
        ]
        for oldest in meant[:most]:
            kept.remove(oldest)
        assert left == kept[::-1]


async def test_letters_of_one_source_are_kept_once(
    worker_database: Database, organisation: Organisation
) -> None:
    run = new_id().hex
    many = [letter(organisation, number, f"{run}:{number:04}") for number in range(500)]

    async def keep(order: list[NewDeadLetter]) -> int:
        async with worker_database.unscoped() as connection:
            return len(await letters.keep_dead_letters(connection, order))

    assert sum(await asyncio.gather(keep(many), keep(many[::-1]))) == 500
    assert await keep(many) == 0
    assert await keep([]) == 0


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        ({"a": "x\x00y", "b\x00": ["\x00"]}, {"a": "x\ufffdy", "b\ufffd": ["\ufffd"]}),
        ({"v": math.nan, "w": math.inf}, {"v": None, "w": None}),
        ({"text": "half \ud800 pair"}, {"text": "half \ufffd pair"}),
        (["\\u0000"], ["\\u0000"]),
        ("plain", "plain"),
        (None, None),
    ],
)
async def test_any_payload_can_be_kept(
    database: Database, organisation: Organisation, payload: object, kept: object
) -> None:
    strange = NewDeadLetter(organisation.id, "D\x00", "mqtt", "bad_shape", "no \x00", payload, NOON)
    async with database.scope(organisation.id) as connection:
        await letters.keep_dead_letters(connection, [strange])
        (found,) = (await letters.list_dead_letters(connection)).items
    assert found.payload == kept
    assert (found.device, found.detail) == ("D\ufffd", "no \ufffd")


async def test_the_first_answer_to_a_request_counts(
    database: Database, worker_database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        key, _ = await create_api_key(connection, organisation.id, "K", ["ingest"])
        assert await store.find_response(connection, key.key_no, "abc") is None

    async def remember(fingerprint: bytes) -> store.RememberedResponse:
        async with database.scope(organisation.id) as connection:
            return await store.remember_response(
                connection, organisation.id, key.key_no, "abc", fingerprint, {"by": fingerprint.decode()}
            )

    first, second = await asyncio.gather(remember(b"one"), remember(b"two"))
    assert first == second
    assert first.response == {"by": first.fingerprint.decode()}
    async with worker_database.unscoped() as connection:
        assert await store.forget_responses(connection, first.created_at) == 0
        gone = await store.forget_responses(connection, first.created_at + timedelta(microseconds=1))
        assert gone == 1
        left = await connection.execute(text("SELECT count(*) FROM kilowatch.idempotency_keys"))
        assert left.scalar_one() == 0


async def test_a_device_that_is_deleted_meanwhile_gets_no_series(
    database: Database, organisation: Organisation
) -> None:
    """Its readings come while somebody deletes it; who asks for its series waits, and is told."""
    async with database.scope(organisation.id) as connection:
        numbers = list((await register_devices(connection, organisation.id, ["D1", "D2"])).values())
        power = (await store.ensure_metrics(connection, organisation.id, ["power"]))["power"].metric_no

    async def ask() -> list[int]:
        async with database.scope(organisation.id) as connection:
            return list(map(int, await store.ensure_series(connection, numbers, [power] * 2)))

    async with database.scope(organisation.id) as connection:
        await delete_device(connection, "D1")
        asking = asyncio.create_task(ask())
        async with asyncio.timeout(10):
            while not await somebody_waits(connection):  # noqa: ASYNC110 - PostgreSQL tells nobody of it
                await asyncio.sleep(0.005)
    first, second = await asking
    assert first == 0
    assert second > 0


async def somebody_waits(connection: Connection) -> bool:
    """Whether anybody waits for the transaction of this connection."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
    return bool((await connection.execute(waiting)).scalar_one())
