"""A shift: one hold on some partitions of the log, from taking them to losing them.

Keeps true the order that makes a 202 a promise: readings leave the log only after the lake has them on disk.
Whatever goes wrong with an engine ends the shift; the next one starts from what is committed, so no state can
disagree with the lake for long.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from kilowatch.clock import Clock
from kilowatch.errors import EngineUnavailable
from kilowatch.lake.reading import LakeReader
from kilowatch.lake.writing import LakeWriter
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.postgres.lease import Leases
from kilowatch.stream.client import Client
from kilowatch.stream.log import Log, LogMessage, Partition, PartitionTaken
from kilowatch.stream.poison import keep_unreadable
from kilowatch.wire.frame import Frame, FrameError
from kilowatch.wire.live import RegistryChange
from kilowatch.worker.blocking import to_the_end
from kilowatch.worker.books import Books
from kilowatch.worker.display import Display
from kilowatch.worker.lateness import affordable
from kilowatch.worker.ledger import Outcome, Span, ledger_table, values_per_row
from kilowatch.worker.letters import Origin, buried_letters, unsettled_letters, write_letters
from kilowatch.worker.lookout import Lookout
from kilowatch.worker.numbering import in_slots, unknown_devices
from kilowatch.worker.patrol import Patrol
from kilowatch.worker.registry import Registry
from kilowatch.worker.repair import plan_repair
from kilowatch.worker.repeats import REPEAT, no_contest, sort_readings
from kilowatch.worker.settle import LookUps, Settled, Settlement
from kilowatch.worker.sightings import Sightings
from kilowatch.worker.store.registry import learn_devices

log = structlog.get_logger()

NO_READINGS = Frame(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32))

FETCH_MESSAGES = 256
FETCH_BYTES = 64 * 1024 * 1024
HELD_ROWS_FACTOR = 3
"""Rows that may wait in memory, in commits; beyond that the log keeps them."""
CELLS_PER_BATCH = 64_000_000
"""Readings x metrics in one batch; readings whose metrics differ widely make sparse columns."""
TRIES = 5
"""How often a message is tried by itself before it becomes dead letters."""
RENEW_COMMITS = 500
"""Commits after which the lake is opened anew: each leaves some 60 kB in the connection."""
RELEARN_S = 300.0
"""After so long every device is learnt anew, in case that word of a change was lost."""
RELEARN_AT_ONCE = 50_000
"""Of more devices than this only some are learnt anew at once: readings do not wait for all of them."""
LEARN_AT_ONCE = 20_000
"""So many devices are asked for in one question."""
WARY_OPENS, KILLING_OPENS = 3, 8
"""After so many workers that died at the same oldest message: go on one by one; take that message for the
killer."""
LAST_TRIES = 3
"""How often making dead letters of it is tried before the whole message is set aside."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When to commit: after this many seconds, or this many readings."""

    commit_s: float
    commit_rows: int


class Unsettled(Exception):
    """A batch failed for a reason that is no engine's; its messages are suspects, and the next shift tries
    them one by one."""


Suspects = dict[tuple[int, int], int]
"""(partition, sequence) of messages that failed, alone or in company -> how often each failed alone."""


