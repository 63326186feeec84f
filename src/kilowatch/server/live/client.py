"""One client's place in the feed: what it has been told, what is owed to it, and at which pace.

Keeps true, without any I/O: batches leave at most every 100 ms and at once when the last is older; a client
that reads slowly holds no more than one flush, because values it has not taken are merged to the newest;
events beyond its bound are dropped and told. A cursor never runs ahead of what was sent: after a break a
client may be told something twice, but misses nothing.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np

from kilowatch.clock import rfc3339
from kilowatch.observe.metrics import LIVE_LAGGED
from kilowatch.server.live.audience import Audience, encode_event
from kilowatch.server.live.newest import Newest
from kilowatch.server.live.ring import Ring, Tick
from kilowatch.server.live.streams import Streams
from kilowatch.server.live.topics import Topics
from kilowatch.wire.live import LiveEvent


@dataclass(frozen=True, slots=True)
class Pace:
    """Bounds of one client, in seconds, messages and bytes."""

    batch_s: float = 0.1
    """Least time between two batches."""
    slow_s: float = 1.0
    """A client that comes for its ticks later than this gets values merged to the newest."""
    most_messages: int = 20_000
    """Most messages of one flush; beyond it values are merged to the newest."""
    most_events: int = 1000
    """Most events of one flush; the older ones are dropped and told as lagged."""
    batch_bytes: int = 900 * 1024
    """A batch is closed when it is this large; WebSocket clients commonly refuse messages over 1 MiB."""
    ping_s: float = 30.0
    """After this much quiet the client is told the cursor, so that it stays young."""


class Item(NamedTuple):
    """A message that waits to be sent, and the tick that a client has reached once it has it."""

    seq: int
    message: bytes


@dataclass(slots=True)
class Feed:
    """What all clients share: the ring of ticks, the newest values, and the newest of streams."""

    ring: Ring = field(default_factory=Ring)
    newest: Newest = field(default_factory=Newest)
    streams: Streams = field(default_factory=Streams)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One server message as JSON text; `cursor` is what Last-Event-ID shall be after it."""

    text: bytes
    cursor: str | None = None


