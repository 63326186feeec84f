"""How often something happened lately: a moving window for each of many keys.

Keeps true: within any span of the window's length at most `most` are let pass for a key, whatever other keys
do. Kept in the memory of this process, for the `size` keys that came last. Asked and answered at once, so
that of two requests at the same time only one gets the last place.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass

from kilowatch.clock import MICROSECONDS, Clock

SIZE = 100_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a key stands: of `most` places in `per_s` seconds `left` are free; `wait_s` until the next one is,
    0 while there is one; `passed`: whether the one that asked got a place."""

    most: int
    per_s: int
    left: int
    wait_s: int
    passed: bool = True


class Window:
    """Counts for each key what happened in the last `per_s` seconds; `most` of 0 lets everything pass."""

    def __init__(self, clock: Clock, most: int, per_s: int, size: int = SIZE) -> None:
        self._clock = clock
        self.most = most
        self.per_s = per_s
        self._size = size
        self._times: OrderedDict[Hashable, deque[int]] = OrderedDict()

    def take(self, key: Hashable) -> Standing:
        """Takes a place for a key, if one is free."""
        if not self.most:
            return Standing(0, self.per_s, 0, 0)
        free = len(self._lately(key)) < self.most
        if free:
            self.count(key)
        return self._standing(key, free)

    def look(self, key: Hashable) -> Standing:
        """How a key stands."""
        return self._standing(key, True)

    def count(self, key: Hashable) -> None:
        """Counts something that has happened, whether or not there was a place for it."""
        times = self._times.setdefault(key, deque(maxlen=self.most or 1))
        times.append(self._clock.now_us())
        self._times.move_to_end(key)
        while len(self._times) > self._size:
            self._times.popitem(last=False)

    def give_back(self, key: Hashable) -> None:
        """Frees the place that a key took last."""
        if times := self._times.get(key):
            times.pop()

    def forget(self, key: Hashable) -> None:
        """Frees all places of a key."""
        self._times.pop(key, None)

    def _lately(self, key: Hashable) -> "deque[int] | tuple[()]":
        """The times of what still counts; what is older is let go."""
        times = self._times.get(key)
        if times is None:
            return ()
        now_us = self._clock.now_us()
        while times and not 0 <= now_us - times[0] < self.per_s * MICROSECONDS:
            times.popleft()
        if not times:
            del self._times[key]
        return times

    def _standing(self, key: Hashable, passed: bool) -> Standing:
        times = self._lately(key)
        left = max(0, self.most - len(times))
        wait_us = 0
        if self.most and not left:
            wait_us = times[-self.most] + self.per_s * MICROSECONDS - self._clock.now_us()
        return Standing(self.most, self.per_s, left, -(-wait_us // MICROSECONDS), passed)
