"""The simulated clock of a run: when, in real time, a moment of it is due. Pure.

Keeps true: no moment is due before it has come in real time, unless it may; a run that has caught up with now
goes on with the real clock.
"""

from dataclasses import dataclass

from kilowatch.period import DAY_US


@dataclass(frozen=True, slots=True)
class Pace:
    """began_us: real time of the run's beginning; first_us: the simulated moment then; speed: simulated
    seconds in a real one."""

    began_us: int
    first_us: int
    speed: float

    def due_us(self, moment_us: int) -> int:
        """Real time at which a moment is due."""
        return max(self.began_us + round((moment_us - self.first_us) / self.speed), moment_us)


def first_moment_us(now_us: int, speed: float, span_us: int | None) -> int:
    """The moment that a run begins with so that its clock shows now at its end; at real pace that is now.

    A run without an end has a day to catch up.
    """
    lasts_us = DAY_US if span_us is None else span_us
    return now_us - round(lasts_us * (1.0 - 1.0 / speed)) if speed > 1.0 else now_us
