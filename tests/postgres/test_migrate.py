"""The schema's history on a real PostgreSQL: there, back, and there again, alone and beside another."""

import threading
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import CheckConstraint

import kilowatch.accounts.tables
import kilowatch.alerts.tables
import kilowatch.control.tables
import kilowatch.notifications.tables
import kilowatch.rules.tables
import kilowatch.sites.tables
import kilowatch.telemetry.tables  # noqa: F401 - the tables join the catalogue when imported
from kilowatch.errors import EngineUnavailable, StartRefused
from kilowatch.ids import new_id
from kilowatch.postgres import migrate
from kilowatch.postgres.roles import APP, LAKE, OWNER, TAKEN_ROLES, WORKER, as_role
from kilowatch.postgres.schema import metadata

if TYPE_CHECKING:
    from tests.conftest import PostgresServer
    from tests.postgres.conftest import OwnServer

UNPROTECTED = """
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = 'kilowatch'::regnamespace AND c.relkind IN ('r', 'p')
        AND c.relname <> 'alembic_version'
        AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
            SELECT FROM pg_policies p WHERE p.schemaname = 'kilowatch' AND p.tablename = c.relname
                AND p.roles = ARRAY['kilowatch_app'::name] AND p.cmd = 'ALL'
                AND p.permissive = 'PERMISSIVE'
                AND p.qual ~ 'kilowatch[.](organisation|user)_id' AND p.with_check = p.qual
        ))
"""
READ_AND_WRITTEN_ONLY = {"audit_log"}
"""Their rows are never changed, so reading and writing have policies of their own."""
NOT_WITHHELD = """
    SELECT c.relname FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organisation_id'
    WHERE c.relnamespace = 'kilowatch'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT EXISTS (
            SELECT FROM pg_policies p WHERE p.schemaname = 'kilowatch' AND p.tablename = c.relname
                AND p.permissive = 'RESTRICTIVE' AND p.cmd = 'ALL' AND p.qual ~ 'kilowatch[.]customer_id'
                AND p.roles = ARRAY['kilowatch_app'::name]
        )
"""
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'kilowatch'::regnamespace AND relkind = 'r'"


def ask(url: str, question: str) -> list[object]:
    with psycopg.connect(url, autocommit=True) as connection:
        return [row[0] for row in connection.execute(question.encode()).fetchall()]


def tell(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def empty(postgres_server: "PostgresServer") -> str:
    """The owner's address of an empty database."""
    return postgres_server.url(OWNER, postgres_server.make_database("template1"))


def test_from_empty_there_and_back_and_there_again(empty: str) -> None:
    assert migrate.current_revision(empty) is None
    newest = migrate.newest_revision()
    assert migrate.upgrade(empty) == newest
    assert migrate.upgrade(empty) == newest
    assert set(ask(empty, TABLES)) == {table.name for table in metadata.sorted_tables} | {"alembic_version"}
    assert migrate.downgrade(empty, "base") is None
    assert ask(empty, TABLES) == ["alembic_version"]
    assert ask(empty, "SELECT nspname FROM pg_namespace WHERE nspname IN ('lake', 'procrastinate')") == []
    assert migrate.upgrade(empty) == newest
    assert migrate.current_revision(empty) == newest


def test_going_back_refuses_to_drop_a_lake_in_use(empty: str) -> None:
    migrate.upgrade(empty)
    tell(empty, f"SET ROLE {LAKE}", "CREATE TABLE lake.files (id integer)")
    with pytest.raises(Exception, match="lake"):
        migrate.downgrade(empty, "base")
    assert migrate.current_revision(empty) == migrate.newest_revision()


def test_code_and_database_agree(empty: str) -> None:
    migrate.upgrade(empty)
    assert migrate.differences(empty) == []
    checks = {
        f"{constraint.name}"
        for table in metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    named = ask(
        empty,
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'kilowatch'::regnamespace",
    )
    assert set(named) == checks


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE kilowatch.extra (id integer PRIMARY KEY)",
        "ALTER TABLE kilowatch.sites DROP COLUMN region",
        "ALTER TABLE kilowatch.sites ALTER COLUMN currency TYPE varchar(3)",
        "ALTER TABLE kilowatch.sites ALTER COLUMN currency SET DEFAULT 'USD'",
        "ALTER TABLE kilowatch.sites ALTER COLUMN name DROP NOT NULL",
        "DROP INDEX kilowatch.ix_devices_organisation_id_site_id",
        "ALTER TABLE kilowatch.series DROP CONSTRAINT uq_series_device_no_metric_no",
        "ALTER TABLE kilowatch.series DROP CONSTRAINT fk_series_organisation_id_device_no",
    ],
)
def test_a_difference_is_seen(empty: str, change: str) -> None:
    migrate.upgrade(empty)
    tell(empty, change)
    assert migrate.differences(empty) != []


