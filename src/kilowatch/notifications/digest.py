"""The daily digest: one message a day, at a local time, with what is not pressing. Pure."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from kilowatch.clock import to_datetime
from kilowatch.notifications.local_time import next_time_of_day
from kilowatch.notifications.severity import Severity, reaches


@dataclass(frozen=True, slots=True)
class Digest:
    """At `minute` after local midnight, with what is `severity` or less pressing."""

    minute: int
    severity: Severity = "low"

    def takes(self, severity: Severity) -> bool:
        """Whether something of this severity waits for the digest."""
        return reaches(self.severity, severity)

    def next_at(self, now_us: int, zone: ZoneInfo) -> int:
        """When the next digest goes out, epoch microseconds: once each local day, also on one on which clocks
        show the time twice."""
        found = next_time_of_day(now_us, zone, self.minute)
        shown_again = to_datetime(found).astimezone(zone).fold == 1
        return next_time_of_day(found, zone, self.minute) if shown_again else found
