"""The worker as a process: takes its partitions when they are free, works, and starts over after any trouble.

Several workers may ask for the same partitions; the second waits and takes over within a second or two of the
first one's death. The lake's upkeep runs beside the work, in one process at a time.
"""

import asyncio
import gc
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog

from kilowatch.clock import Clock, SystemClock
from kilowatch.errors import EngineUnavailable
from kilowatch.lake.connection import LakePlace, open_lake
from kilowatch.lake.reading import LakeReader
from kilowatch.lake.writing import LakeWriter
from kilowatch.observe import metrics
from kilowatch.observe.workers import take_down
from kilowatch.postgres.engine import Database
from kilowatch.postgres.lease import Leases
from kilowatch.settings import Settings
from kilowatch.stream.client import Client
from kilowatch.stream.log import PartitionTaken
from kilowatch.wire.figures import FIGURES_SUBJECT
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange
from kilowatch.worker.alarms import Alarms, Item
from kilowatch.worker.blocking import to_the_end, wait_for
from kilowatch.worker.lookout import Lookout, Sources
from kilowatch.worker.patrol import Patrol
from kilowatch.worker.shift import Pace, Places, Shift, Suspects, Unsettled

log = structlog.get_logger()

RETRY_S = 0.5
LEASE_POLL_S = 0.5
TELL_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Engines:
    """Where the engines of a worker are: PostgreSQL as the worker's role, NATS, and the lake."""

    postgres_url: str = field(repr=False)
    nats_url: str = field(repr=False)
    lake: LakePlace


@dataclass(slots=True)
class Worker:
    """Works on the partitions `numbers` until told to stop."""

    engines: Engines
    settings: Settings
    numbers: Sequence[int]
    clock: Clock = field(default_factory=SystemClock)
    suspects: Suspects = field(default_factory=dict)
    unwritten: deque[Item] = field(default_factory=deque)
    """Findings that wait for an engine, from one shift to the next."""

    async def run(self, stop: asyncio.Event) -> None:
        """Works shift after shift until `stop` is set."""
        while not stop.is_set():
            try:
                await self._work_one_shift(stop)
            except* (EngineUnavailable, PartitionTaken, Unsettled) as group:
                metrics.SHIFTS_BROKEN.inc()
                reasons = [str(error) for error in leaves(group)]
                log.warning("the shift ended; starting anew", reasons=reasons)
                await wait_for(stop, RETRY_S)
            # What a shift knew of a million devices is not left until the collector comes by.
            gc.collect()

    async def _work_one_shift(self, stop: asyncio.Event) -> None:
        async with await Leases.connect(self.engines.postgres_url) as leases:
            if not await self._take_leases(leases, stop):
                return
            async with self._places(leases) as places:
                partitions = self.settings.partitions
                sources = Sources(places.database, places.reader, places.clock, self.numbers, partitions)
                alarms = self._alarms(places)
                shift = Shift(
                    places,
                    self.numbers,
                    partitions,
                    Pace(self.settings.commit_s, self.settings.commit_rows),
                    self.settings.gap_max_s * 1_000_000,
                    self.suspects,
                    Lookout(sources, alarms),
                    self._patrol(places, alarms),
                )

                def note(_subject: str, message: bytes) -> None:
                    shift.note_change(RegistryChange.decode(message))

                changed = await places.client.subscribe(REGISTRY_SUBJECT, note)
                telling = asyncio.create_task(tell_figures(places.client, ",".join(map(str, self.numbers))))
                log.info("the worker is at work", partitions=list(self.numbers))
                try:
                    await shift.run(stop)
                finally:
                    telling.cancel()
                    await changed.stop()

    def _alarms(self, places: Places) -> Alarms:
        price = self.settings.price_per_kwh
        return Alarms(places.database, places.client, self.clock, price, self.unwritten)

    def _patrol(self, places: Places, alarms: Alarms) -> Patrol:
        return Patrol(
            places.database,
            places.client,
            places.reader,
            self.clock,
            alarms,
            self.numbers,
            self.settings.partitions,
        )

    async def _take_leases(self, leases: Leases, stop: asyncio.Event) -> bool:
        """Waits until every partition is free; False when told to stop meanwhile."""
        for number in self.numbers:
            while not await leases.take(number):
                if await wait_for(stop, LEASE_POLL_S):
                    return False
        return not stop.is_set()

    @asynccontextmanager
    async def _places(self, leases: Leases) -> AsyncIterator[Places]:
        async with AsyncExitStack() as opened:
            database = Database(self.engines.postgres_url)
            opened.push_async_callback(database.close)
            client = await Client.connect(self.engines.nats_url, name="worker")
            opened.push_async_callback(client.close)
            connection = await to_the_end(open_lake, self.engines.lake)
            writer = LakeWriter(self.engines.lake, connection.cursor())
            reader = LakeReader(self.engines.lake, connection)
            opened.push_async_callback(to_the_end, reader.close)
            opened.push_async_callback(to_the_end, writer.close)
            yield Places(database, client, writer, reader, leases, self.clock)


async def tell_figures(client: Client, worker: str) -> None:
    """Tells the servers what is counted here, under this name, until cancelled."""
    while True:
        with suppress(EngineUnavailable):
            await client.publish(FIGURES_SUBJECT, take_down(metrics.WORKERS_OWN, worker).encode())
        await asyncio.sleep(TELL_EVERY_S)


def leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    """The exceptions inside a group, however nested."""
    found: list[Exception] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found += leaves(error)
        else:
            found.append(error)
    return found
