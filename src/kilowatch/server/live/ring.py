"""The ring: the ticks of the last minute, so that a client that comes back misses nothing.

Owns the order of the feed: each tick has the next sequence number of this ring's epoch. Keeps true: the held
ticks are the latest ones without a hole, so that a count tells whether any are gone. Bounded by age and by
bytes; the time is given.
"""

import itertools
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from kilowatch.wire.frame import Frame
from kilowatch.wire.live import LiveEvent

KEEP_S = 60.0
KEEP_BYTES = 64 * 1024 * 1024
KEEP_GONE = 1000
EVENT_BYTES = 1024
"""What an event counts for in the bound on bytes."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What one turn of the feed brought."""

    seq: int
    at_s: float
    frame: Frame
    events: tuple[LiveEvent, ...] = ()

    @property
    def weight(self) -> int:
        """About how many bytes the tick holds."""
        return len(self.frame) * (16 + 8 * len(self.frame.metrics)) + EVENT_BYTES * len(self.events)


@dataclass(slots=True)
class Ring:
    """The held ticks, oldest first."""

    keep_s: float = KEEP_S
    keep_bytes: int = KEEP_BYTES
    epoch: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    last_seq: int = 0
    _ticks: deque[Tick] = field(default_factory=deque)
    _weight: int = 0
    _young: deque[tuple[int, float]] = field(default_factory=deque)
    _gone: deque[tuple[int, LiveEvent]] = field(default_factory=lambda: deque(maxlen=KEEP_GONE))

    def add(self, at_s: float, frame: Frame, events: Sequence[LiveEvent]) -> Tick:
        """Appends the next tick and lets go of what is over the bounds."""
        self.last_seq += 1
        tick = Tick(self.last_seq, at_s, frame, tuple(events))
        self._ticks.append(tick)
        self._young.append((tick.seq, at_s))
        self._weight += tick.weight
        self.expire(at_s)
        return tick

    def expire(self, now_s: float) -> None:
        """Lets go of ticks older than a minute, and of the oldest while there are too many bytes."""
        while self._young and self._young[0][1] < now_s - self.keep_s:
            self._young.popleft()
        while self._ticks and (
            self._ticks[0].at_s < now_s - self.keep_s
            or (self._weight > self.keep_bytes and len(self._ticks) > 1)
        ):
            gone = self._ticks.popleft()
            self._weight -= gone.weight
            self._gone.extend((gone.seq, event) for event in gone.events)

    def events_gone_after(self, seq: int) -> list[LiveEvent]:
        """The events of ticks after `seq` that are no longer held, as far back as is remembered."""
        return [event for number, event in self._gone if number > seq]

    def held_after(self, seq: int) -> list[Tick]:
        """The ticks after `seq` that are held; all of them if their count is `last_seq - seq`."""
        count = min(self.last_seq - seq, len(self._ticks))
        return list(itertools.islice(self._ticks, len(self._ticks) - count, None))

    def first_after(self, seq: int) -> Tick | None:
        """The oldest held tick after `seq`."""
        count = min(self.last_seq - seq, len(self._ticks))
        return self._ticks[-count] if count > 0 else None

    def is_young(self, seq: int) -> bool:
        """Whether every tick after `seq` is of the last minute, even if not all of them are held."""
        if seq > self.last_seq:
            return False
        return seq == self.last_seq or (bool(self._young) and self._young[0][0] <= seq + 1)

    def cursor(self, seq: int) -> str:
        """The place after tick `seq`, as clients hold it."""
        return f"{self.epoch}:{seq}"

    def find_place(self, cursor: str, now_s: float) -> int | None:
        """The sequence number in `cursor`, or None if it is of another epoch or older than a minute."""
        self.expire(now_s)
        epoch, _, number = cursor.partition(":")
        if epoch != self.epoch or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        seq = int(number)
        return seq if self.is_young(seq) else None
