"""What a message says: one notification, or several in one. Pure.

Keeps true: a message has a title of one line, and a summary is never longer than services take.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kilowatch.clock import rfc3339
from kilowatch.notifications.preference import Bundle
from kilowatch.notifications.severity import SEVERITIES, Severity

LINES_MOST = 20
TITLE_MOST = 200


@dataclass(frozen=True, slots=True)
class Content:
    """What a notification says. step: of the escalation that it is sent for, 0: none."""

    severity: Severity
    title: str
    body: str
    remedy: str
    at_us: int
    step: int = 0


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be sent."""

    severity: Severity
    title: str
    body: str


def write_letter(contents: Sequence[Content], bundle: Bundle | None) -> Letter:
    """The message of one notification, or of all that wait in a bundle."""
    if len(contents) == 1:
        return _single(contents[0])
    return _summary(contents, bundle)


def _single(content: Content) -> Letter:
    lead = "Not acknowledged yet: " if content.step else ""
    parts = (content.body, content.remedy, f"({content.severity}, {rfc3339(content.at_us)})")
    return Letter(content.severity, _line(lead + content.title), "\n\n".join(filter(None, parts)))


def _summary(contents: Sequence[Content], bundle: Bundle | None) -> Letter:
    newest = sorted(contents, key=lambda one: one.at_us, reverse=True)
    worst = max((one.severity for one in contents), key=SEVERITIES.index)
    counted = Counter(one.severity for one in contents)
    counts = ", ".join(f"{counted[one]} {one}" for one in reversed(SEVERITIES) if counted[one])
    lead = {"digest": "Daily digest", "quiet": "During quiet hours", "storm": "Many alerts at once"}
    title = f"{lead.get(bundle or 'storm', '')}: {len(contents)} alerts ({counts})"
    lines = [f"- {rfc3339(one.at_us)} {one.severity}: {_line(one.title)}" for one in newest[:LINES_MOST]]
    if len(newest) > LINES_MOST:
        lines.append(f"- and {len(newest) - LINES_MOST} more")
    return Letter(worst, title, "\n".join(lines))


def _line(text: str) -> str:
    return " ".join(text.split())[:TITLE_MOST]
