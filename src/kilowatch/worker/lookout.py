"""The lookout: looks at readings as they arrive, and says what rules find in them.

Readings are looked at in columns, those of one beat together; a reading of a device without watches costs
one look into a table. Rules come from PostgreSQL and are read again when word of a change comes, once a
second where word was lost, and all of them now and then.

Keeps true: readings that were given before `caught_up` returned have been looked at, and what was found in
them was taken by the alarms; a rule's change holds within two seconds; at a start nothing is found anew that
was known. A fault of its own never stops readings from being stored.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import structlog

from kilowatch.alerts.finding import Clearing
from kilowatch.clock import MICROSECONDS, Clock
from kilowatch.lake.reading import LakeReader
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.rules.derive import Samples
from kilowatch.wire.frame import Frame
from kilowatch.wire.live import RegistryChange
from kilowatch.worker.alarms import Alarms
from kilowatch.worker.blocking import to_the_end
from kilowatch.worker.reports import Reports
from kilowatch.worker.rulebook import Book
from kilowatch.worker.store.registry import name_metrics
from kilowatch.worker.store.watching import list_recent_rules, list_with_energy_rules, load_watches
from kilowatch.worker.watch_rows import WATCH, WatchRows, rows_of

log = structlog.get_logger()

Ints = npt.NDArray[np.int64]

BEAT_S = 0.02
SLOWEST_BEAT_S = 0.05
REST_PER_WORK = 6.0
"""The rest after a look is so many times its work, between the two beats: looks at more readings at once cost
less of each."""
SILENCE_EVERY_S = 0.2
STALL_S = 5.0
"""A pause between two looks at silence beyond which it was we who slept."""
OLD_US = 86_400 * MICROSECONDS
"""A reading that is older than this when it arrives is history: nobody is told of it."""
POLL_S = 1.0
RECENT_S = 60.0
MOST_RECENT = 20_000
"""Of more changed rules than this all are read again."""
RELOAD_S = 300.0
WITHOUT_WATCHES = ("keys",)


@dataclass(slots=True)
class Sources:
    """What the lookout asks: PostgreSQL, the lake, the clock; and which partitions are its own."""

    database: Database
    reader: LakeReader
    clock: Clock
    numbers: Sequence[int]
    partitions: int


@dataclass(slots=True)
class Lookout:
    """Looks at readings that arrive."""

    sources: Sources
    alarms: Alarms
    book: Book = field(default_factory=lambda: Book(np.empty(0, WATCH), {}))
    _newest_us: Callable[[], Ints] = field(default=lambda: np.empty(0, np.int64))
    _is_behind: Callable[[], bool] = field(default=lambda: False)
    _frames: list[Frame] = field(default_factory=list)
    _heard_us: int = 0
    _given: int = 0
    _looked: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _progress: asyncio.Condition = field(default_factory=asyncio.Condition)
    _stale: set[uuid.UUID] = field(default_factory=set)
    _learnt: set[uuid.UUID] = field(default_factory=set)
    _has_begun: bool = False
    _everything: bool = False
    _told: asyncio.Event = field(default_factory=asyncio.Event)
    _recent: dict[uuid.UUID, datetime] = field(default_factory=dict)
    _loaded_s: float = field(default_factory=time.monotonic)
    _silence_s: float = field(default_factory=time.monotonic)
    _gone: Reports = field(default_factory=Reports)

    def add(self, frame: Frame) -> None:
        """Takes readings to be looked at."""
        if len(self.book) == 0:
            return
        self._given += 1
        self._frames.append(frame)
        self._heard_us = self.sources.clock.now_us()
        self._arrived.set()

    def note_change(self, change: RegistryChange) -> None:
        """Has what changed read again."""
        if change.kind == "rules":
            self._told.set()
        elif change.kind not in WITHOUT_WATCHES:
            self._stale.add(uuid.UUID(change.organisation))
            self._told.set()

    def note_learnt(self, organisations: Iterable[uuid.UUID]) -> None:
        """Has the watches on energy of these read again: it is known by now what energy is made from."""
        self._learnt.update(organisations)
        self._told.set()

    async def begin(self, newest_us: Callable[[], Ints], is_behind: Callable[[], bool]) -> None:
        """Reads the rules and how they stand; call it before the first readings. Where they cannot be read
        now, work begins without.

        newest_us: the newest stored time of each series; is_behind: whether readings are held back now.
        """
        self._newest_us, self._is_behind = newest_us, is_behind
        try:
            await self._load(remembers=True)
        except Exception as error:
            log.exception("rules could not be read; they are read again later", error=repr(error))
            self._told.set()

    async def _load(self, remembers: bool) -> None:
        """Reads the rules for the first time; `remembers`: what is stored was looked at."""
        sources = self.sources
        self._recent = await list_recent_rules(sources.database, RECENT_S, MOST_RECENT)
        rows = await load_watches(sources.database, sources.numbers, sources.partitions)
        book = await self._make_book(rows, None)
        book.take_over(self.book, self._newest_us(), sources.clock.now_us())
        if remembers:
            await self._remember(book)
        mine = [
            one
            for one in await self.alarms.living()
            if one.key.kind == "rule" and (one.key.device_no or 0) % sources.partitions in sources.numbers
        ]
        over = [one for one, found in zip(mine, book.restore(mine), strict=True) if not found]
        book.rest(await self.alarms.resting())
        book.dismiss(await self.alarms.dismissed())
        now_us = sources.clock.now_us()
        self._gone = Reports([], [Clearing(one.key, max(now_us, one.since_us)) for one in over])
        book.silence.listen(sources.clock.now_us())
        self.book, self._has_begun = book, True

    async def run(self) -> None:
        """Looks at what was added, and keeps the rules fresh, until cancelled.

        Raises:
            EngineUnavailable: if the alarms cannot take what was found.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_on())
            tasks.create_task(self._keep_fresh())

    async def caught_up(self) -> None:
        """Returns once all that was added before has been looked at, and what was found was taken."""
        given = self._given
        async with self._progress:
            await self._progress.wait_for(lambda: self._looked >= given)

    async def _look_on(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SILENCE_EVERY_S):
                    await self._arrived.wait()
            except TimeoutError:
                """It is time to look at silence."""
            self._arrived.clear()
            began_s = time.thread_time()
            given, reports = self._given, self._look()
            worked_s = time.thread_time() - began_s
            metrics.LOOKOUT_SECONDS.inc(worked_s)
            if len(reports):
                metrics.FINDINGS.labels("raised").inc(len(reports.findings))
                metrics.FINDINGS.labels("cleared").inc(len(reports.clearings))
                await self.alarms.take(reports.findings, reports.clearings)
            async with self._progress:
                self._looked = given
                self._progress.notify_all()
            await asyncio.sleep(min(SLOWEST_BEAT_S, max(BEAT_S, REST_PER_WORK * worked_s)))

    def _look(self) -> Reports:
        """What the readings that wait, and silence, bring."""
        frames, self._frames = self._frames, []
        reports, self._gone = self._gone, Reports()
        book, now_us = self.book, self.sources.clock.now_us()
        try:
            if frames:
                self._look_at(frames, reports, now_us)
            if len(book.silence):
                self._listen(reports, now_us)
        except Exception as error:
            log.exception("readings were not looked at", frames=len(frames), error=repr(error))
            metrics.LOOKOUT_FAULTS.inc()
        return reports

    def _look_at(self, frames: list[Frame], reports: Reports, now_us: int) -> None:
        book = self.book
        if book.silence.wants_devices:
            book.silence.hear_devices(np.concatenate([frame.device for frame in frames]), self._heard_us)
        samples = samples_of(frames, book)
        if not len(samples):
            return
        book.silence.hear_series(samples.series, self._heard_us)
        recent = samples.ts_us > now_us - OLD_US
        if not recent.all():
            samples = samples.take(recent)
        for which, group in book.groups.items():
            changes = group.look(samples)
            if len(changes):
                reports.add_changes(which, group.rows, changes, book.names)

    def _listen(self, reports: Reports, now_us: int) -> None:
        at_s = time.monotonic()
        if self._is_behind() or at_s - self._silence_s > STALL_S:
            self.book.silence.listen(now_us)
        self._silence_s = at_s
        turn = self.book.silence.turn(now_us)
        if len(turn):
            reports.add_silence(self.book.silence, turn)

    async def _keep_fresh(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._told.wait()
            except TimeoutError:
                """No word came; it may have been lost."""
            self._told.clear()
            began_s = time.monotonic()
            try:
                await self._renew()
            except Exception as error:
                self._everything = True
                log.warning("rules are read again later", reason=repr(error))
            # Rules that are many may take long; readings come first.
            await asyncio.sleep(max(BEAT_S, time.monotonic() - began_s))

    async def _renew(self) -> None:
        """Reads what changed, and goes on with it."""
        if not self._has_begun:
            await self._load(remembers=False)
            return
        sources = self.sources
        recent = await list_recent_rules(sources.database, RECENT_S, MOST_RECENT)
        changed = [rule for rule, at in recent.items() if self._recent.get(rule) != at]
        learnt, self._learnt = self._learnt, set()
        if learnt:
            self._stale.update(await list_with_energy_rules(sources.database, list(learnt)))
        stale, self._stale = self._stale, set()
        aged = time.monotonic() - self._loaded_s > RELOAD_S
        many = len(recent) >= MOST_RECENT and bool(changed)
        if self._everything or aged or many:
            self._loaded_s = time.monotonic()
            self._everything = False
            rows = await load_watches(sources.database, sources.numbers, sources.partitions)
            await self._go_on_with(rows)
        elif stale or changed:
            await self._go_on_with(await self._mend(stale, changed))
        self._recent = recent

    async def _mend(self, stale: Iterable[uuid.UUID], changed: Sequence[uuid.UUID]) -> WatchRows:
        """The watches, with those of some organisations and of some rules read again."""
        sources, rows = self.sources, self.book.rows
        for organisation in stale:
            fresh = await load_watches(
                sources.database, sources.numbers, sources.partitions, organisation_id=organisation
            )
            rows = np.concatenate([rows[~rows_of(rows, "organisation", [organisation])], fresh])
        if changed:
            fresh = await load_watches(
                sources.database, sources.numbers, sources.partitions, rule_ids=changed
            )
            rows = np.concatenate([rows[~rows_of(rows, "rule", changed)], fresh])
        return rows

    async def _go_on_with(self, rows: WatchRows) -> None:
        before = self.book
        book = await self._make_book(rows, before)
        now_us = self.sources.clock.now_us()
        for gone, since_us in book.take_over(before, self._newest_us(), now_us):
            self._gone.add_gone(gone, since_us, now_us)
        self.book = book
        self._arrived.set()

    async def _make_book(self, rows: WatchRows, before: Book | None) -> Book:
        numbers = np.unique(rows["metric"]).tolist()
        missing = [number for number in numbers if number and number not in self.book.names]
        names = self.book.names | (await name_metrics(self.sources.database, missing) if missing else {})
        return await to_the_end(Book.of, rows, names, before)

    async def _remember(self, book: Book) -> None:
        """Shows the newest stored values to watches that were there when these came: what they say is known,
        and nobody is told of it again."""
        if not book.groups:
            return
        series = np.unique(np.concatenate([group.derivation.series for group in book.groups.values()]))
        newest = await to_the_end(self.sources.reader.latest, series.tolist())
        samples = Samples.sorted(
            newest["series_no"].to_numpy().astype(np.int32),
            newest["ts"].to_numpy().astype(np.int64),
            newest["value"].to_numpy().astype(np.float64),
        )
        if len(samples):
            book.remember(samples)


def samples_of(frames: list[Frame], book: Book) -> Samples:
    """The values in these frames that some watch looks at."""
    found: list[tuple[npt.NDArray[np.int32], Ints, npt.NDArray[np.float64]]] = []
    for metric in {metric for frame in frames for metric in frame.metrics if metric in book.paths}:
        mine = [frame for frame in frames if metric in frame.metrics]
        series = book.paths[metric].find(np.concatenate([frame.device for frame in mine]))
        rows = np.flatnonzero(series)
        if len(rows):
            ts_us = np.concatenate([frame.ts_us for frame in mine])[rows]
            value = np.concatenate([frame.metrics[metric] for frame in mine])[rows]
            found.append((series[rows], ts_us, value))
    series, ts_us, value = (
        np.concatenate([column[place] for column in found]) if found else np.empty(0, kind)
        for place, kind in enumerate((np.int32, np.int64, np.float64))
    )
    return Samples.sorted(series, ts_us, value)
