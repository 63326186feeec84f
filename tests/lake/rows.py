"""Rows for the lake's tables, written down shortly."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from kilowatch.lake.layout import LEDGER, ROLLUP_SCHEMA, SAMPLES

MINUTE_US = 60_000_000
LOG_US = 1_770_000_000_000_000
"""When the log was made that the ledger's rows count."""

Sample = tuple[int, int, float]
"""Series number, epoch microseconds, value."""


def samples(rows: Iterable[Sample]) -> pa.Table:
    """Rows of `samples`."""
    given = list(rows)
    return pa.table(
        [
            pa.array([row[0] for row in given], pa.int32()),
            pa.array([row[1] for row in given], pa.int64()).view(pa.timestamp("us")),
            pa.array([row[2] for row in given], pa.float64()),
        ],
        schema=SAMPLES.schema,
    )


def rollups(rows: Iterable[Sample], bucket_us: int) -> pa.Table:
    """Partial roll-ups, one for each sample."""
    given = list(rows)
    series = np.array([row[0] for row in given], np.int32)
    ts_us = np.array([row[1] for row in given], np.int64)
    value = np.array([row[2] for row in given], np.float64)
    moment = pa.array(ts_us).view(pa.timestamp("us"))
    bucket = pa.array(ts_us // bucket_us * bucket_us).view(pa.timestamp("us"))
    one, zero = np.ones(len(given), np.int64), np.zeros(len(given), np.int64)
    columns = [series, bucket, one, value, value, value, value, moment, value, moment, zero]
    return pa.table(columns, schema=ROLLUP_SCHEMA)


def ledger(partition: int, first_seq: int, last_seq: int, **others: int) -> pa.Table:
    """The ledger's row that counts the messages of a commit; `others` are further columns."""
    row = dict.fromkeys(LEDGER.schema.names, 0)
    row |= {"log_us": LOG_US, "partition": partition, "first_seq": first_seq, "last_seq": last_seq}
    row |= {"messages": last_seq - first_seq + 1} | others
    columns = [pa.array([row[field.name]], pa.int64()).cast(field.type) for field in LEDGER.schema]
    return pa.table(columns, schema=LEDGER.schema)
