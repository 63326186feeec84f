"""The ledger: per key and device, what became of every value that the log brought.

Keeps true that accepted = stored + repeats + dead letters in every row, and that each message of the log is
counted once, in the commit that holds its readings. `kw verify` proves both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.lake.layout import LEDGER
from kilowatch.worker.repeats import CONFLICT, REPEAT, REPLACED, TOO_OLD, Contested, Readings

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
COUNTS = ("readings", "accepted", "stored", "replaced", "repeats", "dead_letters", "forgotten")


@dataclass(frozen=True, slots=True)
class Span:
    """The messages of one partition in a batch: how many, their first and last sequence, and when the log
    was made that counts them so."""

    partition: int
    first_seq: int
    last_seq: int
    messages: int
    log_us: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch's values: per reading how many came and how many have no series any more, and
    the verdicts on those that were not plainly new."""

    accepted: Int32s
    orphans: Int32s
    contested: Contested


def ledger_table(
    readings: Readings, outcome: Outcome, spans: Sequence[Span], partitions: int, now_us: int
) -> pa.Table:
    """One row per partition that counts its messages (key and device 0), one per key and device of values."""
    marks = [
        {
            "log_us": span.log_us,
            "partition": span.partition,
            "first_seq": span.first_seq,
            "last_seq": span.last_seq,
            "messages": span.messages,
            "key_no": 0,
            "device_no": 0,
        }
        for span in spans
    ]
    nothing = dict.fromkeys(COUNTS, 0)
    counted = pa.Table.from_pylist([mark | nothing for mark in marks], schema=without_time())
    accounts = account_rows(readings, outcome, spans, partitions)
    rows = pa.concat_tables([counted, accounts])
    moment = timestamps(np.full(rows.num_rows, now_us))
    place = LEDGER.schema.get_field_index("committed_at")
    return rows.add_column(place, LEDGER.schema.field("committed_at"), moment)


def account_rows(readings: Readings, outcome: Outcome, spans: Sequence[Span], partitions: int) -> pa.Table:
    """The rows of keys and devices."""
    if not len(readings):
        return without_time().empty_table()
    starts, order = account_runs(readings)
    dead = outcome.orphans + count_verdicts(readings, outcome.contested, (CONFLICT, TOO_OLD))
    repeats = count_verdicts(readings, outcome.contested, (REPEAT,))
    replaced = count_verdicts(readings, outcome.contested, (REPLACED,))
    one = np.ones(len(readings), np.int32)
    stored = outcome.accepted - dead - repeats
    per_reading = (one, outcome.accepted, stored, replaced, repeats, dead)
    none = np.zeros(len(starts), np.int64)
    sums = [np.add.reduceat(column[order], starts, dtype=np.int64) for column in per_reading]
    first = order[starts]
    device = readings.device[first]
    partition = device % partitions
    first_seq, last_seq = np.zeros(partitions, np.int64), np.zeros(partitions, np.int64)
    for span in spans:
        first_seq[span.partition], last_seq[span.partition] = span.first_seq, span.last_seq
    return pa.table(
        [
            np.full(len(first), spans[0].log_us),
            partition.astype(np.int32),
            first_seq[partition],
            last_seq[partition],
            readings.key[first],
            device,
            none,
            *sums,
            none,
        ],
        schema=without_time(),
    )


def without_time() -> pa.Schema:
    """The ledger's columns but for the moment of the commit, which is one for all rows."""
    return LEDGER.schema.remove(LEDGER.schema.get_field_index("committed_at"))


def account_runs(readings: Readings) -> tuple[Rows, Rows]:
    """Where each run of the same key and device starts, and the order of rows that makes the runs."""
    order = np.arange(len(readings))
    if (readings.key != readings.key[0]).any():
        order = np.lexsort((readings.device, readings.key))
    device, key = readings.device[order], readings.key[order]
    changes = (device[1:] != device[:-1]) | (key[1:] != key[:-1])
    return np.flatnonzero(np.append(True, changes)), order


def count_verdicts(readings: Readings, contested: Contested, verdicts: tuple[int, ...]) -> Int32s:
    """How many values of each reading got one of the verdicts."""
    chosen = np.isin(contested.verdict, verdicts)
    return np.bincount(contested.row[chosen], minlength=len(readings)).astype(np.int32)


def values_per_row(readings: Readings) -> Int32s:
    """How many values each reading has."""
    count = np.zeros(len(readings), np.int32)
    for column in readings.columns.values():
        count += ~np.isnan(column)
    return count


def timestamps(ts_us: Int64s) -> pa.Array:
    """Epoch microseconds as the lake's TIMESTAMP, without a copy."""
    return pa.array(ts_us).view(pa.timestamp("us"))
