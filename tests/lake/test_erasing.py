"""What was deleted is erased: from every table, from every file, and from the catalog; all else stays."""

from pathlib import Path

import duckdb
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.lake import upkeep
from kilowatch.lake.connection import quoted
from kilowatch.lake.erasing import OF_SERIES, erase_series, rewrite_files
from kilowatch.lake.layout import CORRECTIONS, TIERS
from kilowatch.lake.reading import LakeReader
from kilowatch.lake.writing import CATALOG, LakeWriter
from tests.lake.rows import Sample, rollups, samples
from tests.lake.test_upkeep import BASE_US, BUCKET_US, DAY_US, HOUR_US

SERIES = range(1, 6)
DEVICE_OF = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3}
JOBS = ("merge_files", "consolidate_rollups", "clean_up")
parts = st.lists(
    st.one_of(
        st.lists(st.tuples(st.sampled_from(SERIES), st.integers(1, 9)), min_size=1, max_size=12),
        st.sampled_from(JOBS),
    ),
    min_size=1,
    max_size=6,
)


def vanished(*series: int) -> pa.Table:
    """These series, as the registry notes them."""
    return pa.table(
        {
            "series_no": pa.array(series, pa.int32()),
            "device_no": pa.array([DEVICE_OF[one] for one in series], pa.int32()),
        }
    )


def fill(writer: LakeWriter, steps: list[object]) -> list[Sample]:
    """Commits and upkeep in turn; the samples that are stored."""
    rows: list[Sample] = []
    for step in steps:
        match step:
            case "merge_files":
                upkeep.merge_files(writer, upkeep.GROWN_BYTES)
            case "consolidate_rollups":
                upkeep.consolidate_rollups(writer, BASE_US)
            case "clean_up":
                upkeep.clean_up(writer, 0)
            case list():
                fresh = [
                    (series, BASE_US + (len(rows) + k) * HOUR_US, float(v))
                    for k, (series, v) in enumerate(step)
                ]
                tables = {"samples": samples(fresh), "corrections": corrections(fresh)}
                for tier in TIERS:
                    tables[f"rollups_{tier}"] = rollups(fresh, BUCKET_US[tier])
                writer.commit(tables)
                rows += fresh
    return rows


def empty(writer: LakeWriter) -> None:
    """Takes everything from the tables; what is in files and catalog stays there."""

    def delete(connection: duckdb.DuckDBPyConnection) -> None:
        for table in (*OF_SERIES, "ledger"):
            connection.execute(f"DELETE FROM lake.{table}")  # noqa: S608

    writer.commit({}, delete)


def corrections(rows: list[Sample]) -> pa.Table:
    """A correction at each sample."""
    made = [
        {"series_no": series, "ts": ts_us, "kind": "reset", "before": 1.0, "after": value, "energy_uwh": 1}
        for series, ts_us, value in rows
    ]
    columns = {name: [row[name] for row in made] for name in CORRECTIONS.schema.names}
    columns["ts"] = pa.array(columns["ts"], pa.int64()).view(pa.timestamp("us"))
    return pa.table(columns, schema=CORRECTIONS.schema)


def series_in_files(writer: LakeWriter) -> set[int]:
    """Every series number in any Parquet file below the lake, named by the catalog or not."""
    found: set[int] = set()
    for table in OF_SERIES:
        for path in (Path(writer.place.path) / "main" / table).glob("*.parquet"):
            if "delete" in path.name:
                continue
            rows = duckdb.sql(f"SELECT DISTINCT series_no FROM read_parquet({quoted(str(path))})").fetchall()  # noqa: S608
            found |= {number for (number,) in rows}
    return found


HOLDING_SERIES = (
    "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
    "WHERE a.attname = 'series_no' AND c.relnamespace = 'lake'::regnamespace AND c.relkind = 'r'"
)


def ask_catalog(writer: LakeWriter, sql: str) -> list[object]:
    """One column that PostgreSQL answers with."""
    question = f"SELECT * FROM postgres_query('{CATALOG}', {quoted(sql)})"  # noqa: S608
    return [value for (value,) in writer.connection.execute(question).fetchall()]


def series_in_catalog(writer: LakeWriter) -> set[object]:
    """Every series number in rows that the catalog holds itself."""
    found: set[object] = set()
    for table in ask_catalog(writer, HOLDING_SERIES):
        found |= set(ask_catalog(writer, f"SELECT DISTINCT series_no FROM lake.{table}"))  # noqa: S608
    return found


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts, st.sets(st.sampled_from(SERIES), min_size=1, max_size=3), st.booleans())
def test_erasing_leaves_no_row_no_byte_and_everything_else(
    writer: LakeWriter, reader: LakeReader, steps: list[object], gone: set[int], consolidated: bool
) -> None:
    empty(writer)
    rows = fill(writer, steps)
    kept = [row for row in rows if row[0] not in gone]
    if consolidated:
        upkeep.consolidate_rollups(writer, BASE_US)
    erase_series(writer, vanished(*gone), BASE_US)
    rewrite_files(writer)
    if consolidated:
        upkeep.merge_files(writer, upkeep.GROWN_BYTES)
    upkeep.clean_up(writer, 0)
    stored = reader.samples(list(SERIES), 0, 1 << 52).to_pylist()
    assert [(row["series_no"], row["ts"], row["value"]) for row in stored] == sorted(kept)
    for tier in TIERS:
        told = reader.rollups(tier, list(SERIES), 0, 1 << 52).to_pylist()
        assert sum(row["count"] for row in told) == len(kept)
        assert {row["series_no"] for row in told} == {row[0] for row in kept}
    assert series_in_files(writer) <= set(SERIES) - gone
    assert series_in_catalog(writer) <= set(SERIES) - gone
    forgotten = reader.query(
        "SELECT device_no, sum(forgotten)::INT AS n FROM lake.ledger GROUP BY 1"
    ).to_pylist()
    lost = [DEVICE_OF[row[0]] for row in rows if row[0] in gone]
    assert {row["device_no"]: row["n"] for row in forgotten} == {one: lost.count(one) for one in lost}
    assert erase_series(writer, vanished(*gone), BASE_US + DAY_US) == 0
