"""Readings of many small requests, gathered into one message of the log.

A sync of the disk costs the same for one reading as for a thousand, so small requests wait a moment for
company and are answered together. Keeps true that nobody is answered before the log has answered for its
readings, and that nobody waits for company longer than `wait_s` while a flight is free.

A group leaves early once it holds as many readings as were waiting anywhere of late: senders that wait for
their answers come back together, and waiting longer would bring nobody else. So a lone sender never waits.
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
COMPANY_FADES = 8
"""With each group, the company that is waited for shrinks by this part of it, unless as many are there."""

_log = structlog.get_logger(__name__)


class Parcel:
    """The readings of one small request. They are `readings`, or a `batch` when they came in another form
    than plain JSON. `told` is called once, when the log has them or will not have them: `rejects` then holds
    those that were not taken, or `error` says why none was. `source` names the request among the dead
    letters, where it may come a second time."""

    __slots__ = ("batch", "caller", "count", "error", "readings", "rejects", "source", "told")

    def __init__(
        self,
        caller: Caller,
        told: Callable[["Parcel"], None] | None,
        readings: Sequence[Plain],
        batch: Batch | None = None,
        source: str | None = None,
    ) -> None:
        self.caller = caller
        self.told = told
        self.readings = readings
        self.batch = batch
        self.source = source
        self.count = len(readings) if batch is None else len(batch) + len(batch.rejects)
        self.rejects: Sequence[Reject] = ()
        self.error: Exception | None = None

    def settle(self, rejects: Sequence[Reject] = ()) -> None:
        """All but `rejects` is in the log."""
        self.rejects = rejects
        self._tell()

    def fail(self, error: Exception) -> None:
        """Nothing of it was accepted, as far as is known."""
        self.error = error
        self._tell()

    def _tell(self) -> None:
        told, self.told = self.told, None
        if told is not None:
            told(self)


class Awaited:
    """Makes a parcel that a task waits for."""

    __slots__ = ("_done", "parcel")

    def __init__(
        self,
        caller: Caller,
        readings: Sequence[Plain],
        batch: Batch | None = None,
        source: str | None = None,
    ) -> None:
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.parcel = Parcel(caller, self._on_told, readings, batch, source)

    async def wait(self) -> Parcel:
        """The parcel, once the word on it has come.

        Raises:
            Exception: what kept it out of the log.
        """
        await self._done
        if self.parcel.error is not None:
            raise self.parcel.error
        return self.parcel

    def _on_told(self, _parcel: Parcel) -> None:
        if not self._done.done():
            self._done.set_result(None)


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
        self._waiting = 0
        self._company = 1
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
        self._waiting += parcel.count
        if group.count >= self._company or group.count >= FULL:
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
        fading = max(1, self._company // COMPANY_FADES)
        self._company = max(1, self._waiting, self._company - fading)
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
        finally:
            self._waiting -= group.count

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        for group in list(self._open.values()):
            if group.due:
                self._send(group)
