"""What people who watch get to see: the newest values, sent on as they arrive.

Keeps true that watching costs little however many readings come: what arrived within one beat is thinned to
the newest of each series before it is sent. Nothing here is kept; what is stored is another matter.
"""

import asyncio
from dataclasses import dataclass, field

from kilowatch.stream.client import Client
from kilowatch.wire.frame import Frame
from kilowatch.wire.live import VALUES_SUBJECT, newest_per_series

BEAT_S = 0.04
"""A reading that comes after a pause of this length is sent at once; the next ones wait for the beat."""


@dataclass(slots=True)
class Display:
    """Readings on their way to the live subject."""

    client: Client
    _frames: list[Frame] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, frame: Frame) -> None:
        """Takes readings to be shown."""
        self._frames.append(frame)
        self._arrived.set()

    async def run(self) -> None:
        """Sends what was added, until cancelled.

        Raises:
            EngineUnavailable: if NATS is away.
        """
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            frames, self._frames = self._frames, []
            alike: dict[tuple[int, ...], list[Frame]] = {}
            for frame in frames:
                alike.setdefault(tuple(frame.metrics), []).append(frame)
            for some in alike.values():
                newest = newest_per_series(Frame.concat(some))
                await self.client.publish(VALUES_SUBJECT, newest.encode())
            await asyncio.sleep(BEAT_S)
