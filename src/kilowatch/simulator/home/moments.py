"""Moments in homes, and chance that is the same at every asking. Pure.

Keeps true: everything here is a function of the seed and the time, row by row; neither what is asked
beside a row nor when it is asked changes its value. So history and live readings join, and a restart changes
nothing.
"""

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.period import DAY_US, HOUR_US, SECOND_US, offset_periods
from kilowatch.simulator.engine.chance import GOLDEN, as_share, mix

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

YEAR_US = 365.2425 * DAY_US
MONDAY_OF_1970 = 3
"""1970 began on a Thursday."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Rows of a home's seed and a time. local_us: what the clock on the wall shows; southern: whether the
    home's summer is in January."""

    seed: UInt64s
    ts_us: Int64s
    local_us: Int64s
    southern: Mask

    @property
    def day(self) -> Int64s:
        """Number of the local day."""
        return self.local_us // DAY_US

    @property
    def hour(self) -> Floats:
        """Local time of day in hours, 0 to 24."""
        return (self.local_us % DAY_US) / HOUR_US

    @property
    def is_weekend(self) -> Mask:
        """Whether it is Saturday or Sunday."""
        return (self.day + MONDAY_OF_1970) % 7 >= 5

    @property
    def season(self) -> Floats:
        """Part of the year that has passed, counted so that January is winter everywhere."""
        return (self.ts_us / YEAR_US + 0.5 * self.southern) % 1.0

    def chance(self, purpose: str, index: Int64s | int) -> Floats:
        """A number from 0 to 1 for each row, evenly spread, another for each purpose and index."""
        return as_share(counted(self.seed, purpose, index))

    def drift(self, purpose: str, every_s: float) -> Floats:
        """A number from 0 to 1 that changes smoothly and is new every so many seconds."""
        place = self.ts_us / (every_s * SECOND_US)
        before = np.floor(place)
        part = place - before
        index = before.astype(np.int64)
        low, high = self.chance(purpose, index), self.chance(purpose, index + 1)
        return low + (high - low) * part * part * (3.0 - 2.0 * part)

    def noise(self, purpose: str) -> Floats:
        """From -1 to 1, new at every moment; values near 0 are likelier."""
        return self.chance(purpose, self.ts_us) + self.chance(f"{purpose} again", self.ts_us) - 1.0


def moments_at(site_ids: Sequence[str], zones: Sequence[str], ts_us: Int64s) -> Moments:
    """One row for each home and time: of one home at many times, or of many homes each at its own time."""
    rows = len(ts_us)
    seed, local, southern = np.empty(rows, np.uint64), np.empty(rows, np.int64), np.empty(rows, np.bool_)
    seed[:] = [seed_of(site_id) for site_id in site_ids]
    by_zone = np.array(zones) if len(zones) == rows else np.broadcast_to(np.array(zones), (rows,))
    for zone in set(zones):
        here = by_zone == zone
        local[here], southern[here] = _local(ts_us[here], zone)
    return Moments(seed, ts_us, local, southern)


def counted(seeds: UInt64s, purpose: str, index: Int64s | int) -> UInt64s:
    """64 bits for each seed (SplitMix64), others for each purpose and index."""
    salt = np.uint64(zlib.crc32(purpose.encode()))
    place = np.broadcast_to(index, seeds.shape).astype(np.uint64) ^ (salt << np.uint64(32))
    return mix(seeds + GOLDEN * place)


def seed_of(site_id: str) -> int:
    """The seed of a home."""
    return int.from_bytes(hashlib.sha256(site_id.encode()).digest()[:8])


def _local(ts_us: Int64s, zone: str) -> tuple[Int64s, bool]:
    """Local times, and whether the clocks of the zone go ahead in January."""
    starts, offsets = offset_periods(zone, int(ts_us.min()), int(ts_us.max()))
    year_us = int(ts_us[0]) // DAY_US // 365 * 365 * DAY_US
    january, july = (offset_periods(zone, at, at)[1][0] for at in (year_us, year_us + 182 * DAY_US))
    return ts_us + offsets[np.searchsorted(starts, ts_us, "right") - 1], bool(january > july)
