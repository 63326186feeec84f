"""How strongly something is at work over time: from its beginning, in full, and how it fades. Pure.

Keeps true: strength lies in [0, 1], is 1 while it is at work in full, and exactly 0 before it and after.
"""

import math
from dataclasses import dataclass

import numpy as np

from kilowatch.simulator.engine.chance import Floats, Int64s
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.world.format import Curve

STEEPNESS = 5.0
"""An exponential curve falls as exp(-5 x) over its length, less its end, so that it ends at 0."""
NEAR = 0.05
"""What is within 5 % of its usual level has settled."""


@dataclass(frozen=True, slots=True)
class Course:
    """In full in `[begins_us, ends_us)`, then fading for `fades_us`."""

    begins_us: int
    ends_us: int
    curve: Curve = "immediate"
    fades_us: int = 0

    @property
    def over_us(self) -> int:
        """From when on nothing is left, exclusive."""
        return self.ends_us if self.curve == "immediate" else self.ends_us + self.fades_us

    def strength(self, moments: Moments) -> Floats:
        """The mean strength in each interval. Shape (count,)."""
        start = moments.ts_us
        end = start + moments.step_us
        inside = np.minimum(end, self.ends_us) - np.maximum(start, self.begins_us)
        found: Floats = np.maximum(inside, 0) / moments.step_us
        if self.over_us > self.ends_us and self.ends_us > self.begins_us:
            fading = self._faded(end) - self._faded(start)
            found = np.minimum(found + fading * (self.fades_us / moments.step_us), 1.0)
        return found

    def _faded(self, at_us: Int64s) -> Floats:
        """The integral of what is left, from the end of the full strength, in lengths of the curve."""
        part = np.clip((at_us - self.ends_us) / self.fades_us, 0.0, 1.0)
        left: Floats = part - part * part / 2.0
        if self.curve == "exponential":
            least = math.exp(-STEEPNESS)
            left = ((1.0 - np.exp(-STEEPNESS * part)) / STEEPNESS - least * part) / (1.0 - least)
        return left
