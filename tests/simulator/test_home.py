"""Devices of a home to try: the same at every asking, within their bounds, and as thrifty as real ones."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import rfc3339, to_us
from kilowatch.period import DAY_US, HOUR_US, MINUTE_US, SECOND_US, local_buckets, zone_names
from kilowatch.simulator.home.household import APPLIANCES, OFF, ON, STANDBY, report
from kilowatch.simulator.home.moments import Floats, Int64s, moments_at
from kilowatch.simulator.home.readings import history_body, live_bodies, set_codes, steps
from kilowatch.sites.demo import FURNITURE
from kilowatch.wire.simulation import ROLES, STATES, PlayedDevice, PlayedHome, Role, SetState

WINTER_US = to_us(datetime(2026, 1, 5, tzinfo=UTC))
SUMMER_US = to_us(datetime(2026, 7, 6, tzinfo=UTC))
WEEKS = 8
site_ids = st.uuids().map(str)
zones = st.sampled_from(sorted(zone_names()))
roles = st.sampled_from(ROLES)
moments_us = st.integers(to_us(datetime(2020, 1, 1, tzinfo=UTC)), to_us(datetime(2100, 1, 1, tzinfo=UTC)))
law = settings(max_examples=100, deadline=None)


def told(role: Role, site_id: str, zone: str, ts_us: Int64s, state: int = ON) -> dict[str, Floats]:
    return report(role, moments_at([site_id], [zone], ts_us), np.full(len(ts_us), state, np.int8))


def minutes(start_us: int, days: int) -> Int64s:
    return start_us + np.arange(days * 1440, dtype=np.int64) * MINUTE_US


def kwh_per_day(role: Role, site_id: str, start_us: int) -> Floats:
    power = told(role, site_id, "Europe/Berlin", minutes(start_us, WEEKS * 7))["power"]
    daily: Floats = power.reshape(-1, 1440).mean(axis=1) * 24.0 / 1000.0
    return daily


@law
@given(role=roles, site_id=site_ids, zone=zones, start_us=moments_us, beside=st.integers(0, 200))
def test_a_value_is_the_same_whatever_is_asked_beside_it(
    role: Role, site_id: str, zone: str, start_us: int, beside: int
) -> None:
    ts_us = start_us + np.arange(beside + 1, dtype=np.int64) * 7 * SECOND_US
    among = told(role, site_id, zone, ts_us)
    alone = told(role, site_id, zone, ts_us[-1:])
    assert {name: column[-1] for name, column in among.items()} == {
        name: column[0] for name, column in alone.items()
    }


@law
@given(role=roles, site_id=site_ids, zone=zones, start_us=moments_us, every_s=st.integers(1, 600))
def test_power_stays_within_what_is_rated_and_names_its_state(
    role: Role, site_id: str, zone: str, start_us: int, every_s: int
) -> None:
    ts_us = start_us + np.arange(500, dtype=np.int64) * every_s * SECOND_US
    found = told(role, site_id, zone, ts_us)
    rated_w, idle_w = FURNITURE[role]["rated_power_w"], FURNITURE[role]["idle_threshold_w"]
    assert (found["power"] >= 0.0).all()
    assert (found["power"] <= rated_w).all()
    assert set(found["state"]) <= {ON, APPLIANCES[role].resting}
    rests = found["state"] == APPLIANCES[role].resting
    assert (found["power"][rests] < idle_w).all()
    assert np.array_equal(found["power"], np.round(found["power"], 1))


@law
@given(role=roles, site_id=site_ids, zone=zones, start_us=moments_us)
def test_what_is_switched_off_draws_nothing_and_standby_draws_little(
    role: Role, site_id: str, zone: str, start_us: int
) -> None:
    ts_us = minutes(start_us, 1)
    off, standby = (told(role, site_id, zone, ts_us, state) for state in (OFF, STANDBY))
    assert not off["power"].any()
    assert (off["state"] == OFF).all()
    assert (standby["power"] == APPLIANCES[role].standby_w).all()
    assert (standby["state"] == STANDBY).all()


@pytest.mark.parametrize(
    ("role", "start_us", "least", "most", "mean_least", "mean_most"),
    [
        ("fridge", WINTER_US, 0.5, 1.2, 0.6, 1.0),
        ("heat-pump", WINTER_US, 8.0, 45.0, 16.0, 30.0),
        ("heat-pump", SUMMER_US, 1.0, 9.0, 2.0, 5.0),
        ("television", WINTER_US, 0.01, 0.9, 0.15, 0.4),
        ("washing-machine", WINTER_US, 0.009, 1.8, 0.3, 0.8),
        ("lights", WINTER_US, 0.1, 0.7, 0.25, 0.5),
        ("lights", SUMMER_US, 0.0, 0.35, 0.05, 0.25),
    ],
)
def test_a_day_uses_what_such_a_device_uses(
    role: Role, start_us: int, least: float, most: float, mean_least: float, mean_most: float
) -> None:
    """The ranges follow from the sources that each device's module names."""
    daily = np.stack([kwh_per_day(role, f"home {number}", start_us) for number in range(5)])
    assert daily.min() >= least
    assert daily.max() <= most
    assert mean_least < daily.mean() < mean_most


