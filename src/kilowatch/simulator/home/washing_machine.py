"""A washing machine: about four washes a week, each heating, tumbling, rinsing and spinning. Pure.

About 1 kWh a wash, as cotton at 40 to 60 °C takes; some 200 washes a year, where Regulation (EU) 1061/2010
reckons with 220.
"""

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.home.moments import Floats, Mask, Moments

STANDBY_W = 0.4
PHASES = ((0.04, 35.0), (0.24, 2050.0), (0.60, 170.0), (0.86, 130.0), (0.97, 390.0), (1.0, 20.0))
"""Filling, heating, washing, rinsing, spinning, coming to rest: until which part, and watts."""
TUMBLING = (0.24, 0.86)
TURN_S = 16.0
"""The drum turns for three quarters of so many seconds, and rests."""
RESTING_W = 8.0


def power(at: Moments) -> tuple[Floats, Mask]:
    """Watts, and whether it washes."""
    part = _part(at)
    washes = (part >= 0.0) & (part < 1.0)
    ends, watts = (np.array(column) for column in zip(*PHASES, strict=True))
    drawn = watts[np.minimum(np.searchsorted(ends, part, "right"), len(watts) - 1)]
    tumbles = (part >= TUMBLING[0]) & (part < TUMBLING[1])
    rests = tumbles & ((at.ts_us / (TURN_S * SECOND_US)) % 1.0 >= 0.75)
    drawn = np.where(rests, RESTING_W, drawn * (1.0 + 0.03 * at.noise("washing machine")))
    return np.where(washes, drawn, STANDBY_W), washes


def _part(at: Moments) -> Floats:
    """Which part of the day's wash is over; below 0 before it, from 1 on after it or without one."""
    begins_h = 8.5 + 10.0 * at.chance("wash begins", at.day)
    lasts_h = 1.6 + 0.4 * at.chance("wash lasts", at.day)
    is_washday = at.chance("washday", at.day) < np.where(at.is_weekend, 0.7, 0.48)
    return np.where(is_washday, (at.hour - begins_h) / lasts_h, 1.0)