def test_every_table_is_under_row_level_security(empty: str) -> None:
    migrate.upgrade(empty)
    assert set(ask(empty, UNPROTECTED)) == READ_AND_WRITTEN_ONLY
    assert ask(empty, NOT_WITHHELD) == []
    tell(empty, "CREATE TABLE kilowatch.careless (organisation_id uuid)")
    assert set(ask(empty, UNPROTECTED)) == READ_AND_WRITTEN_ONLY | {"careless"}
    assert ask(empty, NOT_WITHHELD) == ["careless"]


def test_the_audit_log_cannot_be_rewritten(empty: str) -> None:
    migrate.upgrade(empty)
    for role in (APP, WORKER):
        for change in ("UPDATE kilowatch.audit_log SET actor = 'x'", "DELETE FROM kilowatch.audit_log"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                tell(as_role(empty, role), change)


def test_two_migrators_at_once_do_no_harm(empty: str) -> None:
    reached: list[str | None] = []
    both = threading.Barrier(2)

    def run() -> None:
        both.wait(10)
        reached.append(migrate.upgrade(empty))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert reached == [migrate.newest_revision()] * 2


def test_a_database_of_a_newer_version_is_left_alone(empty: str) -> None:
    migrate.upgrade(empty)
    tell(empty, "UPDATE kilowatch.alembic_version SET version_num = '9999'")
    with pytest.raises(StartRefused, match="9999"):
        migrate.upgrade(empty)


def test_no_server_is_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(EngineUnavailable):
        migrate.upgrade(f"postgresql://kilowatch@/kilowatch?host={tmp_path_factory.mktemp('none')}")


def test_jobs_are_enqueued_by_the_server_and_read_by_the_worker(postgres_server: "PostgresServer") -> None:
    name = postgres_server.make_database()
    enqueue = """SELECT * FROM procrastinate.procrastinate_defer_jobs_v1(ARRAY[
        ROW('default', 'a_task', 0, NULL, NULL, '{}', NULL)::procrastinate.procrastinate_job_to_defer_v1])"""
    assert len(ask(postgres_server.url(APP, name), enqueue)) == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(postgres_server.url(APP, name), "SELECT args FROM procrastinate.procrastinate_jobs")
    worker = postgres_server.url(WORKER, name)
    assert ask(worker, "SELECT task_name FROM procrastinate.procrastinate_jobs") == ["a_task"]
    assert ask(worker, "SELECT id FROM procrastinate.procrastinate_fetch_job_v2(NULL, NULL)") != []


def test_the_owner_of_an_external_database_makes_the_roles(own_server: "OwnServer") -> None:
    own_server.start()
    embedded = own_server.embedded
    root = embedded.superuser_url("postgres")
    tell(
        root, "DROP DATABASE kilowatch", f"DROP ROLE {OWNER}", *(f"DROP ROLE {role}" for role in TAKEN_ROLES)
    )
    tell(root, "CREATE ROLE boss LOGIN CREATEROLE PASSWORD 'b'", "CREATE DATABASE energy OWNER boss")
    boss = embedded.superuser_url("energy").replace(root.split("//")[1].split("@")[0], "boss:b")
    assert migrate.upgrade(boss) == migrate.newest_revision()
    assert migrate.differences(boss) == []

    organisation_id = new_id()
    scope = f"SELECT set_config('kilowatch.organisation_id', '{organisation_id}', true)"
    with psycopg.connect(as_role(boss, APP)) as connection:
        connection.execute(scope.encode())
        connection.execute(
            b"INSERT INTO kilowatch.organisations (id, slug, name) VALUES (%s, 'x', 'X')",
            [organisation_id],
        )
    assert ask(as_role(boss, APP), "SELECT slug FROM kilowatch.organisations") == []
    assert ask(as_role(boss, APP), "SELECT slug FROM kilowatch.find_organisation('x')") == ["x"]
    assert ask(as_role(boss, WORKER), "SELECT slug FROM kilowatch.organisations") == ["x"]
    tell(as_role(boss, LAKE), "CREATE TABLE lake.files (id integer)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(as_role(boss, LAKE), "SELECT slug FROM kilowatch.organisations")

    tell(root, "CREATE ROLE weak LOGIN PASSWORD 'w'", "CREATE DATABASE other OWNER weak")
    weak = embedded.superuser_url("other").replace(root.split("//")[1].split("@")[0], "weak:w")
    with pytest.raises(StartRefused, match="CREATE ROLE kilowatch_app"):
        migrate.upgrade(weak)
