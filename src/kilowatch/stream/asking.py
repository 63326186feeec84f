"""Questions that one process asks and another answers, over plain NATS; nothing of them is kept.

Keeps true: a question is answered by one of those who listen to its subject, and while nobody does, whoever
asks is told so at once.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from nats.aio.msg import Msg

from kilowatch.errors import EngineUnavailable
from kilowatch.stream.client import Client, Subscription

log = structlog.get_logger()

Reply = Callable[[bytes], Awaitable[bytes]]


@dataclass(slots=True)
class Answering:
    """Answers the questions of some subjects until it is stopped."""

    client: Client
    reply: Reply
    _subscriptions: list[Subscription] = field(default_factory=list)
    _answering: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self, subject: str, queue: str) -> None:
        """Answers questions on `subject` from now on, beside others of the same `queue`.

        Raises:
            EngineUnavailable: if NATS is away.
        """
        self._subscriptions.append(await self.client.subscribe_raw(subject, self._take, queue=queue))
        await self.client.flush()

    async def stop(self) -> None:
        """Takes no more questions, and returns once those that were taken are answered."""
        while self._subscriptions:
            await self._subscriptions.pop().stop()
        if self._answering:
            await asyncio.wait(self._answering)

    async def _take(self, message: Msg) -> None:
        task = asyncio.create_task(self._answer(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, message: Msg) -> None:
        try:
            answer = await self.reply(message.data)
        except Exception:
            log.exception("a question is left without an answer", subject=message.subject)
            return
        with contextlib.suppress(EngineUnavailable):  # whoever asked waits no longer than they said
            await self.client.publish(message.reply, answer)
