"""What is usual for a device at this time of day, and what is far from it. Pure.

The profile of a device has a place for each hour of the site's day: the median of the mean powers of its
quarter-hours there, and their spread: 1.4826 times the median absolute deviation, which for normal noise is
the standard deviation (Rousseeuw and Croux, Alternatives to the Median Absolute Deviation, JASA 88, 1993).
A power is a spike when it stands more than SPREADS spreads above the median; the spread counts as at least
a twentieth of the device's largest median and 20 W, so that a device that never changes is no spike for a
flicker.

Keeps true: less than half of strange quarter-hours at an hour cannot move its median out of the usual ones;
an hour of which less than LEAST quarters are known has no limit.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOURS = 24
LEAST = 12
"""Quarter-hours that must be known of an hour: three days."""
SPREADS = 6.0
SPREAD_LEAST_W = 20.0
SPREAD_LEAST_SHARE = 0.05
TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class Profiles:
    """Of each device, hour by hour: shape (devices, 24). NaN where too little is known."""

    median_w: Floats
    spread_w: Floats

    @property
    def limit_w(self) -> Floats:
        """Above this a power is a spike; infinite where nothing is known."""
        limit = self.median_w + SPREADS * self.spread_w
        return np.where(np.isnan(limit), np.inf, limit)


def learn(device: Ints, hour: Ints, power_w: Floats, devices: int) -> Profiles:
    """The profiles of `devices` devices from quarter-hours: the device's place, the local hour (0 to 23) and
    the mean power of each, in any order."""
    cell = device * HOURS + hour
    median = _medians(cell, power_w, devices * HOURS)
    deviation = np.abs(power_w - median[cell])
    spread = TO_SIGMA * _medians(cell, deviation, devices * HOURS)
    known = np.bincount(cell, minlength=devices * HOURS) >= LEAST
    median = np.where(known, median, np.nan).reshape(devices, HOURS)
    spread = np.where(known, spread, np.nan).reshape(devices, HOURS)
    largest = np.max(np.where(np.isnan(median), 0.0, np.abs(median)), axis=1, initial=0.0)
    least = np.maximum(SPREAD_LEAST_W, SPREAD_LEAST_SHARE * largest)
    return Profiles(median, np.maximum(spread, least[:, None]))


def _medians(cell: Ints, value: Floats, cells: int) -> Floats:
    """The median of the values of each cell; NaN for a cell without any."""
    order = np.lexsort((value, cell))
    ordered = value[order]
    counts = np.bincount(cell, minlength=cells)
    first = np.cumsum(counts) - counts
    found = np.full(cells, np.nan)
    filled = counts > 0
    low = first[filled] + (counts[filled] - 1) // 2
    high = first[filled] + counts[filled] // 2
    found[filled] = (ordered[low] + ordered[high]) / 2
    return found