@dataclass(slots=True, eq=False)
class LiveClient:
    """A client's place in `feed`. Starts nowhere; `join` gives it topics and a place."""

    feed: Feed
    pace: Pace = field(default_factory=Pace)
    audience: Audience | None = None
    seq: int = -1
    """The last tick that has been taken into account."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closed: tuple[int, str] | None = None
    """Close code and reason, once the connection must end."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set together with `closed`, for whoever waits for that alone."""
    last_batch_s: float = float("-inf")
    last_sent_s: float = float("-inf")
    _stirred: bool = False
    _owed: set[int] = field(default_factory=set)
    _owes_streams: bool = False
    _controls: deque[Outgoing] = field(default_factory=deque)
    _items: deque[Item] = field(default_factory=deque)
    _sent_seq: int = -1

    @property
    def topics(self) -> Topics:
        """What the client is subscribed to."""
        return self.audience.topics if self.audience is not None else Topics()

    def close(self, code: int, reason: str) -> None:
        """Ends the connection: nothing more is sent but this code."""
        if self.closed is None:
            self.closed = (code, reason)
        self.ended.set()
        self.wake.set()

    def tell(self, message: dict[str, Any]) -> None:
        """Sends a message outside the batches."""
        self._controls.append(Outgoing(msgspec.json.encode(message)))
        self.wake.set()

    def stir(self) -> None:
        """Says that a tick concerns this client."""
        if not self._stirred:
            self._stirred = True
            self.wake.set()

    def pass_over(self, tick: Tick) -> None:
        """Says that a tick does not concern this client."""
        if not self._stirred and self.seq == tick.seq - 1:
            self.seq = tick.seq
            if not self._items:
                self._sent_seq = self.seq

    def owe(self, devices: Iterable[int]) -> None:
        """The latest values of these devices are to be told with the next batch."""
        self._owed.update(devices)
        if self._owed:
            self.wake.set()

    def join(self, audience: Audience, added: Audience, place: int | None, reset: bool) -> None:
        """Takes up the topics of `added`, so that all are `audience`'s: what came after tick `place`, or else
        the latest state; `reset` tells that a cursor could not be honoured."""
        self._catch_up(late=False)
        last = self.feed.ring.last_seq
        if self.seq < 0:
            self._sent_seq = last if place is None else place
        self.seq = last
        self.audience = audience
        if reset:
            self.tell({"type": "reset"})
        if place is None:
            self._tell_latest(added, added.interest.topics_of)
            self._tell_streams(added)
        else:
            self._collect(added, place, late=False)
        self.wake.set()

    def leave(self, audience: Audience | None) -> None:
        """Keeps only the topics of `audience`."""
        self._catch_up(late=False)
        self.audience = audience

    def restart(self) -> None:
        """The feed has a hole: tells it, and owes the latest state."""
        self._items.clear()
        self.seq = self._sent_seq = self.feed.ring.last_seq
        self.tell({"type": "reset"})
        if self.audience is not None:
            self.owe(self.audience.interest.topics_of)
            self._owes_streams = True

    def rewind(self) -> None:
        """Throws away what waits unsent, to be collected anew by what the audience covers now."""
        if self._items:
            self._items.clear()
            self.seq = self._sent_seq
            self.stir()

    def wait_s(self, now_s: float) -> float:
        """How long there is nothing to do for this client; 0 when there is something now."""
        if self._controls:
            return 0.0
        if self._items or self._owed or self._owes_streams or self._stirred:
            return max(0.0, self.last_batch_s + self.pace.batch_s - now_s)
        return max(0.0, self.last_sent_s + self.pace.ping_s - now_s)

    async def next(self, now_s: Callable[[], float]) -> list[Outgoing]:
        """Waits for the pace and for something to say, and takes it; nothing once the client is closed."""
        while self.closed is None:
            wait_s = self.wait_s(now_s())
            if wait_s == 0.0:
                taken = self.take(now_s())
                if taken:
                    return taken
            else:
                self.wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self.wake.wait()
        return []

    def take(self, now_s: float) -> list[Outgoing]:
        """What is to be sent now, in order."""
        if self.last_batch_s + self.pace.batch_s <= now_s and not self._items:
            self._fill(now_s)
        taken = list(self._controls)
        self._controls.clear()
        if self._items and self.last_batch_s + self.pace.batch_s <= now_s:
            taken.append(self._batch())
            self.last_batch_s = now_s
        if not taken and self.last_sent_s + self.pace.ping_s <= now_s:
            taken.append(self._message({"type": "ping"}))
        if taken:
            self.last_sent_s = now_s
        return taken

    def _message(self, members: dict[str, Any]) -> Outgoing:
        cursor = self.feed.ring.cursor(max(self._sent_seq, 0))
        return Outgoing(msgspec.json.encode({**members, "cursor": cursor}), cursor)

    def _fill(self, now_s: float) -> None:
        """Queues what is owed and what the ticks since the last flush say."""
        self._stirred = False
        if self._owed and self.audience is not None:
            self._tell_latest(self.audience, self._owed)
        self._owed.clear()
        if self._owes_streams and self.audience is not None:
            self._tell_streams(self.audience)
        self._owes_streams = False
        oldest = self.feed.ring.first_after(self.seq)
        self._catch_up(late=oldest is not None and oldest.at_s < now_s - self.pace.slow_s)
        if not self._items:
            self._sent_seq = self.seq

    def _tell_latest(self, audience: Audience, devices: Collection[int]) -> None:
        chosen = np.fromiter(devices, dtype=np.intp, count=len(devices))
        state = self.feed.newest.changed_since(-1, np.sort(chosen))
        self._items.extend(Item(self._sent_seq, text) for text in audience.encode_readings(state, "latest"))

    def _tell_streams(self, audience: Audience) -> None:
        latest = [encode_event(event, "latest") for event in self.feed.streams if audience.covers(event)]
        self._items.extend(Item(self._sent_seq, text) for text in latest)

    def _catch_up(self, late: bool) -> None:
        if self.audience is not None and 0 <= self.seq < self.feed.ring.last_seq:
            start, self.seq = self.seq, self.feed.ring.last_seq
            self._collect(self.audience, start, late)

    def _collect(self, audience: Audience, start: int, late: bool) -> None:
        """Queues what the ticks after `start` say; values are merged to the newest if late or too many."""
        ring = self.feed.ring
        ticks = ring.held_after(start)
        whole = len(ticks) == ring.last_seq - start
        events = [event for tick in ticks for event in tick.events if audience.covers(event)]
        dropped = max(0, len(events) - self.pace.most_events)
        lost = [event for event in ring.events_gone_after(start) if audience.covers(event)]
        self._tell_lagged(lost + events[:dropped])
        if late or not whole or self._too_many(audience, ticks):
            devices = np.flatnonzero(audience.interest.mask)
            state = self.feed.newest.changed_since(start, devices)
            messages = audience.encode_readings(state, "reading") + [
                encode_event(e) for e in events[dropped:]
            ]
            self._queue(messages, start, ring.last_seq)
            return
        for tick in ticks:
            said = audience.hear(tick)
            kept = said.events[dropped:]
            dropped = max(0, dropped - len(said.events))
            self._queue([*said.values, *kept], tick.seq - 1, tick.seq)

    def _queue(self, messages: list[bytes], before: int, after: int) -> None:
        """Queues messages that bring the client from tick `before` to tick `after`."""
        if messages:
            self._items.extend(Item(before, message) for message in messages[:-1])
            self._items.append(Item(after, messages[-1]))

    def _too_many(self, audience: Audience, ticks: list[Tick]) -> bool:
        count = 0
        for tick in ticks:
            count += len(audience.interest.rows(tick.frame.device))
            if count > self.pace.most_messages:
                return True
        return False

    def _tell_lagged(self, dropped: list[LiveEvent]) -> None:
        if dropped:
            LIVE_LAGGED.inc()
            times = [event.ts_us for event in dropped]
            self.tell({"type": "lagged", "from": rfc3339(min(times)), "to": rfc3339(max(times))})

    def _batch(self) -> Outgoing:
        messages: list[bytes] = []
        size = 0
        while self._items and (not messages or size + len(self._items[0].message) < self.pace.batch_bytes):
            item = self._items.popleft()
            self._sent_seq = item.seq
            messages.append(item.message)
            size += len(item.message) + 1
        if not self._items:
            self._sent_seq = self.seq
        cursor = self.feed.ring.cursor(self._sent_seq)
        text = b'{"type":"batch","cursor":"%b","messages":[%b]}' % (cursor.encode(), b",".join(messages))
        return Outgoing(text, cursor)
