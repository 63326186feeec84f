"""The circuit breaker of a channel: a service that keeps failing is left alone for a while. Pure.

closed: everything is tried. open: nothing is, until a time. half_open: one message is tried, and its outcome
decides. Keeps true: a failing service is asked at most once for each pause, and pauses grow to half an hour.
"""

from dataclasses import dataclass
from typing import Literal

from kilowatch.clock import MICROSECONDS

FAILURES_MOST = 5
PAUSE_S = 60
PAUSE_MOST_S = 1800

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """failures: in a row; until_us: when an open breaker lets one message through."""

    failures: int = 0
    until_us: int | None = None

    def state(self, now_us: int) -> State:
        """What the breaker is now."""
        if self.until_us is None:
            return "closed"
        return "open" if now_us < self.until_us else "half_open"

    def allows(self, now_us: int) -> bool:
        """Whether something may be tried."""
        return self.state(now_us) != "open"

    def after(self, ok: bool, now_us: int) -> "Breaker":
        """The breaker after an attempt."""
        if ok:
            return Breaker()
        failures = self.failures + 1
        if failures < FAILURES_MOST:
            return Breaker(failures)
        doubled = PAUSE_S * 2 ** min(failures - FAILURES_MOST, 10)
        return Breaker(failures, now_us + min(doubled, PAUSE_MOST_S) * MICROSECONDS)
