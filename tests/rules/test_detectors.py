"""Detectors: silence, spikes and walks, against slow readings of their definitions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import MICROSECONDS
from kilowatch.rules.detectors import ghost_walk, offline, profile

seconds = st.integers(0, 100_000)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(seconds, st.integers(0, 5000)), min_size=1, max_size=20), seconds, seconds)
def test_silence_is_longer_than_patience_and_data_ends_it(
    devices: list[tuple[int, int]], now_s: int, started_s: int
) -> None:
    seen = np.array([one[0] for one in devices], np.int64) * MICROSECONDS
    pause = np.array([one[1] for one in devices], np.int64) * MICROSECONDS
    patience = offline.patience_us(pause)
    now_us, started_us = now_s * MICROSECONDS, started_s * MICROSECONDS
    silent = offline.find_silent(seen, patience, now_us, started_us)
    for (seen_s, pause_s), is_silent in zip(devices, silent.tolist(), strict=True):
        waits_s = min(max(3 * pause_s, 120), 86_400) if pause_s else 600
        assert is_silent == (now_s - max(seen_s, started_s) > waits_s)
    back = offline.find_silent(np.full(len(devices), now_us), patience, now_us, started_us)
    turn = offline.take_turn(silent, back)
    assert not back.any()
    assert turn.back.tolist() == np.flatnonzero(silent).tolist()
    assert len(turn.silent) == 0


def test_after_a_start_nobody_is_silent() -> None:
    ages = np.zeros(5000, np.int64)
    patience = offline.patience_us(np.full(5000, 10 * MICROSECONDS))
    now_us = 1_000_000 * MICROSECONDS
    assert not offline.find_silent(ages, patience, now_us, started_us=now_us).any()
    assert not offline.find_silent(ages, patience, now_us + 120 * MICROSECONDS, now_us).any()
    assert offline.find_silent(ages, patience, now_us + 121 * MICROSECONDS, now_us).all()


def test_a_silent_gateway_is_one_finding() -> None:
    gateway = np.array([7] * 500 + [0] * 2 + [8] * 2)
    groups = offline.group_silent(np.arange(504), gateway)
    assert [len(group) for group in groups] == [500, 1, 1, 1, 1]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 23), st.integers(0, 3000)), max_size=120),
    st.randoms(use_true_random=False),
)
def test_a_profile_is_the_median_and_its_deviation_in_any_order(
    quarters: list[tuple[int, int, int]], random: object
) -> None:
    quarters += [(0, 8, 100 + number) for number in range(profile.LEAST)]
    random.shuffle(quarters)  # type: ignore[attr-defined]
    columns = [np.array(column) for column in zip(*quarters, strict=True)]
    learnt = profile.learn(columns[0], columns[1], columns[2].astype(np.float64), 3)
    for device in range(3):
        for hour in range(24):
            values = [power for of, at, power in quarters if (of, at) == (device, hour)]
            if len(values) < profile.LEAST:
                assert learnt.limit_w[device, hour] == np.inf
                continue
            median = float(np.median(values))
            spread = 1.4826 * float(np.median(np.abs(np.array(values) - median)))
            assert learnt.median_w[device, hour] == median
            assert learnt.spread_w[device, hour] >= max(spread, 20.0) - 1e-9


@settings(max_examples=100, deadline=None)
@given(st.integers(13, 40), st.floats(1e3, 1e6), st.data())
def test_strange_quarters_in_the_minority_do_not_move_the_median_out_of_the_usual(
    usual: int, strange_w: float, data: st.DataObject
) -> None:
    strange = data.draw(st.integers(0, usual - 1))
    power = np.concatenate([np.linspace(90, 110, usual), np.full(strange, strange_w)])
    place = np.zeros(len(power), np.int64)
    learnt = profile.learn(place, place + 8, power, 1)
    assert 90 <= learnt.median_w[0, 8] <= 110


def stirs(*given_stirs: tuple[int, int, float]) -> ghost_walk.Stirs:
    device, room, at = zip(*given_stirs, strict=True)
    ts_us = (np.array(at) * MICROSECONDS).astype(np.int64)
    return ghost_walk.Stirs(np.array(device), np.array(room), ts_us)


def test_devices_that_stir_one_after_the_other_are_a_walk_told_once() -> None:
    (walk,) = ghost_walk.find_walks(stirs((1, 1, 0), (2, 1, 60), (3, 2, 130), (1, 1, 200), (4, 2, 400)))
    assert walk == ghost_walk.Walk((1, 2, 3, 4), 0, 400 * MICROSECONDS)


def test_what_is_no_walk() -> None:
    one_device = [(1, 1, float(at)) for at in range(0, 1000, 100)]
    one_room = [(1, 1, 0.0), (2, 1, 60.0), (3, 1, 120.0)]
    power_back = [(1, 1, 0.0), (2, 2, 0.5), (3, 3, 1.0)]
    hours_apart = [(1, 1, 0.0), (2, 2, 4000.0), (3, 3, 8000.0)]
    for case in (one_device, one_room, power_back, hours_apart):
        assert ghost_walk.find_walks(stirs(*case)) == []


def test_a_rise_within_one_series_is_a_stir() -> None:
    series = np.array([1, 1, 1, 2, 2])
    power = np.array([5.0, 50.0, 60.0, 1000.0, 1029.0])
    assert ghost_walk.find_stirs(series, power).tolist() == [1]
