"""What somebody wants to be told, and when they want to be left in peace. Pure.

Keeps true: what is not wanted is not told at all; what comes in quiet hours waits for their end unless it is
pressing enough; what is for the digest comes once a day.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

from kilowatch.notifications.digest import Digest
from kilowatch.notifications.escalation import Step
from kilowatch.notifications.local_time import end_of_span
from kilowatch.notifications.severity import Severity, reaches
from kilowatch.notifications.storm import Guard

Bundle = Literal["quiet", "digest", "storm"]
"""What waits for company and is told with it in one message: at the end of quiet hours, in the daily digest,
or as the summary of a storm."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` up to `end`, minutes after local midnight, past it where `end` is the earlier. What is
    `lets_through` or more pressing is told all the same; None: nothing is."""

    start: int
    end: int
    lets_through: Severity | None = "critical"


@dataclass(frozen=True, slots=True)
class Preferences:
    """Of one person in one organisation. severity: the least that they are told of; time_zone: in which quiet
    hours and digest are meant, None: in the site's."""

    severity: Severity = "low"
    quiet_hours: QuietHours | None = None
    digest: Digest | None = None
    storm: Guard = field(default_factory=Guard)
    escalation: Sequence[Step] = ()
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """When something is due, and with what it goes; alone where `bundle` is None."""

    due_us: int
    bundle: Bundle | None = None


def place(preferences: Preferences, severity: Severity, zone: ZoneInfo, now_us: int) -> Place:
    """When something of this severity is to go out, the storm guard aside."""
    digest = preferences.digest
    if digest is not None and digest.takes(severity):
        return Place(digest.next_at(now_us, zone), "digest")
    until_us = quiet_until(preferences.quiet_hours, severity, zone, now_us)
    return Place(now_us) if until_us is None else Place(until_us, "quiet")


def quiet_until(quiet: QuietHours | None, severity: Severity, zone: ZoneInfo, now_us: int) -> int | None:
    """When the quiet hours end that something of this severity has to wait for; None when it need not."""
    if quiet is None or (quiet.lets_through is not None and reaches(severity, quiet.lets_through)):
        return None
    return end_of_span(now_us, zone, quiet.start, quiet.end)
