"""The weather outside a home: temperature and darkness. Pure.

The climate is Germany's: 9.3 °C in the mean of 1991 to 2020, 0.9 in January and 18.3 in July (Deutscher
Wetterdienst). Half a year shifted where the home lies in the south.
"""

import numpy as np

from kilowatch.simulator.home.moments import Floats, Mask, Moments

MEAN_C, SWING_C, OF_DAY_C, STRAY_C = 9.3, 8.7, 3.5, 9.0
COLDEST, COLDEST_HOUR = 0.055, 3.0
"""Part of the year (20 January) and hour of the day."""
DAYS_S = 36 * 3600.0
"""How long a weather lasts."""
NOON_HOUR, HALF_DAY_H, HALF_DAY_SWING_H = 12.5, 6.1, 2.1
"""Half the day's length at 50 degrees of latitude: 4.0 h in December, 8.2 h in June."""
MIDSUMMER = 0.472


def outdoor_temperature(at: Moments, warmth: "Floats | float" = 1.0) -> Floats:
    """Degrees Celsius; `warmth`: the mean as a part of the usual one."""
    of_year = -SWING_C * np.cos(2 * np.pi * (at.season - COLDEST))
    of_day = -OF_DAY_C * np.cos(2 * np.pi * (at.hour - COLDEST_HOUR) / 24.0)
    stray = STRAY_C * (at.drift("weather", DAYS_S) - 0.5)
    return MEAN_C * warmth + of_year + of_day + stray


def is_dark(at: Moments) -> Mask:
    """Whether one needs light indoors."""
    half = HALF_DAY_H + HALF_DAY_SWING_H * np.cos(2 * np.pi * (at.season - MIDSUMMER))
    return np.abs(at.hour - NOON_HOUR) > half
