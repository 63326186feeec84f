"""Homes with everything in them: the appliances of a home to try, and solar plant, battery and car. Pure.

Streams that move it: `home.load`, `home.standby`, `home.heating`, `home.people` and
`home.weather.temperature` the appliances (see `household`), `home.solar` the solar plant, `home.car` the car.
People go to work, come home, and are away for weeks: then nobody watches, washes or turns lights on. Keeps
true: battery and car go through the same course between two midnights, so their charge stays within 0 and 1.
"""

import numpy as np

from kilowatch.simulator.fleet.rows import Circumstances, Draft, Int32s, Roster, device_seeds, rounded
from kilowatch.simulator.fleet.weather import sun
from kilowatch.simulator.home.household import APPLIANCES, OFF, ON, STANDBY, Codes, report
from kilowatch.simulator.home.moments import Floats, Int64s, Mask, Moments, moments_at
from kilowatch.wire.simulation import ROLES

TYPES = (*ROLES, "solar", "battery", "car")
RATED_W = {role: appliance.rated_w for role, appliance in APPLIANCES.items()} | {
    "solar": 9000.0, "battery": 3500.0, "car": 11_000.0,
}  # fmt: skip
NEEDS_SOMEBODY = {"television": STANDBY, "washing-machine": STANDBY, "lights": OFF}
"""What devices are while nobody is at home."""
ZONE = "Europe/Berlin"
HOLIDAYS, STAYS_IN = 0.06, 0.25
"""Share of weeks on holiday, and of workdays on which somebody stays at home."""
BATTERY_WH, CHARGES_H, GIVES_H = 10_000.0, (10.0, 16.0), (18.0, 23.0)
LEAST_CHARGE = 0.06
CAR_WH, DRIVEN_WH, CHARGER_W = 60_000.0, (3_000.0, 14_000.0), (3_700.0, 7_400.0, 11_000.0)
DRIVES_ON_WEEKENDS = 0.45
MOST_DRIVEN = 0.9
"""Of the car's battery."""


class Home:
    """Homes of eight devices each; the last may have fewer."""

    metrics: tuple[str, ...] = ("power", "state", "state_of_charge", "outdoor_temperature")
    own_faults: frozenset[str] = frozenset()

    def __init__(self, devices: int, seed: int, zone: str = ZONE) -> None:
        number = np.arange(devices)
        kind = (number % len(TYPES)).astype(np.int16)
        homes = -(-devices // len(TYPES))
        self._zone = zone
        self._homes = device_seeds("home", seed, homes)
        zeros = np.zeros(devices, np.int16)
        rated_w = np.array([RATED_W[name] for name in TYPES])[kind]
        names = tuple(f"{at // len(TYPES) + 1}-{TYPES[at % len(TYPES)]}" for at in range(devices))
        seeds = device_seeds("home device", seed, devices)
        self.roster = Roster("home", ("homes",), TYPES, zeros, zeros, kind, rated_w, seeds, names)

    def measure(self, device: Int32s, ts_us: Int64s, around: Circumstances) -> dict[str, Floats]:
        """Power in W (a battery's positive while it gives), states, charge in percent, degrees outside."""
        draft = Draft(len(ts_us))
        if not len(ts_us):
            return draft.columns
        here = moments_at(["home"], [self._zone], ts_us)
        kind = device % len(TYPES)
        home = self._homes[device // len(TYPES)]
        for place in np.unique(kind).tolist():
            rows = np.flatnonzero(kind == place)
            at = Moments(home[rows], ts_us[rows], here.local_us[rows], here.southern[rows])
            draft.put(rows, _measure(TYPES[place], at, around))
        return draft.columns


def is_somebody_home(at: Moments) -> Mask:
    """Whether anybody is at home."""
    on_holiday = at.chance("holiday", (at.day + 3) // 7) < HOLIDAYS
    at_work = ~at.is_weekend & (at.chance("stays in", at.day) >= STAYS_IN)
    leaves, returns = _absence(at)
    return ~(on_holiday | (at_work & (at.hour >= leaves) & (at.hour < returns)))


def _absence(at: Moments) -> tuple[Floats, Floats]:
    return 7.2 + 1.6 * at.chance("leaves", at.day), 15.8 + 2.8 * at.chance("returns", at.day)


def _measure(kind: str, at: Moments, around: Circumstances) -> dict[str, Floats]:
    if kind == "solar":
        power = RATED_W["solar"] * sun(at) * around.ratios("home.solar", at.ts_us)
        return {"power": rounded(power * (1.0 + 0.01 * at.noise("solar")), 1)}
    if kind == "battery":
        return _battery(at)
    if kind == "car":
        return _car(at, around.ratios("home.car", at.ts_us))
    set_to: Codes = np.full(len(at.ts_us), ON, np.int8)
    if kind in NEEDS_SOMEBODY:
        set_to[~is_somebody_home(at)] = NEEDS_SOMEBODY[kind]
    (role,) = (role for role in ROLES if role == kind)
    return report(role, at, set_to, around)


def _battery(at: Moments) -> dict[str, Floats]:
    """Takes from morning to afternoon what it gives in the evening."""
    energy_wh = BATTERY_WH * (0.25 + 0.65 * at.chance("battery", at.day))
    charged, given = _way(at.hour, *CHARGES_H), _way(at.hour, *GIVES_H)
    taking = energy_wh / (CHARGES_H[1] - CHARGES_H[0]) * ((charged > 0.0) & (charged < 1.0))
    giving = energy_wh / (GIVES_H[1] - GIVES_H[0]) * ((given > 0.0) & (given < 1.0))
    level = LEAST_CHARGE + (charged - given) * energy_wh / BATTERY_WH
    return {"power": rounded(giving - taking, 1), "state_of_charge": rounded(100.0 * level, 2)}


def _car(at: Moments, driven: Floats | float) -> dict[str, Floats]:
    """Away for a part of the day; charged when it is back. `driven`: how much, as a part of the usual."""
    drives = np.where(at.is_weekend, at.chance("drives", at.day) < DRIVES_ON_WEEKENDS, True)
    leaves, returns = _absence(at)
    least, most = DRIVEN_WH
    usual_wh = np.where(drives, least + (most - least) * at.chance("driven", at.day), 0.0)
    driven_wh = np.minimum(usual_wh * driven, MOST_DRIVEN * CAR_WH)
    charger_w = np.array(CHARGER_W)[np.minimum((3 * at.chance("charger", 0)).astype(np.int64), 2)]
    lasts_h = np.maximum(driven_wh / charger_w, 1e-9)
    way, charged = _way(at.hour, leaves, returns), _way(at.hour, returns, returns + lasts_h)
    charging = drives & (charged > 0.0) & (charged < 1.0)
    away = drives & (way > 0.0) & (way < 1.0)
    state = np.select([away, charging], [OFF, ON], STANDBY)
    level = 1.0 - (way - charged) * driven_wh / CAR_WH
    return {
        "power": rounded(charger_w * charging, 1),
        "state": state.astype(np.float64),
        "state_of_charge": rounded(100.0 * level, 2),
    }


def _way(hour: Floats, begins: "Floats | float", ends: "Floats | float") -> Floats:
    """Which part of a time of day is over."""
    way: Floats = np.clip((hour - begins) / (np.asarray(ends) - begins), 0.0, 1.0)
    return way
