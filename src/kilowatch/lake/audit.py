"""What `kw verify` asks of the lake, all of it at one moment.

Keeps true that every answer of one audit comes from the same snapshot, however much is committed meanwhile.
Methods block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from kilowatch.lake.connection import LakePlace, engine_errors, open_lake
from kilowatch.lake.reading import LakeReader

BEGINNING_US = -(1 << 55)
END_US = 1 << 55
"""Before and after every moment that anything can be stored at."""
LONGEST_DAY = "INTERVAL 26 HOURS"
"""No bucket of any tier is longer."""

FINER = {"1m": "samples", "15m": "rollups_1m", "1h": "rollups_15m", "1d": "rollups_1h"}
"""Tier -> the table that its rows were made from."""

ACCOUNTS = """
    SELECT key_no, device_no, sum(readings)::BIGINT AS readings, sum(accepted)::BIGINT AS accepted,
        sum(stored)::BIGINT AS stored, sum(replaced)::BIGINT AS replaced, sum(repeats)::BIGINT AS repeats,
        sum(dead_letters)::BIGINT AS dead_letters, sum(forgotten)::BIGINT AS forgotten,
        count_if(accepted <> stored + repeats + dead_letters)::BIGINT AS unbalanced
    FROM lake.ledger
    WHERE (device_no <> 0 OR key_no <> 0)
    AND committed_at >= make_timestamp($start) AND committed_at < make_timestamp($end)
    GROUP BY key_no, device_no ORDER BY key_no, device_no
"""

TIERS = """
    WITH edges AS (
        SELECT w.series_no,
            coalesce(max(c.bucket) FILTER (WHERE c.bucket <= make_timestamp($start)
                AND c.bucket > make_timestamp($start) - {longest}), make_timestamp($start)) AS a,
            coalesce(min(c.bucket) FILTER (WHERE c.bucket >= make_timestamp($end)),
                'infinity'::TIMESTAMP) AS b
        FROM wanted w LEFT JOIN lake.{coarse} c USING (series_no) GROUP BY w.series_no
    ),
    finer AS (
        SELECT f.series_no, {finer_sums} FROM lake.{finer} f JOIN edges e USING (series_no)
        WHERE f.{time} >= e.a AND f.{time} < e.b GROUP BY f.series_no
    ),
    coarser AS (
        SELECT c.series_no, {sums}, max(greatest(abs(c.min), abs(c.max))) AS largest
        FROM lake.{coarse} c JOIN edges e USING (series_no)
        WHERE c.bucket >= e.a AND c.bucket < e.b GROUP BY c.series_no
    )
    SELECT series_no, coalesce(f.count, 0)::BIGINT AS finer_count, coalesce(c.count, 0)::BIGINT AS count,
        coalesce(f.sum, 0) AS finer_sum, coalesce(c.sum, 0) AS sum,
        coalesce(f.covered_us, 0)::BIGINT AS finer_covered_us,
        coalesce(c.covered_us, 0)::BIGINT AS covered_us,
        coalesce(c.largest, 0) AS largest
    FROM finer f FULL JOIN coarser c USING (series_no) ORDER BY series_no
"""
SUMS = "sum(count) AS count, sum(sum) AS sum, sum(covered_us) AS covered_us"
SAMPLE_SUMS = "count(*) AS count, sum(value) AS sum, 0 AS covered_us"

REPEATED = """
    SELECT series_no, count(*)::BIGINT AS times FROM (
        SELECT series_no, ts FROM lake.samples SEMI JOIN wanted USING (series_no)
        WHERE ts >= make_timestamp($start) AND ts < make_timestamp($end)
        GROUP BY series_no, ts HAVING count(*) > 1
    ) GROUP BY series_no ORDER BY series_no
"""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """From `start_us` (included) to `end_us` (excluded)."""

    start_us: int = BEGINNING_US
    end_us: int = END_US

    @property
    def is_everything(self) -> bool:
        """Whether nothing can lie outside."""
        return self.start_us == BEGINNING_US and self.end_us == END_US


class Audit:
    """Questions to one snapshot of the lake; made by `audit`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def accounts(self, span: Span) -> list[Row]:
        """The ledger of the commits in the span, summed by key and device."""
        return self._rows(ACCOUNTS, span)

    def kept_per_series(self) -> dict[int, int]:
        """How many samples of each series the last tier tells of."""
        rows = self._rows("SELECT series_no, sum(count)::BIGINT AS n FROM lake.rollups_1d GROUP BY series_no")
        return {row["series_no"]: row["n"] for row in rows}

    def compare(self, tier: str, series: pa.Table, span: Span) -> list[Row]:
        """Per series: count, sum and covered time of a tier, and of the finer table that it was made from.

        Buckets that reach into the span are taken whole. `series` has the column series_no.
        """
        finer = FINER[tier]
        is_raw = finer == "samples"
        sql = TIERS.format(
            longest=LONGEST_DAY,
            coarse=f"rollups_{tier}",
            finer=finer,
            time="ts" if is_raw else "bucket",
            finer_sums=SAMPLE_SUMS if is_raw else SUMS,
            sums=SUMS,
        )
        return self._rows(sql, span, series)

    def repeated(self, series: pa.Table, span: Span) -> list[Row]:
        """Per series how many moments have more than one sample; day by day, so that memory stays small."""
        found: dict[int, int] = {}
        for start_us, end_us in self._days(span):
            for row in self._rows(REPEATED, Span(start_us, end_us), series):
                found[row["series_no"]] = found.get(row["series_no"], 0) + row["times"]
        return [{"series_no": number, "times": times} for number, times in sorted(found.items())]

    def _days(self, span: Span) -> list[tuple[int, int]]:
        """The UTC days in the span that have samples."""
        rows = self._rows(
            "SELECT DISTINCT epoch_us(date_trunc('day', bucket)) AS day FROM lake.rollups_1h "
            "WHERE count > 0 AND bucket >= make_timestamp($start) - INTERVAL 1 DAY "
            "AND bucket < make_timestamp($end) ORDER BY 1",
            span,
        )
        day_us = 86_400_000_000
        days = {day for row in rows for day in (row["day"], row["day"] + day_us)}
        return [
            (max(day, span.start_us), min(day + day_us, span.end_us))
            for day in sorted(days)
            if day < span.end_us and day + day_us > span.start_us
        ]

    def _rows(self, sql: str, span: Span | None = None, series: pa.Table | None = None) -> list[Row]:
        if series is not None:
            self._connection.register("wanted", series)
        parameters = {} if span is None else {"start": span.start_us, "end": span.end_us}
        with engine_errors():
            rows: list[Row] = self._connection.execute(sql, parameters).to_arrow_table().to_pylist()
        return rows


@contextmanager
def audit(place: LakePlace) -> Iterator[Audit]:
    """An audit of the lake as it is now."""
    connection = open_lake(place, read_only=True)
    try:
        with engine_errors():
            connection.execute("BEGIN")
        yield Audit(connection)
    finally:
        connection.close()


def count_messages(reader: LakeReader, log_us: int) -> dict[int, tuple[int, int]]:
    """Partition -> how many messages of the log the ledger counts now, and the last one's sequence."""
    rows = reader.query(
        "SELECT partition, sum(messages)::BIGINT AS messages, max(last_seq) AS last FROM lake.ledger "
        "WHERE log_us = $1 GROUP BY partition",
        [log_us],
    ).to_pylist()
    return {row["partition"]: (row["messages"], row["last"]) for row in rows}
