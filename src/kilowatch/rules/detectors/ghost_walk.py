"""The ghost walk: several devices of one home stir one after the other while nobody should be there. Pure.

A device stirs when its power rises by at least STIR_W from one reading to the next. A walk is at least so
many different devices (DEVICES, if nobody said otherwise) in at least ROOMS rooms that stir one after the
other, no two of them at the same moment (that would be one switch, or the power coming back) and each at most
STEP_US after the one before, in hours in which the home is asleep.

Keeps true: one walk is told once; what one device does alone is no walk, however often it stirs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.clock import MICROSECONDS

Ints = npt.NDArray[np.int64]

STIR_W = 30.0
DEVICES = 3
ROOMS = 2
STEP_US = 300 * MICROSECONDS
APART_US = 2 * MICROSECONDS
"""Two that stir closer together than this were stirred by one thing."""


@dataclass(frozen=True, slots=True)
class Stirs:
    """Devices of one home that stirred while it was asleep, sorted by time; columns of one length."""

    device: Ints
    room: Ints
    ts_us: Ints

    def __len__(self) -> int:
        return len(self.device)


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk: its devices in the order in which they stirred first, and from when until when."""

    devices: tuple[int, ...]
    start_us: int
    end_us: int


def find_stirs(series: Ints, power_w: npt.NDArray[np.float64]) -> Ints:
    """The places at which a power rises, among samples sorted by series and time."""
    rises = (np.diff(power_w) >= STIR_W) & (np.diff(series) == 0)
    return np.flatnonzero(rises) + 1


def find_walks(stirs: Stirs, devices: int = DEVICES) -> list[Walk]:
    """The walks of at least so many devices among the stirs, in order of time."""
    found = [_walk_of(chain) for chain in _chains(_without_crowds(stirs))]
    return [walk for walk, rooms in found if len(walk.devices) >= devices and rooms >= ROOMS]


def _without_crowds(stirs: Stirs) -> Stirs:
    """Without stirs of different devices at the same moment."""
    if len(stirs) < 2:
        return stirs
    together = (np.diff(stirs.ts_us) < APART_US) & (np.diff(stirs.device) != 0)
    alone = ~(np.append(together, False) | np.append(False, together))
    return Stirs(stirs.device[alone], stirs.room[alone], stirs.ts_us[alone])


def _chains(stirs: Stirs) -> list[Stirs]:
    """Stirs that follow each other closely, together."""
    cuts = np.flatnonzero(np.diff(stirs.ts_us) > STEP_US) + 1
    columns = (np.split(column, cuts) for column in (stirs.device, stirs.room, stirs.ts_us))
    return [Stirs(*parts) for parts in zip(*columns, strict=True)]


def _walk_of(chain: Stirs) -> tuple[Walk, int]:
    """The walk that a chain would be, and through how many rooms it led."""
    devices, first = np.unique(chain.device, return_index=True)
    order = devices[np.argsort(first)]
    ends = (int(chain.ts_us[0]), int(chain.ts_us[-1])) if len(chain) else (0, 0)
    return Walk(tuple(order.tolist()), *ends), len(np.unique(chain.room))
