"""What streams told and no server has heard yet, up to a bound. Pure.

Keeps true: words are numbered without a hole in the order in which they came; within the bound each stays
until it was heard; beyond it the oldest are given up, and counted for those whose they were.
"""

import uuid
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from kilowatch.wire.stage import StreamTold, Telling

BOUND = 20_000
AT_ONCE = 200


@dataclass(slots=True)
class Untold:
    """Words that wait. source: who numbers them; first: the number of the oldest; lost: how many were given
    up, by organisation."""

    bound: int = BOUND
    source: str = field(default_factory=lambda: uuid.uuid4().hex)
    first: int = 1
    lost: Counter[str] = field(default_factory=Counter)
    _words: deque[tuple[str, msgspec.Raw]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._words)

    def add(self, told: Iterable[StreamTold]) -> None:
        """Adds words; they are kept as they are sent, which takes the least room."""
        for one in told:
            self._words.append((one.organisation, msgspec.Raw(msgspec.json.encode(one))))
            while len(self._words) > self.bound:
                organisation, _ = self._words.popleft()
                self.first += 1
                self.lost[organisation] += 1

    def next(self) -> Telling:
        """The oldest words."""
        some = [self._words[place][1] for place in range(min(AT_ONCE, len(self._words)))]
        return Telling(some, self.source, self.first)

    def hear(self, until: int) -> None:
        """Lets go of the words up to this number: they were heard."""
        while self._words and self.first <= until:
            self._words.popleft()
            self.first += 1

    def count(self, organisation: str) -> int:
        """How many words of an organisation wait."""
        return sum(whose == organisation for whose, _ in self._words)
