"""An audience: all clients of one organisation that asked for the same topics.

Owns the work that such clients share: which rows of a tick concern them, and the bytes of the messages.
Keeps true: a message is encoded once for the whole audience, and only for devices that it covers.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from kilowatch.server.live.directory import Directory, Interest, find_interest
from kilowatch.server.live.newest import Newest
from kilowatch.server.live.ring import Tick
from kilowatch.server.live.topics import Topics
from kilowatch.telemetry.forms import format_times
from kilowatch.wire.frame import Frame
from kilowatch.wire.live import LiveEvent

KEPT_MESSAGES = 50_000
"""How many encoded messages an audience keeps for those of its clients that have not taken them yet."""

Kind = Literal["reading", "latest"]
KINDS: dict[Kind, bytes] = {"reading": b"reading", "latest": b"latest"}

_encoder = msgspec.json.Encoder()


@dataclass(slots=True)
class Said:
    """What one tick says to an audience: its encoded messages."""

    values: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)


NOTHING = Said()


@dataclass(slots=True)
class Audience:
    """Clients of `directory.viewer` that asked for `topics`."""

    directory: Directory
    topics: Topics
    person: str | None = None
    """Whose clients these are, where somebody's own messages are among the topics."""
    interest: Interest = field(init=False)
    _said: OrderedDict[int, Said] = field(default_factory=OrderedDict)
    _kept: int = 0
    _heads: dict[int, list[bytes]] = field(default_factory=dict)
    _merged: tuple[tuple[int, int], list[bytes]] | None = None

    def __post_init__(self) -> None:
        self.interest = find_interest(self.directory, self.topics)

    def learn(self, directory: Directory) -> None:
        """Takes over a newer copy of the registry; what was encoded from the older one is forgotten."""
        self.directory = directory
        self.interest = find_interest(directory, self.topics)
        self._said.clear()
        self._heads.clear()
        self._kept = 0
        self._merged = None

    def concerns(self, tick: Tick) -> bool:
        """Whether the tick says anything to this audience."""
        return len(self.interest.rows(tick.frame.device)) > 0 or any(map(self.covers, tick.events))

    def covers(self, event: LiveEvent) -> bool:
        """Whether the event is this organisation's and on a topic that was asked for; a customer hears of
        what concerns a device of theirs, and of nothing else. What is one person's own only they hear."""
        viewer = self.directory.viewer
        if event.organisation != viewer.organisation:
            return False
        if event.user is not None:
            if event.user != self.person:
                return False
        elif viewer.customer_id is not None and event.device_no not in self.directory.devices:
            return False
        topics = self.topics
        return topics.everything or event.topic in topics or any(one in topics for one in event.also)

    def hear(self, tick: Tick) -> Said:
        """The encoded messages of a tick."""
        said = self._said.get(tick.seq)
        if said is None:
            said = self._encode(tick)
            self._said[tick.seq] = said
            self._kept += len(said.values)
            while self._kept > KEPT_MESSAGES and len(self._said) > 1:
                self._kept -= len(self._said.popitem(last=False)[1].values)
        return said

    def _encode(self, tick: Tick) -> Said:
        values = self.encode_readings(tick.frame, "reading")
        events = [encode_event(event) for event in tick.events if self.covers(event)]
        return Said(values, events) if values or events else NOTHING

    def merge(self, newest: Newest, start: int, last: int) -> list[bytes]:
        """The newest values that ticks after `start` up to `last` brought, encoded once for all alike."""
        if self._merged is None or self._merged[0] != (start, last):
            changed = newest.changed_since(start, np.flatnonzero(self.interest.mask))
            self._merged = ((start, last), self.encode_readings(changed, "reading"))
        return self._merged[1]

    def encode_readings(self, frame: Frame, kind: Kind) -> list[bytes]:
        """One message for each covered reading and topic, in the frame's order."""
        rows = self.interest.rows(frame.device)
        if len(rows) == 0:
            return []
        messages: list[bytes] = []
        readings = zip(
            frame.device[rows].tolist(),
            format_times(frame.ts_us[rows]),
            self._metrics_of(frame, rows),
            strict=True,
        )
        for device_no, ts, metrics in readings:
            if metrics:
                # Put together from parts, because this runs for every message that anybody is told.
                rest = b'%b},"ts":"%b","type":"%b"}' % (_encoder.encode(metrics), ts.encode(), KINDS[kind])
                messages.extend([head + rest for head in self._heads_of(device_no)])
        return messages

    def _heads_of(self, device_no: int) -> list[bytes]:
        """The messages about a device up to the first of its values, one for each topic."""
        heads = self._heads.get(device_no)
        if heads is None:
            entry = self.directory.devices[device_no]
            about = {"device": entry.id, "site_id": entry.site_id, "metrics": {}}
            heads = self._heads[device_no] = [
                _encoder.encode({"topic": topic, "data": about}).removesuffix(b"{}}}")
                for topic in self.interest.topics_of[device_no]
            ]
        return heads

    def _metrics_of(self, frame: Frame, rows: npt.NDArray[np.intp]) -> list[dict[str, float | str]]:
        named = [
            (self.directory.metrics[number], column[rows])
            for number, column in frame.metrics.items()
            if number in self.directory.metrics
        ]
        whole = not any(metric.states or np.isnan(values).any() for metric, values in named)
        if whole and named:
            names = [metric.name for metric, _ in named]
            columns = [values.tolist() for _, values in named]
            return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        shown: list[dict[str, float | str]] = [{} for _ in range(len(rows))]
        for metric, values in named:
            there = np.flatnonzero(~np.isnan(values))
            for place, value in zip(there.tolist(), values[there].tolist(), strict=True):
                shown[place][metric.name] = metric.show(value) if metric.states else value
        return shown


def encode_event(event: LiveEvent, kind: str | None = None) -> bytes:
    """An event as clients receive it; `kind` in place of its own type."""
    (ts,) = format_times(np.array([event.ts_us]))
    told = {"topic": event.topic, "ts": ts, "type": kind or event.type, "data": event.data}
    return _encoder.encode(told)
