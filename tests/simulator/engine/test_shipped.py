"""The engine on the worlds that are shipped: fast enough, sound, and with causes that can be found."""

import time
from functools import lru_cache

import numpy as np
import pytest

from kilowatch.period import DAY_US, HOUR_US, QUARTER_US
from kilowatch.simulator.engine.events import planned_events
from kilowatch.simulator.engine.happenings import background
from kilowatch.simulator.engine.history import happened, history, realised
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import begin
from kilowatch.simulator.engine.settling import NEAR
from kilowatch.simulator.engine.statistics import statistics
from kilowatch.simulator.world.format import World
from kilowatch.simulator.world.loading import find_worlds, load_world, shipped
from tests.simulator.engine.markets import START_US, hourly

FOLDERS = find_worlds([shipped()])
SEEDS = range(1, 11)
HISTORY_S, SCENARIO_S = 1.0, 0.1

every_world = pytest.mark.parametrize("name", sorted(FOLDERS))


@lru_cache(maxsize=8)
def world(name: str) -> World:
    return load_world(FOLDERS[name])


@every_world
@pytest.mark.parametrize("step_us", [HOUR_US, QUARTER_US])
def test_a_month_with_events_and_statistics_takes_less_than_a_second(name: str, step_us: int) -> None:
    run, month = Run.of(world(name), 5), Moments(START_US, step_us, 30 * DAY_US // step_us)
    began = time.process_time()
    found = history(run, month, background(run, month))
    known = statistics(found.names, month, found.value, run.world.time_zone)
    assert time.process_time() - began < HISTORY_S
    assert np.isfinite(found.value).all()
    assert len(known) == len(run.world.streams)
    for number, stream in enumerate(run.causes.streams):
        least, most = found.value[number].min(), found.value[number].max()
        assert least >= (0.0 if stream.least is None else stream.least)
        assert most <= (np.inf if stream.most is None else stream.most)


@every_world
def test_a_window_is_the_same_alone(name: str) -> None:
    run, month = Run.of(world(name), 2), hourly(20)
    window = Moments(START_US + 11 * DAY_US, HOUR_US, 37)
    whole = happened(run, month, background(run, month))
    assert np.array_equal(whole[:, 264:301], happened(run, window, background(run, window)))


@every_world
def test_scenarios_begin_at_once_and_settle(name: str) -> None:
    run, now_us = Run.of(world(name)), START_US + 10 * HOUR_US
    for scenario in run.world.scenarios:
        began = time.process_time()
        begun = begin(run, scenario, now_us)
        assert time.process_time() - began < SCENARIO_S, scenario
        rows = sorted({run.causes.number[name] for one in begun.modifiers for name in one.streams})
        settled = begun.levels.moments.ts_us >= begun.activation.settled_us
        assert np.abs(begun.levels.ratio[rows][:, settled] - 1.0).max(initial=0.0) <= NEAR, scenario
        assert (begun.levels.ratio[:, -1] == 1.0).all(), scenario
        assert not rows or np.abs(begun.levels.ratio[rows] - 1.0).max() > NEAR, scenario
        assert len(planned_events(run.world, begun.activation)) == len(run.world.scenarios[scenario].events)


def test_of_each_request_of_the_marketplace_comes_an_answer() -> None:
    run, grid = Run.of(world("marketplace"), 3), hourly(14)
    for place, chain in enumerate(run.world.chains):
        if not chain.exclusive or sum(outcome.probability for outcome in chain.outcomes) < 1.0 - 1e-9:
            continue
        found = levels(run, grid)
        total = sum(found.probability[place, which] for which in range(len(chain.outcomes)))
        assert total == pytest.approx(1.0)
    _, found_values = realised(run, grid)
    assert all(waits.min() >= 0.0 for waits in found_values.waiting.values())
