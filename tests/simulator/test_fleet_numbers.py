"""What devices of the plant and the grid report lies where it must, over several seeds."""

from dataclasses import replace

import numpy as np
import pytest

from kilowatch.period import HOUR_US, MINUTE_US
from kilowatch.simulator.fleet.faults import report
from kilowatch.simulator.fleet.fleets import make_fleet
from kilowatch.simulator.fleet.happening import happen
from kilowatch.simulator.fleet.plant import LABELS
from kilowatch.simulator.fleet.rows import USUAL, Circumstances, Readings, chunks, join
from kilowatch.simulator.home.moments import Int64s
from kilowatch.simulator.world.format import Fault, FaultKind, Fleet
from kilowatch.simulator.world.loading import load_world, shipped
from tests.simulator.engine.markets import START_US

MACHINES = 16


def told(seed: int, moments: Int64s, around: Circumstances = USUAL) -> Readings:
    plant = make_fleet(Fleet(kind="plant", devices=MACHINES, regions=["hall"]), seed)
    return join([report(plant, *rows, around) for rows in chunks(MACHINES, moments)])


def ill(kind: FaultKind) -> Circumstances:
    return replace(USUAL, since_us=START_US, faults=(happen(Fault(kind=kind), START_US),))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_sound_machine_has_about_230_volts_195_watts_and_40_degrees(seed: int) -> None:
    found = told(seed, START_US + np.arange(28 * 24, dtype=np.int64) * HOUR_US).columns
    sound = found["label"] == 0.0
    means = {name: float(found[name][sound].mean()) for name in ("voltage", "power", "temperature")}
    assert means["voltage"] == pytest.approx(230.0, abs=2.0)
    assert means["power"] == pytest.approx(195.0, rel=0.15)
    assert means["temperature"] == pytest.approx(40.0, abs=5.0)
    for name, least, most in (("voltage", 225, 235), ("power", 0, 600), ("temperature", 20, 80)):
        assert least <= found[name][sound].min()
        assert found[name][sound].max() <= most


@pytest.mark.parametrize(
    ("kind", "metric", "least", "most"),
    [("overheat", "temperature", 60.0, 75.0), ("voltage_spike", "voltage", 245.0, 255.0)],
)
def test_a_fault_takes_a_machine_where_it_is_to_be_noticed(
    kind: FaultKind, metric: str, least: float, most: float
) -> None:
    """In hours of work, when machines are warm."""
    moments = START_US + 10 * HOUR_US + np.arange(24, dtype=np.int64) * 10 * MINUTE_US
    before, during = told(4, moments).columns, told(4, moments, ill(kind)).columns
    sound = before["label"] == 0.0
    assert (during["label"][sound] == LABELS.index(kind)).all()
    assert least <= np.median(during[metric][sound]) <= most
    assert before[metric][sound].max() < during[metric][sound].max()


def test_a_surge_of_current_nearly_doubles_it() -> None:
    moments = START_US + 10 * HOUR_US + np.arange(24, dtype=np.int64) * 10 * MINUTE_US
    before, during = told(4, moments).columns, told(4, moments, ill("current_surge")).columns
    sound = before["label"] == 0.0
    times = during["current"][sound] / before["current"][sound]
    assert np.median(times) == pytest.approx(1.9, abs=0.15), (
        "0.85 to 1.5-2.0 amperes is 1.8 to 2.4 times as much"
    )


def test_a_grid_has_a_hundred_meters_in_five_regions_if_nothing_else_is_said() -> None:
    fleet = load_world(shipped() / "grid").fleet
    assert fleet is not None
    assert (fleet.devices, set(fleet.regions)) == (100, {"north", "south", "east", "west", "central"})
    roster = make_fleet(fleet, 1).roster
    assert np.bincount(roster.region).tolist() == [20] * 5
