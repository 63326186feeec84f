"""A recording goes on for ever, at its weekdays and hours, and every round holds the same energy."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import to_datetime, to_us
from kilowatch.simulator.demo.cast import Role, load_cast
from kilowatch.simulator.demo.loop import Loop
from kilowatch.simulator.demo.player import history_begins, reading_between, readings_at
from kilowatch.simulator.demo.recording import HOUR_US, open_source
from kilowatch.telemetry.metric import CATALOGUE

NOW_US = to_us(datetime(2026, 11, 20, 12, 7, 31, tzinfo=UTC))
ROLES = {role.id: role for role in load_cast()}
moments = st.integers(to_us(datetime(2020, 1, 1, tzinfo=UTC)), to_us(datetime(2100, 1, 1, tzinfo=UTC)))
unhurried = settings(deadline=None, max_examples=30)
roles = st.sampled_from(sorted(ROLES)).map(ROLES.__getitem__)


def history(role: Role, now_us: int) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    return role.loop.at_stamps(role.loop.stamps(now_us - role.loop.length_us, now_us))


@unhurried
@given(role=roles, moment_us=moments)
def test_values_come_from_the_same_weekday_and_hour(role: Role, moment_us: int) -> None:
    loop = role.loop
    stamp_us = int(loop.stamps(moment_us - loop.step_us, moment_us)[0])
    row = (stamp_us - loop.first_us) // loop.step_us % len(loop)
    then = to_datetime(loop.first_us + row * loop.step_us)
    shown = to_datetime(stamp_us)
    assert (then.weekday(), then.time()) == (shown.weekday(), shown.time())
    for metric, column in loop.columns.items():
        np.testing.assert_equal(loop.at_stamps(np.array([stamp_us]))[metric][0], column[row])


@unhurried
@given(moment_us=moments)
def test_history_of_the_house_is_the_source_whatever_the_moment(moment_us: int) -> None:
    house = ROLES["house"]
    expected = np.nansum(house.loop.columns["energy_interval"])
    assert np.nansum(history(house, moment_us)["energy_interval"]) == pytest.approx(expected, rel=1e-12)


@unhurried
@given(moment_us=moments)
def test_total_of_the_plant_is_the_source_without_its_last_day(moment_us: int) -> None:
    source = [float(row["Usage_kWh"]) for row in open_source("plant.csv.gz")]
    plant = ROLES["plant"]
    register = plant.loop.at_stamps(plant.loop.stamps(history_begins(plant, moment_us), moment_us))["energy"]
    assert register[-1] - register[0] == pytest.approx(sum(source[: 364 * 96]), rel=1e-9)


@unhurried
@given(moment_us=moments)
def test_register_never_runs_back(moment_us: int) -> None:
    plant = ROLES["plant"].loop
    earlier, later = plant.between(moment_us), plant.between(moment_us + 1_500_000)
    assert later["energy"] >= earlier["energy"]


def test_register_shows_the_same_at_a_row_and_between() -> None:
    plant = ROLES["plant"].loop
    stamps = plant.stamps(NOW_US - HOUR_US, NOW_US)
    between = [plant.between(stamp)["energy"] for stamp in stamps.tolist()]
    assert between == plant.at_stamps(stamps)["energy"].tolist()


def test_second_start_fills_only_what_is_missing() -> None:
    loop = ROLES["house"].loop
    first = loop.stamps(NOW_US - loop.length_us, NOW_US)
    second = loop.stamps(NOW_US, NOW_US + 5 * HOUR_US)
    assert len(first) == 157 * 168
    assert len(second) == 5
    assert second[0] - first[-1] == HOUR_US


@unhurried
@given(role=roles, moment_us=moments)
def test_reading_is_a_function_of_its_moment(role: Role, moment_us: int) -> None:
    assert reading_between(role, moment_us) == reading_between(role, moment_us)


@settings(deadline=None, max_examples=200)
@given(role=roles, moment_us=moments)
def test_no_live_value_leaves_its_bounds(role: Role, moment_us: int) -> None:
    """A value that the platform refuses would become a dead letter."""
    told = reading_between(role, moment_us)["metrics"]
    for name, value in told.items():
        metric = CATALOGUE.get(name)
        if metric is not None and not isinstance(value, str):
            assert metric.minimum is None or value >= metric.minimum, name
            assert metric.maximum is None or value <= metric.maximum, name


def test_rows_without_a_value_are_no_readings() -> None:
    house = ROLES["house"]
    column = house.loop.columns["energy_interval"]
    readings = list(readings_at(house, house.loop.stamps(NOW_US - house.loop.length_us, NOW_US)))
    assert len(readings) == len(column) - np.isnan(column).sum()


def test_load_type_is_named() -> None:
    plant = ROLES["plant"]
    (reading,) = readings_at(plant, plant.loop.stamps(NOW_US - plant.loop.step_us, NOW_US))
    assert reading["metrics"]["load_type"] in ("light", "medium", "maximum")


def test_live_reading_stays_near_its_rows() -> None:
    grid = ROLES["grid-point"]
    ends = history(grid, NOW_US)["power"][-1], grid.loop.between(NOW_US)["power"]
    shown = reading_between(grid, NOW_US)["metrics"]["power"]
    assert abs(shown - ends[1]) <= 0.01 * abs(ends[1]) + 1


def test_part_of_a_week_is_refused() -> None:
    with pytest.raises(ValueError, match="whole weeks"):
        Loop(0, HOUR_US, {"power": np.zeros(100)}, {})
