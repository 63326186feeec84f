"""What faults do to what devices report, while they last. Pure.

Keeps true: a reading outside of all faults is the same to the bit as if there had never been one; so after a
fault a device is exactly in the state that it had. Registers go on as usual beneath a fault: they show again,
when it is over, what they would have shown without it.

`value` is measured by the kind:

| kind | value | without one |
|---|---|---|
| outage | - | the device is silent |
| stuck | - | every metric stays as it was when the fault began |
| drift | share by which readings are off after a day, all but registers | 0.1 |
| overheat | degrees above the usual, reached after some minutes | 30 |
| voltage_spike | volts above the usual | 22 |
| current_surge | share above the usual; the power rises with it | 0.9 |
| wear | days from the first sign to the failure | 5 |
| standby_draw | watts drawn beside all else | 60 |
| power_spike | watts drawn beside all else | 1500 |
| walk | seconds that one device is on before the next | 120 |
| meter_error | factor on the power told; registers stand still | 3 |
| late, repeated, out_of_order | see `delivery` | |
| islanded | see `microgrid` | |
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kilowatch.period import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from kilowatch.simulator.engine.chance import as_share
from kilowatch.simulator.fleet.happening import Happening
from kilowatch.simulator.fleet.rows import Circumstances, Fleet, Int32s, Readings, Roster, rounded
from kilowatch.simulator.home.moments import Floats, Int64s, Mask, counted
from kilowatch.simulator.world.format import FaultKind

DEFAULTS: dict[FaultKind, float] = {
    "drift": 0.1, "overheat": 30.0, "voltage_spike": 22.0, "current_surge": 0.9, "wear": 5.0,
    "standby_draw": 60.0, "power_spike": 1500.0, "walk": 120.0, "meter_error": 3.0,
    "late": 600.0, "repeated": 1.0, "out_of_order": 120.0,
}  # fmt: skip
DRAWS: frozenset[FaultKind] = frozenset(["standby_draw", "power_spike", "walk"])
REGISTERS = frozenset(["energy", "energy_export"])
STATES = frozenset(["state", "label"])
HEATS_IN_US = 8 * MINUTE_US
WALK_W, WALKS = 45.0, 0.3
"""What is switched on by nobody draws so much at least, and a device is on in this part of its turns."""
HOT_C, SHAKES_MM_S, DRAWS_MORE = 28.0, 9.0, 0.22
"""How much hotter, shakier and thirstier a worn machine is just before it fails."""
AMBIENT_C = 22.0


@dataclass(slots=True)
class Struck:
    """Rows that a fault strikes. since_us: how long it has lasted."""

    what: Happening
    value: float
    device: Int32s
    since_us: Int64s
    ts_us: Int64s
    rated_w: Floats
    turn: Floats
    columns: dict[str, Floats]

    def change(self, metric: str, change: Callable[[Floats], Floats], digits: int) -> None:
        """Gives a metric another value, where the device has it."""
        if metric in self.columns:
            self.columns[metric] = rounded(change(self.columns[metric]), digits)


def report(fleet: Fleet, device: Int32s, ts_us: Int64s, around: Circumstances) -> Readings:
    """What devices report at their moments; rows of silent devices are left out."""
    columns = fleet.measure(device, ts_us, around)
    told = np.ones(len(ts_us), np.bool_)
    for what in around.faults:
        if what.kind in fleet.own_faults or what.kind in ("late", "repeated", "out_of_order"):
            continue
        rows = np.flatnonzero(strikes(what, fleet.roster, device, ts_us))
        if not len(rows):
            continue
        if what.kind == "outage":
            told[rows] = False
            continue
        part = {name: column[rows] for name, column in columns.items()}
        struck = _strike(what, fleet.roster, device[rows], ts_us[rows], part)
        if what.kind in ("stuck", "meter_error"):
            _hold(fleet, struck, around)
        else:
            ACTS[what.kind](struck)
        for name, column in struck.columns.items():
            columns[name][rows] = column
    readings = Readings(device, ts_us, columns)
    return readings if told.all() else readings.take(told)


def strikes(what: Happening, roster: Roster, device: Int32s, ts_us: Int64s) -> Mask:
    """Which rows a fault strikes."""
    hit = what.covers(ts_us)
    if not hit.any():
        return hit
    where = what.where
    if where.region is not None:
        hit &= _named(where.region, roster.regions, roster.region[device])
    if where.feeder is not None:
        feeders = tuple(f"feeder-{number + 1}" for number in range(int(roster.feeder.max()) + 1))
        hit &= _named(where.feeder, feeders, roster.feeder[device])
    if where.type is not None:
        hit &= _named(where.type, roster.types, roster.type[device])
    if where.share < 1.0:
        purpose = f"struck by {what.kind}/{what.number}"
        hit &= as_share(counted(roster.seed[device], purpose, what.begins_us)) < where.share
    return hit


def drawn_w(what: Happening, roster: Roster, device: Int32s, ts_us: Int64s) -> Floats:
    """Watts that a fault of `DRAWS` adds at each row; 0 where it does not strike."""
    hit = strikes(what, roster, device, ts_us)
    rows = np.flatnonzero(hit)
    extra = np.zeros(len(ts_us))
    if len(rows):
        extra[rows] = _draw(_strike(what, roster, device[rows], ts_us[rows], {}))
    return extra


def wear_at(grown: Floats) -> Floats:
    """How worn a machine is, from 0 to 1, when so much of its way to the failure is behind it."""
    way = np.clip(grown, 0.0, 1.0)
    worn: Floats = way * way * (3.0 * way - 2.0 * way * way) ** 0.5
    return worn


def show_wear(columns: dict[str, Floats], worn: Floats, failed: Mask) -> None:
    """Changes what a machine reports by its wear; one that has failed stands still."""
    signs: tuple[tuple[str, Floats], ...] = (
        ("temperature", HOT_C * worn), ("vibration", SHAKES_MM_S * worn)
    )  # fmt: skip
    for name, more in signs:
        if name in columns:
            resting = AMBIENT_C if name == "temperature" else 0.0
            columns[name] = rounded(np.where(failed, resting, columns[name] + more), 2)
    for name in ("current", "power"):
        if name in columns:
            columns[name] = rounded(np.where(failed, 0.0, columns[name] * (1.0 + DRAWS_MORE * worn)), 2)


def _named(name: str, names: tuple[str, ...], places: npt.NDArray[np.int16]) -> Mask:
    hit: Mask = places == (names.index(name) if name in names else -1)
    return hit


def _strike(
    what: Happening, roster: Roster, device: Int32s, ts_us: Int64s, columns: dict[str, Floats]
) -> Struck:
    value = what.value or DEFAULTS.get(what.kind, 0.0)
    turn, since_us = np.zeros(len(ts_us)), what.lasted_us(ts_us)
    if what.kind == "walk":
        slot = since_us // max(1, round(value * SECOND_US))
        turn = as_share(counted(roster.seed[device], f"walk/{what.number}", slot))
    return Struck(what, value, device, since_us, ts_us, roster.rated_w[device], turn, columns)


def _hold(fleet: Fleet, struck: Struck, around: Circumstances) -> None:
    """Metrics stay as they were when the fault began: all of them, or registers only."""
    what = struck.what
    began = np.full(len(struck.device), what.begins_us, np.int64)
    calm = replace(around, faults=tuple(one for one in around.faults if one.kind in fleet.own_faults))
    then = fleet.measure(struck.device, began, calm)
    for name in struck.columns:
        if what.kind == "stuck" or name in REGISTERS:
            struck.columns[name] = then.get(name, np.full(len(began), np.nan))
    if what.kind == "meter_error":
        struck.change("power", lambda power: power * struck.value, 1)


def _drift(struck: Struck) -> None:
    off = 1.0 + struck.value * struck.since_us / DAY_US
    for name in struck.columns:
        if name not in REGISTERS | STATES:
            struck.change(name, lambda told: told * off, 2)


def _overheat(struck: Struck) -> None:
    warm = 1.0 - np.exp2(-(struck.since_us + MINUTE_US) / HEATS_IN_US)
    struck.change("temperature", lambda told: told + struck.value * warm, 2)


def _voltage_spike(struck: Struck) -> None:
    struck.change("voltage", lambda told: told + struck.value, 2)


def _current_surge(struck: Struck) -> None:
    for name in ("current", "power"):
        struck.change(name, lambda told: told * (1.0 + struck.value), 2)


def _wear(struck: Struck) -> None:
    grown = (struck.since_us + HOUR_US) / (struck.value * DAY_US)
    show_wear(struck.columns, wear_at(grown), grown >= 1.0)


def _draw_more(struck: Struck) -> None:
    extra = _draw(struck)
    struck.change("power", lambda told: told + extra, 1)


def _draw(struck: Struck) -> Floats:
    if struck.what.kind == "walk":
        watts = np.maximum(0.5 * struck.rated_w, WALK_W)
        return np.where(struck.turn < WALKS, watts, 0.0)
    return np.full(len(struck.device), struck.value)


def _nothing(_struck: Struck) -> None:
    """A fault of fleets that these devices are no part of."""


ACTS: dict[FaultKind, Callable[[Struck], None]] = {
    "drift": _drift,
    "overheat": _overheat,
    "voltage_spike": _voltage_spike,
    "current_surge": _current_surge,
    "wear": _wear,
    "standby_draw": _draw_more,
    "power_spike": _draw_more,
    "walk": _draw_more,
    "islanded": _nothing,
}
