"""Dead letters of the worker: accepted values that cannot be stored, and messages that nobody can read.

Keeps true that such a value is kept once, with its reason, before its message leaves the log: each letter
carries the place in the log that it came from, and a second one from there is not kept.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.clock import rfc3339, to_datetime
from kilowatch.postgres.engine import Database
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.store import keep_dead_letters
from kilowatch.wire.frame import Frame
from kilowatch.worker.registry import Registry
from kilowatch.worker.repeats import CONFLICT, TOO_OLD
from kilowatch.worker.settle import Settled

LETTERS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the readings of a batch came from: per message its place in the log and where its readings begin
    in the batch."""

    sequences: Sequence[int]
    begins: Sequence[int]
    door: str
    now_us: int

    def source(self, arrival: int, metric: str) -> str:
        """A name of one value that stays the same however often its message is delivered."""
        message = bisect_right(self.begins, arrival) - 1
        return f"log:{self.sequences[message]}:{arrival - self.begins[message]}:{metric}"


def unsettled_letters(settled: Settled, registry: Registry, origin: Origin) -> list[NewDeadLetter]:
    """A letter for each value that contradicts a stored one or is too old to be checked."""
    contested, readings = settled.contested, settled.readings
    names = {slot: name for name, slot in registry.slots.items()}
    letters = []
    for at in np.flatnonzero(np.isin(contested.verdict, (CONFLICT, TOO_OLD))):
        row, value, stored = int(contested.row[at]), float(contested.value[at]), float(contested.stored[at])
        metric = names[int(contested.slot[at])]
        if contested.verdict[at] == CONFLICT:
            code = "conflict"
            detail = f"{metric} at this time is stored as {stored!r} already, and {value!r} is another value"
        else:
            code = "too_old"
            detail = "readings of this time are no longer kept, so this one cannot be told from a repeat"
        letters.append(
            letter(
                registry,
                int(readings.device[row]),
                int(readings.ts_us[row]),
                {metric: value},
                (code, detail),
                origin,
                origin.source(int(readings.arrival[row]), metric),
            )
        )
    return [one for one in letters if one is not None]


def buried_letters(frame: Frame, registry: Registry, origin: Origin, reason: str) -> list[NewDeadLetter]:
    """A letter for each reading of a message that could not be settled however often it was tried."""
    slots = {number: slot for number, slot in registry.slot_of_metric.items()}
    names = {slot: name for name, slot in registry.slots.items()}
    detail = f"the reading could not be stored: {reason}"
    letters = []
    for row in range(len(frame)):
        values = {
            names[slots[number]]: float(column[row])
            for number, column in frame.metrics.items()
            if number in slots and not np.isnan(column[row])
        }
        letters.append(
            letter(
                registry,
                int(frame.device[row]),
                int(frame.ts_us[row]),
                values,
                ("poison", detail),
                origin,
                origin.source(row, "*"),
            )
        )
    return [one for one in letters if one is not None]


def letter(
    registry: Registry,
    device_no: int,
    ts_us: int,
    values: dict[str, float],
    why: tuple[str, str],
    origin: Origin,
    source: str,
) -> NewDeadLetter | None:
    """One letter; None when the device is gone, and with it whoever could read the letter."""
    if device_no not in registry.device_ids:
        return None
    organisation_id, device = registry.device_ids[device_no]
    payload: dict[str, Any] = {"device": device, "ts": rfc3339(ts_us), "metrics": values}
    return NewDeadLetter(
        organisation_id=organisation_id,
        device=device,
        door=origin.door,
        code=why[0],
        detail=why[1],
        payload=payload,
        received_at=to_datetime(origin.now_us),
        source=source,
    )


async def write_letters(database: Database, letters: Sequence[NewDeadLetter]) -> None:
    """Keeps the letters; those that are kept already stay as they are.

    Raises:
        EngineUnavailable: if PostgreSQL is away.
    """
    for start in range(0, len(letters), LETTERS_AT_ONCE):
        async with database.unscoped() as connection:
            await keep_dead_letters(connection, letters[start : start + LETTERS_AT_ONCE])
