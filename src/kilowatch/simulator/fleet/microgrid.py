"""A microgrid: solar plant, wind turbine, battery, diesel generator, loads, and connection to the grid. Pure.

Streams that move it: `microgrid.load`, `.solar` and `.wind`, and the two that the connection and the battery
tell by themselves, `microgrid.frequency` and `microgrid.battery.temperature`. Keeps true, at each moment and
in whole tenths of a watt: connection + solar + wind + battery + diesel = the sum of all loads, with import
positive and a discharging battery positive; the battery's charge stays within 0 and 1 and is half at each UTC
midnight.

The battery follows a plan made from the usual course of its day: it shaves peaks and fills valleys. What
differs from the usual is met by the connection, or by the diesel generator while the microgrid is on its own.
What neither can give is shed from the loads; what nobody takes is held back by sun and wind, and what the
battery then gives too much heats water at the first load. So a fault leaves no trace behind.
"""

from functools import reduce

import numpy as np

from kilowatch.period import DAY_US, QUARTER_US
from kilowatch.simulator.fleet.faults import DRAWS, drawn_w, strikes
from kilowatch.simulator.fleet.grid_curves import HOME_DAY, HOME_WEEKEND, QUARTER_H, WORK_DAY
from kilowatch.simulator.fleet.rows import Circumstances, Draft, Int32s, Roster, device_seeds, rounded
from kilowatch.simulator.fleet.weather import sky_over, sun, wind
from kilowatch.simulator.home.moments import Floats, Int64s, Mask, Moments

FIXED = ("connection", "solar", "wind", "battery", "diesel")
CONNECTION, SOLAR, WIND, BATTERY, DIESEL = range(len(FIXED))
TYPES = (*FIXED, "load")
LEAST_DEVICES = len(FIXED) + 1
ZONE = "Europe/Berlin"
LOAD_W = 9_000.0
"""Mean of one load; everything else is sized by the sum of them."""
SOLAR_PEAK, WIND_RATED, DIESEL_RATED, IMPORT_MOST = 1.9, 1.0, 2.6, 2.2
BATTERY_H, BATTERY_RATED = 4.0, 0.9
SWING = 0.45
"""The battery's charge leaves its middle by so much at most."""


