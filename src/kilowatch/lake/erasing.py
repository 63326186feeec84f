"""Erasing series that were deleted: their samples, roll-ups and corrections, and the bytes in the files.

Keeps true that what goes is told to the ledger in the same transaction, so that stored values are kept or
forgotten and never merely gone. Erasing twice erases nothing more. One upkeep at a time (the caller holds a
lock); the worker's commits go on beside it.
"""

from typing import Final

import duckdb
import pyarrow as pa

from kilowatch.lake.connection import engine_errors
from kilowatch.lake.layout import CORRECTIONS, LEDGER, ROLLUPS, SAMPLES
from kilowatch.lake.writing import LakeWriter

OF_SERIES: Final = (SAMPLES.name, *(table.name for table in ROLLUPS.values()), CORRECTIONS.name)
"""The tables that hold something of a series."""
REWRITTEN_FROM: Final = 0.0
"""Share of deleted rows from which on a file is written anew without them."""

CHOSEN = "series_no BETWEEN $1 AND $2 AND series_no IN (SELECT series_no FROM vanished)"
"""The bounds let it skip files."""
NOTE = """
    INSERT INTO lake.ledger BY NAME
    SELECT {zeros}, make_timestamp($3) AS committed_at, device_no, sum(count)::BIGINT AS forgotten
    FROM lake.rollups_1d JOIN vanished USING (series_no)
    WHERE series_no BETWEEN $1 AND $2 AND NOT isnan(min) GROUP BY device_no
"""
"""Energy is made here and counted nowhere; it is told by its lowest value, which it has not."""


def erase_series(writer: LakeWriter, vanished: pa.Table, now_us: int) -> int:
    """Deletes everything of the vanished series (series_no, device_no); returns how many rows went."""
    if not vanished.num_rows:
        return 0
    numbers = vanished.column("series_no").to_numpy()
    bounds = [int(numbers.min()), int(numbers.max())]
    held = {table: rows for table in OF_SERIES if (rows := _count(writer, table, vanished, bounds))}
    if not held:
        return 0
    told = {"committed_at", "device_no", "forgotten"}
    zeros = ", ".join(f"0 AS {name}" for name in LEDGER.schema.names if name not in told)

    def erase(connection: duckdb.DuckDBPyConnection) -> None:
        connection.register("vanished", vanished)
        if "rollups_1d" in held:
            connection.execute(NOTE.format(zeros=zeros), [*bounds, now_us])
        for table in held:
            connection.execute(f"DELETE FROM lake.{table} WHERE {CHOSEN}", bounds)
        connection.unregister("vanished")

    writer.commit({}, erase)
    return sum(held.values())


def _count(writer: LakeWriter, table: str, vanished: pa.Table, bounds: list[int]) -> int:
    writer.connection.register("vanished", vanished)
    with engine_errors():
        row = writer.connection.execute(
            f"SELECT count(*) FROM lake.{table} WHERE {CHOSEN}", bounds
        ).fetchone()
    writer.connection.unregister("vanished")
    return int(row[0]) if row else 0


def rewrite_files(writer: LakeWriter) -> None:
    """Writes every file anew that holds deleted rows, without them. The old ones lie on disk until no kept
    snapshot names them (`upkeep.clean_up`)."""
    for table in OF_SERIES:

        def rewrite(connection: duckdb.DuckDBPyConnection, table: str = table) -> None:
            connection.execute(
                "CALL ducklake_rewrite_data_files('lake', $1, delete_threshold => $2)",
                [table, REWRITTEN_FROM],
            )

        writer.commit({}, rewrite)
