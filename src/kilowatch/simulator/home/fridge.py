"""A fridge with a freezer: its compressor runs for a third of every 35 to 50 minutes. Pure.

0.7 to 0.9 kWh a day: a combination of 300 litres with the label E or F of Regulation (EU) 2019/2016.
"""

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.home.moments import Floats, Mask, Moments

RUNNING_W, STARTING_W, RESTING_W = 88.0, 60.0, 1.5
STANDBY_W = RESTING_W
STARTING_S = 8.0
MEALS_H = (7.0, 12.5, 18.5)


def power(at: Moments) -> tuple[Floats, Mask]:
    """Watts, and whether it is on; a fridge is always on."""
    period_s = 2100.0 + 900.0 * at.chance("fridge period", 0)
    seconds = at.ts_us / SECOND_US
    cycle = np.floor(seconds / period_s)
    phase_s = seconds - cycle * period_s
    duty = 0.30 + 0.10 * at.chance("fridge cycle", cycle.astype(np.int64)) + _door(at)
    running = phase_s < duty * period_s
    watts = RUNNING_W + STARTING_W * np.exp(-phase_s / STARTING_S) + 1.5 * at.noise("fridge")
    return np.where(running, watts, RESTING_W), np.ones(len(running), np.bool_)


def _door(at: Moments) -> Floats:
    """How much longer it runs after its door was opened for a meal."""
    since_h = np.min([(at.hour - meal) % 24.0 for meal in MEALS_H], axis=0)
    return np.where(since_h < 1.5, 0.10, 0.0)
