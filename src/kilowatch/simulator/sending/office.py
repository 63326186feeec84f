"""Senders at work on one outbox, and what became of everything they took from it.

Keeps true: a parcel that could not be sent goes back to where it was, so nothing is lost on the way; who is
asked to come again later does not come earlier.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kilowatch.simulator.sending.door import Away, Sender, TurnedAway
from kilowatch.simulator.sending.outbox import Outbox
from kilowatch.simulator.sending.parcel import Parcel


@dataclass(slots=True)
class Account:
    """Readings by what became of them. away: how often the instance went away; asked: how often it asked to
    come later."""

    accepted: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    away: int = 0
    asked: int = 0

    @property
    def refused(self) -> int:
        """Readings that were refused."""
        return self.codes.total()


class Office:
    """Sends what is in the outbox until it is closed. `say` is told when the instance goes away, when the
    bound is passed meanwhile, and when it is back, each with how many readings."""

    def __init__(self, outbox: Outbox, senders: Sequence[Sender], say: Callable[[str], None]) -> None:
        self.outbox = outbox
        self.account = Account()
        self._senders = senders
        self._say = say
        self._lost_before, self._is_told = 0, False
        outbox.on_loss = self._note_loss
        self._working: list[asyncio.Task[None]] = []
        self.turned_away: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def open(self) -> None:
        """Begins to send."""
        self._working = [asyncio.create_task(self._work(sender)) for sender in self._senders]

    async def close(self) -> None:
        """Ends what is under way; what is not settled stays in the outbox's count."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        for sender in self._senders:
            await sender.close()
        if not self.turned_away.done():
            self.turned_away.cancel()

    async def _work(self, sender: Sender) -> None:
        while True:
            parcel = await self.outbox.take()
            try:
                await self._send(sender, parcel)
            except TurnedAway as reason:
                if not self.turned_away.done():
                    self.turned_away.set_exception(reason)
                return

    async def _send(self, sender: Sender, parcel: Parcel) -> None:
        try:
            told = await sender.send(parcel)
        except Away as away:
            await self._note_away(away)
            await self.outbox.give_back(parcel)
            await asyncio.sleep(away.wait_s)
            return
        self.account.accepted += told.accepted
        self.account.codes.update(told.codes)
        if self.outbox.is_away:
            await self.outbox.set_away(False)
            lost = self.outbox.lost - self._lost_before
            given_up = f", {lost:,} were given up" if lost else ""
            self._say(f"The instance is back; {self.outbox.waiting:,} readings wait{given_up}.")
        await self.outbox.settle(parcel)

    async def _note_away(self, away: Away) -> None:
        if away.is_asked:
            self.account.asked += 1
            return
        if not self.outbox.is_away:
            self.account.away += 1
            self._lost_before, self._is_told = self.outbox.lost, False
            await self.outbox.set_away(True)
            self._say(
                f"The instance is away; up to {self.outbox.bound:,} readings are kept until it is back."
            )

    def _note_loss(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._say(f"{self.outbox.bound:,} readings wait; from now on the oldest are given up.")
