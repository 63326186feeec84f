"""What people who watch get to see: the newest values, sent on as they arrive.

Keeps true that watching costs little however many readings come: what arrived within one beat is thinned to
the newest of each series before it is sent. Nothing here is kept; what is stored is another matter.
"""

import asyncio
import time
from dataclasses import dataclass, field

from kilowatch.stream.client import Client
from kilowatch.wire.frame import Frame
from kilowatch.wire.live import VALUES_SUBJECT, newest_per_series

BEAT_S = 0.04
"""A reading that comes after a pause of this length is sent at once; the next ones wait for the beat."""
REST_PER_WORK = 24.0
SLOWEST_BEAT_S = 0.2
"""The more there is to thin, the longer the beat: the rest is so many times the work before it, so that
showing readings leaves the processor to storing them. Beyond the slowest beat nothing would seem live."""


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
            began_s = time.thread_time()
            messages = self._thin()
            worked_s = time.thread_time() - began_s
            for message in messages:
                await self.client.publish(VALUES_SUBJECT, message)
            await asyncio.sleep(min(SLOWEST_BEAT_S, max(BEAT_S, REST_PER_WORK * worked_s)))

    def _thin(self) -> list[bytes]:
        """The newest of what was added, one message for all readings with the same metrics as far as they fit
        into it."""
        frames, self._frames = self._frames, []
        alike: dict[tuple[int, ...], list[Frame]] = {}
        for frame in frames:
            alike.setdefault(tuple(frame.metrics), []).append(frame)
        newest = [newest_per_series(Frame.concat(some)) for some in alike.values()]
        return [piece.encode() for frame in newest for piece in frame.pieces()]
