"""Storing commands together: those that are asked for at the same moment share one transaction.

Keeps true that each is answered only when it stands on disk, and for itself: what is wrong with one is no
other's affair. While one transaction runs, whatever else comes waits for the next one.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kilowatch.accounts.store.audit import NewLine
from kilowatch.control.command import NewCommand
from kilowatch.control.store.commands import Stored, create_commands
from kilowatch.postgres.engine import Database

MOST_TOGETHER = 500


@dataclass(slots=True)
class _Wish:
    command: NewCommand
    line: NewLine
    answer: "asyncio.Future[Stored]"


class Gatherer:
    """Belongs to one event loop."""

    def __init__(self, database: Database, wake: Callable[[], Awaitable[None]]) -> None:
        """wake: says to whoever sends commands that some wait."""
        self._database = database
        self._wake = wake
        self._waiting: dict[uuid.UUID, list[_Wish]] = {}
        self._running: dict[uuid.UUID, asyncio.Task[None]] = {}

    async def store(self, organisation_id: uuid.UUID, command: NewCommand, line: NewLine) -> Stored:
        """Stores one command with its line of the audit log.

        Raises:
            Problem: as `store.create_commands` says of it.
            EngineUnavailable: if PostgreSQL does not answer.
        """
        wish = _Wish(command, line, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(organisation_id, []).append(wish)
        if organisation_id not in self._running:
            self._running[organisation_id] = asyncio.create_task(self._run(organisation_id))
        return await wish.answer

    async def _run(self, organisation_id: uuid.UUID) -> None:
        try:
            while wishes := self._waiting.pop(organisation_id, []):
                for start in range(0, len(wishes), MOST_TOGETHER):
                    await self._store(organisation_id, wishes[start : start + MOST_TOGETHER])
        finally:
            del self._running[organisation_id]

    async def _store(self, organisation_id: uuid.UUID, wishes: list[_Wish]) -> None:
        answers: Sequence[Stored | Exception]
        try:
            async with self._database.scope(organisation_id) as connection:
                answers = await create_commands(
                    connection, organisation_id, [one.command for one in wishes], [one.line for one in wishes]
                )
        except Exception as error:
            answers = [error] * len(wishes)
        if any(isinstance(answer, Stored) and not answer.earlier for answer in answers):
            await self._wake()
        for wish, answer in zip(wishes, answers, strict=True):
            if wish.answer.done():
                continue  # whoever asked is gone
            if isinstance(answer, Stored):
                wish.answer.set_result(answer)
            else:
                wish.answer.set_exception(answer)
