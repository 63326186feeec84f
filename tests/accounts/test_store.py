"""Organisations and API keys on a real PostgreSQL."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from kilowatch.accounts.store import api_keys, organisations
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.errors import Problem
from kilowatch.ids import hash_secret, new_id
from kilowatch.postgres.engine import Database


async def test_the_secret_of_a_key_is_not_stored(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        key, secret = await api_keys.create_api_key(connection, organisation.id, "Gateway", ["ingest"])
        row = await connection.execute(
            text("SELECT k::text, secret_hash FROM kilowatch.api_keys k WHERE key_no = :number"),
            {"number": key.key_no},
        )
        shown, kept = row.one()
    assert secret.startswith(key.prefix)
    assert len(key.prefix) < 10
    assert secret not in shown
    assert bytes(kept) == hash_secret(secret)


async def test_a_key_is_found_by_its_hash_before_the_organisation_is_known(
    database: Database, organisation: Organisation
) -> None:
    expires_at = datetime(2030, 1, 1, tzinfo=UTC)
    async with database.scope(organisation.id) as connection:
        key, secret = await api_keys.create_api_key(
            connection, organisation.id, "Gateway", {"read", "ingest"}, True, expires_at
        )
    async with database.unscoped() as connection:
        found = await api_keys.find_api_key(connection, hash_secret(secret))
        assert await api_keys.find_api_key(connection, hash_secret(secret + "x")) is None
    assert found == api_keys.KeyRights(
        key.key_no, organisation.id, organisation.slug, ["ingest", "read"], True, expires_at
    )


async def test_a_revoked_key_is_found_no_more_but_listed(
    database: Database, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        key, secret = await api_keys.create_api_key(connection, organisation.id, "Gateway", ["ingest"])
        kept, _ = await api_keys.create_api_key(connection, organisation.id, "Other", ["read"])
        revoked = await api_keys.revoke_api_key(connection, key.id)
    async with database.scope(organisation.id) as connection:
        assert revoked.revoked_at is not None
        assert await api_keys.revoke_api_key(connection, key.id) == revoked
        assert (await api_keys.list_api_keys(connection)).items == [revoked, kept]
        with pytest.raises(Problem) as refused:
            await api_keys.revoke_api_key(connection, new_id())
        assert refused.value.status == 404
    async with database.unscoped() as connection:
        assert await api_keys.find_api_key(connection, hash_secret(secret)) is None


async def test_a_key_needs_known_scopes_and_a_name(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        with pytest.raises(Problem) as refused:
            await api_keys.create_api_key(
                connection,
                organisation.id,
                "",
                ["ingest", "all"],
                expires_at=datetime(2030, 1, 1),  # noqa: DTZ001
            )
        assert [fault.code for fault in refused.value.errors] == [
            "bad_name",
            "unknown_scope",
            "bad_timestamp",
        ]
        with pytest.raises(Problem, match="invalid"):
            await api_keys.create_api_key(connection, organisation.id, "None", [])


async def test_pages_of_keys_are_complete(database: Database, organisation: Organisation) -> None:
    async with database.scope(organisation.id) as connection:
        made = [
            (await api_keys.create_api_key(connection, organisation.id, f"K{number}", ["read"]))[0]
            for number in range(3)
        ]
        first = await api_keys.list_api_keys(connection, 2)
        second = await api_keys.list_api_keys(connection, 2, first.next_cursor)
        owners = await api_keys.find_key_owners(connection, [key.key_no for key in made] + [2_000_000_000])
    assert first.items + second.items == made
    assert second.next_cursor is None
    assert owners == {key.key_no: organisation.id for key in made}


async def test_an_organisation_is_found_by_its_slug(database: Database, organisation: Organisation) -> None:
    async with database.unscoped() as connection:
        assert await organisations.find_organisation(connection, organisation.slug) == organisation
        assert await organisations.find_organisation(connection, "nobody") is None
        assert await organisations.find_organisation(connection, "No slug\x00") is None
        assert await organisations.list_organisations(connection) == []
    async with database.scope(organisation.id) as connection:
        assert await organisations.get_organisation(connection, organisation.id) == organisation


async def test_the_worker_sees_every_organisation_unless_it_names_one(
    worker_database: Database, organisation: Organisation, other_organisation: Organisation
) -> None:
    async with worker_database.unscoped() as connection:
        every = await organisations.list_organisations(connection)
    async with worker_database.scope(organisation.id) as connection:
        own = await organisations.list_organisations(connection)
    assert organisation in every
    assert other_organisation in every
    assert own == [organisation]


async def test_faults_of_an_organisation_are_told_at_once(database: Database) -> None:
    new = new_id()
    with pytest.raises(Problem) as refused:
        async with database.scope(new) as connection:
            await organisations.create_organisation(connection, new, "Big Co", "a\nb")
    assert [fault.pointer for fault in refused.value.errors] == ["/slug", "/name"]
