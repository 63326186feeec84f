"""The health of a device over a running server, from what the lake and PostgreSQL hold of it."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
from sqlalchemy import text

from kilowatch.lake.writing import LakeWriter
from kilowatch.postgres.engine import Database
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.store import ensure_series
from kilowatch.telemetry.store.letters import keep_dead_letters
from tests.server.conftest import Member
from tests.server.test_readings import sampled

SECOND_US = 1_000_000
HOURS = 25


async def test_health_tells_what_it_is_made_of(
    http: httpx.AsyncClient, member: Member, database: Database, lake_writer: LakeWriter
) -> None:
    path = "/api/v1/devices/D1/health"
    never = (await http.get(path, headers=member.bearer())).json()
    assert (never["score"], never["reason"], never["uptime"]) == (None, "no_data", None)
    now_us = time.time_ns() // 1000
    ts_us = np.arange(now_us - HOURS * 3600 * SECOND_US, now_us, 30 * SECOND_US)
    device, metric = member.devices["D1"], member.metrics["power"]
    async with database.scope(member.organisation.id) as connection:
        (number,) = await ensure_series(connection, [device], [metric])
        lake_writer.commit(sampled(int(number), ts_us, np.ones(len(ts_us))))
        await connection.execute(
            text(
                "INSERT INTO kilowatch.device_sightings (organisation_id, device_no, last_seen)"
                " VALUES (:organisation, :device, now())"
            ),
            {"organisation": member.organisation.id, "device": device},
        )
    health = (await http.get(path, headers=member.bearer())).json()
    assert (health["score"], health["reason"], health["cadence_s"]) == (100, None, 30)
    assert health["uptime"]["achieved"] == health["uptime"]["expected"] == 287
    assert health["errors"]["achieved"] > 2800
    now = datetime.now(UTC)
    before_it_was_made = now - timedelta(hours=1)
    letters = [
        NewDeadLetter(member.organisation.id, one, "http", "conflict", "", {}, at)
        for one, at in [("D1", now)] * int(health["errors"]["achieved"])
        + [("D2", now), ("D1", before_it_was_made)] * 7
    ]
    async with database.scope(member.organisation.id) as connection:
        await keep_dead_letters(connection, letters)
    await http.patch("/api/v1/devices/D1", json={"status": "maintenance"}, headers=member.bearer("admin"))
    health = (await http.get(path, headers=member.bearer())).json()
    assert (health["score"], health["reason"], health["status"]) == (90, "maintenance", "maintenance")
    assert health["errors"]["share"] == 0.5


async def test_health_is_its_owners(http: httpx.AsyncClient, member: Member, stranger: Member) -> None:
    async with httpx.AsyncClient(base_url=http.base_url, headers=stranger.bearer("admin")) as theirs:
        made = await theirs.post("/api/v1/devices", json={"id": "theirs"})
        assert made.status_code == 201
    answer = await http.get("/api/v1/devices/theirs/health", headers=member.bearer())
    assert answer.status_code == 404
