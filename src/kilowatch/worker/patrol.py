"""The detectors at work beside a shift: what arrives is looked at within a tenth of a second, the clock four
times a second, energy each half minute, and profiles are learnt a few times a day, those of new devices at
once.

Keeps true: readings never wait for a detector; an engine that is away puts a look off and loses no alert
(`alarms`); whatever goes wrong here ends neither the shift nor the other detectors.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import structlog

from kilowatch.alerts.detector import DETECTORS
from kilowatch.alerts.store.detectors import keep_pauses, keep_profiles, list_profiles, list_settings
from kilowatch.alerts.store.raising import list_living
from kilowatch.clock import MICROSECONDS, Clock
from kilowatch.errors import EngineUnavailable
from kilowatch.postgres.engine import Database
from kilowatch.stream.client import Client, Subscription
from kilowatch.wire.frame import Frame
from kilowatch.wire.live import EVENTS_SUBJECT, REGISTRY_SUBJECT, LiveEvent
from kilowatch.worker.alarms import Alarms
from kilowatch.worker.blocking import to_the_end
from kilowatch.worker.ground import UNKNOWN, Floats, Ground, Ints, Mask, by_number, make_ground
from kilowatch.worker.quarters import Lake, QuarterDetectors, learn_profiles, profile_of
from kilowatch.worker.samples import SampleDetectors
from kilowatch.worker.silence import Silence
from kilowatch.worker.store.watching import read_ground

log = structlog.get_logger()

LOOK_S = 0.1
TURN_S = 0.25
QUARTERS_S = 30.0
RELOAD_S = 300.0
GATHER_S = 0.5
"""Word of changes is gathered for so long before facts are read anew."""
REST_PER_LOAD = 4.0
"""The rest before facts are read anew is at least so many times what it took to read them last: while a
million devices arrive, most of the time is left to their readings."""
PAUSES_S = 300.0
STALL_S = 5.0
"""A pause between two turns beyond which it was we who slept."""
OLD_US = 86_400 * MICROSECONDS
"""A reading that is older than this when it arrives is history: nobody is told of it."""
LEARN_FIRST_S, LEARN_S = 60.0, 6 * 3600.0
NEW_S, NEW_EVERY_S = 20.0, 5.0
"""How long after its first reading a device's profile is learnt: what lies behind it comes first."""
MOST_NEW = 500
"""Of more new devices than this the profiles wait for those of all."""
AGAIN_S = 1.0


