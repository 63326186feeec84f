"""What the devices of homes report at given moments. Pure.

Keeps true: what somebody switched off draws nothing, and what is in standby draws its standby power, from the
moment on at which it is asked for with that state; switched on means that it follows the habits of the home.
While the streams of the world `home` are as usual, so are the devices, to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kilowatch.simulator.home import fridge, heat_pump, lights, television, washing_machine
from kilowatch.simulator.home.moments import Floats, Int64s, Mask, Moments
from kilowatch.simulator.home.weather import outdoor_temperature
from kilowatch.wire.simulation import STATES, Role

OFF, ON, STANDBY = range(len(STATES))
Codes = npt.NDArray[np.int8]


class Around(Protocol):
    """What surrounds a home."""

    def ratios(self, stream: str, ts_us: Int64s) -> "Floats | float":
        """Level of a stream of the world `home` at each moment, as a part of its usual level."""


Level = Callable[[str], "Floats | float"]
"""`Around.ratios` at the moments in question."""


@dataclass(frozen=True, slots=True)
class Appliance:
    """power: watts and whether it is at work; resting: its state while it is not; rated_w: the most it
    takes."""

    power: Callable[[Moments, Level], tuple[Floats, Mask]]
    standby_w: float
    resting: int
    rated_w: float


APPLIANCES: dict[Role, Appliance] = {
    "fridge": Appliance(lambda at, _: fridge.power(at), fridge.STANDBY_W, STANDBY, 160.0),
    "heat-pump": Appliance(
        lambda at, level: heat_pump.power(at, level("home.heating")), heat_pump.STANDBY_W, STANDBY, 3000.0
    ),
    "television": Appliance(
        lambda at, level: television.power(at, level("home.people")), television.STANDBY_W, STANDBY, 120.0
    ),
    "washing-machine": Appliance(
        lambda at, _: washing_machine.power(at), washing_machine.STANDBY_W, STANDBY, 2200.0
    ),
    "lights": Appliance(
        lambda at, level: lights.power(at, level("home.people")), lights.STANDBY_W, OFF, 110.0
    ),
}
FOLLOW_LOAD: frozenset[Role] = frozenset(["fridge", "television", "washing-machine"])
"""What takes more at work when people use more, within what it is rated for; the others have streams of their
own."""


def report(role: Role, at: Moments, set_to: Codes, around: Around | None = None) -> dict[str, Floats]:
    """The metrics of a device at each row, `set_to` being the state that somebody gave it.

    Powers are whole tenths of a watt, temperatures of a degree; `state` is the index of its name. Without
    `around` all is as usual.
    """
    appliance = APPLIANCES[role]

    def level(stream: str) -> "Floats | float":
        return 1.0 if around is None else around.ratios(stream, at.ts_us)

    power_w, at_work = appliance.power(at, level)
    if around is not None:
        power_w = _moved(role, power_w, at_work, level)
    standby_w = appliance.standby_w * level("home.standby")
    power_w = np.select([set_to == OFF, set_to == STANDBY], [np.zeros(len(power_w)), standby_w], power_w)
    state = np.where(set_to == ON, np.where(at_work, ON, appliance.resting), set_to)
    found = {"power": np.round(power_w, 1), "state": state.astype(np.float64)}
    if role == "heat-pump":
        outside = outdoor_temperature(at, level("home.weather.temperature"))
        found["outdoor_temperature"] = np.round(outside, 1)
    return found


def _moved(role: Role, power_w: Floats, at_work: Mask, level: Level) -> Floats:
    """What it draws as the home's streams have it."""
    resting_w = power_w * level("home.standby")
    if role not in FOLLOW_LOAD:
        return np.where(at_work, power_w, resting_w)
    most_w = np.maximum(APPLIANCES[role].rated_w, power_w)
    return np.where(at_work, np.minimum(power_w * level("home.load"), most_w), resting_w)
