"""Values on a scale that is the same for all streams: 0 to 100, with 50 for the mean of the baseline. Pure.

Keeps true: a greater value is never lower on the scale.

0 and 100 are three standard deviations below and above the mean, and what lies further is held there; so one
standard deviation is 16.67 points, in a straight line between these ends. `warning` is beyond one standard
deviation, `critical` beyond two, on either side.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.statistics import StreamStatistics

Flag = Literal["normal", "warning", "critical"]
FLAGS: tuple[Flag, ...] = ("normal", "warning", "critical")
MIDDLE, SIGMAS = 50.0, 3.0
WARNING, CRITICAL = 1.0, 2.0
"""Standard deviations from the mean."""


def deviation(value: Floats, of: StreamStatistics) -> Floats:
    """Standard deviations above the mean. Of a stream that never varied: 0, or without end."""
    off = value - of.mean
    if of.std_dev > 0.0:
        found: Floats = off / of.std_dev
        return found
    return np.where(off == 0.0, 0.0, np.copysign(np.inf, off))


def normalised(value: Floats, of: StreamStatistics) -> Floats:
    """0 to 100."""
    return np.clip(MIDDLE + deviation(value, of) * (MIDDLE / SIGMAS), 0.0, 100.0)


def flags(value: Floats, of: StreamStatistics) -> npt.NDArray[np.int8]:
    """Places in FLAGS."""
    off = np.abs(deviation(value, of))
    return (off > WARNING).astype(np.int8) + (off > CRITICAL).astype(np.int8)


def flag_of(value: float, of: StreamStatistics) -> Flag:
    """The flag of one value."""
    return FLAGS[int(flags(np.array([value]), of)[0])]
