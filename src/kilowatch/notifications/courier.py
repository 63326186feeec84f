"""The courier: sends what is due, tries again what failed, and takes the steps of escalations.

Keeps true: what is due is sent at least once whatever process is killed, because it is taken for a while only
and noted before and after; one message of a channel is on its way at a time, and a service that does not
answer holds up its own channel only.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from kilowatch.clock import MICROSECONDS, Clock, to_datetime
from kilowatch.errors import EngineUnavailable
from kilowatch.notifications import notice
from kilowatch.notifications.letter import Letter, write_letter
from kilowatch.notifications.seal import Seal
from kilowatch.notifications.sender import Answer, Sender
from kilowatch.notifications.store import channels, deliveries
from kilowatch.observe.metrics import DELIVERY_ATTEMPTS
from kilowatch.postgres.engine import Database
from kilowatch.wire.live import LiveEvent

log = structlog.get_logger()

CHANNELS_MOST = 32
"""So many channels are worked off at once."""
POLL_S = 1.0
LEASE_S = 60.0
"""So long a message is one courier's; longer than any service is waited for."""
END_S = 3.0
"""So long a courier that is told to end waits for what is on its way."""
OTHER_KEY = "the address was sealed with another key; enter it anew"


@dataclass(slots=True)
class Courier:
    """One process's courier. Belongs to one event loop."""

    database: Database
    seal: Seal
    sender: Sender
    clock: Clock
    publish: Callable[[LiveEvent], Awaitable[None]]
    """Tells those who listen."""
    lease_s: float = LEASE_S
    poll_s: float = POLL_S
    _busy: dict[uuid.UUID, asyncio.Task[None]] = field(default_factory=dict)
    _ending: bool = False

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; what is on its way then is waited for shortly, and due again later."""
        while not stop.is_set():
            try:
                await self.turn()
            except EngineUnavailable as error:
                log.warning("deliveries wait for the next turn", error=str(error))
            except Exception:
                # One bad row must not keep everything else from being sent.
                log.exception("deliveries.turn_failed")
            try:
                async with asyncio.timeout(self.poll_s):
                    await stop.wait()
            except TimeoutError:
                continue
        self._ending = True
        if self._busy:
            _, late = await asyncio.wait(set(self._busy.values()), timeout=END_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def rest(self) -> None:
        """Waits until nothing is on its way."""
        while self._busy:
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def turn(self) -> None:
        """Takes the steps of escalations that have come, and begins to send what is due."""
        await self._escalate()
        free = CHANNELS_MOST - len(self._busy)
        if free <= 0:
            return
        now = to_datetime(self.clock.now_us())
        async with self.database.unscoped() as connection:
            due = await deliveries.list_due_channels(connection, now, list(self._busy), free)
        for channel_id in due:
            task = asyncio.create_task(self._work_off(channel_id))
            self._busy[channel_id] = task
            task.add_done_callback(lambda _, one=channel_id: self._busy.pop(one))  # type: ignore[misc]

    async def _escalate(self) -> None:
        async with self.database.unscoped() as connection:
            events = await notice.escalate(connection, self.clock.now_us())
        for event in events:
            await self._tell(event)

    async def _tell(self, event: LiveEvent) -> None:
        try:
            await self.publish(event)
        except EngineUnavailable as error:  # it is kept, and seen when the list is next asked for
            log.warning("live.event_untold", topic=event.topic, reason=str(error))

    async def _work_off(self, channel_id: uuid.UUID) -> None:
        """Sends everything of a channel that is due, one message after the other."""
        try:
            while not self._ending and (parcel := await self._take(channel_id)) is not None:
                answer = await self._send(parcel)
                await self._note(parcel, answer)
        except EngineUnavailable as error:
            log.warning("a channel waits for the next turn", channel=str(channel_id), error=str(error))
        except Exception:
            log.exception("deliveries.channel_failed", channel=str(channel_id))

    async def _take(self, channel_id: uuid.UUID) -> deliveries.Parcel | None:
        now_us = self.clock.now_us()
        lease_until = to_datetime(now_us + round(self.lease_s * MICROSECONDS))
        async with self.database.unscoped() as connection:
            return await deliveries.take_parcel(connection, channel_id, to_datetime(now_us), lease_until)

    async def _send(self, parcel: deliveries.Parcel) -> Answer:
        address = self.seal.open(parcel.address)
        if address is None:
            return Answer(False, OTHER_KEY)
        if not parcel.contents:
            return Answer(True, "nothing was left to tell")
        letter: Letter = write_letter(parcel.contents, parcel.bundle)
        return await self.sender.send(address, letter)

    async def _note(self, parcel: deliveries.Parcel, answer: Answer) -> None:
        now_us = self.clock.now_us()
        DELIVERY_ATTEMPTS.labels("sent" if answer.ok else "failed").inc()
        breaker = parcel.breaker.after(answer.ok, now_us)
        async with self.database.unscoped() as connection:
            # The channel before its deliveries, as everywhere, so that none waits for the other in a circle.
            if breaker != parcel.breaker:
                await channels.set_breaker(connection, parcel.channel_id, breaker)
            await deliveries.note_outcome(
                connection, parcel.deliveries, ok=answer.ok, detail=answer.detail, now_us=now_us
            )
