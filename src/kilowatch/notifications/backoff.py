"""How long a delivery waits for its next try. Pure. Eight tries within about six hours, then it is given
up."""

from kilowatch.clock import MICROSECONDS

WAITS_S = (30, 120, 300, 900, 2700, 5400, 12_600)
"""After the first try, the second, and so on."""
TRIES_MOST = len(WAITS_S) + 1


def next_try_us(tries: int, now_us: int) -> int | None:
    """When to try again after so many tries; None when it is to be given up."""
    return now_us + WAITS_S[tries - 1] * MICROSECONDS if 1 <= tries < TRIES_MOST else None
