"""Findings and clearings on their way to people: alerts and notices in one transaction, then the live word.

Keeps true: nothing that was taken is lost while an engine is away, since it waits here and is written in the
order in which it happened; one that cannot be written at all stops no other.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice

import structlog

from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.notices import Notices
from kilowatch.alerts.store.alerts import find_alerts
from kilowatch.alerts.store.raising import (
    LivingAlert,
    clear_alerts,
    hide_alerts,
    lift_alerts,
    list_dismissed,
    list_living,
    list_resting,
    raise_alerts,
)
from kilowatch.alerts.telling import Told, events_of, put_in_words
from kilowatch.clock import MICROSECONDS, Clock
from kilowatch.errors import EngineUnavailable
from kilowatch.postgres.engine import Connection, Database
from kilowatch.stream.client import Client
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent

log = structlog.get_logger()

AT_ONCE = 5_000
"""Most that one transaction writes."""
AGAIN_S, AGAIN_MOST_S = 0.2, 5.0
LIFT_EVERY_S = 1.0
BEGUN_US = 600 * MICROSECONDS
"""At a start, windows that began so long ago are looked at, in case that nobody was there."""

Item = Finding | Clearing


@dataclass(slots=True)
class Alarms:
    """What has been found and is not written yet. `waiting` may outlive the engines that are worked with."""

    database: Database
    client: Client
    clock: Clock
    price_per_kwh: Decimal
    waiting: deque[Item] = field(default_factory=deque)
    notices: Notices = field(default_factory=Notices)
    _hidden_us: int | None = None
    """Windows that began until then have hidden what was open."""
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def living(self, kinds: Sequence[str] = ("rule",)) -> list[LivingAlert]:
        """The alerts of these kinds that are not over.

        Raises:
            EngineUnavailable: if PostgreSQL is away.
        """
        async with self.database.unscoped() as connection:
            return await list_living(connection, kinds)

    async def resting(self) -> list[LivingAlert]:
        """The alerts of rules that are over and whose cooldown may last.

        Raises:
            EngineUnavailable: if PostgreSQL is away.
        """
        async with self.database.unscoped() as connection:
            return await list_resting(connection, self.clock.now_us())

    async def dismissed(self, kinds: Sequence[str] = ("rule",)) -> list[LivingAlert]:
        """What somebody ended by hand, of these kinds, and may last.

        Raises:
            EngineUnavailable: if PostgreSQL is away.
        """
        async with self.database.unscoped() as connection:
            return await list_dismissed(connection, kinds, self.clock.now_us())

    async def take(self, findings: Sequence[Finding], clearings: Sequence[Clearing]) -> None:
        """Returns once all of it is written and told; waits for engines that are away. What is cut off
        meanwhile is written with what is taken next."""
        self.waiting.extend(in_order(findings, clearings))
        async with self._writing:
            pause_s = AGAIN_S
            while self.waiting:
                some = list(islice(self.waiting, AT_ONCE))
                try:
                    told, notices = await self._write(some)
                except EngineUnavailable as error:
                    log.warning("alerts wait for PostgreSQL", waiting=len(self.waiting), reason=str(error))
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, AGAIN_MOST_S)
                    continue
                for _ in some:
                    self.waiting.popleft()
                await self._publish(told, notices)

    async def run(self) -> None:
        """Opens what is suppressed no longer, until cancelled."""
        while True:
            try:
                await self.lift()
                await self.take([], [])
            except EngineUnavailable as error:
                log.warning("suppressed alerts wait for PostgreSQL", reason=str(error))
            await asyncio.sleep(LIFT_EVERY_S)

    async def lift(self) -> None:
        """Opens the alerts whose suppression is over, and tells of them; suppresses those that are open when
        a window begins.

        Raises:
            EngineUnavailable: if PostgreSQL is away.
        """
        now_us = self.clock.now_us()
        since_us = now_us - BEGUN_US if self._hidden_us is None else self._hidden_us
        async with self.database.unscoped() as connection:
            opened = await lift_alerts(connection, now_us)
            hidden = await hide_alerts(connection, since_us, now_us)
            changed = await find_alerts(connection, [*opened, *hidden]) if opened or hidden else []
            told = [put_in_words(alert, now_us) for alert in changed]
            await self.notices.resume(connection, opened, now_us)
            news = [one for one in told if one.alert.status == "open"]
            notices = await self.notices.tell(connection, news, now_us) if news else ()
            if hidden:
                await self.notices.settle(connection, hidden, now_us)
        self._hidden_us = now_us
        await self._publish(told, notices)

    async def _write(self, items: Sequence[Item]) -> tuple[list[Told], list[LiveEvent]]:
        try:
            async with self.database.unscoped() as connection:
                return await self._write_rounds(connection, items)
        except EngineUnavailable:
            raise
        except Exception as error:
            if len(items) == 1:
                log.exception("a finding cannot be written", key=repr(items[0].key))
                return [], []
            log.warning("findings are written one by one", count=len(items), reason=repr(error))
        told: list[Told] = []
        notices: list[LiveEvent] = []
        for item in items:
            one = await self._write([item])
            told += one[0]
            notices += one[1]
        return told, notices

    async def _write_rounds(
        self, connection: Connection, items: Sequence[Item]
    ) -> tuple[list[Told], list[LiveEvent]]:
        now_us = self.clock.now_us()
        telling, over, changed = set(), set(), set()
        for findings, clearings in rounds(items):
            raised = await raise_alerts(connection, findings, now_us, self.price_per_kwh)
            cleared = await clear_alerts(connection, clearings, now_us)
            telling |= {*raised.opened, *raised.worse}
            over |= set(cleared)
            changed |= {*raised.opened, *raised.suppressed, *raised.worse, *raised.better, *cleared}
        if not changed:
            return [], []
        told = [put_in_words(alert, now_us) for alert in await find_alerts(connection, list(changed))]
        news = [
            one for one in told if one.alert.id in telling and one.alert.status in ("open", "acknowledged")
        ]
        notices = list(await self.notices.tell(connection, news, now_us)) if news else []
        hushed = [one.alert.id for one in told if one.alert.status == "suppressed"]
        if over or hushed:
            await self.notices.settle(connection, [*over, *hushed], now_us)
        return told, notices

    async def _publish(self, told: Sequence[Told], notices: Sequence[LiveEvent]) -> None:
        now_us = self.clock.now_us()
        try:
            for one in told:
                for event in events_of(one, now_us):
                    await self.client.publish(EVENTS_SUBJECT, event.encode())
            for event in notices:
                await self.client.publish(EVENTS_SUBJECT, event.encode())
        except EngineUnavailable as error:
            log.warning("alerts are untold to those who listen", reason=str(error))


def in_order(findings: Sequence[Finding], clearings: Sequence[Clearing]) -> list[Item]:
    """All of it as it happened; what begins goes before what ends at the same moment."""
    items: list[Item] = [*findings, *clearings]
    return sorted(items, key=lambda item: (item.ts_us, isinstance(item, Clearing)))


def rounds(items: Sequence[Item]) -> Iterator[tuple[list[Finding], list[Clearing]]]:
    """The items cut so that within a round nothing of a key begins after something of it has ended."""
    findings: list[Finding] = []
    clearings: list[Clearing] = []
    ended: set[Key] = set()
    for item in items:
        if isinstance(item, Clearing):
            clearings.append(item)
            ended.add(item.key)
            continue
        if item.key in ended:
            yield findings, clearings
            findings, clearings, ended = [], [], set()
        findings.append(item)
    yield findings, clearings
