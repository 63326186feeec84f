"""The tables of the lake: their columns, order and options.

Keeps true that a lake made by any version of `prepare` has every table below, sorted by series and time when
files are merged, in Parquet v2 with zstd. Times are UTC `TIMESTAMP`; see docs/concepts for the columns.
"""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

TIERS: Final = ("1m", "15m", "1h", "1d")
TS: Final = pa.timestamp("us")


@dataclass(frozen=True, slots=True)
class LakeTable:
    """One table: its Arrow schema, and the columns that order it inside a merged file."""

    name: str
    schema: pa.Schema
    order: tuple[str, ...]


SAMPLES = LakeTable(
    "samples",
    pa.schema([("series_no", pa.int32()), ("ts", TS), ("value", pa.float64())]),
    ("series_no", "ts"),
)

ROLLUP_SCHEMA = pa.schema(
    [
        ("series_no", pa.int32()),
        ("bucket", TS),
        ("count", pa.int64()),
        ("sum", pa.float64()),
        ("min", pa.float64()),
        ("max", pa.float64()),
        ("first", pa.float64()),
        ("first_ts", TS),
        ("last", pa.float64()),
        ("last_ts", TS),
        ("covered_us", pa.int64()),
    ]
)
ROLLUPS = {tier: LakeTable(f"rollups_{tier}", ROLLUP_SCHEMA, ("series_no", "bucket")) for tier in TIERS}

LEDGER = LakeTable(
    "ledger",
    pa.schema(
        [
            ("log_us", pa.int64()),
            ("partition", pa.int32()),
            ("first_seq", pa.int64()),
            ("last_seq", pa.int64()),
            ("committed_at", TS),
            ("key_no", pa.int32()),
            ("device_no", pa.int32()),
            ("messages", pa.int64()),
            ("readings", pa.int64()),
            ("accepted", pa.int64()),
            ("stored", pa.int64()),
            ("replaced", pa.int64()),
            ("repeats", pa.int64()),
            ("dead_letters", pa.int64()),
            ("forgotten", pa.int64()),
        ]
    ),
    ("committed_at", "device_no"),
)

CORRECTIONS = LakeTable(
    "corrections",
    pa.schema(
        [
            ("series_no", pa.int32()),
            ("ts", TS),
            ("kind", pa.string()),
            ("before", pa.float64()),
            ("after", pa.float64()),
            ("energy_uwh", pa.int64()),
        ]
    ),
    ("series_no", "ts"),
)

TABLES: Final = {table.name: table for table in (SAMPLES, *ROLLUPS.values(), LEDGER, CORRECTIONS)}

SQL_TYPES: Final = {
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    TS: "TIMESTAMP",
}

# A quarter of a million rows a group: large enough for the dictionaries that make two-decimal values small
# (DuckDB makes one up to a fifth as many distinct values as rows: 1.6 bytes a value instead of 5.1), small
# enough to read one series' day in milliseconds, and small enough that the times of a long series are too
# many for a dictionary, which would cost 2.7 bytes each where differences cost nothing.
# Each option: how it is set, and how the catalog shows it afterwards.
OPTIONS: Final = {
    "parquet_compression": ("zstd", "zstd"),
    "parquet_version": ("2", "V2"),
    "parquet_row_group_size": ("245760", "245760"),
    "target_file_size": ("64MB", "64000000"),
    "sort_on_insert": ("false", "false"),
    "data_inlining_row_limit": ("245760", "245760"),
}


def create_statements() -> list[str]:
    """The SQL that makes what is missing; running it twice changes nothing."""
    statements = []
    for table in TABLES.values():
        columns = ", ".join(f'"{field.name}" {SQL_TYPES[field.type]}' for field in table.schema)
        statements.append(f"CREATE TABLE IF NOT EXISTS lake.{table.name} ({columns})")
    return statements


def sort_statements() -> list[str]:
    """The SQL that sets the order in which merged files are sorted."""
    return [
        f"ALTER TABLE lake.{table.name} SET SORTED BY ({' ASC, '.join(table.order)} ASC)"
        for table in TABLES.values()
    ]
