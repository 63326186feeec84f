"""The lake's upkeep: merging small files and partial roll-ups, retention, expiry, and what it all weighs.

Keeps true that upkeep never changes an answer: a merge keeps every row, consolidated roll-ups sum to what
their parts summed to, and only retention removes data. One upkeep at a time (the caller holds a lock);
the worker's commits go on beside it.
"""

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from kilowatch.lake.connection import engine_errors, quoted
from kilowatch.lake.layout import LEDGER, ROLLUPS, TABLES, LakeTable
from kilowatch.lake.writing import CATALOG, LakeWriter

MIB = 1024 * 1024
# Files below the first size are merged often, below the second by the hour, so that a reading is rewritten
# about three times in its life and not every minute.
YOUNG_BYTES = 8 * MIB
GROWN_BYTES = 60 * MIB
INLINED = f"{CATALOG}.lake.ducklake_inlined_data_tables"
"""The list of tables in which the catalog holds rows of the lake itself."""
OLDEST = "SELECT min(snapshot_id) FROM lake.ducklake_snapshot"


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
    since = f"bucket >= make_timestamp({since_us:d})"
    keys = "series_no, bucket"
    return sum(_consolidate(writer, table, keys, ROLLUP_PARTS, since) for table in ROLLUPS.values())


def consolidate_ledger(writer: LakeWriter, from_us: int, to_us: int) -> int:
    """Rewrites the ledger of commits between two full hours as one row per hour, key and device; returns how
    many rows went. What it says of any full hour, and the last position, stay what they were."""
    span = f"committed_at >= make_timestamp({from_us:d}) AND committed_at < make_timestamp({to_us:d})"
    keys = "log_us, partition, date_trunc('hour', committed_at), key_no, device_no"
    return _consolidate(writer, LEDGER, keys, LEDGER_PARTS, span)


ROLLUP_PARTS = {
    "series_no": "series_no",
    "bucket": "bucket",
    "count": "sum(count)::BIGINT",
    "sum": "sum(sum)",
    "min": "min(min)",
    "max": "max(max)",
    "first": "arg_min(first, first_ts)",
    "first_ts": "min(first_ts)",
    "last": "arg_max(last, last_ts)",
    "last_ts": "max(last_ts)",
    "covered_us": "sum(covered_us)::BIGINT",
}
LEDGER_PARTS = {
    "log_us": "log_us",
    "partition": "partition",
    "first_seq": "min(first_seq)",
    "last_seq": "max(last_seq)",
    "committed_at": "max(committed_at)",
    "key_no": "key_no",
    "device_no": "device_no",
} | {
    name: f"sum({name})::BIGINT"
    for name in (
        "messages",
        "readings",
        "accepted",
        "stored",
        "replaced",
        "repeats",
        "dead_letters",
        "forgotten",
    )
}
"""How parts become one row, column by column."""


def _consolidate(writer: LakeWriter, table: LakeTable, keys: str, parts: dict[str, str], where: str) -> int:
    """Makes one row of those with equal keys, where that at least halves them; returns how many rows went."""
    with engine_errors():
        row = writer.connection.execute(
            f"SELECT count(*), count(DISTINCT ({keys})) FROM lake.{table.name} WHERE {where}"
        ).fetchone()
    rows, merged = row if row else (0, 0)
    if rows < 2 * merged or rows == merged:
        return 0
    made = ", ".join(f'{part} AS "{name}"' for name, part in parts.items())
    order = ", ".join(table.order)

    def rewrite(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE consolidated AS SELECT {made} FROM lake.{table.name} "
            f"WHERE {where} GROUP BY {keys}"
        )
        connection.execute(f"DELETE FROM lake.{table.name} WHERE {where}")
        connection.execute(f"INSERT INTO lake.{table.name} BY NAME FROM consolidated ORDER BY {order}")
        connection.execute("DROP TABLE consolidated")

    writer.commit({}, rewrite)
    return int(rows - merged)


def forget(writer: LakeWriter, table: str, column: str, before_us: int, series_nos: list[int] | None) -> None:
    """Retention: deletes rows whose time lies before `before_us`, of some series or (None) of all."""
    where = f"{column} < make_timestamp({before_us:d})"
    if series_nos is not None:
        where += " AND list_contains($1::INTEGER[], series_no)"
    parameters = [] if series_nos is None else [series_nos]

    def delete(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"DELETE FROM lake.{table} WHERE {where}", parameters)

    with engine_errors():
        row = writer.connection.execute(
            f"SELECT count(*) FROM lake.{table} WHERE {where}", parameters
        ).fetchone()
    if row and row[0]:
        writer.commit({}, delete)


def forget_days(writer: LakeWriter, before_us: int, now_us: int, owners: pa.Table) -> None:
    """Retention of the last tier, with a word to the ledger: what goes here is known nowhere afterwards.

    owners: (series_no, device_no) of the series whose samples count; others go without a word.
    """

    told = {"committed_at", "device_no", "forgotten"}
    zeros = ", ".join(f"0 AS {name}" for name in LEDGER.schema.names if name not in told)

    def note(connection: duckdb.DuckDBPyConnection) -> None:
        connection.register("owners", owners)
        connection.execute(
            f"INSERT INTO lake.ledger BY NAME SELECT {zeros}, make_timestamp($1) AS committed_at, device_no, "
            "sum(count)::BIGINT AS forgotten FROM lake.rollups_1d JOIN owners USING (series_no) "
            "WHERE bucket < make_timestamp($2) GROUP BY device_no",
            [now_us, before_us],
        )
        connection.execute(
            "DELETE FROM lake.rollups_1d WHERE bucket < make_timestamp($1) "
            "AND series_no IN (SELECT series_no FROM owners)",
            [before_us],
        )
        connection.unregister("owners")

    with engine_errors():
        row = writer.connection.execute(
            "SELECT count(*) FROM lake.rollups_1d WHERE bucket < make_timestamp($1)", [before_us]
        ).fetchone()
    if row and row[0]:
        writer.commit({}, note)


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
    drop_expired_rows(writer)


def drop_expired_rows(writer: LakeWriter) -> None:
    """Deletes rows that the catalog holds itself and that no kept snapshot shows any more. DuckLake leaves
    them for ever, and its `ducklake_flush_inlined_data` mistakes which rows of a sorted table are deleted."""
    with engine_errors():
        tables = writer.connection.execute(f"SELECT table_name FROM {INLINED}").fetchall()
        for (table,) in tables:
            expired = f"DELETE FROM lake.{table} WHERE end_snapshot <= ({OLDEST})"
            writer.connection.execute(f"CALL postgres_execute('{CATALOG}', {quoted(expired)})")


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
