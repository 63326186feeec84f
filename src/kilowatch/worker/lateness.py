"""How much late readings change of what is booked, and so how many messages are settled at once. Pure.

Keeps true: what one batch books anew fits into memory, however late its readings are and however many devices
they are of. The energy of a register up to the next reading that is stored is booked anew for each quarter of
an hour in between: a million meters that are a day late are a hundred million quarters.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kilowatch.period import QUARTER_US
from kilowatch.wire.frame import Frame
from kilowatch.worker.books import METERED_GAP_US
from kilowatch.worker.registry import Registry

QUARTERS_AT_ONCE = 4_000_000
"""Quarters of an hour of devices that may be booked anew in one batch, unless one message has more."""


def affordable(frames: Sequence[Frame], registry: Registry, newest_us: npt.NDArray[np.int64]) -> int:
    """How many of the frames, from the first one on, are settled together: one at least.

    frames: with device and slot numbers of the registry; newest_us: the newest time that is stored, by
    series.
    """
    quarters = np.cumsum([_quarters(frame, registry, newest_us) for frame in frames])
    return max(1, int(np.searchsorted(quarters, QUARTERS_AT_ONCE, "right")))


def _quarters(frame: Frame, registry: Registry, newest_us: npt.NDArray[np.int64]) -> int:
    """Quarters of an hour, over all devices, that late readings of a frame reach over: up to the newest one
    stored, or as long as no gap is bridged."""
    late_us = np.zeros(len(frame), np.int64)
    for slot, column in frame.metrics.items():
        newest = newest_us[registry.series[slot][frame.device]]
        is_late = (newest > frame.ts_us) & ~np.isnan(column)
        late_us[is_late] = np.maximum(late_us[is_late], (newest - frame.ts_us)[is_late])
    rows = np.flatnonzero(late_us)
    if len(rows) == 0:
        return 0
    _, place = np.unique(frame.device[rows], return_inverse=True)
    reach_us = np.zeros(int(place.max()) + 1, np.int64)
    np.maximum.at(reach_us, place, late_us[rows])
    longest_us = METERED_GAP_US + int(np.ptp(frame.ts_us[rows]))
    return int((np.minimum(reach_us, longest_us) // QUARTER_US + 1).sum())
