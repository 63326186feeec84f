"""Scheduled jobs: merging files, consolidating roll-ups, retention, erasing what was deleted, cleaning up.

Keeps true that one process at a time does a job (procrastinate hands each out once, and a lease guards the
lake), that upkeep yields to readings (lowest priority, one thread, not at all while the log is behind), and
that it never changes an answer but by retention: what was deleted cannot be asked for any more.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import procrastinate
import pyarrow as pa
import structlog

from kilowatch.clock import MICROSECONDS, Clock, to_datetime
from kilowatch.control.command import KEPT_DAYS
from kilowatch.control.store.sending import forget_commands
from kilowatch.errors import EngineUnavailable
from kilowatch.lake import upkeep
from kilowatch.lake.connection import LakePlace
from kilowatch.lake.erasing import erase_series, rewrite_files
from kilowatch.lake.writing import LakeWriter
from kilowatch.notifications.store.deliveries import forget_deliveries
from kilowatch.notifications.store.notifications import forget_notifications
from kilowatch.postgres.engine import Database
from kilowatch.postgres.lease import UPKEEP, Leases
from kilowatch.postgres.roles import libpq_url, with_options
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log
from kilowatch.telemetry.store import forget_responses
from kilowatch.worker.blocking import finish, wait_for
from kilowatch.worker.store.registry import (
    Retention,
    VanishedSeries,
    forget_what_is_over,
    list_retentions,
    list_vanished,
    note_erased,
)

log = structlog.get_logger()

BEHIND_S = 5.0
"""While the oldest reading waits longer than this, merging can wait too."""
HOUR_US = 3600 * MICROSECONDS
DAY_US = 24 * HOUR_US
MARGIN_DAYS = 2
DELIVERIES_DAYS = 30
NOTIFICATIONS_DAYS = 90
FORGET_COMMANDS = 10_000
"""Commands that are deleted at a time."""
OPEN_DAYS = 3
"""Roll-ups of the last days still grow; those are consolidated by the hour."""
SETTLED_S = 3600.0
"""A worker that was not told of a deletion may add to a series for some minutes (`shift.RELEARN_S`); after so
long it is erased a second time, and for good."""
NICENESS = 15
AGAIN_S = 5.0
ANSWER_S = 3.0
"""So long the schedule waits for PostgreSQL, also at the end, when it may be gone already."""

Task = Callable[[LakeWriter], object]


def lower_priority() -> None:
    """Makes the calling thread yield to every other one."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


@dataclass(slots=True)
class Upkeep:
    """The jobs and the engines that they work on."""

    place: LakePlace
    postgres_url: str
    database: Database
    client: Client
    settings: Settings
    clock: Clock
    _thread: ThreadPoolExecutor | None = None

    async def merge_young(self) -> None:
        """Merges the files of the last minutes."""
        if not await self._is_behind():
            await self._keep(lambda writer: upkeep.merge_files(writer, upkeep.YOUNG_BYTES))

    async def tidy(self) -> None:
        """Merges grown files, consolidates roll-ups, applies retention, deletes what nothing names."""
        if await self._is_behind():
            return
        now_us = self.clock.now_us()
        async with self.database.unscoped() as connection:
            remembered_us = self.settings.idempotency_hours * 3600 * MICROSECONDS
            await forget_responses(connection, to_datetime(now_us - remembered_us))
            await forget_deliveries(connection, to_datetime(now_us - DELIVERIES_DAYS * DAY_US))
            await forget_notifications(connection, to_datetime(now_us - NOTIFICATIONS_DAYS * DAY_US))
        retentions = await list_retentions(self.database)
        await self._keep(lambda writer: self._tidy(writer, now_us, retentions))

    def _tidy(self, writer: LakeWriter, now_us: int, retentions: list[Retention]) -> None:
        apply_retention(writer, now_us, retentions)
        upkeep.consolidate_rollups(writer, now_us - OPEN_DAYS * DAY_US)
        hour_us = now_us // HOUR_US * HOUR_US
        upkeep.consolidate_ledger(writer, hour_us - OPEN_DAYS * DAY_US, hour_us)
        upkeep.merge_files(writer, upkeep.GROWN_BYTES)
        upkeep.clean_up(writer, self.settings.snapshot_keep_minutes)

    async def erase(self) -> None:
        """Erases the readings of series that were deleted, wherever they lie."""
        if await self._is_behind():
            return
        vanished = await list_vanished(self.database, SETTLED_S)
        now_us = self.clock.now_us()
        if vanished and await self._keep(lambda writer: erase_all(writer, vanished, now_us)):
            await note_erased(self.database, vanished)

    async def forget(self) -> None:
        """Deletes what is over of people (sessions, codes, invitations), and commands that ended long ago.
        Touches PostgreSQL only."""
        before = to_datetime(self.clock.now_us() - KEPT_DAYS * DAY_US)
        forgotten = FORGET_COMMANDS
        while forgotten == FORGET_COMMANDS:
            async with self.database.unscoped() as connection:
                forgotten = await forget_commands(connection, before, FORGET_COMMANDS)
        count = await forget_what_is_over(self.database, self.clock.now_us())
        log.info("upkeep.forgotten", count=count)

    async def _is_behind(self) -> bool:
        state = await Log(self.client).state()
        return state.lag_s(self.clock.now_us()) > BEHIND_S

    async def merge_all(self) -> bool:
        """Merges everything that can be merged, however far behind the worker is; False when another process
        does upkeep just now."""
        return await self._keep(lambda writer: upkeep.merge_files(writer, upkeep.GROWN_BYTES))

    async def _keep(self, task: Task) -> bool:
        """Runs a task on the lake, alone, in the background; False when another process does so."""
        async with await Leases.connect(self.postgres_url) as leases:
            if not await leases.take(UPKEEP):
                return False
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "upkeep", lower_priority)
            working = asyncio.get_running_loop().run_in_executor(self._thread, self._run, task)
            await finish(working)
            return True

    def _run(self, task: Task) -> None:
        writer = LakeWriter(replace(self.place, threads=1))
        try:
            task(writer)
        finally:
            writer.close()

    def app(self) -> procrastinate.App:
        """The schedule."""
        connector = procrastinate.PsycopgConnector(
            conninfo=libpq_url(with_options(self.postgres_url, {"search_path": "procrastinate"})),
            min_size=1,
            max_size=2,
            timeout=ANSWER_S,
        )
        app = procrastinate.App(connector=connector)

        async def merge_young(timestamp: int) -> None:
            del timestamp
            await quietly(self.merge_young)

        async def tidy(timestamp: int) -> None:
            del timestamp
            await quietly(self.tidy)

        async def erase(timestamp: int) -> None:
            del timestamp
            await quietly(self.erase)

        async def forget(timestamp: int) -> None:
            del timestamp
            await quietly(self.forget)

        minutely = app.task(name="merge_young", queueing_lock="merge_young", pass_context=False)(merge_young)
        hourly = app.task(name="tidy", queueing_lock="tidy", pass_context=False)(tidy)
        often = app.task(name="erase", queueing_lock="erase", pass_context=False)(erase)
        daily = app.task(name="forget", queueing_lock="forget", pass_context=False)(forget)
        app.periodic(cron="* * * * *")(minutely)
        app.periodic(cron="*/10 * * * *")(often)
        app.periodic(cron="17 * * * *")(hourly)
        app.periodic(cron="43 3 * * *")(daily)
        return app


