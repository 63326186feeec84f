"""The shipped worlds and their fleets fit together: faults find devices, and followed streams exist."""

from datetime import UTC, datetime

import numpy as np
import pytest

from kilowatch.clock import to_us
from kilowatch.period import MINUTE_US, SECOND_US
from kilowatch.simulator.fleet.faults import report
from kilowatch.simulator.fleet.fleets import make_fleet
from kilowatch.simulator.fleet.happening import happen
from kilowatch.simulator.fleet.rows import Circumstances, Fleet, chunks, join
from kilowatch.simulator.home.moments import Floats, Int64s
from kilowatch.simulator.world.format import Fault
from kilowatch.simulator.world.loading import find_worlds, load_world, shipped

START_US = to_us(datetime(2026, 6, 3, 9, tzinfo=UTC))
ON_THE_WAY = ("late", "repeated", "out_of_order")
WORLDS = {name: load_world(place) for name, place in find_worlds([shipped()]).items()}
FLEETS = {
    name: (world, make_fleet(world.fleet, 1)) for name, world in WORLDS.items() if world.fleet is not None
}
FAULTS = [
    pytest.param(name, fault, id=f"{name}-{scenario}-{place}-{fault.kind}")
    for name, (world, _) in FLEETS.items()
    for scenario, one in world.scenarios.items()
    for place, fault in enumerate(one.faults)
]


def told(fleet: Fleet, moments: Int64s, around: Circumstances) -> tuple[int, dict[str, Floats]]:
    found = join([report(fleet, *rows, around) for rows in chunks(len(fleet.roster), moments)])
    return len(found), found.columns


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_every_fault_of_a_shipped_scenario_shows_at_some_device(name: str, fault: Fault) -> None:
    _, fleet = FLEETS[name]
    everywhere = fault.model_copy(update={"where": fault.where.model_copy(update={"share": 1.0})})
    what = happen(everywhere, START_US, START_US + 30 * 24 * 60 * MINUTE_US)
    moments = what.begins_us + np.arange(20, dtype=np.int64) * 25 * SECOND_US + MINUTE_US
    rows, columns = told(fleet, moments, Circumstances(faults=(what,)))
    usual_rows, usual = told(fleet, moments, Circumstances())
    if fault.kind not in ON_THE_WAY:
        assert rows < usual_rows or any(
            not np.array_equal(columns[metric], usual[metric], equal_nan=True) for metric in usual
        )


@pytest.mark.parametrize("name", FLEETS)
def test_the_streams_that_a_fleet_follows_are_in_its_world(name: str) -> None:
    world, fleet = FLEETS[name]
    assert followed(fleet) <= world.streams.keys()
    assert followed(fleet)


def followed(fleet: Fleet) -> set[str]:
    """The streams that a fleet asks for."""
    asked: set[str] = set()

    def ratio(stream: str, ts_us: Int64s) -> Floats:
        asked.add(stream)
        return np.ones(len(ts_us))

    told(
        fleet, START_US + np.arange(2, dtype=np.int64) * MINUTE_US, Circumstances(ratio, START_US - MINUTE_US)
    )
    return asked


def test_every_world_of_energy_has_a_fleet() -> None:
    assert FLEETS.keys() == {"grid", "home", "microgrid", "plant"}
