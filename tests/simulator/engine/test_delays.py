"""Delays as weights: nothing is lost, and they say the same as single events."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.period import HOUR_US, MINUTE_US
from kilowatch.simulator.engine.chance import even
from kilowatch.simulator.engine.delays import MOST_LAGS, delay_of, kernel_of, later, spread_later, waiting
from kilowatch.simulator.world.format import Delay

law = settings(max_examples=100, deadline=None)
delays = st.builds(
    lambda least, more, shape: Delay.model_validate({"from": least, "to": least + more, "shape": shape}),
    st.floats(0, 2e5),
    st.floats(0, 2e6),
    st.sampled_from(["even", "early"]),
)
steps = st.sampled_from([MINUTE_US, 15 * MINUTE_US, HOUR_US, 12 * HOUR_US])


@law
@given(delay=delays, step_us=steps)
def test_weights_are_shares_of_one_and_come_in_order(delay: Delay, step_us: int) -> None:
    kernel = kernel_of(delay, step_us)
    assert sum(kernel.weights) == pytest.approx(1.0, abs=1e-12)
    assert min(kernel.weights) > 0.0
    assert list(kernel.lags) == sorted(set(kernel.lags))
    assert len(kernel.lags) <= MOST_LAGS
    assert kernel.lags[0] >= 0


@law
@given(delay=delays, step_us=steps)
def test_weights_have_the_mean_of_single_delays(delay: Delay, step_us: int) -> None:
    kernel, step_s = kernel_of(delay, step_us), step_us / 1e6
    mean = float(np.dot(kernel.lags, kernel.weights)) * step_s
    single = delay_of(delay, (np.arange(2000) + 0.5) / 2000).mean()
    assert mean == pytest.approx(
        single, abs=0.51 * step_s * max(1.0, (delay.most / step_s) / MOST_LAGS) + 1.0
    )


def test_an_early_delay_is_mostly_early() -> None:
    delay = Delay.model_validate({"from": "1h", "to": "25h", "shape": "early"})
    found = delay_of(delay, even(1, "delays", np.arange(10_000, dtype=np.int64)))
    assert found.min() >= 3600.0
    assert found.max() <= 25 * 3600.0
    assert np.median(found) < 7 * 3600.0


def test_half_an_hour_later_is_half_in_this_hour_and_half_in_the_next() -> None:
    kernel = kernel_of(Delay.model_validate({"from": "30m", "to": "30m"}), HOUR_US)
    assert kernel.lags == (0, 1)
    assert kernel.weights == pytest.approx((0.5, 0.5))


@law
@given(delay=delays, step_us=steps, levels=st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_what_happened_has_come_or_is_waiting(delay: Delay, step_us: int, levels: list[float]) -> None:
    level, kernel = np.array(levels), kernel_of(delay, step_us)
    come = np.cumsum(spread_later(level, kernel))
    assert come + waiting(level, kernel) == pytest.approx(np.cumsum(level), rel=1e-9, abs=1e-6)


def test_ratios_of_one_stay_one_whatever_the_delay() -> None:
    for delay_s in (0.0, 7.0, 1234.5, 3600.0, 99_999.0):
        assert (later(np.ones(50), delay_s, HOUR_US) == 1.0).all()
