"""Asking the lake: samples, roll-ups, newest values, and the checks that the worker makes.

Keeps true that partial roll-ups always leave merged, one row per series and bucket. All times are epoch
microseconds UTC; ranges include their start and exclude their end. Methods block: run them in a thread.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.lake.connection import LakePlace, engine_errors, open_lake
from kilowatch.lake.layout import TIERS
from kilowatch.lake.recall import Recall

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

MERGED = """
    sum(count)::BIGINT AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max,
    arg_min(first, first_ts) AS first, epoch_us(min(first_ts)) AS first_ts,
    arg_max(last, last_ts) AS last, epoch_us(max(last_ts)) AS last_ts,
    sum(covered_us)::BIGINT AS covered_us
"""


FEW_SERIES = 32
"""Up to so many are named one by one."""
RENEW_AFTER_S = 300.0
RENEW_AFTER_QUERIES = 200
"""DuckLake keeps some 100 kB of every snapshot that a connection has looked at, for as long as that lives."""


GAPS = """
    WITH span AS (SELECT series_no, start_us, make_timestamp(start_us) AS a, make_timestamp(end_us) AS b,
        unnest(generate_series(-2, 2)) AS step FROM days),
    dated AS (SELECT *, make_timestamp(start_us)::DATE + step::INTEGER AS date FROM span),
    told AS (SELECT d.series_no, d.start_us, sum(r.count) AS count, min(r.first_ts) AS first_ts,
        max(r.last_ts) AS last_ts FROM lake.rollups_1d r
        JOIN dated d ON r.series_no = d.series_no AND r.bucket::DATE = d.date
        AND r.first_ts < d.b AND r.last_ts >= d.a
        WHERE r.bucket BETWEEN make_timestamp($low) AND make_timestamp($high)
        AND r.series_no BETWEEN $first AND $last GROUP BY ALL),
    held AS (SELECT d.series_no, d.start_us, count(*) AS count FROM lake.samples s
        JOIN dated d ON s.series_no = d.series_no AND s.ts::DATE = d.date AND s.ts >= d.a AND s.ts < d.b
        WHERE s.ts BETWEEN make_timestamp($low) AND make_timestamp($high)
        AND s.series_no BETWEEN $first AND $last GROUP BY ALL)
    SELECT series_no, start_us, epoch_us(first_ts) AS first_us, epoch_us(last_ts) AS last_us
    FROM told LEFT JOIN held USING (series_no, start_us)
    WHERE told.count <> coalesce(held.count, 0)
"""
"""Days whose roll-ups count other than the samples that are there. A roll-up made while its site was in
another zone counts for every day that it touches, so it never hides a gap. Joined by date, which every row
within two days of a day's start has: a condition on times alone would compare all with all."""
DATES_US = 2 * 86_400 * 1_000_000


def gap_bounds(days: pa.Table) -> dict[str, int]:
    """The parameters of `GAPS`, which let it skip files."""
    start_us, series_no = days.column("start_us").to_numpy(), days.column("series_no").to_numpy()
    return {
        "low": int(start_us.min()) - DATES_US,
        "high": int(start_us.max()) + DATES_US,
        "first": int(series_no.min()),
        "last": int(series_no.max()),
    }


