"""How pressing something is. Pure."""

from typing import Literal, get_args

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the least to the most pressing."""


def reaches(severity: Severity, least: Severity) -> bool:
    """Whether `severity` is `least` or more pressing."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)
