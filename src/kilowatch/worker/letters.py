"""Dead letters of the worker: accepted values that cannot be stored, and messages that nobody can read.

Keeps true that such a value is kept once, with its reason, before its message leaves the log: each letter
carries the place in the log that it came from, and a second one from there is not kept.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

import numpy as np

from kilowatch.clock import rfc3339, to_datetime
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.stream.log import LogMessage
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.store.letters import keep_dead_letters
from kilowatch.wire.frame import Frame
from kilowatch.worker.forgotten import DAY_US, PROOF_MARGIN_US
from kilowatch.worker.registry import Registry
from kilowatch.worker.repeats import CONFLICT, TOO_OLD
from kilowatch.worker.settle import Settled

LETTERS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Mark:
    """Where one value came from, and when it was given up.

    `source` stays the same however often the value's message is delivered, and no other value gets it, not
    even in a log that was made anew and counts its messages from 1 again.
    """

    source: str
    door: str
    now_us: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the readings of a batch came from: the messages, the door of each, and where its readings begin
    in the batch."""

    messages: Sequence[LogMessage]
    doors: Sequence[str]
    begins: Sequence[int]
    now_us: int

    def mark(self, arrival: int, metric: str) -> Mark:
        """Where the value of a metric in the reading at `arrival` came from."""
        number = bisect_right(self.begins, arrival) - 1
        message = self.messages[number]
        source = f"log:{message.stored_us}:{message.sequence}:{arrival - self.begins[number]}:{metric}"
        return Mark(source, self.doors[number], self.now_us)


def unsettled_letters(settled: Settled, registry: Registry, origin: Origin) -> Iterator[NewDeadLetter]:
    """A letter for each value that contradicts a stored one or is too old to be checked."""
    contested, readings = settled.contested, settled.readings
    names = registry.metric_names()
    for at in np.flatnonzero(np.isin(contested.verdict, (CONFLICT, TOO_OLD))):
        row, value, stored = int(contested.row[at]), float(contested.value[at]), float(contested.stored[at])
        metric = names[int(contested.slot[at])]
        if contested.verdict[at] == CONFLICT:
            code = "conflict"
            detail = f"{metric} at this time is stored as {stored!r} already, and {value!r} is another value"
        else:
            code = "too_old"
            times = int(readings.ts_us[row]), origin.now_us
            detail = too_old_detail(registry, int(readings.device[row]), *times)
        reading = Reading(int(readings.device[row]), int(readings.ts_us[row]), {metric: value})
        arrival = int(readings.arrival[row])
        yield from letter(registry, reading, (code, detail), origin.mark(arrival, metric))


def too_old_detail(registry: Registry, device: int, ts_us: int, now_us: int) -> str:
    """Why an old value was not taken, and what its sender can do."""
    days = int(registry.daily_days[device])
    if ts_us < now_us - days * DAY_US + PROOF_MARGIN_US:
        return (
            f"roll-ups of days are kept for {days} days, and nothing tells whether older values were stored "
            "already; such times can only be imported before the first newer reading of this series"
        )
    return (
        f"samples are kept for {int(registry.retention_days[device])} days, and some of this series' samples "
        "of the same day are gone already, so this value cannot be told from a repeat; if it was sent "
        "before, nothing is missing; if not, import that day for another device"
    )


def buried_letters(frame: Frame, registry: Registry, origin: Origin, reason: str) -> Iterator[NewDeadLetter]:
    """A letter for each reading of a message (in slots) that was tried often and could not be settled."""
    names = registry.metric_names()
    detail = f"the reading could not be stored: {reason}"
    for row in range(len(frame)):
        values = {
            names[slot]: float(column[row])
            for slot, column in frame.metrics.items()
            if not np.isnan(column[row])
        }
        reading = Reading(int(frame.device[row]), int(frame.ts_us[row]), values)
        yield from letter(registry, reading, ("poison", detail), origin.mark(row, "*"))


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading on its way into a letter."""

    device_no: int
    ts_us: int
    values: dict[str, float]

    def payload(self, device: str) -> dict[str, Any]:
        """The reading as a sender would write it, also where its time or values are none that exist."""
        try:
            ts: str | int = rfc3339(self.ts_us)
        except (ValueError, OverflowError, OSError):
            ts = self.ts_us
        values = {name: value if isfinite(value) else str(value) for name, value in self.values.items()}
        return {"device": device, "ts": ts, "metrics": values}


def letter(registry: Registry, reading: Reading, why: tuple[str, str], mark: Mark) -> Iterator[NewDeadLetter]:
    """One letter, by its code and detail; none when the device is gone, and with it whoever could read it."""
    if reading.device_no not in registry.device_ids:
        return
    organisation_id, device = registry.device_ids[reading.device_no]
    yield NewDeadLetter(
        organisation_id=organisation_id,
        device=device,
        door=mark.door,
        code=why[0],
        detail=why[1],
        payload=reading.payload(device),
        received_at=to_datetime(mark.now_us),
        source=mark.source,
    )


async def write_letters(database: Database, letters: Iterator[NewDeadLetter]) -> None:
    """Keeps the letters, some at a time; those that are kept already stay as they are.

    Raises:
        EngineUnavailable: if PostgreSQL is away.
    """
    while some := list(islice(letters, LETTERS_AT_ONCE)):
        async with database.unscoped() as connection:
            kept = await keep_dead_letters(connection, some, of_devices=True)
        for code, count in Counter(kept).items():
            metrics.DEAD_LETTERS.labels(code).inc(count)
