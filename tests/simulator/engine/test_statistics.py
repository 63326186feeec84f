"""What can be learnt of streams from their values, and the scale from 0 to 100."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.period import DAY_US, HOUR_US
from kilowatch.simulator.engine.history import happened
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.normalise import flag_of, flags, normalised
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.statistics import StreamStatistics, statistics
from tests.simulator.engine.markets import START_US, hourly, small

law = settings(max_examples=100, deadline=None)
numbers = st.floats(-1e9, 1e9)


def known_of(values: list[float]) -> StreamStatistics:
    moments = Moments(START_US, HOUR_US, len(values))
    return statistics(["it"], moments, np.array([values]), "UTC")["it"]


def test_statistics_are_those_of_the_values() -> None:
    known = known_of([float(number) for number in range(1, 101)])
    assert (known.mean, known.median, known.least, known.most) == (50.5, 50.5, 1.0, 100.0)
    assert known.std_dev == pytest.approx(np.sqrt((100**2 - 1) / 12))
    assert known.percentiles == pytest.approx(
        {"p25": 25.75, "p50": 50.5, "p75": 75.25, "p90": 90.1, "p95": 95.05}
    )


def test_days_of_work_weekends_and_hours_are_local() -> None:
    ts = hourly(14)
    local_hour = (np.arange(ts.count) + 2) % 24  # Berlin in September
    known = statistics(["hour"], ts, local_hour[None, :].astype(float), "Europe/Berlin")["hour"]
    assert known.hourly == tuple(float(hour) for hour in range(24))
    assert known.seasonality == "strong daily"
    weekend = np.isin((np.arange(ts.count) + 2) // 24 % 7, (5, 6)).astype(float)
    known = statistics(["weekend"], ts, weekend[None, :], "Europe/Berlin")["weekend"]
    assert (known.weekday_mean, known.weekend_mean) == (0.0, 1.0)


def test_growth_daily_and_weekly_patterns_are_found_and_noise_has_none() -> None:
    world = small(growth_per_month=0.05)
    for seed in range(3):
        grid = Moments(START_US, HOUR_US, 56 * 24)
        known = statistics(list(world.streams), grid, happened(Run.of(world, seed), grid), world.time_zone)
        assert known["search"].trend_per_month == pytest.approx(0.05, abs=0.02)
        assert known["supply"].trend_per_month == pytest.approx(0.0, abs=0.02)
        assert known["search"].seasonality == "strong daily, strong weekly"
        assert known["supply"].seasonality == "none"
        assert known["search"].weekend_mean / known["search"].weekday_mean == pytest.approx(1.4, rel=0.05)


@pytest.mark.parametrize("step_us", [HOUR_US // 4, 12 * HOUR_US, DAY_US])
@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_short_and_coarse_histories_have_statistics_too(step_us: int, count: int) -> None:
    grid = Moments(START_US - START_US % step_us, step_us, count)
    known = statistics(["it"], grid, np.ones((1, count)), "America/New_York")["it"]
    assert (known.mean, known.std_dev, known.trend_per_month, known.seasonality) == (1.0, 0.0, 0.0, "none")


@law
@given(values=st.lists(numbers, min_size=2, max_size=50), low=numbers, high=numbers)
def test_more_is_never_lower_on_the_scale(values: list[float], low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    scale = normalised(np.array([low, high]), known_of(values))
    assert 0.0 <= scale[0] <= scale[1] <= 100.0


def test_the_scale_has_its_middle_at_the_mean_and_its_ends_at_three_deviations() -> None:
    known = known_of([8.0, 12.0] * 50)
    found = normalised(np.array([10.0, 4.0, 16.0, 8.0, 12.0, -100.0, 100.0]), known)
    assert found == pytest.approx([50.0, 0.0, 100.0, 50 - 50 / 3, 50 + 50 / 3, 0.0, 100.0])
    assert flags(np.array([10.0, 12.0, 12.1, 14.0, 14.1, 5.9]), known).tolist() == [0, 0, 1, 1, 2, 2]
    assert [flag_of(value, known) for value in (10.0, 7.5, 20.0)] == ["normal", "warning", "critical"]


def test_a_stream_that_never_varied_is_normal_as_it_was_and_critical_otherwise() -> None:
    known = known_of([5.0] * 10)
    assert normalised(np.array([4.9, 5.0, 5.1]), known).tolist() == [0.0, 50.0, 100.0]
    assert flags(np.array([4.9, 5.0, 5.1]), known).tolist() == [2, 0, 2]
