"""What the devices of homes report at given moments. Pure.

Keeps true: what somebody switched off draws nothing, and what is in standby draws its standby power, from the
moment on at which it is asked for with that state; switched on means that it follows the habits of the home.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.simulator.home import fridge, heat_pump, lights, television, washing_machine
from kilowatch.simulator.home.moments import Floats, Mask, Moments
from kilowatch.simulator.home.weather import outdoor_temperature
from kilowatch.wire.simulation import STATES, Role

OFF, ON, STANDBY = range(len(STATES))
Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Appliance:
    """power: watts and whether it is at work; resting: its state while it is not."""

    power: Callable[[Moments], tuple[Floats, Mask]]
    standby_w: float
    resting: int


APPLIANCES: dict[Role, Appliance] = {
    "fridge": Appliance(fridge.power, fridge.STANDBY_W, STANDBY),
    "heat-pump": Appliance(heat_pump.power, heat_pump.STANDBY_W, STANDBY),
    "television": Appliance(television.power, television.STANDBY_W, STANDBY),
    "washing-machine": Appliance(washing_machine.power, washing_machine.STANDBY_W, STANDBY),
    "lights": Appliance(lights.power, lights.STANDBY_W, OFF),
}


def report(role: Role, at: Moments, set_to: Codes) -> dict[str, Floats]:
    """The metrics of a device at each row, `set_to` being the state that somebody gave it.

    Powers are whole tenths of a watt, temperatures of a degree; `state` is the index of its name.
    """
    appliance = APPLIANCES[role]
    power_w, at_work = appliance.power(at)
    power_w = np.select([set_to == OFF, set_to == STANDBY], [0.0, appliance.standby_w], power_w)
    state = np.where(set_to == ON, np.where(at_work, ON, appliance.resting), set_to)
    found = {"power": np.round(power_w, 1), "state": state.astype(np.float64)}
    if role == "heat-pump":
        found["outdoor_temperature"] = np.round(outdoor_temperature(at), 1)
    return found
