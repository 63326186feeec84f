"""What waits to be sent, up to a bound.

Keeps true: as long as the bound is not reached while the instance is away, nothing is lost and everything is
sent oldest first; beyond it the oldest is given up, and counted. While the instance answers, nothing is given
up: then whoever fills the outbox waits.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable

from kilowatch.simulator.sending.parcel import Parcel


class Outbox:
    """Parcels in their order. bound: so many readings wait at most; waiting: readings that are not settled,
    those under way included; lost: readings that were given up; on_loss: called for each parcel of them."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.waiting = 0
        self.lost = 0
        self.is_away = False
        self.on_loss: Callable[[], None] = lambda: None
        self._numbers = itertools.count()
        self._parcels: deque[Parcel] = deque()
        self._changed = asyncio.Condition()

    async def put(self, parcel: Parcel, stop: asyncio.Event) -> bool:
        """Adds a parcel, once there is room; False if `stop` came first."""
        async with self._changed:
            while self._is_full(parcel):
                if self.is_away and self._parcels:
                    oldest = self._parcels.popleft()
                    self.waiting -= oldest.readings
                    self.lost += oldest.readings
                    self.on_loss()
                elif stop.is_set():
                    return False
                else:
                    await self._changed.wait()
            parcel.number = next(self._numbers)
            self._parcels.append(parcel)
            self.waiting += parcel.readings
            self._changed.notify_all()
            return True

    async def take(self) -> Parcel:
        """The oldest parcel, once there is one; it must be given back or settled."""
        async with self._changed:
            while not self._parcels:
                await self._changed.wait()
            return self._parcels.popleft()

    async def give_back(self, parcel: Parcel) -> None:
        """Puts a parcel that could not be sent where it was, whoever else gave one back before."""
        async with self._changed:
            older = itertools.takewhile(lambda one: one.number < parcel.number, self._parcels)
            self._parcels.insert(sum(1 for _ in older), parcel)
            self._changed.notify_all()

    async def settle(self, parcel: Parcel) -> None:
        """Says that a parcel has been answered."""
        async with self._changed:
            self.waiting -= parcel.readings
            self._changed.notify_all()

    async def set_away(self, is_away: bool) -> None:
        """Says whether the instance can be reached."""
        async with self._changed:
            self.is_away = is_away
            self._changed.notify_all()

    async def wake(self) -> None:
        """Lets whoever waits look again."""
        async with self._changed:
            self._changed.notify_all()

    async def wait_until_empty(self) -> None:
        """Returns once everything is settled."""
        async with self._changed:
            while self.waiting:
                await self._changed.wait()

    def _is_full(self, parcel: Parcel) -> bool:
        return self.waiting > 0 and self.waiting + parcel.readings > self.bound
