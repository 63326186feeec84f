"""The dispatcher: sends each device its oldest living command, hears answers, and ends what has expired.

Keeps true that one process at a time does so (a lease), that a device gets its next command only after the
one before has ended, and that what happens is in PostgreSQL before anybody else hears of it: a command before
it is sent, an answer before it is acknowledged. So nothing is lost with a process, and what is done twice
changes nothing. While the MQTT server is away nothing expires: an answer may wait there.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import structlog

from kilowatch.clock import MICROSECONDS, Clock, to_datetime, to_us
from kilowatch.control.command import Answer, read_answer
from kilowatch.control.store.sending import Delivery, Settled, deliver, next_due, settle
from kilowatch.errors import EngineUnavailable
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.postgres.lease import COMMANDS, Leases
from kilowatch.stream.client import Client
from kilowatch.stream.commands import CommandWire, Heard
from kilowatch.stream.log import PartitionTaken
from kilowatch.wire.live import COMMANDS_SUBJECT, EVENTS_SUBJECT, LiveEvent
from kilowatch.worker.blocking import wait_for

log = structlog.get_logger()

MOST = 1000
"""Commands that are sent, and devices whose commands expire, in one round."""
POLL_S = 2.0
"""So long after it was stored a command is found whose word was lost."""
GATHER_S = 0.004
"""After a word it is waited so long for others, so that a rush costs few rounds."""
HEAR_S = 1.0
BACKLOG_S = 0.05
LEASE_POLL_S = 0.5
LEASE_CHECK_S = 5.0
RETRY_S = 0.5


@dataclass(slots=True)
class Dispatcher:
    """client: the NATS of words and live events; mqtt_url: the one that devices are connected to."""

    postgres_url: str = field(repr=False)
    mqtt_url: str = field(repr=False)
    database: Database
    client: Client
    clock: Clock

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; begins again whenever an engine has been away."""
        while not stop.is_set():
            try:
                await self._work(stop)
            except (EngineUnavailable, PartitionTaken) as error:
                log.warning("commands wait; starting anew", reason=repr(error))
                await wait_for(stop, RETRY_S)
            except Exception:  # readings must not wait for whatever ended this
                log.exception("commands_failed")
                await wait_for(stop, RETRY_S)

    async def _work(self, stop: asyncio.Event) -> None:
        async with await Leases.connect(self.postgres_url) as leases:
            while not await leases.take(COMMANDS):
                if await wait_for(stop, LEASE_POLL_S):
                    return
            wire = await CommandWire.open(self.mqtt_url, "commands")
            try:
                await self._catch_up(wire)
                async with self._listening(wire) as ears:
                    log.info("commands are sent")
                    await self._send(wire, ears, leases, stop)
            finally:
                await wire.close()

    async def _catch_up(self, wire: CommandWire) -> None:
        """Takes what devices answered while nobody listened, before anything expires."""
        while heard := await wire.hear(BACKLOG_S):
            await self._round(wire, heard, expire=False)

    @asynccontextmanager
    async def _listening(self, wire: CommandWire) -> AsyncIterator["_Ears"]:
        ears = _Ears(wire)
        word = await self.client.subscribe(COMMANDS_SUBJECT, lambda *_: ears.woken.set())
        forget = self.client.on_connection(lambda _: ears.woken.set())
        ears.hearing = asyncio.create_task(ears.hear(), name="answers of devices")
        try:
            yield ears
        finally:
            forget()
            ears.hearing.cancel()
            await asyncio.gather(ears.hearing, return_exceptions=True)
            await word.stop()

    async def _send(self, wire: CommandWire, ears: "_Ears", leases: Leases, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        checked_s = loop.time()
        while not stop.is_set():
            ears.woken.clear()
            pause_s = await self._round(wire, ears.take(), expire=True)
            if loop.time() - checked_s > LEASE_CHECK_S:
                await leases.check()
                checked_s = loop.time()
            if pause_s > 0 and await ears.wait(pause_s, stop):
                await asyncio.sleep(GATHER_S)

    async def _round(self, wire: CommandWire, heard: Sequence[Heard], *, expire: bool) -> float:
        """Does what is to be done now; the seconds until there is more, as far as is known."""
        answers = _answers(heard)
        now_us = self.clock.now_us()
        now = to_datetime(now_us)
        async with self.database.unscoped() as connection:
            settled = await settle(connection, answers, now, MOST if expire else 0)
            deliveries = await deliver(connection, now, MOST)
            due = await next_due(connection)
        for one in deliveries:
            await wire.send(one.organisation, one.command.device, one.command.message())
        await wire.acknowledge(heard)
        _count(settled, deliveries)
        await self._tell(settled, deliveries, now_us)
        return POLL_S if due is None else min(POLL_S, (to_us(due) - self.clock.now_us()) / MICROSECONDS)

    async def _tell(self, settled: Settled, deliveries: Sequence[Delivery], now_us: int) -> None:
        """Tells those who listen; nobody waits for them."""
        begun = [one.command for one in deliveries if one.command.tries == 1]
        events = [command.event(now_us) for command in (*settled.ended, *begun)]
        for one in settled.switched:
            told = {"device": one.device, "state": one.state}
            topic = f"devices.{one.device}"
            events.append(LiveEvent(str(one.organisation_id), topic, now_us, "device", told, one.device_no))
        with suppress(EngineUnavailable):
            for event in events:
                await self.client.publish(EVENTS_SUBJECT, event.encode())


class _Ears:
    """What wakes the dispatcher: words, answers, and the end of hearing."""

    def __init__(self, wire: CommandWire) -> None:
        self._wire = wire
        self._heard: list[Heard] = []
        self._taken = asyncio.Event()
        self.woken = asyncio.Event()
        self.hearing: asyncio.Task[None] | None = None

    async def hear(self) -> None:
        """Fetches answers; the next ones only when those before were taken."""
        try:
            while True:
                heard = await self._wire.hear(HEAR_S)
                if heard:
                    self._heard += heard
                    self._taken.clear()
                    self.woken.set()
                    await self._taken.wait()
        finally:
            self.woken.set()

    def take(self) -> list[Heard]:
        """What was heard since the last time.

        Raises:
            EngineUnavailable, PartitionTaken: if nothing is heard any more.
        """
        if self.hearing is not None and self.hearing.done():
            self.hearing.result()
        heard, self._heard = self._heard, []
        self._taken.set()
        return heard

    async def wait(self, seconds: float, stop: asyncio.Event) -> bool:
        """Waits for a word; False when none came in this time or `stop` was set."""
        waiting = {asyncio.create_task(self.woken.wait()), asyncio.create_task(stop.wait())}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return self.woken.is_set() and not stop.is_set()


def _answers(heard: Sequence[Heard]) -> list[Answer]:
    """The answers among what was heard; anything else is counted and logged."""
    answers = []
    for one in heard:
        answer = read_answer(one.organisation, one.device, one.payload)
        if answer is not None:
            answers.append(answer)
        else:
            metrics.COMMAND_ANSWERS_REFUSED.labels("unreadable").inc()
            log.info("command_answer_unreadable", organisation=one.organisation, device=one.device)
    return answers


def _count(settled: Settled, deliveries: Sequence[Delivery]) -> None:
    metrics.COMMANDS_SENT.inc(len(deliveries))
    for command in settled.ended:
        metrics.COMMANDS_ENDED.labels(command.status).inc()
        if command.ended_at is not None and command.status in ("succeeded", "failed"):
            metrics.COMMAND_SECONDS.observe((command.ended_at - command.created_at).total_seconds())
    metrics.COMMAND_ANSWERS_REFUSED.labels("late").inc(settled.late)
    if settled.unknown:
        metrics.COMMAND_ANSWERS_REFUSED.labels("unknown").inc(settled.unknown)
        log.info("command_answers_unknown", answers=settled.unknown)
