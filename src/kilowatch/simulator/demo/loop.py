"""A recording without end: the same whole weeks again and again, so that weekday and time of day stay.

Keeps true that every value is a function of its moment alone. So it does not matter when the demo was started
or how often it was stopped: what is sent twice is the same twice, and nothing in between is left out. Pure.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

WEEK_US = 7 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Loop:
    """Some weeks of even columns, played for ever in both directions of time.

    Args:
        first_us: moment of the first row, a multiple of the step.
        columns: gauges and amounts per step, by metric; NaN where a value is missing.
        register: amounts per step that also run up as a counter, by the counter's metric; never NaN.
    """

    first_us: int
    step_us: int
    columns: dict[str, Floats]
    register: dict[str, Floats]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (*self.columns.values(), *self.register.values())}
        if len(lengths) != 1 or (lengths.pop() * self.step_us) % WEEK_US:
            raise ValueError("the columns of a loop are equally long, in whole weeks")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def length_us(self) -> int:
        """How long one round takes."""
        return len(self) * self.step_us

    def stamps(self, after_us: int, until_us: int) -> Int64s:
        """The moments of rows later than `after_us` and not later than `until_us`."""
        step = self.step_us
        return np.arange(after_us // step + 1, until_us // step + 1, dtype=np.int64) * step

    def at_stamps(self, stamps_us: Int64s) -> dict[str, Floats]:
        """Every metric at moments of rows; counters as a meter's register shows them."""
        rounds, rows = np.divmod((stamps_us - self.first_us) // self.step_us, len(self))
        shown = {metric: column[rows] for metric, column in self.columns.items()}
        for metric, amounts in self.register.items():
            running = np.cumsum(amounts)
            shown[metric] = rounds * running[-1] + running[rows]
        return shown

    def between(self, moment_us: int) -> dict[str, float]:
        """Every metric at any moment, on a straight line from row to row, where both ends are known."""
        earlier = moment_us // self.step_us * self.step_us
        ends = self.at_stamps(np.array([earlier, earlier + self.step_us]))
        share = (moment_us - earlier) / self.step_us
        lines = {metric: float(pair[0] + share * (pair[1] - pair[0])) for metric, pair in ends.items()}
        return {metric: value for metric, value in lines.items() if not math.isnan(value)}