def test_the_fridge_runs_for_a_third_of_every_35_to_50_minutes() -> None:
    ts_us = WINTER_US + np.arange(7 * 86_400 // 5, dtype=np.int64) * 5 * SECOND_US
    for number in range(5):
        running = told("fridge", f"home {number}", "UTC", ts_us)["power"] > 50.0
        starts = np.flatnonzero(~running[:-1] & running[1:])
        assert 0.25 < running.mean() < 0.5
        assert 34.0 < np.diff(starts).mean() * 5 / 60 < 51.0


def test_people_watch_in_the_evening_and_wash_by_day() -> None:
    ts_us = minutes(WINTER_US, WEEKS * 7)
    at = moments_at(["home"], ["Asia/Tokyo"], ts_us)
    watched = told("television", "home", "Asia/Tokyo", ts_us)["state"] == ON
    washes = told("washing-machine", "home", "Asia/Tokyo", ts_us)["state"] == ON
    assert watched.any()
    assert washes.any()
    assert ((at.hour[watched] > 13.0) & (at.hour[watched] < 24.0)).all()
    assert ((at.hour[washes] > 8.0) & (at.hour[washes] < 21.0)).all()
    assert (at.hour[watched & ~at.is_weekend] > 18.0).all()
    begun = np.flatnonzero(~washes[:-1] & washes[1:])
    assert 2.0 <= len(begun) / WEEKS <= 6.0


def test_days_follow_the_clock_on_the_wall_when_it_changes() -> None:
    """The television goes on at local hours on both sides of the change to summer time."""
    around_us = to_us(datetime(2026, 3, 29, 1, tzinfo=UTC))
    ts_us = minutes(around_us - 7 * DAY_US, 14)
    at = moments_at(["home"], ["Europe/Berlin"], ts_us)
    days = local_buckets(ts_us, "Europe/Berlin", "1d")
    hours_us = ts_us - days
    usual = np.isin(days, days[np.abs(days - around_us) > DAY_US])
    assert np.array_equal(at.hour[usual], hours_us[usual] / HOUR_US)
    assert set(np.diff(at.local_us)) == {MINUTE_US, MINUTE_US + HOUR_US}


def test_july_is_winter_in_the_south() -> None:
    north, south = (
        told("heat-pump", "home", zone, minutes(SUMMER_US, 28))["outdoor_temperature"].mean()
        for zone in ("Europe/Berlin", "Australia/Sydney")
    )
    assert north > 15.0
    assert south < 5.0


def home_of(site_id: str, zone: str, states: dict[Role, SetState]) -> PlayedHome:
    devices = [PlayedDevice(f"demo-{role}", role, states.get(role, "on")) for role in ROLES]
    return PlayedHome(site_id, "somebody", zone, WINTER_US, devices)


def test_a_body_of_history_holds_every_device_at_every_minute() -> None:
    home = home_of("9deb5cbb-e481-410e-a65a-ee000d2afee5", "Europe/Berlin", {"lights": "off"})
    ts_us = steps(WINTER_US, WINTER_US + HOUR_US)
    assert (ts_us[0], ts_us[-1], len(ts_us)) == (WINTER_US + MINUTE_US, WINTER_US + HOUR_US, 60)
    with pa.ipc.open_stream(history_body(home, ts_us)) as reader:
        table = reader.read_all()
    assert table.num_rows == 5 * 60
    for one in home.devices:
        mine = table.filter(pa.array([name == one.id for name in table["device"].to_pylist()]))
        expected = told(one.role, home.site_id, home.time_zone, ts_us, STATES.index(one.state))
        assert mine["ts"].cast(pa.int64()).to_pylist() == ts_us.tolist()
        for name in ("power", "state", "outdoor_temperature"):
            values = expected.get(name)
            assert mine[name].to_pylist() == ([None] * 60 if values is None else values.tolist())


@law
@given(
    given_homes=st.lists(
        st.tuples(site_ids, zones, st.dictionaries(roles, st.sampled_from(STATES))), max_size=5
    ),
    ts_us=moments_us,
)
def test_many_homes_at_once_tell_what_each_tells_alone(
    given_homes: list[tuple[str, str, dict[Role, SetState]]], ts_us: int
) -> None:
    homes = [home_of(*one) for one in given_homes]
    together = dict(
        zip([one.site_id for one in homes], [body for _, body in _bodies(homes, ts_us)], strict=True)
    )
    for home in homes:
        ((_, alone),) = _bodies([home], ts_us)
        assert together[home.site_id] == alone
        decoded = {reading["device"]: reading for reading in alone}
        assert len(decoded) == 5
        for one in home.devices:
            expected = told(
                one.role, home.site_id, home.time_zone, np.array([ts_us]), int(set_codes([one.state])[0])
            )
            assert decoded[one.id]["ts"] == rfc3339(ts_us)
            assert decoded[one.id]["metrics"]["power"] == expected["power"][0]
            assert decoded[one.id]["metrics"]["state"] == STATES[int(expected["state"][0])]


def _bodies(homes: list[PlayedHome], ts_us: int) -> list[tuple[PlayedHome, list[dict[str, Any]]]]:
    return [(home, msgspec.json.decode(body)) for home, body in live_bodies(homes, ts_us)]
