"""Scenarios of energy and fleets: who is struck differs meanwhile, nobody else does, and all come back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from kilowatch.clock import to_us
from kilowatch.period import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from kilowatch.simulator.engine.chance import mix
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import begin
from kilowatch.simulator.fleet.delivery import arriving
from kilowatch.simulator.fleet.faults import REGISTERS, report
from kilowatch.simulator.fleet.fleets import make_fleet
from kilowatch.simulator.fleet.rows import USUAL, Circumstances, Fleet, Roster, chunks, join
from kilowatch.simulator.home.moments import Floats, Int64s, Mask
from kilowatch.simulator.stage.surroundings import STEP_US, Deed, surroundings
from kilowatch.simulator.stage.watch import Knot, Timeline
from kilowatch.simulator.world.loading import find_worlds, load_world, shipped

BEGUN_US = to_us(datetime(2026, 9, 7, 13, tzinfo=UTC))
"""A Monday afternoon, with sun, and cars on their way home."""
PLACES = find_worlds([shipped()])
RUNS = {name: Run.of(load_world(PLACES[name]), 1) for name in ("grid", "home", "microgrid", "plant")}
DEVICES = {"grid": 160, "home": 24, "microgrid": 9, "plant": 60}
WALKED = 24
"""So many moments of a scenario are looked at."""
UInt64s = npt.NDArray[np.uint64]
Who = Callable[[Roster], Mask]


def everybody(roster: Roster) -> Mask:
    return np.ones(len(roster), np.bool_)


def nobody(roster: Roster) -> Mask:
    return np.zeros(len(roster), np.bool_)


def of_regions(*names: str) -> Who:
    return lambda roster: np.isin(roster.region, [roster.regions.index(name) for name in names])


def of_feeder(region: str, number: int) -> Who:
    return lambda roster: of_regions(region)(roster) & (roster.feeder == number - 1)


def of_types(*names: str) -> Who:
    return lambda roster: np.isin(roster.type, [roster.types.index(name) for name in names])


def but(who: Who, others: Who) -> Who:
    return lambda roster: who(roster) & ~others(roster)


@dataclass(frozen=True)
class Case:
    """Who differs for certain, and who may; of those who may only, a share within bounds. first_us: how much
    of the scenario is looked at."""

    world: str
    scenario: str
    must: Who
    may: Who
    share: tuple[float, float] | None = None
    first_us: int | None = None


PHANTOMS = ("television", "washing-machine", "lights")
CASES = [
    Case("home", "phantom_load", of_types(*PHANTOMS), of_types(*PHANTOMS)),
    Case("home", "spike", of_types("washing-machine"), of_types("washing-machine")),
    Case("home", "ghost_walk", of_types("lights", "television"), everybody),
    Case("grid", "heat_wave", everybody, everybody),
    Case("grid", "cold_snap", everybody, everybody),
    Case("grid", "regional_peak", of_regions("west"), of_regions("west", "central")),
    Case("grid", "feeder_outage", of_feeder("north", 2), of_feeder("north", 2)),
    Case("grid", "meter_fault_wave", nobody, everybody, (0.1, 0.35)),
    Case("grid", "price_shock", everybody, everybody),
    Case("grid", "car_rush_hour", everybody, everybody),
    Case("grid", "network_storm", of_regions("south"), everybody, (0.45, 0.7)),
    Case("microgrid", "islanding", of_types("connection", "load"), everybody),
    Case("microgrid", "cloud_front", of_types("solar"), but(everybody, of_types("wind", "battery", "load"))),
    Case("microgrid", "battery_fault", of_types("battery"), of_types("battery")),
    Case("plant", "compressor_wear", nobody, of_types("compressor"), (0.1, 0.6), 4 * DAY_US + 20 * HOUR_US),
    Case("plant", "sensor_drift", nobody, everybody, (0.1, 0.35)),
    Case("plant", "overheat", of_types("compressor"), everybody),
    Case("plant", "voltage_spike", everybody, everybody),
]


@cache
def fleet_of(world: str) -> Fleet:
    wanted = RUNS[world].world.fleet
    assert wanted is not None
    return make_fleet(wanted.model_copy(update={"devices": DEVICES[world]}), 1)


def signatures(fleet: Fleet, moment_us: int, step_us: int, around: Circumstances) -> UInt64s:
    """A number for each device that says all that arrives from it at a moment, but for registers."""
    found = np.zeros(len(fleet.roster), np.uint64)
    for readings in arriving(fleet, moment_us, step_us, around):
        row = mix(readings.ts_us.view(np.uint64))
        for place, name in enumerate(fleet.metrics):
            if name not in REGISTERS and name in readings.columns:
                row = row + mix(readings.columns[name].view(np.uint64) + np.uint64(place))
        np.add.at(found, readings.device, mix(row))
    return found


def registers(fleet: Fleet, moments: Int64s, around: Circumstances) -> dict[str, Floats]:
    """What registers show, by moment and device."""
    told = join([report(fleet, *rows, around) for rows in chunks(len(fleet.roster), moments)])
    return {name: told.columns[name].reshape(len(moments), -1) for name in REGISTERS & told.columns.keys()}


def differing(case: Case, fleet: Fleet, around: Circumstances, moments: Int64s, step_us: int) -> Mask:
    """Which devices differ from usual at any moment."""
    found = np.zeros(len(fleet.roster), np.bool_)
    for moment_us in moments.tolist():
        asked = (moment_us, step_us)
        found |= signatures(fleet, *asked, around) != signatures(fleet, *asked, USUAL)
    return found


@pytest.mark.parametrize("case", [pytest.param(one, id=f"{one.world}-{one.scenario}") for one in CASES])
def test_who_is_struck_differs_meanwhile_and_afterwards_nobody(case: Case) -> None:
    run, fleet = RUNS[case.world], fleet_of(case.world)
    activation = begin(run, case.scenario, BEGUN_US).activation
    timeline = Timeline((Knot(BEGUN_US, BEGUN_US, 1.0),))
    around = surroundings(run, [Deed(BEGUN_US, activation)], timeline)
    scenario = run.world.scenarios[case.scenario]
    lasts_us = case.first_us or round(scenario.lasts * SECOND_US)
    step_us = lasts_us // WALKED // MINUTE_US * MINUTE_US or 30 * SECOND_US
    during = BEGUN_US + np.arange(lasts_us // step_us, dtype=np.int64) * step_us
    must, may = case.must(fleet.roster), case.may(fleet.roster)
    found = differing(case, fleet, around, during, step_us)
    assert not (must & ~found).any(), "who is struck differs"
    assert not (found & ~may).any(), "nobody else does"
    if case.share is not None:
        least, most = case.share
        assert least <= found[may & ~must].mean() <= most
    before = BEGUN_US - np.arange(1, 6, dtype=np.int64) * 17 * MINUTE_US
    backlog = scenario.settling.backlog
    fades_s = scenario.lasts + scenario.settling.lasts + (backlog.lasts if backlog else 0.0)
    over_us = BEGUN_US + round(fades_s * SECOND_US) + run.causes.memory(STEP_US) * STEP_US + HOUR_US
    after = over_us + np.arange(8, dtype=np.int64) * 97 * MINUTE_US
    assert not differing(case, fleet, around, np.concatenate((before, after)), step_us).any()
    told, usual = (registers(fleet, np.concatenate((before, after)), one) for one in (around, USUAL))
    for name, shown in told.items():
        assert np.array_equal(shown[:5], usual[name][:5], equal_nan=True), "nothing changes what was counted"
        more = shown[5:] - usual[name][5:]
        assert np.nan_to_num(more - more[0]) == pytest.approx(0.0, abs=0.0011), "it counts on as usual"


def test_a_cloud_front_takes_from_who_has_a_solar_plant() -> None:
    fleet, run = fleet_of("grid"), RUNS["grid"]
    begun = begin(run, "cloud_front", BEGUN_US).activation
    around = surroundings(run, [Deed(BEGUN_US, begun)], Timeline((Knot(BEGUN_US, BEGUN_US, 1.0),)))
    rows = next(chunks(len(fleet.roster), np.array([BEGUN_US + 2 * HOUR_US])))
    told, usual = report(fleet, *rows, around).columns, report(fleet, *rows, USUAL).columns
    has_plant = ~np.isnan(usual["energy_export"])
    assert 0.1 < has_plant.mean() < 0.4
    assert (told["power"][has_plant] > usual["power"][has_plant]).all()
    assert np.array_equal(told["power"][~has_plant], usual["power"][~has_plant])


def test_cars_charge_more_in_their_rush_hour_than_households_take() -> None:
    fleet, run = fleet_of("grid"), RUNS["grid"]
    begun = begin(run, "car_rush_hour", BEGUN_US + 3 * HOUR_US).activation
    around = surroundings(run, [Deed(BEGUN_US, begun)], Timeline((Knot(BEGUN_US, BEGUN_US, 1.0),)))
    rows = next(chunks(len(fleet.roster), np.array([BEGUN_US + 4 * HOUR_US])))
    told, usual = report(fleet, *rows, around).columns, report(fleet, *rows, USUAL).columns
    plain, car = np.isnan(usual["energy_export"]), fleet.roster.rated_w == 22_000.0
    more = told["power"] / usual["power"]
    assert car.any()
    assert more[plain & car].min() > 1.05 * more[plain & ~car].max()
