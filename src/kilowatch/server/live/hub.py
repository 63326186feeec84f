"""The hub: takes the live subjects in and stirs the clients that they concern.

Owns the feed (ring and newest values), the audiences, and the copies of the registry. Keeps true: a client
only ever hears devices of its own organisation as PostgreSQL lists them, and a withdrawn key ends its
connections within a second. While nobody has listened for a minute it decodes nothing and keeps only the
last seconds of messages as they came.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np
import structlog

from kilowatch.errors import EngineUnavailable
from kilowatch.observe.metrics import LIVE_CLIENTS
from kilowatch.server.live.audience import Audience
from kilowatch.server.live.client import Feed, LiveClient, Pace
from kilowatch.server.live.directory import Directory, KeyRights, Viewer
from kilowatch.server.live.newest import Newest
from kilowatch.server.live.ring import Ring, Tick
from kilowatch.server.live.streams import Streams
from kilowatch.server.live.topics import Topics, parse_topics
from kilowatch.wire.frame import Frame, FrameError
from kilowatch.wire.live import LiveEvent, RegistryChange, newest_per_series

log = structlog.get_logger()

TICK_S = 0.02
"""Under load messages of this span become one tick; a message after a quiet span is told at once."""
GUARD_S = 0.5
"""How often rights are checked again."""
REFRESH_S = 30.0
"""How often a copy of the registry is read again even if nobody said that it changed."""
ANSWER_SHARED_S = 1.0
"""Whoever joins within so long shares one answer about streams."""
SOURCES = 1000
"""Of so many sources is remembered which of their events were told."""
DOZE_S = 60.0
NAP_S = 5.0
NAP_BYTES = 16 * 1024 * 1024

GOING_AWAY = 1001
NOT_AUTHENTICATED = 4401


class Registry(Protocol):
    """What the hub asks the rest of the house."""

    async def read_directory(self, viewer: Viewer) -> Directory:
        """The devices and metrics that the viewer sees, as PostgreSQL lists them now."""

    async def read_latest(self, directory: Directory) -> list[Frame]:
        """The newest stored value of every series of the directory."""

    async def find_withdrawn(self, rights: Iterable[KeyRights]) -> set[KeyRights]:
        """Those whose right to read has ended."""


def _nothing() -> Frame:
    return newest_per_series(Frame(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32)))


@dataclass(slots=True)
class Hub:
    """All live clients of one process."""

    registry: Registry
    now_s: Callable[[], float] = time.monotonic
    pace: Pace = field(default_factory=Pace)
    feed: Feed = field(default_factory=Feed)
    streams_of: Callable[[str], Awaitable[list[LiveEvent] | None]] | None = None
    """Asks the simulator what each stream of an organisation told last; None: it cannot be asked now."""
    _clients: dict[LiveClient, KeyRights] = field(default_factory=dict)
    _audiences: dict[tuple[Viewer, str | None, Topics], Audience] = field(default_factory=dict)
    _directories: dict[Viewer, Directory] = field(default_factory=dict)
    _loading: dict[Viewer, asyncio.Lock] = field(default_factory=dict)
    _asking: dict[str, asyncio.Lock] = field(default_factory=dict)
    _answered_s: dict[str, float] = field(default_factory=dict)
    _numbers: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _stale: set[str] = field(default_factory=set)
    _inbox: deque[tuple[float, bytes, bool]] = field(default_factory=deque)
    _inbox_bytes: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _checked: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _left_s: float = float("-inf")
    _awake: bool = False
    _broken: bool = False
    _closing: bool = False

    def start(self) -> None:
        """Begins to work through what arrives."""
        self._tasks = [asyncio.create_task(self._pump()), asyncio.create_task(self._guard())]

    async def close(self) -> None:
        """Ends all connections, also those that still come, and stops working."""
        self._closing = True
        for client in list(self._clients):
            client.close(GOING_AWAY, "the server is going away")
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    @property
    def client_count(self) -> int:
        """How many connections there are."""
        return len(self._clients)

    # What arrives

    def take_values(self, message: bytes) -> None:
        """Takes one message of `live.values`."""
        self._take(message, is_event=False)

    def take_event(self, message: bytes) -> None:
        """Takes one message of `live.events`."""
        self._take(message, is_event=True)

    def take_change(self, message: bytes) -> None:
        """Takes one message of `registry.changed`."""
        try:
            change = RegistryChange.decode(message)
        except msgspec.MsgspecError:
            log.warning("live.bad_message", subject="registry.changed", size=len(message))
            return
        self._stale.add(change.organisation)
        self._checked.set()

    def break_off(self) -> None:
        """Says that messages were missed: clients are told to start again from the latest state."""
        self._broken = True
        self._checked.set()

    def _take(self, message: bytes, is_event: bool) -> None:
        now = self.now_s()
        self._inbox.append((now, message, is_event))
        self._inbox_bytes += len(message)
        if self._awake:
            self._arrived.set()
            return
        while self._inbox and (self._inbox[0][0] < now - NAP_S or self._inbox_bytes > NAP_BYTES):
            self._inbox_bytes -= len(self._inbox.popleft()[1])

    async def _pump(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            try:
                self._work_off()
            except Exception:
                # What arrived in this turn is lost to clients, so they are told to start again.
                log.exception("live.turn_failed")
                self._inbox.clear()
                self.break_off()
            await asyncio.sleep(TICK_S)

    def _work_off(self) -> None:
        """Makes one tick of everything that has arrived."""
        frames: list[Frame] = []
        events: list[LiveEvent] = []
        for _, message, is_event in self._inbox:
            try:
                if is_event:
                    event = LiveEvent.decode(message)
                    if self._is_new(event):
                        events.append(event)
                else:
                    frames.append(Frame.decode(message))
            except (FrameError, msgspec.MsgspecError) as error:
                log.warning("live.bad_message", size=len(message), reason=str(error))
        self._inbox.clear()
        self._inbox_bytes = 0
        if not frames and not events:
            return
        frame = newest_per_series(Frame.concat(frames)) if frames else _nothing()
        tick = self.feed.ring.add(self.now_s(), frame, events)
        self.feed.newest.record(frame, tick.seq)
        self.feed.streams.record(events)
        self._tell(tick)

    def _is_new(self, event: LiveEvent) -> bool:
        """Whether its source has not told it before; after a break a source tells again what may be lost."""
        if event.source is None:
            return True
        if event.number <= self._numbers.get(event.source, 0):
            return False
        self._numbers[event.source] = event.number
        self._numbers.move_to_end(event.source)
        if len(self._numbers) > SOURCES:
            self._numbers.popitem(last=False)
        return True

    def _tell(self, tick: Tick) -> None:
        concerned = {id(audience) for audience in self._audiences.values() if audience.concerns(tick)}
        for client in self._clients:
            if id(client.audience) in concerned:
                client.stir()
            else:
                client.pass_over(tick)

    # Clients

    def connect(self, rights: KeyRights) -> LiveClient:
        """A client without topics; the caller must `disconnect` it."""
        client = LiveClient(self.feed, self.pace, last_sent_s=self.now_s())
        self._clients[client] = rights
        LIVE_CLIENTS.set(len(self._clients))
        if self._closing:
            client.close(GOING_AWAY, "the server is going away")
        return client

    def disconnect(self, client: LiveClient) -> None:
        """Forgets a client."""
        self._clients.pop(client, None)
        LIVE_CLIENTS.set(len(self._clients))
        self._left_s = self.now_s()
        self._drop_audiences()

    async def subscribe(self, client: LiveClient, patterns: Iterable[str], cursor: str | None) -> None:
        """Adds topics to a client; see `LiveClient.join` for what it is told first.

        Raises:
            Problem: if a topic does not exist.
            EngineUnavailable: if the registry cannot be read now.
        """
        added = parse_topics(patterns)
        rights = self._clients[client]
        self._wake_up()
        directory = await self._find_directory(rights.viewer)
        place = self.feed.ring.find_place(cursor, self.now_s()) if cursor else None
        if place is None:
            await self._recall_streams(rights.viewer.organisation, added)
        wanted = added - client.topics if cursor is None else added
        newcomer = Audience(directory, wanted, rights.person(wanted))
        audience = self._find_audience(rights, directory, client.topics | added)
        client.join(audience, newcomer, place, reset=bool(cursor) and place is None)
        self._drop_audiences()

    def unsubscribe(self, client: LiveClient, patterns: Iterable[str]) -> None:
        """Takes topics from a client.

        Raises:
            Problem: if a topic does not exist.
        """
        left = client.topics - parse_topics(patterns)
        if client.audience is None:
            return
        rights = self._clients[client]
        directory = client.audience.directory
        client.leave(self._find_audience(rights, directory, left) if len(left) else None)
        self._drop_audiences()

    def _find_audience(self, rights: KeyRights, directory: Directory, topics: Topics) -> Audience:
        key = (rights.viewer, rights.person(topics), topics)
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = Audience(directory, topics, key[1])
        return audience

    def _drop_audiences(self) -> None:
        present = {id(client.audience) for client in self._clients}
        for key in [key for key, audience in self._audiences.items() if id(audience) not in present]:
            del self._audiences[key]

    def _wake_up(self) -> None:
        if not self._awake:
            self._awake = True
            self.feed.ring, self.feed.newest, self.feed.streams = Ring(), Newest(), Streams()
            self._directories.clear()
            self._arrived.set()

    # Copies of the registry

    async def _find_directory(self, viewer: Viewer) -> Directory:
        async with self._loading.setdefault(viewer, asyncio.Lock()):
            directory = self._directories.get(viewer)
            if directory is None:
                directory = await self.registry.read_directory(viewer)
                await self._recall(directory)
                self._directories[viewer] = directory
        return directory

    async def _recall(self, directory: Directory) -> None:
        """Takes the newest stored values over; without the lake the feed goes on with what it has seen."""
        try:
            for frame in await self.registry.read_latest(directory):
                self.feed.newest.record(frame, 0)
        except EngineUnavailable as error:
            log.warning("live.latest_unknown", reason=str(error))

    async def _recall_streams(self, organisation: str, topics: Topics) -> None:
        """Asks what the streams told last, in case nobody here heard it; without an answer the feed goes on
        with what it has heard."""
        if self.streams_of is None or not topics.hears_streams:
            return
        async with self._asking.setdefault(organisation, asyncio.Lock()):
            if self.now_s() - self._answered_s.get(organisation, float("-inf")) < ANSWER_SHARED_S:
                return
            told = await self.streams_of(organisation)
            if told is not None:
                self._answered_s[organisation] = self.now_s()
                self.feed.streams.renew(organisation, told)

    async def _learn(self, viewer: Viewer) -> None:
        """Reads the registry again; clients are told what is new to them, and no more what is not theirs."""
        async with self._loading.setdefault(viewer, asyncio.Lock()):
            old = self._directories.get(viewer)
            if old is None:
                return
            new = await self.registry.read_directory(viewer)
            self._directories[viewer] = new
        if new == old:
            return
        fresh = self.feed.newest.devices_with(new.metrics.keys() - old.metrics.keys())
        for (owner, _, _), audience in self._audiences.items():
            if owner == viewer:
                self._teach(audience, new, fresh)

    def _teach(self, audience: Audience, directory: Directory, fresh: set[int]) -> None:
        before = audience.interest.topics_of
        audience.learn(directory)
        after = audience.interest.topics_of
        owed = {device for device in after if device in fresh or after[device] != before.get(device)}
        withdrawn = any(after.get(device) != told for device, told in before.items())
        for client in self._clients:
            if client.audience is audience:
                if withdrawn:
                    client.rewind()
                client.owe(owed)

    # KeyRights

    async def _guard(self) -> None:
        refreshed_s = self.now_s()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GUARD_S):
                    await self._checked.wait()
            self._checked.clear()
            if self.now_s() - refreshed_s > REFRESH_S:
                refreshed_s = self.now_s()
                self._stale.update(viewer.organisation for viewer in self._directories)
            try:
                await self._check()
            except EngineUnavailable as error:
                log.warning("live.rights_unchecked", reason=str(error))
            except Exception:
                # One bad turn must not end the watch over rights; the next turn tries again.
                log.exception("live.guard_failed")
            self._doze()

    async def _check(self) -> None:
        if self._broken:
            await self._restart()
        if self._clients:
            withdrawn = await self.registry.find_withdrawn(set(self._clients.values()))
            for client, rights in self._clients.items():
                if rights in withdrawn:
                    client.close(NOT_AUTHENTICATED, "the credentials are no longer valid")
        while self._stale:
            organisation = self._stale.pop()
            try:
                for viewer in [one for one in self._directories if one.organisation == organisation]:
                    await self._learn(viewer)
            except EngineUnavailable:
                self._stale.add(organisation)
                raise

    async def _restart(self) -> None:
        self._broken = False
        self.feed.ring = Ring()
        for client in list(self._clients):
            client.restart()
        for directory in list(self._directories.values()):
            await self._recall(directory)
        self._answered_s.clear()
        for client, rights in list(self._clients.items()):
            await self._recall_streams(rights.viewer.organisation, client.topics)
        for client in list(self._clients):
            client.stir()

    def _doze(self) -> None:
        """Falls asleep once nobody can come back with a cursor any more."""
        if self._awake and not self._clients and self.now_s() - self._left_s > DOZE_S:
            self._awake = False
            self._directories.clear()
            self._loading.clear()
            self._asking.clear()
            self._answered_s.clear()
