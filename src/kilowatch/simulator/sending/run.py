"""A run: cycles of readings, each at its moment, into the outbox; and an account of every cycle.

Keeps true: every reading that was made is sent, refused, given up beyond the bound, or still waiting, and the
account says how many of each.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from kilowatch.clock import MICROSECONDS, Clock, rfc3339
from kilowatch.simulator.sending.capture import CaptureWriter
from kilowatch.simulator.sending.follow import Lead
from kilowatch.simulator.sending.office import Office
from kilowatch.simulator.sending.pace import Pace
from kilowatch.simulator.sending.parcel import BODY_ROWS, Form, make_parcel
from kilowatch.simulator.sending.source import Cycle, Source

LAST_ANSWERS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Summary:
    """One cycle, or with `cycle` 0 all of them. sent: readings made; accepted, refused: answered meanwhile;
    lag_s: how late the cycle was; buffered: readings that wait; lost: given up beyond the bound; codes: of
    all cycles, how many were refused for which reason; playing: the scenario that the fleet follows."""

    cycle: int
    moment: str
    sent: int
    accepted: int
    refused: int
    readings_per_s: int
    lag_s: float
    buffered: int
    lost: int
    codes: dict[str, int]
    playing: str = ""

    def as_document(self) -> dict[str, Any]:
        """The summary as JSON members."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Before:
    """How things stood when a cycle began, or the run."""

    began_us: int
    accepted: int = 0
    refused: int = 0
    sent: int = 0


class Run:
    """One run. `show` is told of each cycle; `stop` ends it after the parcel that is being made."""

    def __init__(
        self,
        source: Source,
        office: Office,
        pace: Pace,
        clock: Clock,
        form: Form,
        stop: asyncio.Event,
        lead: Lead,
    ) -> None:
        self._lead = lead
        self._source, self._office, self._pace, self._clock, self._form = source, office, pace, clock, form
        self._stop = stop
        self._sent = 0
        self._cycles = 0
        self._moment_us = 0
        self._lag_s = 0.0
        self._open: _Before | None = None

    async def play(
        self,
        show: Callable[[Summary], None],
        capture: CaptureWriter | None = None,
        hurry: asyncio.Event | None = None,
        within_s: float = LAST_ANSWERS_WITHIN_S,
    ) -> Summary:
        """Sends all cycles, and waits for the last answers, unless `hurry` is set.

        Raises:
            TurnedAway: if the instance refuses the sender.
        """
        began_us = self._clock.now_us()
        self._office.open()
        playing = asyncio.create_task(self._cycle_through(show, capture))
        waking = asyncio.create_task(self._wake())
        turned_away = self._office.turned_away
        try:
            await asyncio.wait([playing, turned_away], return_when=asyncio.FIRST_COMPLETED)
            if turned_away.done():
                turned_away.result()
            await playing
            await self._wait_for_answers(hurry or asyncio.Event(), within_s)
            self._tell_of_last(show)
        finally:
            playing.cancel()
            waking.cancel()
            await self._office.close()
        return self._summary(0, _Before(began_us))

    async def _wake(self) -> None:
        """Lets go of who waits for room when the run is to stop."""
        await self._stop.wait()
        await self._office.outbox.wake()

    async def _cycle_through(self, show: Callable[[Summary], None], capture: CaptureWriter | None) -> None:
        """Sends the cycles; each is told of when the next is due, so that its answers are in."""
        account = self._office.account
        for cycle in self._source.cycles():
            is_due = await self._wait_until_due(cycle)
            self._tell_of_last(show)
            if not is_due:
                return
            before = _Before(self._clock.now_us(), account.accepted, account.refused, self._sent)
            self._moment_us, self._cycles, self._open = cycle.moment_us, self._cycles + 1, before
            await self._send(cycle, capture)
            if self._stop.is_set():
                return

    def _tell_of_last(self, show: Callable[[Summary], None]) -> None:
        if self._open is not None:
            show(self._summary(self._cycles, self._open))
            self._open = None

    async def _wait_until_due(self, cycle: Cycle) -> bool:
        """Returns at the cycle's moment; False if the run is to stop."""
        wait_s = (self._pace.due_us(cycle.moment_us) - self._clock.now_us()) / MICROSECONDS
        self._lag_s = max(0.0, -wait_s)
        try:
            await asyncio.wait_for(self._stop.wait(), max(wait_s, 0.0))
        except TimeoutError:
            return True
        return False

    async def _send(self, cycle: Cycle, capture: CaptureWriter | None) -> None:
        for readings in cycle.readings:
            for at in range(0, len(readings), BODY_ROWS[self._form]):
                part = readings.cut(at, at + BODY_ROWS[self._form])
                if not await self._office.outbox.put(
                    make_parcel(self._source.ids, part, self._form), self._stop
                ):
                    return
                if capture is not None:
                    capture.write(cycle.moment_us, part)
                self._sent += len(part)
                await asyncio.sleep(0)

    async def _wait_for_answers(self, hurry: asyncio.Event, within_s: float) -> None:
        emptied = asyncio.create_task(self._office.outbox.wait_until_empty())
        hurried = asyncio.create_task(hurry.wait())
        turned_away = self._office.turned_away
        awaited: list[asyncio.Future[Any]] = [emptied, hurried, turned_away]
        await asyncio.wait(awaited, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        emptied.cancel()
        hurried.cancel()
        if turned_away.done():
            turned_away.result()

    def _summary(self, cycle: int, before: _Before) -> Summary:
        account, outbox = self._office.account, self._office.outbox
        took_s = max((self._clock.now_us() - before.began_us) / MICROSECONDS, 1e-6)
        accepted = account.accepted - before.accepted
        return Summary(
            cycle=cycle,
            moment=rfc3339(self._moment_us),
            sent=self._sent - before.sent,
            accepted=accepted,
            refused=account.refused - before.refused,
            readings_per_s=round(accepted / took_s),
            lag_s=round(self._lag_s, 3),
            buffered=outbox.waiting,
            lost=outbox.lost,
            codes=dict(account.codes) if cycle == 0 else {},
            playing=self._lead.playing(self._moment_us),
        )
