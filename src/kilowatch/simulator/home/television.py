"""A television: on in the evening, at weekends in the afternoon too, else in standby. Pure.

Three hours a day in the mean, as people in Germany watch (AGF Videoforschung, 182 minutes in 2023); half a
watt in standby, the most that Regulation (EU) 2023/826 allows.
"""

import numpy as np

from kilowatch.period import MINUTE_US
from kilowatch.simulator.home.moments import Floats, Mask, Moments

WATCHED_W, STANDBY_W = 92.0, 0.5
ENDS_H = 23.9
PICTURE_S = 20.0
STAY_US = 20 * MINUTE_US
"""Whether somebody is here is another question after so long, when fewer people are at home than usual."""


def power(at: Moments, people: "Floats | float" = 1.0) -> tuple[Floats, Mask]:
    """Watts, and whether somebody watches; `people`: how many are at home, as a part of the usual."""
    picture = 0.82 + 0.3 * at.drift("picture", PICTURE_S) + 0.02 * at.noise("television")
    watched = is_watched(at) & (at.chance("somebody is here", at.local_us // STAY_US) < people)
    return np.where(watched, WATCHED_W * picture, STANDBY_W), watched


def is_watched(at: Moments) -> Mask:
    """Whether somebody watches."""
    begins = 18.4 + 1.8 * at.chance("evening begins", at.day)
    lasts = 1.6 + (1.8 + 1.2 * at.is_weekend) * at.chance("evening lasts", at.day)
    stays_in = at.chance("evening", at.day) < 0.92
    evening = stays_in & (at.hour >= begins) & (at.hour < np.minimum(begins + lasts, ENDS_H))
    starts = 13.5 + 2.0 * at.chance("afternoon begins", at.day)
    matinee = at.is_weekend & (at.chance("afternoon", at.day) < 0.55)
    return evening | (matinee & (at.hour >= starts) & (at.hour < starts + 1.8))
