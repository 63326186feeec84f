"""Readings of many small requests, gathered into one message of the log.

A sync of the disk costs the same for one reading as for a thousand, so small requests wait a moment for
company and are answered together. Keeps true that nobody is answered before the log has answered for its
readings, and that nobody waits for company longer than `wait_s` while a flight is free.

With nothing under way a group leaves as soon as it is as large as the last one was: senders that wait for
their answers come back together, and waiting longer would bring nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from kilowatch.accounts.identity import Caller
from kilowatch.errors import Problem
from kilowatch.ingest.accept import Terms
from kilowatch.ingest.batch import Batch, Reject
from kilowatch.ingest.decode_json import Plain

FULL = 4096
"""Readings at which a group waits no longer."""
FLIGHTS = 4
"""Most groups that are published at the same time."""

_log = structlog.get_logger(__name__)


class Parcel:
    """The readings of one small request. They are `readings`, or a `batch` when they came in another form
    than plain JSON. `done` ends when the log has them; `rejects` then holds those that were not taken.
    `source` names the request among the dead letters, where it may come a second time."""

    __slots__ = ("batch", "caller", "count", "done", "readings", "rejects", "source")

    def __init__(
        self,
        caller: Caller,
        done: asyncio.Future[None],
        readings: Sequence[Plain],
        batch: Batch | None = None,
        source: str | None = None,
    ) -> None:
        self.caller = caller
        self.done = done
        self.readings = readings
        self.batch = batch
        self.source = source
        self.count = len(readings) if batch is None else len(batch) + len(batch.rejects)
        self.rejects: Sequence[Reject] = ()

    def settle(self, rejects: Sequence[Reject] = ()) -> None:
        """All but `rejects` is in the log."""
        if not self.done.done():
            self.rejects = rejects
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        """Nothing of it was accepted, as far as is known."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(slots=True)
class _Group:
    terms: Terms
    parcels: list[Parcel] = field(default_factory=list)
    count: int = 0
    due: bool = False


class Gatherer:
    """Brings parcels together and hands them to `take`, which settles or fails each of them."""

    def __init__(self, take: Callable[[Terms, list[Parcel]], Awaitable[None]], wait_s: float) -> None:
        self._take = take
        self._wait_s = wait_s
        self._loop = asyncio.get_running_loop()
        self._open: dict[Terms, _Group] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self._last_count = 1
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether something is gathered or under way."""
        return bool(self._open or self._flights)

    def put(self, terms: Terms, parcel: Parcel) -> None:
        """Adds a parcel to the group that is being gathered.

        Raises:
            Problem: 503 when the doors are closing.
        """
        if self._closed:
            raise Problem(503, "stopping", "this instance is stopping", retry_after_s=1)
        group = self._open.get(terms)
        if group is None:
            group = self._open[terms] = _Group(terms)
            self._loop.call_later(self._wait_s, self._on_time, group)
        group.parcels.append(parcel)
        group.count += parcel.count
        if group.count >= self._last_count and (not self._flights or group.count >= FULL):
            self._send(group)

    async def drain(self) -> None:
        """Takes no more and returns once everything gathered has been settled."""
        self._closed = True
        while self._open or self._flights:
            for group in list(self._open.values()):
                self._send(group)
            await asyncio.wait(self._flights)

    def _on_time(self, group: _Group) -> None:
        if self._open.get(group.terms) is group:
            group.due = True
            self._send(group)

    def _send(self, group: _Group) -> None:
        if len(self._flights) >= FLIGHTS and not self._closed:
            group.due = True
            return
        del self._open[group.terms]
        self._last_count = group.count
        flight = self._loop.create_task(self._fly(group))
        self._flights.add(flight)
        flight.add_done_callback(self._landed)

    async def _fly(self, group: _Group) -> None:
        try:
            await self._take(group.terms, group.parcels)
        except Exception as error:
            _log.exception("gathered_readings_failed", parcels=len(group.parcels))
            for parcel in group.parcels:
                parcel.fail(error)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        for group in list(self._open.values()):
            if group.due or (not self._flights and group.count >= self._last_count):
                self._send(group)
