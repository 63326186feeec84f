"""The history of a world: what each stream was in each interval, and what it would have been otherwise.

Keeps true: the baseline is never changed; what lies outside the windows that were made anew equals it; and a
window regenerated without modifiers equals it too, all to the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kilowatch.simulator.engine.chance import Floats, Mask
from kilowatch.simulator.engine.levels import remembered
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.realised import Realised, realise
from kilowatch.simulator.engine.run import Levels, Run

RAMP = 4
"""Over how many intervals a regenerated window joins what is beside it, at most a quarter of the window."""


@dataclass(frozen=True)
class History:
    """Shapes (streams, count). baseline: with what happens by itself (`background`: the modifiers of events);
    value: the same, or what was regenerated. version: how often it was changed."""

    run: Run
    moments: Moments
    background: tuple[Modifier, ...]
    baseline: Floats
    value: Floats
    version: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The streams, in order."""
        return self.run.causes.names

    @property
    def is_changed(self) -> bool:
        """Whether anything differs from the baseline."""
        return self.value is not self.baseline and not np.array_equal(self.value, self.baseline)

    def regenerated(self, start_us: int, end_us: int, modifiers: Sequence[Modifier]) -> "History":
        """The history with the intervals that touch `[start_us, end_us)` made anew with these modifiers.

        At both ends of the window the difference from the baseline grows and shrinks over a few intervals, so
        that it joins what is beside it; where modifiers begin and settle within the window that does nothing.
        """
        window = Moments.covering(start_us, end_us, self.moments.step_us)
        first = max(self.moments.place(window.start_us), 0)
        last = min(self.moments.place(window.start_us) + window.count, self.moments.count)
        if first >= last:
            return self
        start = self.moments.start_us + first * self.moments.step_us
        window = Moments(start, self.moments.step_us, last - first)
        anew = happened(self.run, window, (*self.background, *modifiers))
        before = self.baseline[:, first:last]
        at_begin, at_end = first > 0, last < self.moments.count
        joined = before + (anew - before) * _ramp(window.count, at_begin=at_begin, at_end=at_end)
        counts = np.array([stream.kind == "count" for stream in self.run.causes.streams])
        joined[counts] = np.rint(joined[counts])
        value = self.value.copy()
        value[:, first:last] = np.where(anew == before, before, joined)
        return replace(self, value=_frozen(value), version=self.version + 1)

    def reset(self) -> "History":
        """The baseline again."""
        return replace(self, value=self.baseline, version=self.version + 1)

    def difference(self) -> "Difference":
        """What is not as in the baseline."""
        return Difference(self.names, self.moments, self.value != self.baseline, self.value - self.baseline)


@dataclass(frozen=True)
class Difference:
    """Shapes (streams, count): where a history differs from its baseline, and by how much."""

    names: tuple[str, ...]
    moments: Moments
    changed: Mask
    by: Floats

    def totals(self) -> dict[str, float]:
        """By how much each stream that changed did so in the mean of the intervals in which it did."""
        return {
            name: float(by[changed].mean())
            for name, changed, by in zip(self.names, self.changed, self.by, strict=True)
            if changed.any()
        }


def history(run: Run, moments: Moments, background: Sequence[Modifier] = ()) -> History:
    """The baseline of a world on a grid, with what happens by itself."""
    value = _frozen(happened(run, moments, background))
    return History(run, moments, tuple(background), value, value)


def happened(run: Run, moments: Moments, modifiers: Sequence[Modifier] = ()) -> Floats:
    """The values of all streams in each interval. Shape (streams, count)."""
    value = realised(run, moments, modifiers)[1].value
    return np.ascontiguousarray(value[:, value.shape[1] - moments.count :])


def realised(run: Run, moments: Moments, modifiers: Sequence[Modifier] = ()) -> tuple[Levels, Realised]:
    """Levels and values on the grid and on as much before it as chains can reach back, twice: events of
    parents must be right in full before those that come of them can be."""
    reach = run.causes.memory(moments.step_us)
    levels = remembered(run, moments.earlier(reach), modifiers)
    levels = levels.last(moments.count + reach)
    return levels, realise(run, levels)


def _ramp(count: int, *, at_begin: bool, at_end: bool) -> Floats:
    """How much of a difference is shown in each interval of a window."""
    length = min(RAMP, count // 4)
    shown = np.ones(count)
    if length:
        rising = (np.arange(length) + 1.0) / (length + 1.0)
        if at_begin:
            shown[:length] = rising
        if at_end:
            shown[-length:] = rising[::-1]
    return shown


def _frozen(value: Floats) -> Floats:
    value.flags.writeable = False
    return value
