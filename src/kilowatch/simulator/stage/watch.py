"""The simulated clock: runs at a speed, can be held, and moved on.

Keeps true: it never goes back.
"""

from dataclasses import dataclass

from kilowatch.clock import Clock


@dataclass(slots=True)
class Watch:
    """Shows simulated time, epoch microseconds UTC; begins with the real one."""

    clock: Clock
    speed: float = 1.0
    _real_us: int = -1
    _shown_us: int = 0

    def __post_init__(self) -> None:
        self._real_us = self._shown_us = self.clock.now_us()

    def now_us(self) -> int:
        """The simulated time."""
        passed_us = max(self.clock.now_us() - self._real_us, 0)
        return self._shown_us + round(passed_us * self.speed)

    def run_at(self, speed: float) -> None:
        """Goes on from now at another speed; 0 holds it."""
        self._shown_us, self._real_us = self.now_us(), self.clock.now_us()
        self.speed = speed

    def step(self, by_us: int) -> None:
        """Moves on by so much at once."""
        self._shown_us += by_us