@dataclass(slots=True)
class Arrival:
    """A message of the log with the readings that it carries."""

    partition: int
    message: LogMessage
    frame: Frame

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the log."""
        return self.partition, self.message.sequence


@dataclass(slots=True)
class Places:
    """The engines that a shift works with."""

    database: Database
    client: Client
    writer: LakeWriter
    reader: LakeReader
    leases: Leases
    clock: Clock


@dataclass(eq=False)
class Shift:
    """The work on `numbers` of `partitions` partitions."""

    places: Places
    numbers: Sequence[int]
    partitions: int
    pace: Pace
    gap_max_us: int
    suspects: Suspects
    lookout: Lookout
    patrol: Patrol
    registry: Registry = field(default_factory=Registry)
    _arrived: deque[Arrival] = field(default_factory=deque)
    _rows: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _log_us: int = 0
    _committed: dict[int, int] = field(default_factory=dict)
    _taken: dict[int, int] = field(default_factory=dict)
    _open: dict[int, Partition] = field(default_factory=dict)
    _wary: set[int] = field(default_factory=set)
    _commits: int = 0
    _learnt_s: float = field(default_factory=time.monotonic)
    _turn: int = 0
    _sightings: Sightings = field(init=False)
    _settlement: Settlement = field(init=False)
    _display: Display = field(init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then finishes what has arrived.

        Raises:
            EngineUnavailable: if an engine went away.
            PartitionTaken: if another worker has taken a partition.
            Unsettled: if a batch failed; the suspects say which.
        """
        await self._begin()
        self.patrol.is_behind = lambda: not self._room.is_set()
        await self.lookout.begin(lambda: self._settlement.newest_us, self.patrol.is_behind)
        self._display = Display(self.places.client)
        self._sightings = Sightings(self.places.database)
        try:
            async with asyncio.TaskGroup() as tasks:
                helping = (
                    self._display.run,
                    self._sightings.run,
                    self.lookout.run,
                    self.patrol.run,
                    self.patrol.alarms.run,
                )
                beside = [tasks.create_task(run()) for run in helping]
                fetchers = [tasks.create_task(self._fetch(number, stop)) for number in self.numbers]
                await self._settle_until(fetchers)
                for task in beside:
                    task.cancel()
            await self._sightings.write()
        finally:
            for partition in self._open.values():
                await partition.close()

    def note_change(self, change: RegistryChange) -> None:
        """Has what changed read again."""
        if change.kind not in ("keys", "rules", "arrivals", "detectors"):
            self.registry.forget()
        self.lookout.note_change(change)

    async def _begin(self) -> None:
        """Reads what is committed, then opens the partitions."""
        reader, readings = self.places.reader, Log(self.places.client)
        state = await readings.state()
        self._log_us = state.created_us
        positions = await to_the_end(self.places.writer.positions, self._log_us)
        # A position beyond the log's end means that the log was set back to an older copy of itself, and
        # that its numbers are given out a second time; what it still holds is told by its values.
        self._committed = {number: at for number, at in positions.items() if at <= state.last_sequence}
        self._taken = dict(self._committed)
        newest = await to_the_end(reader.newest)
        books = Books(self.registry, self.gap_max_us, reader.find_around)
        self._settlement = Settlement(
            self.registry, books, LookUps(reader.find_stored, reader.find_gaps), self.partitions
        )
        series = newest.column("series_no").to_numpy()
        self.registry.highest_series = max(int(series.max(initial=0)), self.registry.highest_series)
        self._settlement.make_room()
        self._settlement.newest_us[series] = newest.column("ts").to_numpy()
        self._room.set()
        for number in self.numbers:
            self._open[number] = await readings.open_partition(number)
            if self._open[number].stalled_opens > WARY_OPENS:
                self._wary.add(number)

    async def _fetch(self, number: int, stop: asyncio.Event) -> None:
        partition = self._open[number]
        while not stop.is_set():
            await self._room.wait()
            messages = await partition.fetch(FETCH_MESSAGES, 0.5, FETCH_BYTES)
            committed, taken = self._committed.get(number, 0), self._taken.get(number, 0)
            if done := [one for one in messages if one.sequence <= committed]:
                await partition.acknowledge(done)
            fresh = [one for one in messages if one.sequence > taken]
            if fresh and number in self._wary:
                self._wary.remove(number)
                self._suspect(number, fresh, partition.stalled_opens)
            if fresh:
                self._taken[number] = fresh[-1].sequence
            arrivals = [await self._read(number, one) for one in fresh]
            await self._take_in(arrivals)
        self._wake.set()

    def _suspect(self, number: int, fresh: Sequence[LogMessage], deaths: int) -> None:
        """Has messages tried one by one that workers before this one may have died of; beyond a number of
        deaths the oldest is not tried any more."""
        log.error("workers died at this message", partition=number, sequence=fresh[0].sequence, deaths=deaths)
        for message in fresh:
            self.suspects.setdefault((number, message.sequence), 0)
        if deaths > KILLING_OPENS:
            tries = TRIES if deaths <= KILLING_OPENS + LAST_TRIES else TRIES + LAST_TRIES
            self.suspects[number, fresh[0].sequence] = tries

    async def _read(self, number: int, message: LogMessage) -> Arrival:
        """The message's readings; one that cannot be read is kept aside and brings none."""
        try:
            return Arrival(number, message, Frame.decode(message.data))
        except FrameError as error:
            log.error("a message of the log cannot be read", sequence=message.sequence, error=str(error))
            await keep_unreadable(self.places.client, message, str(error))
            return Arrival(number, message, NO_READINGS)

    async def _take_in(self, arrivals: list[Arrival]) -> None:
        if not arrivals:
            return
        self._arrived.extend(arrivals)
        self._count_rows(sum(len(one.frame) for one in arrivals))
        self._wake.set()
        for one in arrivals:
            if len(one.frame):
                self._display.add(one.frame)
                self.lookout.add(one.frame)
                self.patrol.add(one.frame)

    async def _settle_until(self, fetchers: Sequence[asyncio.Task[None]]) -> None:
        """Commits what arrives until every fetcher is done and nothing is left."""
        last = time.monotonic() - self.pace.commit_s
        while self._arrived or not all(task.done() for task in fetchers):
            if not self._arrived:
                self._wake.clear()
                await self._wait_for_wake(self.pace.commit_s)
                continue
            rest = last + self.pace.commit_s - time.monotonic()
            if rest > 0 and not self._is_due() and not all(task.done() for task in fetchers):
                self._wake.clear()
                await self._wait_for_wake(rest)
                continue
            last = time.monotonic()
            await self._commit(self._next_batch())

    def _is_due(self) -> bool:
        """Whether what has arrived is to be committed at once: there is much of it, or a suspect among it."""
        return self._rows >= self.pace.commit_rows or self._arrived[0].place in self.suspects

    async def _wait_for_wake(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _next_batch(self) -> list[Arrival]:
        """The oldest arrivals that can be settled together: same wish for conflicts, not too many columns."""
        batch: list[Arrival] = []
        rows, columns = 0, set[int]()
        while self._arrived:
            frame = self._arrived[0].frame
            wider = columns | set(frame.metrics)
            cells = (rows + len(frame)) * len(wider)
            unlike = batch and frame.on_conflict != batch[0].frame.on_conflict
            alone = batch and (self._arrived[0].place in self.suspects or batch[0].place in self.suspects)
            if batch and (alone or unlike or cells > CELLS_PER_BATCH or rows >= 2 * self.pace.commit_rows):
                break
            batch.append(self._arrived.popleft())
            rows, columns = rows + len(frame), wider
        self._rows -= rows
        if self._rows < HELD_ROWS_FACTOR * self.pace.commit_rows:
            self._room.set()
        return batch

    def _put_back(self, arrivals: list[Arrival]) -> None:
        """Leaves the newest of a batch for the next one."""
        self._arrived.extendleft(reversed(arrivals))
        self._count_rows(sum(len(one.frame) for one in arrivals))

    def _count_rows(self, more: int) -> None:
        self._rows += more
        if self._rows >= HELD_ROWS_FACTOR * self.pace.commit_rows:
            self._room.clear()

    async def _commit(self, batch: list[Arrival]) -> None:
        """Settles, commits and acknowledges a batch, or the oldest of it.

        Raises:
            Unsettled: if it cannot be; what was computed is then of no use any more, and the shift ends.
        """
        tried = self.suspects.get(batch[0].place, 0) if len(batch) == 1 else 0
        try:
            if tried >= TRIES + LAST_TRIES:
                await self._set_aside(batch[0])
            elif tried >= TRIES:
                await self._bury(batch[0])
            else:
                await self._settle_and_write(batch)
        except (EngineUnavailable, PartitionTaken, asyncio.CancelledError):
            raise
        except Exception as error:
            for arrival in batch:
                self.suspects.setdefault(arrival.place, 0)
            if len(batch) == 1:
                self.suspects[batch[0].place] = tried + 1
            raise Unsettled(f"{len(batch)} messages from {batch[0].place} on: {error!r}") from error
        for arrival in batch:
            self.suspects.pop(arrival.place, None)

    async def _settle_and_write(self, batch: list[Arrival]) -> None:
        await self._learn(batch)
        self._settlement.make_room()
        frames = [in_slots(arrival.frame, self.registry) for arrival in batch]
        count = affordable(frames, self.registry, self._settlement.newest_us)
        self._put_back(batch[count:])
        del batch[count:]
        frame = Frame.concat(frames[:count])
        spans = self._spans(batch)
        origin = self._origin(batch)
        settled = await to_the_end(self._settlement.settle, frame, spans, origin.now_us)
        await write_letters(self.places.database, unsettled_letters(settled, self.registry, origin))
        # Whoever is killed before this finds it again.
        await self.lookout.caught_up()
        await self.places.leases.check()
        with metrics.COMMIT_SECONDS.time():
            await to_the_end(self._write, settled)
        self._settlement.committed(settled)
        self._sightings.note(settled.readings.device, max(one.message.stored_us for one in batch))
        await self._acknowledge(batch, spans)
        self._commits += 1
        if self._commits % RENEW_COMMITS == 0:
            await to_the_end(self.places.writer.renew, self.places.reader)
        metrics.COMMITS.inc()
        metrics.SAMPLES_STORED.inc(settled.tables["samples"].num_rows)
        metrics.SAMPLES_REPEATED.inc(int(np.count_nonzero(settled.contested.verdict == REPEAT)))

    async def _bury(self, arrival: Arrival) -> None:
        """Makes dead letters of a message that failed every time, and counts it in the ledger."""
        await self._learn([arrival])
        origin = self._origin([arrival])
        frame = in_slots(arrival.frame, self.registry)
        reason = f"it failed {TRIES} times"
        await write_letters(self.places.database, buried_letters(frame, self.registry, origin, reason))
        await self._count_as_dead(arrival, frame)
        log.error("a message became dead letters", place=arrival.place, readings=len(frame))

    async def _set_aside(self, arrival: Arrival) -> None:
        """Keeps a message of which not even dead letters can be made where unreadable ones are kept."""
        await keep_unreadable(self.places.client, arrival.message, "its readings cannot be stored")
        await self._count_as_dead(arrival, NO_READINGS)
        log.error("a message was set aside", place=arrival.place, readings=len(arrival.frame))

    async def _count_as_dead(self, arrival: Arrival, frame: Frame) -> None:
        """Counts the message, and the values of `frame` as dead letters, and lets the message go."""
        spans = self._spans([arrival])
        readings = sort_readings(frame.device, frame.ts_us, frame.key, frame.metrics)
        values = values_per_row(readings)
        outcome = Outcome(values, values, no_contest())
        now_us = self.places.clock.now_us()
        rows = ledger_table(readings, outcome, spans, self.partitions, now_us)
        await self.places.leases.check()
        await to_the_end(self.places.writer.commit, {"ledger": rows})
        await self._acknowledge([arrival], spans)

    def _origin(self, batch: list[Arrival]) -> Origin:
        begins = np.cumsum([0, *(len(one.frame) for one in batch[:-1])]).tolist()
        messages = [one.message for one in batch]
        return Origin(messages, [one.frame.door for one in batch], begins, self.places.clock.now_us())

    def _spans(self, batch: Sequence[Arrival]) -> list[Span]:
        """The messages of each partition in a batch."""
        sequences: dict[int, list[int]] = {}
        for arrival in batch:
            sequences.setdefault(arrival.partition, []).append(arrival.message.sequence)
        return [
            Span(number, min(found), max(found), len(found), self._log_us)
            for number, found in sequences.items()
        ]

    def _write(self, settled: Settled) -> None:
        repair = plan_repair(settled, self.registry)
        if repair.is_needed:
            self.places.writer.commit(settled.tables, repair.roll_up_again(), repair.withdraw())
        else:
            self.places.writer.commit(settled.tables)

    async def _acknowledge(self, batch: list[Arrival], spans: Sequence[Span]) -> None:
        for span in spans:
            self._committed[span.partition] = span.last_seq
            mine = [one.message for one in batch if one.partition == span.partition]
            await self._open[span.partition].acknowledge(mine)

    async def _learn(self, batch: list[Arrival]) -> None:
        """Reads the facts of devices and series that are not known yet."""
        turns = 1 + len(self.registry.known) // RELEARN_AT_ONCE
        if time.monotonic() - self._learnt_s > RELEARN_S / turns:
            self._learnt_s = time.monotonic()
            self._turn = (self._turn + 1) % turns
            self.registry.forget(self._turn, turns)
        unknown = unknown_devices((one.frame for one in batch), self.registry)
        for start in range(0, len(unknown), LEARN_AT_ONCE):
            some = unknown[start : start + LEARN_AT_ONCE]
            devices, series = await learn_devices(self.places.database, some)
            self.registry.learn(devices, series, some)
            self.lookout.note_learnt({one.organisation_id for one in devices})
            self.patrol.note_new(one.device_no for one in devices)
