"""Homes to try on a real PostgreSQL: five devices each, one an organisation, and nothing left of them."""

import asyncio
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kilowatch.accounts.store.api_keys import find_api_key, list_api_keys, revoke_api_key
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.errors import Problem
from kilowatch.ids import hash_secret, new_id
from kilowatch.period import zone_names
from kilowatch.postgres.engine import Database
from kilowatch.postgres.roles import APP, WORKER
from kilowatch.postgres.schema import metadata
from kilowatch.sites import demo, store
from kilowatch.telemetry.store.letters import list_dead_letters
from kilowatch.wire.simulation import ROLES, PlayedHome, hmac_pads, home_key
from tests.conftest import PostgresServer

ROOT = b"a house secret of thirty-two bytes or more"
ZONES = st.one_of(st.none(), st.sampled_from(sorted(zone_names())))
CURRENCIES = st.one_of(st.none(), st.sampled_from(["EUR", "USD", "JPY", "INR", "NOK", "ZAR"]))
TAKEN = st.frozensets(
    st.sampled_from([f"demo-{role}{ending}" for role in ROLES for ending in ("", "-2", "-3")]), max_size=4
)
ROOTS = st.binary(min_size=32, max_size=100)

law = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))


async def played(database: Database, root: bytes) -> list[PlayedHome]:
    async with database.unscoped() as connection:
        return demo.played_homes(await store.list_demo_devices(connection, *hmac_pads(root)))


async def rows_of(worker: Database, organisation_id: uuid.UUID) -> dict[str, list[str]]:
    """Every row of an organisation, as text, by table."""
    async with worker.scope(organisation_id) as connection:
        return {
            table.name: sorted(
                (await connection.execute(text(f"SELECT t::text FROM {table.fullname} t"))).scalars()  # noqa: S608
            )
            for table in metadata.sorted_tables
            if table.name != "vanished_series"  # what is still to be erased from the lake
        }


def test_38_a_demo_home_has_exactly_five_devices_and_goes_without_a_trace(
    postgres_server: PostgresServer, database_name: str
) -> None:
    urls = [postgres_server.url(role, database_name) for role in (APP, WORKER)]

    async def check(
        zone: str | None, currency: str | None, taken: frozenset[str], name: str, root: bytes
    ) -> None:
        database, worker = (Database(url, pool_size=1) for url in urls)
        organisation_id = new_id()
        try:
            async with database.scope(organisation_id) as connection:
                await store.create_organisation_with_home(
                    connection, organisation_id, f"o-{organisation_id.hex}", name, "Asia/Kathmandu"
                )
                for device in sorted(taken):
                    await store.create_device(connection, organisation_id, device)
            before = await rows_of(worker, organisation_id)
            async with database.scope(organisation_id) as connection:
                made = await demo.make_demo_home(connection, organisation_id, root, zone, currency)
            async with database.scope(organisation_id) as connection:
                listed = (await store.list_devices(connection, site_id=made.site.id)).items
            assert listed == made.devices
            assert len(listed) == 5
            assert not {device.id for device in listed} & taken
            assert {device.type for device in listed} == set(ROLES)
            assert (made.site.kind, made.site.name) == ("home", "Demo home")
            assert (made.site.time_zone, made.site.currency) == (zone or "Asia/Kathmandu", currency or "EUR")
            (home,) = [one for one in await played(database, root) if one.site_id == str(made.site.id)]
            assert [(one.id, one.role, one.state) for one in home.devices] == [
                (device.id, role, "on") for device, role in zip(listed, ROLES, strict=True)
            ]
            assert str(made.site.id) not in str(await played(database, root + b"?"))
            async with database.scope(organisation_id) as connection:
                await store.delete_site(connection, made.site.id)
                assert (await list_dead_letters(connection)).items == []
            assert await rows_of(worker, organisation_id) == before
        finally:
            await database.close()
            await worker.close()

    @law
    @given(
        zone=ZONES,
        currency=CURRENCIES,
        taken=TAKEN,
        name=st.sampled_from(["Ada", "Ähre", "電力"]),
        root=ROOTS,
    )
    def holds(zone: str | None, currency: str | None, taken: frozenset[str], name: str, root: bytes) -> None:
        asyncio.run(check(zone, currency, taken, name, root))

    holds()


async def test_the_key_of_a_home_only_sends_and_is_kept_nowhere(
    database: Database, worker_database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        made = await demo.make_demo_home(connection, organisation.id, ROOT)
        (key,) = (await list_api_keys(connection)).items
    secret = home_key(ROOT, made.site.id)
    async with database.unscoped() as connection:
        rights = await find_api_key(connection, hash_secret(secret))
    assert rights is not None
    assert (rights.scopes, rights.auto_register, rights.organisation_id) == (
        ["ingest"],
        False,
        organisation.id,
    )
    assert (key.name, key.key_no) == ("Demo home", made.site.demo_key_no)
    assert secret not in str(await rows_of(worker_database, organisation.id))
    assert home_key(ROOT, new_id()) != secret


async def test_an_organisation_has_one_however_many_ask_at_once(
    database: Database, organisation: Organisation, other_organisation: Organisation
) -> None:
    async def make(organisation_id: uuid.UUID) -> uuid.UUID | Problem:
        try:
            async with database.scope(organisation_id) as connection:
                return (await demo.make_demo_home(connection, organisation_id, ROOT)).site.id
        except Problem as problem:
            return problem

    asked = [organisation.id] * 4 + [other_organisation.id]
    *ours, theirs = await asyncio.gather(*(make(one) for one in asked))
    (made,) = [one for one in ours if isinstance(one, uuid.UUID)]
    refused = [one for one in ours if isinstance(one, Problem)]
    assert {(one.status, one.code) for one in refused} == {(409, "demo_exists")}
    assert all(str(made) in one.detail for one in refused)
    assert isinstance(theirs, uuid.UUID)


async def test_wrong_wishes_are_refused_and_make_nothing(
    database: Database, worker_database: Database, organisation: Organisation
) -> None:
    before = await rows_of(worker_database, organisation.id)
    with pytest.raises(Problem) as refused:
        async with database.scope(organisation.id) as connection:
            await demo.make_demo_home(connection, organisation.id, ROOT, "Mars/Base", "euro")
    assert [fault.pointer for fault in refused.value.errors] == ["/time_zone", "/currency"]
    assert await rows_of(worker_database, organisation.id) == before


async def test_what_is_played_follows_states_and_leaves_out_what_was_added_or_revoked(
    database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        made = await demo.make_demo_home(connection, organisation.id, ROOT)
    async with database.scope(organisation.id) as connection:
        await store.create_device(connection, organisation.id, "demo-fridge-7", made.site.id)
        await store.delete_device(connection, "demo-lights")
        await connection.execute(
            text("UPDATE kilowatch.devices SET state = 'off' WHERE id = 'demo-television'")
        )

    async def mine() -> list[PlayedHome]:
        return [one for one in await played(database, ROOT) if one.site_id == str(made.site.id)]

    (home,) = await mine()
    assert [(one.role, one.state) for one in home.devices] == [
        ("fridge", "on"),
        ("heat-pump", "on"),
        ("television", "off"),
        ("washing-machine", "on"),
    ]
    async with database.scope(organisation.id) as connection:
        (key,) = (await list_api_keys(connection)).items
        await revoke_api_key(connection, key.id)
    assert await mine() == []
