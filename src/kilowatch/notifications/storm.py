"""The storm guard: more than so many messages in so many minutes become one summary. Pure.

Keeps true: of one channel, no span of `minutes` has more than `most` single messages and two summaries,
however many alerts there are; and nothing waits longer for its summary than `minutes`.
"""

from dataclasses import dataclass

from kilowatch.clock import MICROSECONDS

MINUTE_US = 60 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Guard:
    """At most `most` single messages in `minutes`."""

    most: int = 10
    minutes: int = 5

    @property
    def span_us(self) -> int:
        """The span in microseconds."""
        return self.minutes * MINUTE_US


@dataclass(slots=True)
class Flow:
    """What a channel was given within the guard's span before now: how many messages, those that wait for a
    summary among them; and when the summary that is not sent yet is due."""

    count: int = 0
    summary_us: int | None = None

    def hold(self, guard: Guard, now_us: int) -> int | None:
        """Counts one more message: when the summary is due that it has to wait for; None: it goes alone.

        As long as alerts keep coming faster than the guard allows, each goes into a summary.
        """
        self.count += 1
        if self.count <= guard.most:
            return None
        if self.summary_us is None or self.summary_us <= now_us:
            self.summary_us = now_us + guard.span_us
        return self.summary_us
