"""What the sky does over a region: temperature, clouds, sun and wind. Pure.

Builds on the weather outside of homes. Clear-sky power follows the sun's height for 50 degrees of latitude.
"""

import numpy as np

from kilowatch.simulator.home.moments import Floats, Int64s, Moments, moments_at
from kilowatch.simulator.home.weather import HALF_DAY_H, HALF_DAY_SWING_H, MIDSUMMER, NOON_HOUR
from kilowatch.simulator.home.weather import outdoor_temperature as temperature

__all__ = ["sky_over", "sun", "temperature", "wind"]

CLEAR_S, GUST_S = 5 * 3600.0, 9 * 3600.0
CUT_IN, RATED = 0.12, 0.75
"""A turbine stands still below the first part of the wind's scale, and gives all it has from the second."""


def sky_over(place: str, zone: str, ts_us: Int64s) -> Moments:
    """Moments under the sky of a place."""
    return moments_at([place], [zone], ts_us)


def sun(at: Moments) -> Floats:
    """What a solar plant gives, as a part of its peak power: by season, hour and clouds."""
    half = HALF_DAY_H + HALF_DAY_SWING_H * np.cos(2 * np.pi * (at.season - MIDSUMMER))
    height = np.maximum(np.cos(0.5 * np.pi * np.clip((at.hour - NOON_HOUR) / half, -1.0, 1.0)), 0.0)
    strength = 0.62 + 0.23 * np.cos(2 * np.pi * (at.season - MIDSUMMER))
    clouds = at.drift("clouds", CLEAR_S)
    clear: Floats = strength * height * (1.0 - 0.75 * clouds * clouds)
    return np.where(height > 1e-9, clear, 0.0)


def wind(at: Moments) -> Floats:
    """What a turbine gives, as a part of its rated power."""
    scale = 0.62 * at.drift("wind", GUST_S) + 0.3 * at.drift("gusts", 900.0)
    speed = scale + 0.12 * np.cos(2 * np.pi * at.season)
    given: Floats = np.clip((speed - CUT_IN) / (RATED - CUT_IN), 0.0, 1.0) ** 2
    return given
