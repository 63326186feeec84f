"""Escalation: who is told next, and after how long, as long as nobody acknowledges. Pure.

Keeps true: steps come in the order of their times, and their number is limited.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from kilowatch.clock import MICROSECONDS

MINUTE_US = 60 * MICROSECONDS
STEPS_MOST = 10
REPEATS_MOST = 24
AFTER_MINUTES_MOST = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Step:
    """After so many minutes without an acknowledgement somebody is told: another member with all of their
    channels (`user_id`), or the person themselves by this channel (`channel_id`). With `repeats` they are
    told so many times more, `repeat_minutes` apart."""

    after_minutes: int
    channel_id: uuid.UUID | None = None
    user_id: uuid.UUID | None = None
    repeat_minutes: int | None = None
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Planned:
    """A step at its time. number: from 1, in the order of time."""

    number: int
    due_us: int
    step: Step


def plan(steps: Sequence[Step], since_us: int) -> list[Planned]:
    """Every step of an alert that was told of at `since_us`, in the order of their times."""
    times = [(since_us + minutes * MINUTE_US, step) for step in steps for minutes in _minutes(step)]
    times.sort(key=lambda one: one[0])
    return [Planned(number, due_us, step) for number, (due_us, step) in enumerate(times, 1)]


def _minutes(step: Step) -> list[int]:
    again = step.repeat_minutes
    more = [] if again is None else [step.after_minutes + again * turn for turn in range(1, step.repeats + 1)]
    return [step.after_minutes, *more]