class Microgrid:
    """Five devices, and as many loads as there are others."""

    metrics: tuple[str, ...] = (
        "power", "state_of_charge", "temperature", "frequency", "voltage", "islanded",
    )  # fmt: skip
    own_faults: frozenset[str] = frozenset({"islanded", *DRAWS})

    def __init__(self, devices: int, seed: int, zone: str = ZONE) -> None:
        devices = max(devices, LEAST_DEVICES)
        loads = devices - len(FIXED)
        self._zone, self._place = zone, f"microgrid/{seed}"
        self._loads = loads
        self._whole_w = LOAD_W * loads
        self._plans: dict[int, tuple[Floats, Floats]] = {}
        kind = np.array([*range(len(FIXED)), *[len(FIXED)] * loads], np.int16)
        rated = self._whole_w * np.array([IMPORT_MOST, SOLAR_PEAK, WIND_RATED, BATTERY_RATED, DIESEL_RATED])
        zeros = np.zeros(devices, np.int16)
        self.roster = Roster(
            "microgrid", ("site",), TYPES, zeros, zeros, kind,
            np.concatenate([rated, np.full(loads, 3.0 * LOAD_W)]), device_seeds("microgrid", seed, devices),
            (*FIXED, *(f"load-{number + 1}" for number in range(loads))),
        )  # fmt: skip

    def measure(self, device: Int32s, ts_us: Int64s, around: Circumstances) -> dict[str, Floats]:
        """Power in W; of the battery its charge in percent and its warmth, too; of the connection voltage and
        frequency, and whether the microgrid is on its own."""
        if not len(ts_us):
            return {}
        moments, row = np.unique(ts_us, return_inverse=True)
        loads, made, charge, islanded = self._settle(moments, around)
        at = sky_over(self._place, self._zone, moments)
        kind = np.minimum(device, len(FIXED))
        power = np.where(
            kind < len(FIXED),
            made[np.minimum(kind, len(FIXED) - 1), row],
            loads[np.maximum(device - len(FIXED), 0), row],
        )
        draft = Draft(len(ts_us), {"power": power})
        battery, connection = np.flatnonzero(device == BATTERY), np.flatnonzero(device == CONNECTION)
        warmth = 23.0 + 9.0 * np.abs(made[BATTERY]) / self.roster.rated_w[BATTERY] + 0.3 * at.noise("warmth")
        warmth = warmth * around.ratios("microgrid.battery.temperature", moments)
        draft.put(
            battery,
            {
                "state_of_charge": rounded(100.0 * charge, 2)[row[battery]],
                "temperature": rounded(warmth, 1)[row[battery]],
            },
        )
        stray = np.where(islanded, 0.12, 0.02) * at.noise("frequency")
        frequency = (50.0 + stray) * around.ratios("microgrid.frequency", moments)
        voltage = 231.0 + 1.5 * at.noise("voltage") - np.where(islanded, 3.0, 0.0)
        draft.put(
            connection,
            {
                "frequency": rounded(frequency, 3)[row[connection]],
                "voltage": rounded(voltage, 1)[row[connection]],
                "islanded": islanded.astype(np.float64)[row[connection]],
            },
        )
        return draft.columns

    def _settle(self, ts_us: Int64s, around: Circumstances) -> tuple[Floats, Floats, Floats, Mask]:
        """Loads, the five others, the battery's charge, and whether it is on its own, at each moment."""
        at = sky_over(self._place, self._zone, ts_us)
        loads = self._load_of_each(ts_us, around)
        shine = sun(at) * SOLAR_PEAK * self._whole_w * around.ratios("microgrid.solar", ts_us)
        blows = wind(at) * WIND_RATED * self._whole_w * around.ratios("microgrid.wind", ts_us)
        battery, charge = self._battery(ts_us)
        battery = rounded(battery, 1)
        islanded = self._is_islanded(ts_us, around)
        able = np.where(islanded, DIESEL_RATED, IMPORT_MOST + DIESEL_RATED) * self._whole_w
        met = (shine + blows + able + battery) / np.maximum(_total(loads), 1e-9)
        loads = np.floor(loads * np.clip(met, 0.0, 1.0) * 10.0) / 10.0
        taken = _total(loads)
        outlet = np.where(islanded, 0.0, IMPORT_MOST * self._whole_w)
        spare = np.maximum(shine + blows + battery - taken - outlet, 0.0)
        cut = 1.0 - np.minimum(1.0, spare / np.maximum(shine + blows, 1e-9))
        shine, blows = np.floor(shine * cut * 10.0) / 10.0, np.floor(blows * cut * 10.0) / 10.0
        heater = rounded(np.maximum(battery - taken - outlet, 0.0), 1)
        loads[0] = rounded(loads[0] + heater, 1)
        taken = rounded(taken + heater, 1)
        # A battery that charges on an island without sun or wind is fed by the diesel generator.
        missing = taken - shine - blows - battery
        diesel = np.where(islanded, missing, np.maximum(missing - IMPORT_MOST * self._whole_w, 0.0))
        diesel = rounded(diesel, 1)
        connection = np.where(islanded, 0.0, rounded(missing - diesel, 1))
        return loads, np.array([connection, shine, blows, battery, diesel]), charge, islanded

    def _is_islanded(self, ts_us: Int64s, around: Circumstances) -> Mask:
        hit = np.zeros(len(ts_us), np.bool_)
        place = np.full(len(ts_us), CONNECTION, np.int32)
        for what in around.faults:
            if what.kind == "islanded":
                hit |= strikes(what, self.roster, place, ts_us)
        return hit

    def _load_of_each(self, ts_us: Int64s, around: Circumstances) -> Floats:
        ratio = around.ratios("microgrid.load", ts_us)
        at = sky_over(self._place, self._zone, ts_us)
        found = []
        for number in range(self._loads):
            device = np.full(len(ts_us), len(FIXED) + number, np.int32)
            seed = self.roster.seed[device]
            mine = Moments(seed, ts_us, at.local_us, at.southern)
            load = LOAD_W * _shape(mine, number) * ratio * (1.0 + 0.05 * mine.noise("load"))
            for what in around.faults:
                if what.kind in DRAWS:
                    load = load + drawn_w(what, self.roster, device, ts_us)
            found.append(load)
        return np.array(found)

    def _battery(self, ts_us: Int64s) -> tuple[Floats, Floats]:
        """The battery's power and its charge, by the plans of the days."""
        power, charge = np.empty(len(ts_us)), np.empty(len(ts_us))
        day = ts_us // DAY_US
        for number in np.unique(day).tolist():
            rows = np.flatnonzero(day == number)
            plan_w, level = self._plan(number)
            quarter, rest = np.divmod(ts_us[rows] - number * DAY_US, QUARTER_US)
            part = rest / QUARTER_US
            power[rows] = plan_w[quarter]
            charge[rows] = level[quarter] + (level[quarter + 1] - level[quarter]) * part
        return power, charge

    def _plan(self, day: int) -> tuple[Floats, Floats]:
        """The battery's power in each quarter hour of a UTC day, and its charge at the quarters' borders."""
        if day not in self._plans:
            while len(self._plans) > 64:
                self._plans.pop(next(iter(self._plans)))
            ts_us = day * DAY_US + np.arange(96, dtype=np.int64) * QUARTER_US
            at = sky_over(self._place, self._zone, ts_us)
            load = LOAD_W * reduce(np.add, [_shape(at, number) for number in range(self._loads)])
            net = load - self._whole_w * (SOLAR_PEAK * sun(at) + WIND_RATED * wind(at))
            most = BATTERY_RATED * self._whole_w
            wish = np.clip(net - net.mean(), -most, most)
            wish = np.clip(wish - wish.mean(), -most, most)
            wish[-1] -= wish.sum()
            drawn = np.cumsum(wish) * QUARTER_H / (BATTERY_H * self._whole_w)
            furthest = max(float(np.abs(drawn).max()), float(np.abs(wish).max()) / most * SWING, 1e-9)
            scale = min(1.0, SWING / furthest)
            level = 0.5 - scale * np.concatenate([[0.0], drawn])
            level[-1] = 0.5
            self._plans[day] = wish * scale, level
        return self._plans[day]


def _total(loads: Floats) -> Floats:
    """The sum of all loads, added up in one order whatever the number of moments."""
    total: Floats = reduce(np.add, loads, np.zeros(loads.shape[1]))
    return total


def _shape(at: Moments, number: int) -> Floats:
    """The course of a load: every third is a workshop, the others are homes."""
    hour = np.floor(at.hour).astype(np.int64) % 24
    part = at.hour - np.floor(at.hour)
    weekday, weekend = (WORK_DAY, WORK_DAY * 0.4) if number % 3 == 2 else (HOME_DAY, HOME_WEEKEND)
    straight = [one[hour] * (1.0 - part) + one[(hour + 1) % 24] * part for one in (weekday, weekend)]
    return np.where(at.is_weekend, straight[1], straight[0])
