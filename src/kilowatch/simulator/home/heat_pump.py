"""An air-to-water heat pump for rooms and hot water. Pure.

Heats below 16 °C outside with 165 W per degree, which is some 10,000 kWh of heat a year, and makes hot
water twice a day. What it draws for that follows Ruhnau, Hirth and Praktiknjo, "Time series of heat demand
and heat pump efficiency" (Scientific Data 6, 2019): COP = 6.08 - 0.09 d + 0.0005 d² for air sources, d being
the lift to floors of 35 °C, times 0.85 for what is lost in the field. Below its least power it runs for a
part of every 40 minutes.
"""

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.home.moments import Floats, Mask, Moments
from kilowatch.simulator.home.weather import outdoor_temperature

HEATS_BELOW_C, LOSS_W_PER_C, FLOOR_C = 16.0, 165.0, 35.0
FIELD_FACTOR = 0.85
LEAST_W, MOST_W, HOT_WATER_W, STANDBY_W = 550.0, 2600.0, 1900.0, 12.0
CYCLE_S = 2400.0
AFTERNOONS = 0.7
"""Share of days on which water is heated a second time."""


def power(at: Moments, heating: "Floats | float" = 1.0) -> tuple[Floats, Mask]:
    """Watts, and whether the compressor runs; `heating`: how much is to be heated, as a part of the usual."""
    outside = outdoor_temperature(at)
    wanted = heating * np.maximum(HEATS_BELOW_C - outside, 0.0) * LOSS_W_PER_C / efficiency(outside)
    phase = (at.ts_us / (CYCLE_S * SECOND_US) + at.chance("heat pump cycle", 0)) % 1.0
    heats = phase * LEAST_W < wanted
    makes_water = _makes_water(at)
    watts = np.where(makes_water, HOT_WATER_W, np.clip(wanted, LEAST_W, MOST_W))
    watts = watts * (1.0 + 0.02 * at.noise("heat pump"))
    runs = heats | makes_water
    return np.where(runs, watts, STANDBY_W), runs


def efficiency(outside_c: Floats) -> Floats:
    """Heat per electricity."""
    lift = FLOOR_C - outside_c
    return FIELD_FACTOR * (6.08 - 0.09 * lift + 0.0005 * lift * lift)


def _makes_water(at: Moments) -> Mask:
    length_h = 0.6 + 0.35 * at.chance("water lasts", at.day)
    morning = 4.5 + at.chance("water in the morning", at.day)
    afternoon = 13.0 + 2.0 * at.chance("water in the afternoon", at.day)
    twice = at.chance("water twice", at.day) < AFTERNOONS
    in_the_morning = (at.hour >= morning) & (at.hour < morning + length_h)
    return in_the_morning | (twice & (at.hour >= afternoon) & (at.hour < afternoon + length_h))
