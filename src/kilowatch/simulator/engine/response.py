"""By how much spans of time moved a stream, all of them together, and when that began. Pure.

Keeps true: the windows of all events that may have moved a stream are fitted at once, so that what one of
them explains is not put down to another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.simulator.engine.chance import Floats, Mask
from kilowatch.simulator.engine.expected import NORMAL
from kilowatch.simulator.engine.moments import Moments

PRIOR = 0.4
"""How large changes are before anything was seen: the standard deviation of the logarithm of the factor."""
LARGEST = 3.0
"""The largest logarithm of a factor."""
TRUSTED = 3.0
"""Beyond so many standard deviations an interval weighs less (Huber 1964)."""
MOST_ECHOES = 24
"""Kinds of events that one stream follows, at most."""
FARTHEST = 9.0
"""Standard deviations for which larger ones are taken where echoes are looked for."""


def windows(moments: Moments, spans: Sequence[tuple[int, int]], later_us: int = 0) -> Floats:
    """How much of each interval lies in each span `[first, last)`, so much later; 0 to 1.
    Shape (spans, count)."""
    start = moments.ts_us[None, :] - later_us
    first, last = (np.array([span[side] for span in spans], np.int64).reshape(-1, 1) for side in (0, 1))
    inside = np.minimum(start + moments.step_us, last) - np.maximum(start, first)
    found: Floats = np.maximum(inside, 0) / moments.step_us
    return found


class Response:
    """What windows, shape (windows, count), did to one stream. change: logarithms of factors; deviations: how
    many of their standard deviations they are away from 0."""

    def __init__(self, inside: Floats) -> None:
        self.inside = inside
        self.change = np.zeros(len(inside))
        self.deviations = np.zeros(len(inside))

    def with_more(self, inside: Floats) -> "Response":
        """The same with more windows, of which nothing is known yet."""
        found = Response(np.concatenate((self.inside, inside)))
        found.change[: len(self.change)] = self.change
        return found

    def only(self, kept: Mask) -> "Response":
        """The same with these windows only."""
        found = Response(self.inside[kept])
        found.change[:] = self.change[kept]
        return found

    @property
    def factor(self) -> Floats:
        """What all windows together come to. Shape (count,)."""
        return np.exp(self.change @ self.inside)

    def improve(self, value: Floats, expected: Floats, spread: Floats) -> None:
        """One step of Gauss and Newton from what is expected with the changes so far towards the values, by
        least squares with a prior, in which intervals far off weigh less."""
        if len(self.inside) == 0:
            return
        off = (value - expected) / spread
        trust = np.sqrt(np.minimum(1.0, TRUSTED / np.maximum(np.abs(off), 1e-12)))
        columns = self.inside * (expected / spread * trust)
        inverse = np.linalg.inv(columns @ columns.T + np.eye(len(columns)) / PRIOR**2)
        step = inverse @ (columns @ (off * trust) - self.change / PRIOR**2)
        self.change = np.clip(self.change + step, -LARGEST, LARGEST)
        self.deviations = self.change / np.sqrt(np.diag(inverse))


@dataclass(frozen=True, slots=True)
class Stray:
    """One stream beside what was expected of it in the end. off: standard deviations; weight: what is
    expected in these; inflation: how much more sums of them stray than if intervals were independent."""

    off: Floats
    weight: Floats
    inflation: float

    @classmethod
    def of(cls, moments: Moments, value: Floats, expected: Floats, spread: Floats) -> "Stray":
        """From the value, what was expected of it with all that is known, and the spread. Shapes (count,)."""
        off, weight = (value - expected) / spread, expected / spread
        kernel = np.ones(min(max(round(0.5 / moments.days), 1), len(off)))
        sums = np.convolve(off * weight, kernel, "valid")
        alone = np.sqrt(np.convolve(weight**2, kernel, "valid"))
        strays = np.abs(sums) / np.maximum(alone, 1e-12)
        return cls(off, weight, max(1.0, NORMAL * float(np.median(strays))))

    def with_back(self, change: float, inside: Floats) -> Floats:
        """The deviations as they would be if one change were not known."""
        back: Floats = self.off + self.weight * (1.0 - np.exp(-change * inside))
        return back


def onset(moments: Moments, deviations: Floats, weight: Floats, span: tuple[int, int], sign: int) -> int:
    """When a change in `[span)` began: the beginning of the interval from which to the end of the span the
    deviations of that sign stand out most."""
    first = min(max(moments.place(span[0]), 0), moments.count - 1)
    last = min(max(moments.place(span[1] - 1), first), moments.count - 1)
    within = slice(first, last + 1)
    sums = np.cumsum((sign * deviations[within] * weight[within])[::-1])[::-1]
    alone = np.sqrt(np.cumsum((weight[within] ** 2)[::-1])[::-1])
    place = first + int(np.argmax(sums / np.maximum(alone, 1e-12)))
    return max(moments.start_us + place * moments.step_us, span[0])


def echoes(stray: Stray, inside: Floats, least: float) -> list[tuple[int, float]]:
    """The windows, of many that overlap, that explain what is left of a stream: (window, change relative to
    what is expected), the clearest first, each above `least` standard deviations once those before it are
    taken away (matching pursuit, Mallat and Zhang 1993)."""
    columns = inside * stray.weight
    lengths = np.maximum(np.sqrt((columns**2).sum(axis=1)), 1e-12)
    left = np.clip(stray.off, -FARTHEST, FARTHEST)
    found: list[tuple[int, float]] = []
    while len(found) < MOST_ECHOES:
        deviations = columns @ left / lengths / stray.inflation
        place = int(np.argmax(np.abs(deviations)))
        if abs(deviations[place]) < least:
            break
        change = float(columns[place] @ left / lengths[place] ** 2)
        left = left - change * columns[place]
        found.append((place, change))
    return found
