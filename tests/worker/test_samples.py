"""Phantom loads, spikes and walks: how samples are cut changes nothing, and clocks are the site's."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.store.raising import LivingAlert
from kilowatch.clock import MICROSECONDS, to_us
from kilowatch.period import HOUR_US
from kilowatch.worker.ground import Profile, make_ground, since_midnight_us
from kilowatch.worker.samples import CALM_US, SampleDetectors
from kilowatch.worker.store.watching import GroundRows

ORGANISATION, SITE = uuid.uuid4(), uuid.uuid4()
NIGHT_US = to_us(datetime(2026, 6, 1, 1, 0, tzinfo=UTC))  # three o'clock in Berlin
DEVICES = 4


def house(kind: str = "home", off: tuple[int, ...] = (1, 2)) -> SampleDetectors:
    """Devices 1 to 4 in rooms of their own, idle below 5 W, usually at 100 W."""
    numbers = list(range(1, DEVICES + 1))
    rows = GroundRows(
        {
            "device": numbers, "site": [0] * DEVICES, "type": ["meter"] * DEVICES,
            "room": [f"room {number}" for number in numbers], "idle_w": [5.0] * DEVICES,
            "is_off": [number in off for number in numbers], "is_watched": [True] * DEVICES,
            "gateway": [0] * DEVICES, "energy_series": [0] * DEVICES,
        },
        [(ORGANISATION, SITE, "Europe/Berlin", kind)],
        {},
    )  # fmt: skip
    detectors = SampleDetectors()
    profile = Profile.of(np.array(numbers), np.full((4, 24), 100.0), np.full((4, 24), 20.0), DEVICES + 1)
    detectors.change(make_ground(rows, [], NIGHT_US - HOUR_US), profile, NIGHT_US)
    return detectors


Sample = tuple[int, int, float]
"""(device, second, watts)."""


def look(detectors: SampleDetectors, samples: list[Sample]) -> tuple[list[Finding], list[Clearing]]:
    device, second, watts = zip(*samples, strict=True) if samples else ((), (), ())
    ts_us = NIGHT_US + np.array(second, np.int64) * MICROSECONDS
    return detectors.look(np.array(device, np.int64), ts_us, np.array(watts, np.float64))


APART_S = 2
"""Two that stir at one moment are no walk. Whether somebody else stirs at the moment of the last sample
before a cut is not known yet, so nobody does here."""
samples_in_time = st.lists(
    st.tuples(
        st.integers(1, DEVICES), st.integers(APART_S, 400), st.sampled_from([0.0, 4.0, 40.0, 230.0, 500.0])
    ),
    min_size=1,
    max_size=60,
).map(
    lambda gaps: [
        (device, sum(gap for _, gap, _ in gaps[: place + 1]), watts)
        for place, (device, _, watts) in enumerate(gaps)
    ]
)


@settings(max_examples=150, deadline=None)
@given(samples_in_time, st.lists(st.integers(0, 60), max_size=8))
def test_how_samples_are_cut_changes_nothing(samples: list[Sample], cuts: list[int]) -> None:
    findings, clearings = look(house(), samples)
    pieces = house()
    cut_findings: list[Finding] = []
    cut_clearings: list[Clearing] = []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True):
        some, over = look(pieces, samples[begin:end])
        cut_findings += some
        cut_clearings += over

    def powers(items: list[Finding]) -> set[Finding]:
        return {one for one in items if one.key.kind != "ghost_walk"}

    assert powers(cut_findings) == powers(findings)
    assert set(cut_clearings) == set(clearings)
    # A walk that goes on is told when it is one; its end is told by whoever looks later.
    walks = {(one.key, one.since_us) for one in findings if one.key.kind == "ghost_walk"}
    assert {(one.key, one.since_us) for one in cut_findings if one.key.kind == "ghost_walk"} == walks


def test_a_value_that_swings_for_an_hour_is_one_raise_and_one_clearing() -> None:
    detectors = house(off=(1,))
    swinging = [(1, second, 6.0) for second in range(0, 3600, 10)]
    findings, clearings = look(detectors, swinging)
    assert [(one.key.kind, len(clearings)) for one in findings] == [("phantom_load", 0)]
    spikes = [(2, second, 221.0 if second % 20 else 205.0) for second in range(0, 3600, 10)]
    findings, clearings = look(detectors, [*spikes, (2, 3600, 190.0)])
    assert [one.key.kind for one in findings] == ["spike"]
    assert [one.key for one in clearings] == [findings[0].key]


def test_the_grace_after_switching_off_is_neither_good_nor_bad() -> None:
    detectors = house(off=())
    detectors.switch(3, True, NIGHT_US + 10 * MICROSECONDS)
    assert look(detectors, [(3, 11, 2000.0), (3, 12, 900.0)]) == ([], [])
    (finding,), _ = look(detectors, [(3, 13, 40.0)])
    assert (finding.key.kind, finding.since_us) == ("phantom_load", NIGHT_US + 13 * MICROSECONDS)
    (clearing,) = detectors.switch(3, False, NIGHT_US)  # a clock behind the device's
    assert (clearing.key, clearing.ts_us > finding.since_us) == (finding.key, True)


WALK: list[Sample] = [
    *((device, 0, 0.0) for device in (1, 2, 3)), (1, 60, 80.0), (2, 120, 80.0), (3, 200, 80.0),
]  # fmt: skip


def test_a_walk_needs_a_home_that_is_asleep() -> None:
    (walk,), _ = look(house(off=()), WALK)
    assert (walk.key, walk.devices) == (Key(ORGANISATION, "ghost_walk", site_id=SITE), 3)
    assert look(house("plant", off=()), WALK) == ([], [])
    by_day = [(device, second + 8 * 3600, watts) for device, second, watts in WALK]
    assert look(house(off=()), by_day) == ([], [])
    together = [(device, 60 if watts else 0, watts) for device, _, watts in WALK]
    assert look(house(off=()), together) == ([], [])


def test_a_walk_is_over_after_half_an_hour_of_calm_also_after_a_restart() -> None:
    detectors = house(off=())
    (walk,), _ = look(detectors, WALK)
    assert detectors.tick(walk.ts_us + CALM_US) == []
    assert detectors.tick(walk.ts_us + CALM_US + 1) == [Clearing(walk.key, walk.ts_us + CALM_US + 1)]
    anew = house(off=())
    anew.restore([LivingAlert(walk.key, walk.since_us, walk.ts_us)])
    assert [one.key for one in anew.tick(walk.since_us + CALM_US + 1)] == [walk.key]


def test_what_is_watched_no_longer_is_over() -> None:
    detectors = house()
    (finding,), _ = look(detectors, [(1, 0, 40.0)])
    ground = replace(detectors.ground, is_watched=np.zeros(DEVICES + 1, np.bool_), _worked_out={})
    assert [one.key for one in detectors.change(ground, detectors.profile, NIGHT_US)] == [finding.key]


def test_a_device_that_is_deleted_takes_its_watches_with_it_and_no_others() -> None:
    detectors = house(off=(3, 4))
    findings, _ = look(detectors, [(3, 0, 40.0), (4, 0, 40.0)])
    assert len(findings) == 2
    fewer = house(off=()).ground
    for name in ("known", "site", "type", "room", "idle_w", "is_off", "off_since_us", "is_watched"):
        setattr(fewer, name, getattr(fewer, name)[:DEVICES])
    fewer.gateway, fewer.energy_series = fewer.gateway[:DEVICES], fewer.energy_series[:DEVICES]
    fewer.is_watched[3], fewer._worked_out = False, {}
    over = detectors.change(fewer, detectors.profile, NIGHT_US)
    assert [one.key for one in over] == [Key(ORGANISATION, "phantom_load", 3)]


def test_what_a_device_ahead_of_us_began_is_over_when_it_is_watched_no_longer() -> None:
    detectors = house()
    (finding,), _ = look(detectors, [(1, 300, 40.0)])
    ground = replace(detectors.ground, is_watched=np.zeros(DEVICES + 1, np.bool_), _worked_out={})
    (clearing,) = detectors.change(ground, detectors.profile, NIGHT_US)
    assert clearing.ts_us >= finding.since_us


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"])
def test_the_time_of_day_is_the_sites_through_changes_of_its_clock(zone: str) -> None:
    first = to_us(datetime(2026, 1, 1, tzinfo=UTC))
    ts_us = first + np.arange(0, 366 * 48) * (HOUR_US // 2)
    local = since_midnight_us(ts_us, zone)
    for moment, found in list(zip(ts_us.tolist(), local.tolist(), strict=True))[::37]:
        there = datetime.fromtimestamp(moment / 1e6, ZoneInfo(zone))
        assert found == ((there.hour * 60 + there.minute) * 60 + there.second) * MICROSECONDS
