"""The newest event of every stream, for whoever joins: a stream of low frequency may say nothing for an hour.

Keeps true: of a stream it holds the event that came last. Bounded by number and by age.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kilowatch.clock import MICROSECONDS
from kilowatch.wire.live import LiveEvent

STREAM = "stream"
MOST = 50_000
KEEP_US = 2 * 3600 * MICROSECONDS
"""Longer than the longest pause between two events of a stream."""


@dataclass(slots=True)
class Streams:
    """The newest events by organisation and topic, oldest first."""

    _newest: OrderedDict[tuple[str, str], LiveEvent] = field(default_factory=OrderedDict)

    def record(self, events: Iterable[LiveEvent]) -> None:
        """Takes over what is said of streams."""
        for event in events:
            if event.type == STREAM:
                self._newest[event.organisation, event.topic] = event
                self._newest.move_to_end((event.organisation, event.topic))
                while len(self._newest) > MOST or self._oldest_us() < event.ts_us - KEEP_US:
                    self._newest.popitem(last=False)

    def renew(self, organisation: str, events: Iterable[LiveEvent]) -> None:
        """Takes over all that the simulator knows of an organisation: what else was heard of it before is of
        a world that is played no more. What was heard since is kept."""
        told = {event.topic: event for event in events}
        edge_us = max((event.ts_us for event in told.values()), default=None)
        known = [(key, event.ts_us) for key, event in self._newest.items() if key[0] == organisation]
        for key, ts_us in known:
            if edge_us is None or ts_us <= edge_us:
                del self._newest[key]
        fresh = (event for event in told.values() if (organisation, event.topic) not in self._newest)
        self.record(sorted(fresh, key=lambda event: event.ts_us))

    def _oldest_us(self) -> int:
        return next(iter(self._newest.values())).ts_us

    def __iter__(self) -> Iterator[LiveEvent]:
        return iter(self._newest.values())
