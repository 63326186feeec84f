"""Refusing while readings cannot be taken, and taking again by itself."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import SystemClock
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.ingest.doors import Doors, create_doors
from kilowatch.ingest.pressure import HELD_AT_MOST_S, LOG, Pressure, held_back_s, probe_disk, refusal_of_log
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.sites.store import register_devices
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log, LogState
from tests.conftest import PostgresServer
from tests.ingest.conftest import LOG_BYTES, NatsServer, Sender, holds, http_client, logged, make_key, until
from tests.ingest.test_doors import reading

PARTED = 'ALTER DATABASE "{}" ALLOW_CONNECTIONS {}'


async def accepts(sender: Sender) -> bool:
    return (await sender.send(reading())).status_code == 202


async def test_without_the_log_nothing_is_taken_until_it_is_back(
    nats_server: NatsServer, sender: Sender, client: Client
) -> None:
    assert await accepts(sender)
    nats_server.kill()
    try:
        refused = await sender.send([reading(seconds=place) for place in range(200)])
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["code"] == "unavailable"
        influx = await sender.post(b"m,device=D1 power=1", "/write")
        assert (influx.status_code, influx.json()["code"]) == (503, "unavailable")
        health = await sender.http.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "fail")
    finally:
        nats_server.start()
    await until(lambda: accepts(sender), "an accepted reading")
    assert sum(map(len, await logged(client))) >= 2


async def test_without_postgres_nothing_is_taken_until_it_is_back(
    postgres_server: PostgresServer, sender: Sender, database_name: str, doors: Doors
) -> None:
    assert await accepts(sender)
    superuser = postgres_server.embedded.superuser_url("postgres")
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(PARTED.format(database_name, "false").encode())
        connection.execute(
            b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database_name,)
        )
        try:
            await until(lambda: refuses(sender), "a refusal")
            answer = await sender.send(reading("new-device"))
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
        finally:
            connection.execute(PARTED.format(database_name, "true").encode())
    await until(lambda: accepts(sender), "an accepted reading")


async def refuses(sender: Sender) -> bool:
    return (await sender.send(reading())).status_code == 503


async def test_a_full_disk_refuses(
    settings: Settings, database: Database, client: Client, organisation: Organisation
) -> None:
    full = settings.model_copy(update={"disk_full_percent": 0.0001})
    doors = create_doors(full, SystemClock(), database, client)
    await doors.start()
    async with http_client(doors) as http:
        sender = Sender(http, organisation, database, await make_key(database, organisation))
        answer = await sender.send(reading())
        assert (answer.status_code, answer.json()["code"]) == (503, "disk_full")
        assert int(answer.headers["retry-after"]) > 0
        wrong = Sender(http, organisation, database, "kw_wrong")
        assert (await wrong.send(reading())).status_code == 401
    await doors.stop()
    assert await logged(client) == []


async def test_the_disk_is_looked_at_before_its_folder_is_there(tmp_path: Path) -> None:
    assert await probe_disk(tmp_path / "a" / "b", 100.0)() is None


async def test_a_worker_far_behind_refuses(
    settings: Settings, database: Database, client: Client, organisation: Organisation
) -> None:
    async with database.scope(organisation.id) as connection:
        await register_devices(connection, organisation.id, ["D1"])
    behind = settings.model_copy(update={"lag_max_s": 0.001})
    doors = create_doors(behind, SystemClock(), database, client)
    await doors.start()
    async with http_client(doors) as http:
        sender = Sender(http, organisation, database, await make_key(database, organisation))
        assert await accepts(sender)
        await until(lambda: refuses(sender), "a refusal")
        assert (await sender.send(reading())).json()["code"] == "worker_behind"
        await client.request_json("$JS.API.STREAM.PURGE.READINGS", {})
        await until(lambda: accepts(sender), "an accepted reading")
    await doors.stop()


async def test_a_full_log_refuses(
    settings: Settings, database: Database, client: Client, organisation: Organisation
) -> None:
    log = Log(client)
    await log.ensure(max_bytes=64 << 10)
    doors = create_doors(settings, SystemClock(), database, client)
    await doors.start()
    try:
        async with http_client(doors) as http:
            secret = await make_key(database, organisation, auto=True)
            sender = Sender(http, organisation, database, secret)
            statuses = [
                (await sender.send([reading(f"F{place}", turn) for place in range(500)])).status_code
                for turn in range(12)
            ]
            assert statuses[0] == 202
            assert statuses[-1] == 503
            accepted = statuses.count(202)
            assert set(statuses) == {202, 503}
            assert (await sender.send(reading("F0"))).json()["code"] == "log_full"
        assert sum(map(len, await logged(client))) == 500 * accepted
    finally:
        await doors.stop()
        await log.ensure(max_bytes=LOG_BYTES)


def test_what_the_state_of_the_log_means() -> None:
    now_us = 1_000_000_000
    assert refusal_of_log(LogState(0, 0, 1000, None), now_us, 60.0) is None
    assert refusal_of_log(LogState(1, 10, 1000, now_us - 59_000_000), now_us, 60.0) is None
    late = refusal_of_log(LogState(1, 10, 1000, now_us - 61_000_000), now_us, 60.0)
    full = refusal_of_log(LogState(9, 990, 1000, now_us), now_us, 60.0)
    assert late is not None
    assert full is not None
    assert (late.code, full.code, late.status, full.status) == ("worker_behind", "log_full", 503, 503)


def test_senders_are_slowed_down_only_when_the_worker_is_behind() -> None:
    lags = [0.0, 1.0, 2.1, 3.0, 5.0, 60.0, 1e6]
    held = [held_back_s(lag_s, 1.0) for lag_s in lags]
    assert held[:3] == [0.0] * 3
    assert held == sorted(held)
    assert 0 < held[3] < held[4] < held[5] == held[6] == HELD_AT_MOST_S
    assert held_back_s(11.1, 10.0) == 0.0


async def test_an_error_in_use_counts_until_the_probe_succeeds() -> None:
    looks = 0

    async def look() -> Problem | None:
        nonlocal looks
        looks += 1
        return None

    pressure = Pressure({LOG: look}, every_s=0.02)
    await pressure.start()
    pressure.check()
    assert pressure.note(EngineUnavailable("gone"), LOG).retry_after_s
    with pytest.raises(Problem):
        pressure.check()
    before = looks
    await holds(lambda: pressure.refusal is None, "taking again")
    assert looks > before
    await pressure.stop()


async def test_one_silent_probe_does_not_hide_another() -> None:
    silent = asyncio.Event()

    async def never() -> Problem | None:
        await silent.wait()
        return None

    async def full() -> Problem | None:
        return Problem(503, "disk_full", "full", retry_after_s=1)

    pressure = Pressure({"silent": never, "disk": full}, every_s=0.01)
    starting = asyncio.create_task(pressure.start())
    await holds(lambda: pressure.refusal is not None, "a refusal")
    silent.set()
    await starting
    refusal = pressure.refusal
    assert refusal is not None
    assert refusal.code == "disk_full"
    await pressure.stop()