class LakeReader:
    """Reads through one shared DuckDB instance; every call has its own cursor, so threads may share it.

    An instance of its own is replaced now and then, so that its memory stays what it is; one that was given
    is its owner's to replace (`use`). With a `recall`, samples and roll-ups may be a moment old.
    """

    def __init__(
        self,
        place: LakePlace,
        connection: duckdb.DuckDBPyConnection | None = None,
        recall: Recall | None = None,
    ) -> None:
        self._place = place
        self._is_own = connection is None
        self._renewing = threading.Lock()
        self._recall = recall
        self.use(connection or open_lake(place, read_only=True))

    def use(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Reads through `connection` from now on. The one before is left to queries that still run."""
        self._connection = connection
        self._queries = 0
        self._since = time.monotonic()

    def close(self) -> None:
        """Closes the shared instance."""
        self._connection.close()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        self._queries += 1
        worn = self._queries > RENEW_AFTER_QUERIES and time.monotonic() - self._since > RENEW_AFTER_S
        if worn and self._is_own and self._renewing.acquire(blocking=False):
            try:
                self.use(open_lake(self._place, read_only=True))
            finally:
                self._renewing.release()
        return self._connection.cursor()

    def query(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = (), **tables: pa.Table
    ) -> pa.Table:
        """The answer of one query as an Arrow table; `tables` can be named in it.

        Raises:
            EngineUnavailable: if the catalog is away.
        """
        cursor = self._cursor()
        try:
            for name, rows in tables.items():
                cursor.register(name, rows)
            with engine_errors():
                return cursor.execute(sql, parameters).to_arrow_table()
        finally:
            cursor.close()

    def _recalled(self, sql: str, series: "SeriesFilter", parameters: Sequence[object]) -> pa.Table:
        """The answer about some series; with a `recall` one that others asked for just now."""
        asked = [*series.parameters, *parameters]
        if self._recall is None or series.tables:
            return self.query(sql, asked, **series.tables)
        return self._recall.answer((sql, *asked), lambda: self.query(sql, asked))

    def samples(self, series_nos: Sequence[int], start_us: int, end_us: int) -> pa.Table:
        """Samples as (series_no int32, ts int64 us, value), sorted by series and time."""
        series = SeriesFilter.of(series_nos)
        return self._recalled(
            f"SELECT series_no, epoch_us(ts) AS ts, value FROM lake.samples "
            f"WHERE {series.where} AND ts >= make_timestamp(?) AND ts < make_timestamp(?) "
            "ORDER BY series_no, ts",
            series,
            [start_us, end_us],
        )

    def rollups(self, tier: str, series_nos: Sequence[int], start_us: int, end_us: int) -> pa.Table:
        """Roll-ups whose bucket starts in the range, one row per (series_no, bucket), sorted by both."""
        if tier not in TIERS:
            raise ValueError(f"{tier!r} is not one of the tiers {', '.join(TIERS)}")
        series = SeriesFilter.of(series_nos)
        return self._recalled(
            f"SELECT series_no, epoch_us(bucket) AS bucket, {MERGED} FROM lake.rollups_{tier} "
            f"WHERE {series.where} AND bucket >= make_timestamp(?) AND bucket < make_timestamp(?) "
            f"GROUP BY series_no, lake.rollups_{tier}.bucket ORDER BY series_no, 2",
            series,
            [start_us, end_us],
        )

    def latest(self, series_nos: Sequence[int]) -> pa.Table:
        """The newest sample of each series: (series_no, ts int64 us, value)."""
        series = SeriesFilter.of(series_nos)
        return self.query(
            f"SELECT series_no, epoch_us(max(last_ts)) AS ts, arg_max(last, last_ts) AS value "
            f"FROM lake.rollups_1d WHERE {series.where} GROUP BY series_no ORDER BY series_no",
            series.parameters,
            **series.tables,
        )

    def ask(self) -> None:
        """Asks the catalog for its newest snapshot, which is little work.

        Raises:
            EngineUnavailable: if the catalog is away.
        """
        self.query("FROM lake.current_snapshot()")

    def newest(self) -> pa.Table:
        """The newest time of every series that has samples: (series_no, ts int64 us)."""
        return self.query(
            "SELECT series_no, epoch_us(max(last_ts)) AS ts FROM lake.rollups_1d GROUP BY series_no"
        )

    def existing(self, series_no: Int32s, ts_us: Int64s) -> pa.Table:
        """Those of the given (series, time) pairs that are stored: (series_no, ts int64 us, value)."""
        wanted = pa.table({"series_no": series_no, "ts_us": ts_us})
        return self.query(
            "SELECT s.series_no, epoch_us(s.ts) AS ts, s.value FROM lake.samples s "
            "SEMI JOIN wanted w ON s.series_no = w.series_no AND s.ts = make_timestamp(w.ts_us) "
            "WHERE s.ts >= make_timestamp(?) AND s.ts <= make_timestamp(?) "
            "AND s.series_no BETWEEN ? AND ?",
            [int(ts_us.min()), int(ts_us.max()), int(series_no.min()), int(series_no.max())],
            wanted=wanted,
        )

    def neighbourhood(
        self, series_no: Int32s, from_us: Int64s, to_us: Int64s, before: int, after: int
    ) -> pa.Table:
        """For each series its samples from `from_us` to `to_us` (both inclusive), the `before` samples that
        precede them and the `after` that follow.

        What has been forgotten of a day is stood in for by the day's first and last samples, which its
        roll-ups remember. Returns (series_no, ts int64 us, value), sorted by series and time.
        """
        wanted = pa.table({"series_no": series_no, "from_us": from_us, "to_us": to_us})
        return self.query(
            "WITH span AS "
            "(SELECT series_no, make_timestamp(from_us) AS a, make_timestamp(to_us) AS b FROM wanted), "
            "known AS NOT MATERIALIZED (SELECT * FROM "
            "  (SELECT series_no, ts, value, 1 AS sure FROM lake.samples "
            "  UNION ALL SELECT series_no, first_ts, first, 0 FROM lake.rollups_1d "
            "  UNION ALL SELECT series_no, last_ts, last, 0 FROM lake.rollups_1d) "
            "  WHERE series_no BETWEEN $first AND $last), "
            "inside AS (SELECT s.* FROM known s JOIN span w "
            "  ON s.series_no = w.series_no AND s.ts BETWEEN w.a AND w.b "
            "  WHERE s.ts BETWEEN make_timestamp($lowest) AND make_timestamp($highest)), "
            "earlier AS (SELECT s.* FROM known s JOIN span w "
            "  ON s.series_no = w.series_no AND s.ts < w.a WHERE s.ts < make_timestamp($latest_from) "
            "  QUALIFY dense_rank() OVER (PARTITION BY s.series_no ORDER BY s.ts DESC) <= $before), "
            "later AS (SELECT s.* FROM known s JOIN span w "
            "  ON s.series_no = w.series_no AND s.ts > w.b WHERE s.ts > make_timestamp($earliest_to) "
            "  QUALIFY dense_rank() OVER (PARTITION BY s.series_no ORDER BY s.ts) <= $after) "
            "SELECT series_no, epoch_us(ts) AS ts, arg_max(value, sure) AS value FROM "
            "(FROM earlier UNION ALL FROM inside UNION ALL FROM later) GROUP BY ALL ORDER BY 1, 2",
            {
                "lowest": int(from_us.min()),
                "highest": int(to_us.max()),
                "first": int(series_no.min()),
                "last": int(series_no.max()),
                "latest_from": int(from_us.max()),
                "earliest_to": int(to_us.min()),
                "before": before,
                "after": after,
            },
            wanted=wanted,
        )

    def find_stored(self, series_no: Int32s, ts_us: Int64s) -> tuple[Int32s, Int64s, Floats]:
        """`existing` as arrays."""
        return as_arrays(self.existing(series_no, ts_us))

    def find_gaps(self, days: pa.Table) -> tuple[Int32s, Int64s, Int64s, Int64s]:
        """Those of the given days (series_no, start_us, end_us) of which samples have been forgotten, as far
        as roll-ups of days are kept: series_no, start_us, first_us, last_us, the last two being the first and
        last moment at which the day ever had one."""
        rows = self.query(GAPS, gap_bounds(days), days=days)
        return tuple(column.to_numpy() for column in rows.columns)

    def find_around(
        self, series_no: Int32s, from_us: Int64s, to_us: Int64s, before: int, after: int
    ) -> tuple[Int32s, Int64s, Floats]:
        """`neighbourhood` as arrays."""
        return as_arrays(self.neighbourhood(series_no, from_us, to_us, before, after))


def as_arrays(rows: pa.Table) -> tuple[Int32s, Int64s, Floats]:
    """Columns series_no, ts, value as NumPy arrays."""
    return tuple(rows.column(name).to_numpy() for name in ("series_no", "ts", "value"))


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """A condition on `series_no` that prunes files, its parameters, and the tables that it names."""

    where: str
    parameters: list[object] = field(default_factory=list)
    tables: dict[str, pa.Table] = field(default_factory=dict)

    @classmethod
    def of(cls, series_nos: Sequence[int]) -> "SeriesFilter":
        """The rows of these series. Lists are joined: as a parameter, 50,000 numbers take DuckDB 15 s."""
        if not series_nos:
            return cls("false")
        if len(series_nos) == 1:
            return cls("series_no = ?", [int(series_nos[0])])
        if len(series_nos) <= FEW_SERIES:
            marks = ", ".join("?" for _ in series_nos)
            return cls(f"series_no IN ({marks})", [int(number) for number in series_nos])
        numbers = np.asarray(series_nos, np.int32)
        bounds: list[object] = [int(numbers.min()), int(numbers.max())]
        where = "series_no BETWEEN ? AND ? AND series_no IN (SELECT number FROM chosen)"
        return cls(where, bounds, {"chosen": pa.table({"number": numbers})})