async def quietly(job: Callable[[], Awaitable[None]]) -> None:
    """Runs a job; an engine that is away, or a commit that lost a race, means: next time."""
    try:
        await job()
    except EngineUnavailable as error:
        log.warning("upkeep waits for the next turn", error=str(error))


def apply_retention(writer: LakeWriter, now_us: int, retentions: list[Retention]) -> None:
    """Forgets what is older than its organisation keeps.

    Samples stay two days longer than promised: whatever the worker takes for kept is there, with the whole
    local day around it (up to 25 hours), from which a replaced value's roll-ups are made again.
    """
    alone = len(retentions) == 1
    for retention in retentions:
        series = None if alone else retention.series
        days = {
            "samples": ("ts", retention.raw_days + MARGIN_DAYS),
            "rollups_1m": ("bucket", retention.raw_days + MARGIN_DAYS),
            "rollups_15m": ("bucket", retention.hourly_days),
            "rollups_1h": ("bucket", retention.hourly_days),
            "rollups_1d": ("bucket", retention.daily_days),
            "corrections": ("ts", retention.daily_days),
        }
        counted = ~np.array(retention.is_energy)
        owners = {
            "series_no": np.array(retention.series)[counted],
            "device_no": np.array(retention.devices)[counted],
        }
        upkeep.forget_days(writer, now_us - retention.daily_days * DAY_US, now_us, pa.table(owners))
        for table, (column, kept) in days.items():
            upkeep.forget(writer, table, column, now_us - kept * DAY_US, series)


def erase_all(writer: LakeWriter, vanished: list[VanishedSeries], now_us: int) -> None:
    """Erases the series from all tables and current files; older files go with the snapshots naming them."""
    numbers = {
        "series_no": pa.array([one.series_no for one in vanished], pa.int32()),
        "device_no": pa.array([one.device_no for one in vanished], pa.int32()),
    }
    erase_series(writer, pa.table(numbers), now_us)
    # Also when nothing was left to erase: an earlier turn may have been killed in between.
    rewrite_files(writer)


async def run_jobs(jobs: Upkeep, stop: asyncio.Event) -> None:
    """Runs the schedule until `stop` is set; begins again whenever PostgreSQL has been away."""
    while not stop.is_set():
        try:
            await _run_schedule(jobs.app(), stop)
        except Exception as error:  # whatever ended the schedule, readings must not wait for it
            log.warning("the schedule begins again", error=repr(error))
            await wait_for(stop, AGAIN_S)


async def _run_schedule(app: procrastinate.App, stop: asyncio.Event) -> None:
    async with app.open_async():
        working = asyncio.create_task(
            app.run_worker_async(
                wait=True, concurrency=1, install_signal_handlers=False, delete_jobs="successful"
            )
        )
        stopping = asyncio.create_task(stop.wait())
        done, others = await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in done:
            task.result()
