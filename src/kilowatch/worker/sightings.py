"""When each device was last heard of, written down now and then for all of them at once.

Keeps true that the moment never lies in the future of what is stored, and is at worst some seconds old after
a kill; the way of a reading does not wait for it.
"""

import asyncio
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import structlog

from kilowatch.errors import EngineUnavailable
from kilowatch.postgres.engine import Database
from kilowatch.worker.repeats import NEVER
from kilowatch.worker.store.registry import note_sightings

log = structlog.get_logger()

EVERY_S = 5.0
AT_ONCE = 20_000
"""Devices of which it is written down in one transaction."""


@dataclass(slots=True)
class Sightings:
    """What is not written down yet, by device number."""

    database: Database
    _at_us: npt.NDArray[np.int64] = field(default_factory=lambda: np.full(1024, NEVER, np.int64))

    def note(self, device: npt.NDArray[np.int32], at_us: int) -> None:
        """These devices were heard of. Numbers may repeat; 0 is nobody."""
        if not len(device):
            return
        most = int(device.max())
        if most >= len(self._at_us):
            more = max(most + 1 - len(self._at_us), len(self._at_us))
            self._at_us = np.concatenate([self._at_us, np.full(more, NEVER, np.int64)])
        self._at_us[device] = np.maximum(self._at_us[device], at_us)

    async def run(self) -> None:
        """Writes down what was noted, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Writes down what was noted since the last time. While PostgreSQL is away it stays for the next."""
        noted = np.flatnonzero(self._at_us != NEVER).astype(np.int32)
        for start in range(0, len(noted), AT_ONCE):
            device = noted[start : start + AT_ONCE]
            at_us = self._at_us[device]
            try:
                await note_sightings(self.database, device, at_us)
            except EngineUnavailable as error:
                log.warning("sightings wait for the next turn", reason=str(error))
                return
            written = self._at_us[device] == at_us
            self._at_us[device[written]] = NEVER
