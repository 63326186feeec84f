"""The life of a command: queued, processing, and then one of four ends. Pure.

Keeps true that an end is an end: an answer that comes late, or a second time, changes nothing; and that a
command which has begun is not cancelled, because nobody knows whether the device has done it.
"""

from typing import Literal

from kilowatch.errors import Problem

Status = Literal["queued", "processing", "succeeded", "failed", "expired", "cancelled"]
Act = Literal["deliver", "succeed", "fail", "expire", "cancel"]

STATUSES: tuple[Status, ...] = ("queued", "processing", "succeeded", "failed", "expired", "cancelled")
ENDS: frozenset[Status] = frozenset(("succeeded", "failed", "expired", "cancelled"))

STEPS: dict[tuple[Status, Act], Status] = {
    ("queued", "deliver"): "processing",
    ("queued", "expire"): "expired",
    ("queued", "cancel"): "cancelled",
    ("processing", "deliver"): "processing",
    ("processing", "succeed"): "succeeded",
    ("processing", "fail"): "failed",
    ("processing", "expire"): "expired",
}


def step(status: Status, act: Act) -> Status:
    """The status after an act. What a device or the clock says of a command that has ended changes nothing.

    Raises:
        Problem: 409 `command_begun` or `command_ended` for who would cancel it then; `command_queued` for an
            answer to what was never sent.
    """
    following = STEPS.get((status, act))
    if following is not None:
        return following
    if act == "cancel":
        if status == "processing":
            detail = "The command is on its way to the device; it ends with the device's answer or expires."
            raise Problem(409, "command_begun", detail)
        raise Problem(409, "command_ended", f"The command has {status}; it cannot be cancelled any more.")
    if status in ENDS:
        return status
    raise Problem(409, "command_queued", "The command was not sent yet, so nothing can be its answer.")
