"""The life of an alert: open, acknowledged, suppressed, resolved. Pure.

Keeps true that an alert which is resolved stays so: when its condition comes back, that is a new alert. What
people do twice is done once: to acknowledge an acknowledged alert changes nothing and is no error.
"""

from typing import Literal

from kilowatch.errors import Problem

Status = Literal["open", "acknowledged", "suppressed", "resolved"]
Act = Literal["raise", "clear", "acknowledge", "resolve", "suppress", "lift"]
"""What the condition does (raise, clear), what people do, and what the end of a suppression does (lift)."""

STATUSES: tuple[Status, ...] = ("open", "acknowledged", "suppressed", "resolved")
LIVING: frozenset[Status] = frozenset(("open", "acknowledged", "suppressed"))
"""Those of which a device has at most one per kind."""

STEPS: dict[tuple[Status, Act], Status] = {
    ("open", "raise"): "open",
    ("open", "clear"): "resolved",
    ("open", "acknowledge"): "acknowledged",
    ("open", "resolve"): "resolved",
    ("open", "suppress"): "suppressed",
    ("open", "lift"): "open",
    ("acknowledged", "raise"): "acknowledged",
    ("acknowledged", "clear"): "resolved",
    ("acknowledged", "acknowledge"): "acknowledged",
    ("acknowledged", "resolve"): "resolved",
    ("acknowledged", "suppress"): "suppressed",
    ("acknowledged", "lift"): "acknowledged",
    ("suppressed", "raise"): "suppressed",
    ("suppressed", "clear"): "resolved",
    ("suppressed", "resolve"): "resolved",
    ("suppressed", "suppress"): "suppressed",
    ("suppressed", "lift"): "open",
    ("resolved", "clear"): "resolved",
    ("resolved", "resolve"): "resolved",
    ("resolved", "lift"): "resolved",
}
"""What is not here is refused."""


def step(status: Status, act: Act) -> Status:
    """The status after an act.

    Raises:
        Problem: 409 `alert_resolved`, or `alert_suppressed` for who would acknowledge what nobody is told of.
    """
    following = STEPS.get((status, act))
    if following is not None:
        return following
    if status == "resolved":
        detail = f"The alert is resolved; to {act} it is too late. If its cause returns, a new alert opens."
        raise Problem(409, "alert_resolved", detail)
    raise Problem(409, f"alert_{status}", f"A {status} alert cannot be {act}d; lift the suppression first.")
