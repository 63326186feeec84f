"""The sources are read as their publishers meant them, each value once."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilowatch.clock import to_datetime, to_us
from kilowatch.simulator.demo.recording import (
    HOUR_US,
    open_source,
    plant_moment,
    read_grid,
    read_house,
    read_plant,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def test_plant_midnight_belongs_to_the_day_that_it_opens() -> None:
    assert plant_moment("31/12/2018 23:45") == datetime(2018, 12, 31, 23, 45, tzinfo=UTC)
    assert plant_moment("31/12/2018 00:00") == datetime(2019, 1, 1, tzinfo=UTC)
    assert plant_moment("1/1/2018 0:15") == datetime(2018, 1, 1, 0, 15, tzinfo=UTC)


def test_plant_has_each_quarter_hour_of_its_year_and_its_whole_energy() -> None:
    rows = list(open_source("plant.csv.gz"))
    recording = read_plant(rows)
    assert len(recording) == 365 * 96
    assert not np.isnan(recording.columns["energy_kwh"]).any()
    assert recording.columns["energy_kwh"].sum() == pytest.approx(
        sum(float(row["Usage_kWh"]) for row in rows), rel=1e-12
    )


def test_house_keeps_its_local_hours() -> None:
    recording = read_house(open_source("house.csv.gz"))
    first = to_datetime(recording.first_us).astimezone(AMSTERDAM)
    assert (first.year, first.month, first.day, first.hour) == (2012, 6, 1, 1)
    assert recording.columns["energy_kwh"][0] == 1.011


def test_house_energy_is_whole_but_for_the_repeated_row() -> None:
    rows = list(open_source("house.csv.gz"))
    recording = read_house(rows)
    total = sum(float(row["energy_kWh"]) for row in rows)
    assert np.nansum(recording.columns["energy_kwh"]) == pytest.approx(total - 0.55, rel=1e-12)


def test_hour_repeated_in_autumn_is_two_hours() -> None:
    rows = [
        {"date": "11/4/2012", "hour": hour, "energy_kWh": kwh}
        for hour, kwh in (("0", "1.007"), ("1", "0.523"), ("1", "0.73"), ("2", "0.507"))
    ]
    assert read_house(rows).columns["energy_kwh"].tolist() == [1.007, 0.523, 0.73, 0.507]


def test_hour_skipped_in_spring_is_no_gap() -> None:
    rows = [
        {"date": "3/10/2013", "hour": hour, "energy_kWh": kwh}
        for hour, kwh in (("0", "0.1"), ("1", "0.2"), ("3", "0.3"))
    ]
    assert read_house(rows).columns["energy_kwh"].tolist() == [0.1, 0.2, 0.3]


def test_missing_hour_is_a_gap() -> None:
    rows = [
        {"date": "10/3/2012", "hour": hour, "energy_kWh": kwh}
        for hour, kwh in (("0", "1.468"), ("2", "0.744"))
    ]
    values = read_house(rows).columns["energy_kwh"]
    assert np.isnan(values).tolist() == [False, True, False]


def test_grid_point_is_in_utc_with_its_empty_fields_missing() -> None:
    recording = read_grid(open_source("grid.csv.gz"))
    assert recording.first_us == to_us(datetime(2020, 10, 2, 9, 45, tzinfo=UTC))
    assert recording.columns["load"][0] == 3.31
    assert np.isnan(recording.columns["temp"][0])
    assert len(recording) * recording.step_us == 120 * 24 * HOUR_US + recording.step_us
