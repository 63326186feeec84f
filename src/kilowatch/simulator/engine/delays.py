"""Delays: when what follows comes, as weights over intervals and as a number for one event. Pure.

Keeps true: the weights of a delay add up to 1, so nothing is lost or made between cause and consequence.
"""

from dataclasses import dataclass

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.world.format import Delay

MOST_LAGS = 96
"""A delay over more intervals than these comes in so many equal portions instead."""
SUDDEN = 1e-9
"""A span of fewer intervals is a single moment."""
EARLY = 3
"""Of a delay that is mostly early, the part z of the span is over with probability 1 - (1 - z) ** 3."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """How many intervals later which share comes. lags: increasing; weights: of the same length, sum 1."""

    lags: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def longest(self) -> int:
        """Intervals until everything has come."""
        return self.lags[-1]


def kernel_of(delay: Delay, step_us: int) -> Kernel:
    """The weights of a delay for causes that are spread evenly over their interval.

    An event at u in [0, 1) of its interval with a delay of d intervals comes floor(u + d) intervals later;
    with G the integral of the distribution of d that is G(k + 1) - 2 G(k) + G(k - 1) of them for each k.
    """
    step_s = step_us / SECOND_US
    least, most = delay.least / step_s, max(delay.most, delay.least) / step_s
    first, last = int(least), int(np.ceil(most)) + 1
    whole = _integral(np.arange(first - 1, last + 2, dtype=np.float64), least, most, delay.shape == "early")
    weights = np.maximum(np.diff(whole, 2), 0.0)
    lags = np.arange(first, last + 1)
    if len(lags) > MOST_LAGS:
        portion = (np.arange(len(lags)) * MOST_LAGS) // len(lags)
        shares = np.bincount(portion, weights, MOST_LAGS)
        centres = np.bincount(portion, weights * lags, MOST_LAGS) / np.maximum(shares, 1e-300)
        lags, weights = np.rint(centres).astype(np.int64), shares
    there = weights > 1e-12
    weights = weights[there] / weights[there].sum()
    return Kernel(tuple(int(lag) for lag in lags[there]), tuple(float(weight) for weight in weights))


def _integral(at: Floats, least: float, most: float, is_early: bool) -> Floats:
    """The integral of the distribution function of the delay from minus infinity."""
    width = most - least
    if width < SUDDEN:
        return np.maximum(at - least, 0.0)
    part = np.clip((at - least) / width, 0.0, 1.0)
    beyond = np.maximum(at - most, 0.0)
    of_early = part - (1.0 - (1.0 - part) ** (EARLY + 1)) / (EARLY + 1)
    return width * (of_early if is_early else part * part / 2.0) + beyond


def delay_of(delay: Delay, chance: Floats) -> Floats:
    """The delays in seconds that have these chances in [0, 1) of not being exceeded."""
    part = 1.0 - (1.0 - chance) ** (1.0 / EARLY) if delay.shape == "early" else chance
    return delay.least + (max(delay.most, delay.least) - delay.least) * part


def mean_delay(delay: Delay) -> float:
    """The mean of a delay, in seconds."""
    part = 1.0 / (EARLY + 1) if delay.shape == "early" else 0.5
    return delay.least + (max(delay.most, delay.least) - delay.least) * part


def spread_later(level: Floats, kernel: Kernel) -> Floats:
    """What comes of a level with a delay. Shape (count,); what came of before the first interval is missing.

    Sums the portions in one order for each interval, so the result is the same to the bit in any window.
    """
    found = np.zeros_like(level)
    count = len(level)
    for lag, weight in zip(kernel.lags, kernel.weights, strict=True):
        if lag < count:
            found[lag:] += weight * level[: count - lag]
    return found


def waiting(level: Floats, kernel: Kernel) -> Floats:
    """How much of a level has happened but its consequence has not come yet, at the end of each interval."""
    found = np.zeros_like(level)
    count, lags = len(level), kernel.lags
    left = 1.0
    gone = dict(zip(lags, kernel.weights, strict=True))
    for lag in range(min(kernel.longest, count)):
        left -= gone.get(lag, 0.0)
        found[lag:] += max(left, 0.0) * level[: count - lag]
    return found


def later(ratio: Floats, delay_s: float, step_us: int) -> Floats:
    """A series of ratios so much later, between two intervals in proportion; 1 before its beginning."""
    lag = delay_s * SECOND_US / step_us
    whole = int(lag)
    found = _moved(ratio, whole)
    part = lag - whole
    return found if part == 0.0 else found + (_moved(ratio, whole + 1) - found) * part


def _moved(ratio: Floats, lag: int) -> Floats:
    moved = np.ones_like(ratio)
    moved[lag:] = ratio[: max(len(ratio) - lag, 0)]
    return moved
