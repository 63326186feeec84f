"""Who has fallen silent: devices that have not reported for longer than they ever pause. Pure.

A device is silent once nothing came from it for its patience: three times its usual pause between readings,
at least two minutes and at most a day. A device of which too little is known to tell its pause has the
patience of ten minutes. After a start, silence counts from the start on, so that nobody is told of a pause
of our own.

Keeps true: a device from which something came within its patience is not silent, whatever was told before;
many devices that fall silent together behind one gateway are one finding with a count.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.clock import MICROSECONDS

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PAUSES = 3
PATIENCE_LEAST_US = 120 * MICROSECONDS
PATIENCE_MOST_US = 86_400 * MICROSECONDS
PATIENCE_UNKNOWN_US = 600 * MICROSECONDS
GROUP_LEAST = 3
"""From so many silent children of one gateway on, it is the gateway that is told of."""
NO_GATEWAY = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Which devices have changed, by their place in the columns."""

    silent: Ints
    """Have fallen silent."""
    back: Ints
    """Report again."""


def patience_us(pause_us: Ints, least_us: Ints | int = PATIENCE_LEAST_US) -> Ints:
    """How long each device may be silent, from its usual pause (0: not known)."""
    asked = np.clip(pause_us * PAUSES, least_us, PATIENCE_MOST_US)
    return np.where(pause_us > 0, asked, np.maximum(PATIENCE_UNKNOWN_US, least_us))


def find_silent(last_seen_us: Ints, patience: Ints, now_us: int, started_us: int) -> Mask:
    """Whether each device is silent now; `started_us` is since when we have listened."""
    since = np.maximum(last_seen_us, started_us)
    return now_us - since > patience


def take_turn(was_silent: Mask, is_silent: Mask) -> Turn:
    """What is new compared with the turn before."""
    return Turn(np.flatnonzero(is_silent & ~was_silent), np.flatnonzero(was_silent & ~is_silent))


def group_silent(silent: Ints, gateway: Ints) -> list[Ints]:
    """Silent devices, those of one gateway together where they are many; `gateway` is a device's gateway by
    its place, NO_GATEWAY for none."""
    of = gateway[silent]
    groups: list[Ints] = []
    for number in np.unique(of).tolist():
        members = silent[of == number]
        if number != NO_GATEWAY and len(members) >= GROUP_LEAST:
            groups.append(members)
        else:
            groups.extend(members.reshape(-1, 1))
    return sorted(groups, key=lambda members: int(members[0]))
