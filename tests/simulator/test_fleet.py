"""Fleets: the same at every asking, within their bounds, balanced, and unharmed once a fault is over."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import to_us
from kilowatch.period import DAY_US, HOUR_US, MINUTE_US, QUARTER_US, SECOND_US
from kilowatch.simulator.fleet.delivery import arriving
from kilowatch.simulator.fleet.faults import DEFAULTS, REGISTERS, report
from kilowatch.simulator.fleet.fleets import make_fleet
from kilowatch.simulator.fleet.grid import NOISE, Grid
from kilowatch.simulator.fleet.happening import NEVER_US, Happening, happen
from kilowatch.simulator.fleet.microgrid import BATTERY, CONNECTION, DIESEL, FIXED, Microgrid
from kilowatch.simulator.fleet.plant import LABELS, Plant
from kilowatch.simulator.fleet.rows import USUAL, Circumstances, Fleet, Int32s, Readings, chunks, join
from kilowatch.simulator.home.moments import Floats, Int64s
from kilowatch.simulator.world.format import Fault, FaultKind, Where
from kilowatch.simulator.world.format import Fleet as Wanted

Kind = Literal["home", "grid", "plant", "microgrid"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)
DEVICES = 24
START_US = to_us(datetime(2026, 6, 1, tzinfo=UTC))
law = settings(max_examples=25, deadline=None)
moments_us = st.integers(to_us(datetime(2021, 1, 1, tzinfo=UTC)), to_us(datetime(2035, 1, 1, tzinfo=UTC)))
FLEETS = {
    kind: make_fleet(Wanted(kind=kind, devices=DEVICES, regions=["north", "south"]), 7) for kind in KINDS
}
fleets = st.sampled_from(KINDS).map(FLEETS.__getitem__)


def everybody(fleet: Fleet, moments: Int64s, around: Circumstances = USUAL) -> Readings:
    return join([report(fleet, *rows, around) for rows in chunks(len(fleet.roster), moments)])


def every(step_us: int, count: int, start_us: int = START_US) -> Int64s:
    return start_us + np.arange(count, dtype=np.int64) * step_us


def same(one: dict[str, Floats], other: dict[str, Floats], rows: Sequence[int] | slice = slice(None)) -> bool:
    """Whether two sets of columns agree to the bit; a metric that is missing in one is NaN in the other."""
    length = len(next(iter(one.values())))
    empty = np.full(length, np.nan)
    return all(
        one.get(name, empty).view(np.int64)[rows].tobytes()
        == other.get(name, empty).view(np.int64)[rows].tobytes()
        for name in one.keys() | other.keys()
    )


def at_region(stream: str, ts_us: Int64s) -> Floats:
    """Everything doubles in the north for the two hours from `START_US` on; solar power goes with it."""
    hit = (ts_us >= START_US) & (ts_us < START_US + 2 * HOUR_US)
    return np.where(hit & ("south" not in stream), 2.0, 1.0)


@law
@given(fleet=fleets, start_us=moments_us, step_us=st.integers(1, 7 * HOUR_US), picked=st.randoms())
def test_a_reading_is_the_same_whatever_is_asked_beside_it(
    fleet: Fleet, start_us: int, step_us: int, picked: object
) -> None:
    device, ts_us = next(chunks(DEVICES, every(step_us, 30, start_us)))
    among = fleet.measure(device, ts_us, USUAL)
    order = np.random.default_rng(start_us % 997).permutation(len(ts_us))[:50]
    some = fleet.measure(device[order], ts_us[order], USUAL)
    assert same({name: column[order] for name, column in among.items()}, some)
    alone = fleet.measure(device[-1:], ts_us[-1:], USUAL)
    assert same({name: column[-1:] for name, column in among.items()}, alone)
    again = make_fleet(Wanted(kind=kind_of(fleet), devices=DEVICES, regions=["north", "south"]), 7)
    assert same(again.measure(device, ts_us, USUAL), among)


def kind_of(fleet: Fleet) -> Kind:
    return next(kind for kind, one in FLEETS.items() if one is fleet)


@law
@given(fleet=fleets, start_us=moments_us)
def test_20_every_device_of_a_fleet_reports_at_every_moment(fleet: Fleet, start_us: int) -> None:
    told = everybody(fleet, every(5 * SECOND_US, 3, start_us))
    assert np.array_equal(told.device, np.tile(np.arange(DEVICES), 3))
    assert np.isfinite(told.columns["power"]).all()
    assert told.columns.keys() <= set(fleet.metrics)


def test_another_seed_is_another_fleet() -> None:
    device, ts_us = next(chunks(DEVICES, every(HOUR_US, 24)))
    for kind in KINDS:
        other = make_fleet(Wanted(kind=kind, devices=DEVICES, regions=["north", "south"]), 8)
        ours, theirs = (one.measure(device, ts_us, USUAL)["power"] for one in (FLEETS[kind], other))
        assert not np.array_equal(ours, theirs)


# --- property 37 -----------------------------------------------------------------------------------------


@law
@given(
    fleet=fleets,
    kinds=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3),
    begins_m=st.integers(0, 300),
    lasts_m=st.integers(1, 240),
    share=st.sampled_from([0.4, 1.0]),
    value=st.sampled_from([0.0, 2.0, 700.0]),
)
def test_37_after_a_fault_a_device_is_in_exactly_the_state_it_had(
    fleet: Fleet, kinds: list[FaultKind], begins_m: int, lasts_m: int, share: float, value: float
) -> None:
    begins_us = START_US + begins_m * MINUTE_US
    ends_us = begins_us + lasts_m * MINUTE_US
    around = Circumstances(
        faults=tuple(
            Happening(kind, begins_us, ends_us, value, Where(share=share), number)
            for number, kind in enumerate(kinds)
        )
    )
    moments = every(7 * MINUTE_US, 100)
    outside = moments[(moments < begins_us) | (moments >= ends_us)]
    told, usual = everybody(fleet, outside, around), everybody(fleet, outside)
    assert np.array_equal(told.device, usual.device)
    assert same(told.columns, usual.columns)


@law
@given(
    fleet=fleets, kind=st.sampled_from(["late", "out_of_order"]), value=st.integers(1, 900),
    share=st.sampled_from([0.5, 1.0]),
)  # fmt: skip
def test_what_is_held_back_on_its_way_is_lost_never(
    fleet: Fleet, kind: FaultKind, value: int, share: float
) -> None:
    step_us = 30 * SECOND_US
    what = Happening(kind, START_US + 5 * step_us, START_US + 20 * step_us, float(value), Where(share=share))
    around = Circumstances(faults=(what,))
    came = [arrivals(fleet, moment, step_us, around) for moment in every(step_us, 80).tolist()]
    usual = everybody(fleet, every(step_us, 80 - 31))
    found = join(came)
    early = found.take(found.ts_us < START_US + (80 - 31) * step_us)
    order = np.lexsort((early.device, early.ts_us))
    assert same(early.take(order).columns, usual.columns)
    assert any((part.ts_us < moment).any() for part, moment in zip(came, every(step_us, 80), strict=True))


def arrivals(fleet: Fleet, moment_us: int, step_us: int, around: Circumstances) -> Readings:
    return join(list(arriving(fleet, moment_us, step_us, around)))


def test_repeated_readings_are_the_same_again() -> None:
    fleet = FLEETS["plant"]
    around = Circumstances(faults=(Happening("repeated", START_US, NEVER_US, 2.0),))
    came, usual = arrivals(fleet, START_US, MINUTE_US, around), everybody(fleet, every(MINUTE_US, 1))
    assert len(came) == 3 * len(usual)
    assert same(join([usual] * 3).columns, came.columns)


@law
@given(fleet=fleets, begins_m=st.integers(0, 300), lasts_m=st.integers(1, 240), level=st.floats(0.1, 5.0))
def test_after_a_scenario_everything_is_as_usual_but_what_registers_counted(
    fleet: Fleet, begins_m: int, lasts_m: int, level: float
) -> None:
    begins_us = START_US + begins_m * MINUTE_US
    ends_us = begins_us + lasts_m * MINUTE_US

    def ratio(_: str, ts_us: Int64s) -> Floats:
        return np.where((ts_us >= begins_us) & (ts_us < ends_us), level, 1.0)

    moments = every(7 * MINUTE_US, 100)
    outside = moments[(moments < begins_us) | (moments >= ends_us)]
    found = everybody(fleet, outside, Circumstances(ratio, START_US))
    told, usual = (
        {name: column for name, column in one.columns.items() if name not in REGISTERS}
        for one in (found, everybody(fleet, outside))
    )
    assert same(told, usual)


# --- faults show -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fleet", "metric"),
    [
        ("stuck", "grid", "power"), ("drift", "grid", "voltage"), ("meter_error", "grid", "power"),
        ("meter_error", "grid", "energy"), ("voltage_spike", "grid", "voltage"),
        ("overheat", "plant", "temperature"), ("current_surge", "plant", "current"),
        ("wear", "plant", "vibration"), ("standby_draw", "home", "power"),
        ("power_spike", "home", "power"), ("walk", "home", "power"), ("islanded", "microgrid", "power"),
    ],
)  # fmt: skip
def test_a_fault_shows_while_it_lasts(kind: FaultKind, fleet: Kind, metric: str) -> None:
    around = Circumstances(faults=(Happening(kind, START_US - HOUR_US, NEVER_US),))
    moments = every(10 * MINUTE_US, 30, START_US + 9 * HOUR_US)
    told, usual = everybody(FLEETS[fleet], moments, around), everybody(FLEETS[fleet], moments)
    assert not np.array_equal(told.columns[metric], usual.columns[metric], equal_nan=True)
    if kind not in ("stuck", "meter_error", "wear"):
        assert all(
            same({name: told.columns[name]}, {name: usual.columns[name]})
            for name in REGISTERS & told.columns.keys()
        )


def test_an_outage_of_a_feeder_silences_its_devices_only() -> None:
    grid = FLEETS["grid"]
    fault = Fault(kind="outage", where=Where(region="north", feeder="feeder-2"), after=60, lasts=600)
    around = Circumstances(faults=(happen(fault, START_US),))
    silent = set(range(DEVICES)) - set(
        everybody(grid, every(MINUTE_US, 1, START_US + 2 * MINUTE_US), around).device
    )
    assert silent == set(np.flatnonzero((grid.roster.region == 0) & (grid.roster.feeder == 1)))
    assert len(everybody(grid, every(MINUTE_US, 1), around)) == DEVICES
    assert len(everybody(grid, every(MINUTE_US, 1, START_US + 11 * MINUTE_US), around)) == DEVICES


def test_a_share_of_devices_is_struck_and_stays_so() -> None:
    grid = Grid(2000, 3)
    around = Circumstances(faults=(Happening("outage", START_US, NEVER_US, 0.0, Where(share=0.3)),))
    first, later = (set(everybody(grid, every(1, 1, START_US + at), around).device) for at in (0, DAY_US))
    assert first == later
    assert 1300 <= len(first) <= 1500


# --- the grid --------------------------------------------------------------------------------------------


@law
@given(start_us=moments_us, step_us=st.integers(1, 5 * HOUR_US), device=st.integers(0, DEVICES - 1))
def test_a_register_only_grows_and_counts_what_power_says(start_us: int, step_us: int, device: int) -> None:
    moments = every(step_us, 300, start_us)
    columns = FLEETS["grid"].measure(np.full(300, device, np.int32), moments, Circumstances())
    for name in REGISTERS & columns.keys():
        assert (np.diff(columns[name]) >= 0.0).all() or np.isnan(columns[name]).all()


def test_registers_count_what_power_says() -> None:
    grid, minutes = Grid(60, 5), every(MINUTE_US, 1441)
    for device in range(60):
        columns = grid.measure(np.full(1441, device, np.int32), minutes, USUAL)
        export = columns.get("energy_export", np.zeros(1441))
        counted = (columns["energy"] - np.nan_to_num(export))[[0, -1]]
        worked = columns["power"][:-1].sum() / 60_000.0
        size = np.abs(columns["power"]).sum() / 60_000.0
        assert counted[1] - counted[0] == pytest.approx(worked, abs=0.01 + size * NOISE / 8)


def test_a_ratio_moves_its_region_at_once_and_its_register_for_good() -> None:
    grid = FLEETS["grid"]
    around = Circumstances(ratio=at_region, since_us=START_US - DAY_US)
    told, usual = (everybody(grid, every(QUARTER_US, 40, START_US - HOUR_US), one) for one in (around, USUAL))
    north = grid.roster.region[told.device] == 0
    plain = np.isnan(told.columns["energy_export"])
    during = (told.ts_us >= START_US) & (told.ts_us < START_US + 2 * HOUR_US)
    power, before = told.columns["power"], usual.columns["power"]
    assert power[north & during & plain] == pytest.approx(2.0 * before[north & during & plain], abs=0.2)
    assert np.array_equal(power[~during | ~north], before[~during | ~north])
    more = told.columns["energy"] - usual.columns["energy"]
    assert (more[~north] == 0.0).all()
    after = told.ts_us > START_US + 3 * HOUR_US
    assert (more[north & after & plain] > 0.0).all()
    for device in range(DEVICES):
        mine = told.columns["energy"][told.device == device]
        assert (np.diff(mine) >= 0.0).all()


def test_what_was_told_does_not_change_when_the_future_does() -> None:
    """A scenario that is stopped early takes nothing back from a register."""
    grid, moments = FLEETS["grid"], every(MINUTE_US, 90)
    until = int(moments[-1])

    def stopped(stream: str, ts_us: Int64s) -> Floats:
        return np.where(ts_us > until, 1.0, at_region(stream, ts_us))

    found = [everybody(grid, moments, Circumstances(one, START_US)) for one in (at_region, stopped)]
    assert same(found[0].columns, found[1].columns)


def test_a_grid_has_days_weeks_and_seasons() -> None:
    grid = Grid(400, 1)
    hours = everybody(grid, every(HOUR_US, 24 * 28, to_us(datetime(2026, 1, 5, tzinfo=UTC))))
    mean = hours.columns["power"].reshape(24 * 28, 400)
    shop, homes = grid.roster.type == 1, grid.roster.type == 0
    weekday, weekend = np.arange(24 * 28) // 24 % 7 < 5, np.arange(24 * 28) // 24 % 7 >= 5
    by_hour = mean[:, homes].mean(axis=1).reshape(28, 24).mean(axis=0)
    assert by_hour[18] > 2.0 * by_hour[2]
    assert mean[weekday][:, shop].mean() > 1.5 * mean[weekend][:, shop].mean()
    summer = everybody(grid, every(HOUR_US, 24 * 28, to_us(datetime(2026, 7, 6, tzinfo=UTC))))
    assert mean.mean() > 1.15 * summer.columns["power"].mean()
    assert (summer.columns["power"] < 0.0).any()
    assert 225 < hours.columns["voltage"].min() < hours.columns["voltage"].max() < 240
    yearly = hours.columns["energy"].reshape(24 * 28, 400)[0, homes].mean() / 6.0
    assert 2000 < yearly < 4500


# --- plant, microgrid, home ------------------------------------------------------------------------------


@law
@given(start_us=moments_us, step_us=st.integers(1, DAY_US))
def test_a_machine_obeys_the_law_of_power(start_us: int, step_us: int) -> None:
    plant = Plant(DEVICES, 7)
    device, ts_us = next(chunks(DEVICES, every(step_us, 50, start_us)))
    found = plant.measure(device, ts_us, USUAL)
    sound = found["label"] == 0
    volt_amperes = found["voltage"] * found["current"]
    assert found["power"][sound] == pytest.approx(
        (volt_amperes * found["power_factor"])[sound], rel=0.06, abs=0.02
    )
    assert ((found["voltage"] > 200) & (found["voltage"] < 250)).all()
    assert ((found["power_factor"] >= 0) & (found["power_factor"] <= 1)).all()
    assert ((found["temperature"] > 10) & (found["temperature"] < 100)).all()
    assert (found["power"][found["label"] == LABELS.index("failed")] == 0.0).all()


def test_wear_grows_for_days_before_a_failure_and_is_labelled() -> None:
    plant = Plant(8, 11)
    moments = every(HOUR_US, 24 * 130)
    for device in range(8):
        place = np.full(len(moments), device, np.int32)
        label = plant.measure(place, moments, USUAL)["label"]
        worn, failed = plant.wear(place, moments)
        assert failed.any()
        first = int(np.flatnonzero(failed & ~np.roll(failed, 1))[-1])
        if first > 200:
            before = worn[first - 100 : first]
            assert (np.diff(before) >= 0).all()
            assert before[-1] > 0.9
            assert (label[first - 60 : first] == LABELS.index("wear")).all()
            assert label[first] == LABELS.index("failed")


@law
@given(
    start_us=moments_us, step_us=st.integers(1, 7 * HOUR_US), islanded=st.booleans(), spike=st.booleans(),
    ratio=st.floats(0.0, 6.0), devices=st.integers(1, 12),
)  # fmt: skip
def test_a_microgrid_is_balanced_at_each_moment(
    start_us: int, step_us: int, islanded: bool, spike: bool, ratio: float, devices: int
) -> None:
    def level(stream: str, ts_us: Int64s) -> Floats:
        return np.full(len(ts_us), ratio if stream.endswith("load") else 1.0 / (1.0 + ratio))

    microgrid = Microgrid(devices, 5)
    kinds: list[FaultKind] = ["islanded"] * islanded + ["power_spike"] * spike  # type: ignore[assignment]
    around = Circumstances(level, 0, tuple(Happening(kind, 0) for kind in kinds))
    told = everybody(microgrid, every(step_us, 40, start_us), around)
    power = told.columns["power"].reshape(40, -1)
    made, taken = power[:, : len(FIXED)].sum(axis=1), power[:, len(FIXED) :].sum(axis=1)
    assert made == pytest.approx(taken, abs=1e-5)
    assert (power[:, [1, 2, DIESEL]] >= 0.0).all()
    assert (power[:, len(FIXED) :] >= 0.0).all()
    assert (power[:, CONNECTION] == 0.0).all() or not islanded
    assert (np.abs(power) <= microgrid.roster.rated_w * 1.0001 + 1.0)[:, : len(FIXED)].all()
    charge = told.columns["state_of_charge"][told.device == BATTERY]
    assert ((charge >= 0.0) & (charge <= 100.0)).all()


def test_the_charge_of_a_microgrids_battery_follows_its_power() -> None:
    microgrid, moments = Microgrid(9, 5), every(MINUTE_US, 1441)
    battery = microgrid.measure(np.full(1441, BATTERY, np.int32), moments, USUAL)
    moved = np.diff(battery["state_of_charge"]) / 100.0
    whole_wh = 4.0 * 9_000.0 * 4
    assert -np.cumsum(battery["power"][:-1]) / 60.0 / whole_wh == pytest.approx(np.cumsum(moved), abs=2e-3)
    assert battery["state_of_charge"][0] == battery["state_of_charge"][-1] == 50.0


@law
@given(start_us=moments_us, step_us=st.integers(1, 3 * HOUR_US))
def test_homes_stay_within_what_is_rated(start_us: int, step_us: int) -> None:
    home = FLEETS["home"]
    told = everybody(home, every(step_us, 60, start_us))
    assert (np.abs(told.columns["power"]) <= home.roster.rated_w[told.device] * 1.02).all()
    charge = told.columns["state_of_charge"]
    charge = charge[~np.isnan(charge)]
    assert ((charge >= 0.0) & (charge <= 100.0)).all()


def test_nobody_watches_while_everybody_is_out() -> None:
    home = make_fleet(Wanted(kind="home", devices=80), 2)
    told = everybody(home, every(10 * MINUTE_US, 144 * 14))
    television = home.roster.type[told.device] == home.roster.types.index("television")
    watts = told.columns["power"][television].reshape(-1, 10)
    noon = watts[(np.arange(len(watts)) % 144 // 6 == 9) & (np.arange(len(watts)) // 144 % 7 < 5)]
    evening = watts[np.arange(len(watts)) % 144 // 6 == 18]
    assert noon.mean() < 0.2 * evening.mean()
    car = home.roster.type[told.device] == home.roster.types.index("car")
    energy_kwh = told.columns["power"][car].sum() / 6_000.0 / (10 * 14)
    assert 4.0 < energy_kwh < 9.0


def test_every_kind_of_fault_has_a_measure() -> None:
    assert set(FAULTS) - set(DEFAULTS) == {"outage", "stuck", "islanded"}


def test_rows_are_made_in_bounded_chunks() -> None:
    parts: list[tuple[Int32s, Int64s]] = list(chunks(1000, every(1, 7), rows=256))
    assert max(len(device) for device, _ in parts) <= 256
    pairs = {
        (device, ts) for part in parts for device, ts in zip(*(one.tolist() for one in part), strict=True)
    }
    assert len(pairs) == 7000