@dataclass(slots=True)
class Patrol:
    """The detectors of some partitions."""

    database: Database
    client: Client
    lake: Lake
    clock: Clock
    alarms: Alarms
    numbers: Sequence[int]
    partitions: int
    samples: SampleDetectors = field(default_factory=SampleDetectors)
    quarters: QuarterDetectors = field(default_factory=QuarterDetectors)
    silence: Silence = field(init=False)
    is_behind: Callable[[], bool] = field(default=lambda: False)
    """Whether readings are held back now, so that silence is nobody's."""
    _turned_s: float = field(default_factory=time.monotonic)
    _frames: list[Frame] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _learn_at_s: Floats = field(default_factory=lambda: np.full(1, np.nan))
    """By device number: when to learn the profile of one that is new; NaN: it never told; infinite: done."""
    _is_ready: bool = False

    def __post_init__(self) -> None:
        self.silence = Silence(self.clock.now_us())

    def add(self, frame: Frame) -> None:
        """Takes readings that arrived just now."""
        self.silence.hear(frame.device, self.clock.now_us())
        if self._is_ready:
            self._frames.append(frame)
            self._arrived.set()

    def note_new(self, devices: Iterable[int]) -> None:
        """Has the profiles of devices (by their numbers) learnt that tell for the first time, as far as
        known."""
        numbers = np.fromiter(devices, np.int64)
        more = max(int(numbers.max(initial=0)) + 1 - len(self._learn_at_s), 0)
        self._learn_at_s = np.append(self._learn_at_s, np.full(more, np.nan))
        self._learn_at_s[numbers[np.isnan(self._learn_at_s[numbers])]] = time.monotonic() + NEW_S

    async def run(self) -> None:
        """Watches until cancelled."""
        heard: list[Subscription] = []
        try:
            heard.append(await self.client.subscribe(REGISTRY_SUBJECT, lambda *_: self._changed.set()))
            heard.append(await self.client.subscribe(EVENTS_SUBJECT, self._hear_event))
            await self._begin()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._reload())
                tasks.create_task(self._look())
                tasks.create_task(self._each(TURN_S, self.turn))
                tasks.create_task(self._each(QUARTERS_S, self.look_at_quarters))
                tasks.create_task(self._each(PAUSES_S, self.keep_pauses))
                tasks.create_task(self._learn())
                tasks.create_task(self._each(NEW_EVERY_S, self.learn_new))
        finally:
            for one in heard:
                await one.stop()
            await self._try(self.keep_pauses)

    async def _begin(self) -> None:
        """Waits until the facts are there."""
        while True:
            if await self._try(self.begin):
                return
            await asyncio.sleep(AGAIN_S)

    async def begin(self) -> None:
        """Reads the facts, and what was told of before.

        Raises:
            EngineUnavailable: if PostgreSQL is away.
        """
        async with self.database.unscoped() as connection:
            profiles = await list_profiles(connection, self.partitions, self.numbers)
            living = await list_living(connection, list(DETECTORS))
        self.samples.profile = profile_of([profiles], int(profiles[0].max(initial=0)) + 1)
        await self.load()
        told = living + await self.alarms.dismissed(list(DETECTORS))
        self.samples.restore(told)
        self.quarters.restore(told)
        self.silence.restore([one for one in living if one.key.kind == "offline"], self.clock.now_us())
        self._is_ready = True

    async def load(self) -> None:
        """Reads the facts anew.

        Raises:
            EngineUnavailable: if PostgreSQL is away.
        """
        async with self.database.unscoped() as connection:
            rows = await read_ground(connection, self.partitions, self.numbers)
            settings = await list_settings(connection)
        now_us = self.clock.now_us()
        ground = make_ground(rows, settings, now_us)
        profile = self.samples.profile.widened(len(ground))
        clearings = self.samples.change(ground, profile, now_us) + self.quarters.change(ground, now_us)
        width = len(ground)
        columns = (by_number(rows, name, width) for name in ("last_seen_us", "pause_us"))
        self.silence.call(ground.roll(), *columns)
        if clearings:
            await self.alarms.take([], clearings)

    async def _reload(self) -> None:
        load_s = 0.0
        while True:
            try:
                async with asyncio.timeout(RELOAD_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(max(GATHER_S, REST_PER_LOAD * load_s))
            self._changed.clear()
            began_s = time.monotonic()
            if not await self._try(self.load):
                self._changed.set()
                await asyncio.sleep(AGAIN_S)
            load_s = time.monotonic() - began_s

    async def _look(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            frames, self._frames = self._frames, []
            await self._try(lambda frames=frames: self.look(frames))  # type: ignore[misc]
            await asyncio.sleep(LOOK_S)

    async def look(self, frames: Sequence[Frame]) -> None:
        """Looks at the power in these frames."""
        powers, old_us = self.samples.ground.powers, self.clock.now_us() - OLD_US
        device, ts_us, power_w, rests = [], [], [], []
        for frame in frames:
            at_rest = resting(frame, self.samples.ground)
            for metric in frame.metrics.keys() & powers.keys():
                column = frame.metrics[metric]
                there = ~np.isnan(column) & (frame.ts_us > old_us)
                device.append(frame.device[there].astype(np.int64))
                ts_us.append(frame.ts_us[there])
                power_w.append(column[there] * powers[metric])
                rests.append(at_rest[there])
        if device:
            findings, clearings = self.samples.look(
                np.concatenate(device), np.concatenate(ts_us), np.concatenate(power_w), np.concatenate(rests)
            )
            if findings or clearings:
                await self.alarms.take(findings, clearings)

    async def turn(self) -> None:
        """Looks at the clock."""
        now_us, at_s = self.clock.now_us(), time.monotonic()
        if self.is_behind() or at_s - self._turned_s > STALL_S:
            self.silence.listen(now_us)
        self._turned_s = at_s
        findings, clearings = self.silence.turn(now_us)
        clearings += self.samples.tick(now_us)
        if findings or clearings:
            await self.alarms.take(findings, clearings)

    async def look_at_quarters(self) -> None:
        """Looks at the energy of the last quarter-hours.

        Raises:
            EngineUnavailable: if the lake is away.
        """
        now_us = self.clock.now_us()
        energies = await to_the_end(self.quarters.read, self.lake, now_us)
        findings, clearings = self.quarters.look(energies, now_us)
        if findings or clearings:
            await self.alarms.take(findings, clearings)

    async def _learn(self) -> None:
        await asyncio.sleep(LEARN_FIRST_S)
        await self._each(LEARN_S, self.learn)

    async def learn(self) -> None:
        """Learns every device's profile anew.

        Raises:
            EngineUnavailable: if an engine is away.
        """
        ground, now_us = self.samples.ground, self.clock.now_us()
        learning = learn_profiles(self.lake, ground, now_us)
        parts = []
        while (part := await to_the_end(next, learning, None)) is not None:
            async with self.database.unscoped() as connection:
                await keep_profiles(connection, *part, now_us)
            parts.append(part)
        self.samples.profile = profile_of(parts, len(ground))
        await self.load()

    async def learn_new(self) -> None:
        """Learns the profiles of devices that are new.

        Raises:
            EngineUnavailable: if an engine is away.
        """
        due = np.flatnonzero(self._learn_at_s <= time.monotonic())
        row = self.samples.profile.widened(len(self._learn_at_s)).row
        missing = due[row[due] == UNKNOWN]
        if 0 < len(missing) <= MOST_NEW:
            await self._learn_of(missing)
        self._learn_at_s[due] = np.inf

    async def _learn_of(self, missing: Ints) -> None:
        await self.load()
        now_us = self.clock.now_us()
        learning = learn_profiles(self.lake, self.samples.ground, now_us, missing)
        while (part := await to_the_end(next, learning, None)) is not None:
            async with self.database.unscoped() as connection:
                await keep_profiles(connection, *part, now_us)
            self.samples.profile = self.samples.profile.with_more(*part)
        await self.load()

    async def keep_pauses(self) -> None:
        """Writes down how long devices usually pause.

        Raises:
            EngineUnavailable: if PostgreSQL is away.
        """
        device = np.flatnonzero(self.silence.pause_us > 0)
        if len(device):
            async with self.database.unscoped() as connection:
                await keep_pauses(connection, device, self.silence.pause_us[device])

    async def _each(self, pause_s: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._try(work)
            await asyncio.sleep(pause_s)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether it was done; what went wrong is told in the log."""
        try:
            await work()
        except EngineUnavailable as error:
            log.warning("a detector waits for an engine", reason=str(error))
            return False
        except Exception:
            log.exception("a detector failed")
            return False
        return True

    def _hear_event(self, _subject: str, message: bytes) -> None:
        try:
            event = LiveEvent.decode(message)
        except msgspec.MsgspecError:
            return
        state = event.data.get("state")
        if event.type == "device" and event.device_no is not None and state is not None:
            clearings = self.samples.switch(event.device_no, state != "on", self.clock.now_us())
            if clearings:
                self.alarms.waiting.extend(clearings)


def resting(frame: Frame, ground: Ground) -> Mask:
    """In which readings a device says that it is off or on standby."""
    found = np.zeros(len(frame.device), np.bool_)
    for metric in frame.metrics.keys() & ground.rests.keys():
        found |= np.isin(frame.metrics[metric], ground.rests[metric])
    return found
