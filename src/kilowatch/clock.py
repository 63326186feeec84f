"""The only place that reads the wall clock.

Everything that needs `now` takes a `Clock`, so that tests drive time instead of waiting for it.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

MICROSECONDS = 1_000_000


class Clock(Protocol):
    """Says what time it is, in microseconds since 1970-01-01T00:00:00Z."""

    def now_us(self) -> int: ...


class SystemClock:
    """The machine's own clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000


class DrivenClock:
    """A clock that moves only when told to."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def advance(self, seconds: float) -> None:
        """Moves the clock forward by `seconds`."""
        self._now_us += round(seconds * MICROSECONDS)


def to_datetime(ts_us: int) -> datetime:
    """An aware UTC datetime of epoch microseconds."""
    seconds, micro = divmod(ts_us, MICROSECONDS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro)


def to_us(moment: datetime) -> int:
    """Epoch microseconds of an aware datetime, exact.

    Raises:
        ValueError: if `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone has no place on the time line")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * MICROSECONDS + delta.microseconds


def rfc3339(ts_us: int) -> str:
    """`2026-11-20T12:00:00Z`, with a fraction of up to six digits only where there is one."""
    text = to_datetime(ts_us).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"
