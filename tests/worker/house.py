"""A whole house for the worker: PostgreSQL, nats-server and lake of its own, all of which may be stopped."""

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import DrivenClock
from kilowatch.errors import EngineUnavailable
from kilowatch.ids import new_id
from kilowatch.lake.connection import LakePlace
from kilowatch.lake.reading import LakeReader
from kilowatch.postgres.embedded import EmbeddedPostgres
from kilowatch.postgres.engine import Database
from kilowatch.postgres.roles import WORKER
from kilowatch.settings import Settings
from kilowatch.sites.store import create_organisation_with_home, create_site, register_devices, update_device
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log
from kilowatch.telemetry.dead_letter import DeadLetter
from kilowatch.telemetry.metric import ENERGY, describe
from kilowatch.telemetry.store import define_metrics, ensure_series, list_series
from kilowatch.telemetry.store.letters import list_dead_letters
from kilowatch.wire.frame import Frame, OnConflict
from kilowatch.worker.process import Engines, Worker
from tests.conftest import PostgresServer, wait_until
from tests.stream.conftest import Server as NatsServer

WITHIN_S = 90.0
KEY_NO = 7
SECOND_US = 1_000_000
LOG_BYTES = 256 << 20
BASE_US = 1_774_742_400_000_000
"""2026-03-29T00:00Z, the day of the change to summer time in Berlin."""
NOW_US = BASE_US + 10 * 86_400 * SECOND_US

Reading = tuple[str, int, dict[str, float]]
"""Device, epoch microseconds, values by metric."""
Rows = list[dict[str, Any]]


class PostgresProcess:
    """An embedded PostgreSQL that tests may stop, kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.embedded = EmbeddedPostgres(folder)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.embedded.prepare()
        command = self.embedded.command()
        silent = subprocess.DEVNULL
        self._process = subprocess.Popen(command.argv, stdout=silent, stderr=silent, **command.options)
        wait_until(self.embedded.is_ready, what="a ready PostgreSQL")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(EmbeddedPostgres.STOP_SIGNAL)
            self._process.wait(30)
            self._process = None


async def until(condition: Callable[[], Awaitable[bool]], what: str, within_s: float = WITHIN_S) -> None:
    """Returns once the condition holds; fails the test when it does not in time. An engine that is away makes
    it false."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if await condition():
                return
        except EngineUnavailable:
            pass
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {within_s} s")
        await asyncio.sleep(0.02)


