"""The lamps of a home, all LED: on where somebody is while it is dark. Pure.

0.1 to 0.5 kWh a day, some 90 kWh a year: lighting took 8 % of a household's electricity (BDEW 2018), 250 kWh
with the lamps of then, and LED lamps take a third.
"""

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.home.moments import Floats, Mask, Moments
from kilowatch.simulator.home.weather import is_dark

STANDBY_W = 0.0
LAMPS = (("kitchen", 24.0, 0.5), ("living room", 32.0, 0.7), ("hall", 9.0, 0.5), ("bath", 14.0, 0.2),
         ("bedroom", 10.0, 0.25), ("study", 12.0, 0.3))  # fmt: skip
"""Name, watts, and how often one is on while people are up and it is dark."""
STAY_S = 1200
"""People go to another room after so many seconds."""
AT_NIGHT = 0.02


def power(at: Moments, people: "Floats | float" = 1.0) -> tuple[Floats, Mask]:
    """Watts, and whether any lamp is on; `people`: how many are at home, as a part of the usual."""
    stay = at.local_us // (STAY_S * SECOND_US)
    wanted = people * np.where(_is_somebody_up(at), is_dark(at) * 1.0, AT_NIGHT)
    watts = np.zeros(len(stay))
    for name, lamp_w, share in LAMPS:
        watts += lamp_w * (at.chance(name, stay) < share * wanted)
    return watts * (1.0 + 0.005 * at.noise("lights")), watts > 0.0


def _is_somebody_up(at: Moments) -> Mask:
    rises = 6.2 + at.chance("rises", at.day) + 1.3 * at.is_weekend
    sleeps = 22.2 + 1.6 * at.chance("sleeps", at.day)
    return (at.hour >= rises) & (at.hour < sleeps)
