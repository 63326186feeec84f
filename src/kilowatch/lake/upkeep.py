"""The lake's upkeep: merging small files and partial roll-ups, retention, expiry, and what it all weighs.

Keeps true that upkeep never changes an answer: a merge keeps every row, consolidated roll-ups sum to what
their parts summed to, and only retention removes data. One upkeep at a time (the caller holds a lock);
the worker's commits go on beside it.
"""

from dataclasses import dataclass

import duckdb

from kilowatch.lake.connection import engine_errors
from kilowatch.lake.layout import ROLLUP_SCHEMA, ROLLUPS, TABLES
from kilowatch.lake.writing import LakeWriter

MIB = 1024 * 1024
# Files below the first size are merged often, below the second by the hour, so that a reading is rewritten
# about three times in its life and not every minute.
YOUNG_BYTES = 8 * MIB
GROWN_BYTES = 60 * MIB


def merge_files(writer: LakeWriter, below_bytes: int) -> int:
    """Merges neighbouring files smaller than `below_bytes`, sorted; returns how many fewer there are."""
    merged = 0

    for name in TABLES:

        def merge(connection: duckdb.DuckDBPyConnection, name: str = name) -> None:
            nonlocal merged
            rows = connection.execute(
                "SELECT files_processed, files_created FROM ducklake_merge_adjacent_files"
                "('lake', $1, max_file_size => $2)",
                [name, below_bytes],
            ).fetchall()
            merged += sum(processed - created for processed, created in rows)

        if small_files(writer, name, below_bytes) > 1:
            writer.commit({}, merge)
    return merged


def small_files(writer: LakeWriter, table: str, below_bytes: int) -> int:
    """How many files of a table are smaller than `below_bytes`."""
    with engine_errors():
        row = writer.connection.execute(
            "SELECT count(*) FROM ducklake_list_files('lake', $1) WHERE data_file_size_bytes < $2",
            [table, below_bytes],
        ).fetchone()
    return int(row[0]) if row else 0


def consolidate_rollups(writer: LakeWriter, since_us: int) -> int:
    """Rewrites partial roll-ups of buckets from `since_us` on as one row each; returns how many rows went.

    Rows committed meanwhile stay as further partial rows: sums of parts are sums, whoever adds them.
    """
    gone = 0
    for table in ROLLUPS.values():
        with engine_errors():
            row = writer.connection.execute(
                f"SELECT count(*), count(DISTINCT (series_no, bucket)) FROM lake.{table.name} "
                "WHERE bucket >= make_timestamp(?)",
                [since_us],
            ).fetchone()
        rows, buckets = row if row else (0, 0)
        if rows < 2 * buckets or rows == buckets:
            continue
        columns = ", ".join(f'"{field.name}"' for field in ROLLUP_SCHEMA)

        def rewrite(
            connection: duckdb.DuckDBPyConnection, name: str = table.name, columns: str = columns
        ) -> None:
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE consolidated AS SELECT series_no, bucket, "
                "sum(count)::BIGINT AS count, sum(sum) AS sum, min(min) AS min, max(max) AS max, "
                "arg_min(first, first_ts) AS first, min(first_ts) AS first_ts, "
                "arg_max(last, last_ts) AS last, max(last_ts) AS last_ts, "
                f"sum(covered_us)::BIGINT AS covered_us FROM lake.{name} "
                "WHERE bucket >= make_timestamp($1) GROUP BY series_no, bucket",
                [since_us],
            )
            connection.execute(f"DELETE FROM lake.{name} WHERE bucket >= make_timestamp($1)", [since_us])
            connection.execute(
                f"INSERT INTO lake.{name} ({columns}) SELECT {columns} FROM consolidated "
                "ORDER BY series_no, bucket"
            )
            connection.execute("DROP TABLE consolidated")

        writer.commit({}, rewrite)
        gone += rows - buckets
    return gone


def forget(writer: LakeWriter, table: str, column: str, before_us: int, series_nos: list[int] | None) -> None:
    """Retention: deletes rows whose time lies before `before_us`, of some series or (None) of all."""

    def delete(connection: duckdb.DuckDBPyConnection) -> None:
        sql = f"DELETE FROM lake.{table} WHERE {column} < make_timestamp($1)"
        if series_nos is None:
            connection.execute(sql, [before_us])
        else:
            connection.execute(sql + " AND list_contains($2::INTEGER[], series_no)", [before_us, series_nos])

    with engine_errors():
        row = writer.connection.execute(
            f"SELECT count(*) FROM lake.{table} WHERE {column} < make_timestamp(?)", [before_us]
        ).fetchone()
    if row and row[0]:
        writer.commit({}, delete)


def clean_up(writer: LakeWriter, keep_minutes: int) -> None:
    """Expires superseded snapshots older than `keep_minutes`, then deletes the files that nothing names."""
    writer.commit({}, lambda connection: connection.execute("CALL ducklake_rewrite_data_files('lake')"))
    with engine_errors():
        for call in (
            "CALL ducklake_expire_snapshots('lake', older_than => now() - to_minutes($1))",
            "CALL ducklake_cleanup_old_files('lake', older_than => now() - to_minutes($1))",
            # A commit that failed half-way leaves files that no catalog names.
            "CALL ducklake_delete_orphaned_files('lake', older_than => now() - to_minutes($1 + 1440))",
        ):
            parameters = [keep_minutes] if "$1" in call else []
            writer.connection.execute(call, parameters)


@dataclass(frozen=True, slots=True)
class TableWeight:
    """What a table weighs: rows, files, bytes on disk."""

    table: str
    rows: int
    files: int
    bytes: int


def weigh(connection: duckdb.DuckDBPyConnection) -> list[TableWeight]:
    """Rows, files and bytes of every table."""
    weights = []
    with engine_errors():
        for name in TABLES:
            files, size = connection.execute(
                "SELECT count(*), coalesce(sum(data_file_size_bytes), 0)::BIGINT "
                "FROM ducklake_list_files('lake', $1)",
                [name],
            ).fetchall()[0]
            rows = connection.execute(f"SELECT count(*) FROM lake.{name}").fetchall()[0][0]
            weights.append(TableWeight(name, rows, files, size))
    return weights


def rows_per_series(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    """(series_no, samples) of every series that has samples."""
    with engine_errors():
        return connection.execute(
            "SELECT series_no, count(*) FROM lake.samples GROUP BY series_no ORDER BY series_no"
        ).fetchall()