@dataclass
class House:
    """One organisation, its devices, and everything that the worker needs."""

    postgres: PostgresProcess
    nats: NatsServer
    place: LakePlace
    worker_url: str
    database: Database
    client: Client
    organisation: Organisation
    settings: Settings
    clock: DrivenClock = field(default_factory=lambda: DrivenClock(NOW_US))
    devices: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, int] = field(default_factory=dict)
    series: dict[tuple[str, str], int] = field(default_factory=dict)

    @cached_property
    def reader(self) -> LakeReader:
        """For looking at what is stored."""
        return LakeReader(self.place)

    @property
    def engines(self) -> Engines:
        return Engines(self.worker_url, self.nats.embedded.url, self.place)

    @property
    def log(self) -> Log:
        return Log(self.client)

    async def add(self, devices: Sequence[str], metrics: Sequence[str], zone: str = "UTC") -> None:
        """Devices with these metrics, at a site in this zone."""
        async with self.database.scope(self.organisation.id) as connection:
            numbers = await register_devices(connection, self.organisation.id, devices)
            if zone != "UTC":
                site = await create_site(
                    connection, self.organisation.id, kind="home", name=zone, time_zone=zone
                )
                for device in devices:
                    await update_device(connection, device, {"site_id": site.id})
            wanted = [describe(name) for name in metrics]
            known = await define_metrics(connection, self.organisation.id, wanted)
            self.devices |= numbers
            self.metrics |= {name: known[name].metric_no for name in metrics}
            pairs = [(numbers[device], self.metrics[metric]) for device in devices for metric in metrics]
            await ensure_series(connection, [one for one, _ in pairs], [one for _, one in pairs])

    async def learn_series(self) -> None:
        """Reads the series numbers, those of energy too, which the worker makes."""
        async with self.database.scope(self.organisation.id) as connection:
            for one in await list_series(connection, list(self.devices.values())):
                self.series[one.device, one.metric] = one.series_no

    def frame(self, readings: Sequence[Reading], on_conflict: OnConflict = "reject") -> Frame:
        """The readings as a frame."""
        names = list(dict.fromkeys(name for _, _, values in readings for name in values))
        return Frame(
            np.array([self.devices[device] for device, _, _ in readings], np.int32),
            np.array([ts_us for _, ts_us, _ in readings], np.int64),
            np.full(len(readings), KEY_NO, np.int32),
            {
                self.metrics[name]: np.array([values.get(name, np.nan) for _, _, values in readings])
                for name in names
            },
            on_conflict=on_conflict,
        )

    async def send(self, readings: Sequence[Reading], on_conflict: OnConflict = "reject") -> int:
        """Puts the readings into the log as one message; its sequence."""
        return await self.log.publish_frame(0, self.frame(readings, on_conflict).encode())

    async def empty(self) -> bool:
        """Whether everything in the log is committed and acknowledged."""
        return (await self.log.state()).messages == 0

    async def settled(self) -> None:
        """Returns once everything in the log is committed."""
        await until(self.empty, "an empty log")
        await self.learn_series()

    def rows(self, sql: str) -> Rows:
        """The answer of a query on the lake."""
        found: Rows = self.reader.query(sql).to_pylist()
        return found

    def samples(self) -> dict[tuple[str, str], dict[int, float]]:
        """All samples by series and time; fails when a series has two of one time."""
        names = {number: name for name, number in self.series.items()}
        found: dict[tuple[str, str], dict[int, float]] = {}
        for row in self.rows("SELECT series_no, epoch_us(ts) AS ts, value FROM lake.samples"):
            held = found.setdefault(names[row["series_no"]], {})
            assert row["ts"] not in held, f"stored twice: {row}"
            held[row["ts"]] = row["value"]
        return found

    def rollups(self, tier: str, device: str, metric: str) -> Rows:
        """The merged roll-ups of a series, ordered."""
        found: Rows = self.reader.rollups(tier, [self.series[device, metric]], 0, 1 << 52).to_pylist()
        return [{name: value for name, value in row.items() if name != "series_no"} for row in found]

    def books(self, device: str, metric: str) -> dict[str, Rows]:
        """Every tier of a metric and of the device's energy."""
        kept = {f"{metric} {tier}": self.rollups(tier, device, metric) for tier in ("1m", "15m", "1h", "1d")}
        for tier in ("15m", "1h", "1d"):
            energy = self.rollups(tier, device, ENERGY)
            kept[tier] = [{name: row[name] for name in ("bucket", "sum", "covered_us")} for row in energy]
        return kept

    def ledger(self) -> dict[str, int]:
        """The sums of the ledger's counts."""
        names = ("messages", "readings", "accepted", "stored", "replaced", "repeats", "dead_letters")
        sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in names)
        found = self.rows(f"SELECT {sums} FROM lake.ledger")[0]  # noqa: S608 - names above
        assert found["accepted"] == found["stored"] + found["repeats"] + found["dead_letters"]
        return found

    async def letters(self) -> list[DeadLetter]:
        """The organisation's dead letters, newest first."""
        async with self.database.scope(self.organisation.id) as connection:
            return (await list_dead_letters(connection, 500)).items

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Worker]:
        """A worker at work in this process."""
        worker = Worker(self.engines, self.settings, [0], self.clock)
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))
        try:
            yield worker
            assert not task.done(), task
        finally:
            stop.set()
            await asyncio.wait_for(task, WITHIN_S)

    def spawn_worker(self) -> subprocess.Popen[bytes]:
        """A worker at work in a process of its own."""
        given = {
            "postgres_url": self.worker_url,
            "nats_url": self.nats.embedded.url,
            "catalog": self.place.catalog,
            "path": self.place.path,
            "commit_s": self.settings.commit_s,
        }
        return subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(given)])


CHILD = """
import asyncio, json, sys
from kilowatch.cli.processes import until_told
from kilowatch.lake.connection import LakePlace
from kilowatch.settings import load_settings
from kilowatch.worker.process import Engines, Worker

async def work(engines, settings):
    await Worker(engines, settings, [0]).run(until_told())

given = json.loads(sys.argv[1])
engines = Engines(given["postgres_url"], given["nats_url"], LakePlace(given["catalog"], given["path"]))
asyncio.run(work(engines, load_settings(commit_s=given["commit_s"])))
"""


async def make_organisation(database: Database) -> Organisation:
    """A new organisation with its home."""
    organisation_id: uuid.UUID = new_id()
    async with database.scope(organisation_id) as connection:
        slug = f"org-{organisation_id.hex[:12]}"
        made, _ = await create_organisation_with_home(connection, organisation_id, slug, "Test")
    return made


def worker_url(server: PostgresProcess, database: str) -> str:
    """The worker's login."""
    return server.embedded.url(WORKER, database)


def copy_of(server: PostgresProcess, template: str) -> str:
    """A new database, a copy of `template`."""
    return PostgresServer(server.embedded).make_database(template)


def total(books: Mapping[str, Rows], tier: str) -> float:
    """The sum of a tier."""
    return float(sum(row["sum"] for row in books[tier]))
