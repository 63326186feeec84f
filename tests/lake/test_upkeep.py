"""Upkeep never changes an answer but by retention, whatever is committed before, between and after."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.lake import upkeep
from kilowatch.lake.layout import LEDGER, ROLLUPS, TIERS
from kilowatch.lake.reading import LakeReader
from kilowatch.lake.writing import LakeWriter
from tests.lake.rows import LOG_US, MINUTE_US, Sample, ledger, rollups, samples

BASE_US = 1_774_742_400_000_000
HOUR_US, DAY_US = 60 * MINUTE_US, 1440 * MINUTE_US
BUCKET_US = {"1m": MINUTE_US, "15m": 15 * MINUTE_US, "1h": HOUR_US, "1d": DAY_US}
FOREVER = (0, 1 << 52)
SERIES = range(1, 5)
JOBS = ("merge_files", "consolidate_rollups", "consolidate_ledger", "clean_up")

sample = st.tuples(
    st.sampled_from(SERIES), st.integers(0, 400), st.integers(-8, 8).map(lambda number: number / 2)
)
steps = st.lists(
    st.one_of(st.lists(sample, min_size=1, max_size=30), st.sampled_from(JOBS)),
    min_size=2,
    max_size=8,
)


@dataclass
class Model:
    """What the lake must answer."""

    rows: list[Sample] = field(default_factory=list)
    commits: int = 0

    def rollups(self, bucket_us: int) -> dict[tuple[int, int], tuple[int, float, float, float]]:
        """(series, bucket) -> count, sum, min, max."""
        found: dict[tuple[int, int], list[float]] = {}
        for series, ts_us, value in self.rows:
            found.setdefault((series, ts_us // bucket_us * bucket_us), []).append(value)
        return {key: (len(held), sum(held), min(held), max(held)) for key, held in found.items()}


def commit(writer: LakeWriter, model: Model, given_samples: list[Sample]) -> None:
    """One commit, as the worker would make it."""
    stored = {(series, ts_us) for series, ts_us, _ in model.rows}
    fresh = {(series, BASE_US + step * 7 * MINUTE_US): value for series, step, value in given_samples}
    rows = [(*key, value) for key, value in fresh.items() if key not in stored]
    model.commits += 1
    tables = {"samples": samples(rows)} if rows else {}
    for tier in TIERS if rows else ():
        tables[f"rollups_{tier}"] = rollups(rows, BUCKET_US[tier])
    moment = BASE_US + model.commits * 10 * MINUTE_US
    mark = {"committed_at": moment, "accepted": len(rows), "stored": len(rows)}
    tables["ledger"] = ledger(0, model.commits, model.commits, **mark)
    writer.commit(tables)
    model.rows += rows


def keep(writer: LakeWriter, step: str, model: Model) -> None:
    """One job of the upkeep."""
    match step:
        case "merge_files":
            upkeep.merge_files(writer, upkeep.GROWN_BYTES)
        case "consolidate_rollups":
            upkeep.consolidate_rollups(writer, BASE_US + DAY_US)
        case "consolidate_ledger":
            last = BASE_US + model.commits * 10 * MINUTE_US
            upkeep.consolidate_ledger(writer, BASE_US, last // HOUR_US * HOUR_US)
        case "clean_up":
            upkeep.clean_up(writer, 0)


def answers(reader: LakeReader, writer: LakeWriter) -> dict[str, Any]:
    """Everything that anybody asks of the lake."""
    given_rows = reader.samples(list(SERIES), *FOREVER)
    found: dict[str, Any] = {
        "samples": [tuple(row.values()) for row in given_rows.to_pylist()],
        "positions": writer.positions(LOG_US),
        "ledger": reader.query(
            "SELECT date_trunc('hour', committed_at), sum(messages)::BIGINT, sum(stored)::BIGINT "
            "FROM lake.ledger GROUP BY 1 ORDER BY 1"
        ).to_pylist(),
    }
    for tier in TIERS:
        rows = reader.rollups(tier, list(SERIES), *FOREVER).to_pylist()
        found[tier] = {
            (row["series_no"], row["bucket"]): (row["count"], row["sum"], row["min"], row["max"])
            for row in rows
        }
    return found


def test_upkeep_changes_no_answer(writer: LakeWriter, reader: LakeReader) -> None:
    model = Model()

    @settings(
        max_examples=6,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(steps)
    def run(given_steps: list[list[Sample] | str]) -> None:
        for step in given_steps:
            if isinstance(step, str):
                before = answers(reader, writer)
                keep(writer, step, model)
                assert answers(reader, writer) == before
            else:
                commit(writer, model, step)
        found = answers(reader, writer)
        assert found["samples"] == sorted(model.rows)
        assert found["positions"] == {0: model.commits}
        for tier, bucket_us in BUCKET_US.items():
            assert found[tier] == model.rollups(bucket_us)

    run()


def test_merging_leaves_one_file_and_cleaning_up_deletes_the_others(
    writer: LakeWriter, reader: LakeReader
) -> None:
    for k in range(12):
        writer.commit({"samples": samples([(s, BASE_US + k * 1000, float(k)) for s in (3, 1, 2)])})
    assert upkeep.merge_files(writer, upkeep.YOUNG_BYTES) == 11
    upkeep.clean_up(writer, 0)
    files = list((Path(writer.place.path) / "main" / "samples").iterdir())
    assert len(files) == 1
    weights = {weight.table: weight for weight in upkeep.weigh(writer.connection)}
    assert (weights["samples"].rows, weights["samples"].files) == (36, 1)
    assert weights["samples"].bytes == files[0].stat().st_size
    assert upkeep.rows_per_series(writer.connection) == [(1, 12), (2, 12), (3, 12)]
    order = reader.query("SELECT series_no FROM read_parquet($1)", [str(files[0])])["series_no"].to_pylist()
    assert order == sorted(order)


def test_consolidating_halves_partial_rows_only_where_there_are_many(writer: LakeWriter) -> None:
    rows = [(1, BASE_US + k, 1.0) for k in range(3)]
    writer.commit({"rollups_1d": rollups(rows[:1], DAY_US)})
    assert upkeep.consolidate_rollups(writer, 0) == 0
    writer.commit({"rollups_1d": rollups(rows[1:], DAY_US)})
    assert upkeep.consolidate_rollups(writer, 0) == 2
    for k in range(4):
        writer.commit({"ledger": ledger(0, k + 1, k + 1, committed_at=BASE_US + k)})
    assert upkeep.consolidate_ledger(writer, BASE_US, BASE_US + HOUR_US) == 3
    rewritten = writer.connection.execute("SELECT first_seq, last_seq, messages FROM lake.ledger").fetchall()
    assert rewritten == [(1, 4, 4)]


@pytest.mark.parametrize("series", [None, [1, 2]])
def test_retention_forgets_exactly_what_is_older(
    writer: LakeWriter, reader: LakeReader, series: list[int] | None
) -> None:
    rows = [(number, BASE_US + day * DAY_US, 1.0) for number in (1, 2, 3) for day in range(4)]
    writer.commit({"samples": samples(rows)})
    upkeep.forget(writer, "samples", "ts", BASE_US + 2 * DAY_US, series)
    kept = [row for row in rows if row[1] >= BASE_US + 2 * DAY_US or (series and row[0] not in series)]
    found = reader.samples([1, 2, 3], *FOREVER).to_pylist()
    assert [tuple(row.values()) for row in found] == kept


def test_the_ledger_knows_what_the_last_tier_forgot(writer: LakeWriter, reader: LakeReader) -> None:
    rows = [
        (number, BASE_US + day * DAY_US + k, 1.0)
        for number in (1, 2, 3)
        for day in range(4)
        for k in range(5)
    ]
    writer.commit({"rollups_1d": rollups(rows, DAY_US)})
    owners = pa.table({"series_no": pa.array([1, 2], pa.int32()), "device_no": pa.array([7, 7], pa.int32())})
    for _ in range(2):
        upkeep.forget_days(writer, BASE_US + DAY_US, BASE_US + 9 * DAY_US, owners)
    noted = reader.query("SELECT device_no, forgotten FROM lake.ledger").to_pylist()
    assert noted == [{"device_no": 7, "forgotten": 10}]
    left = reader.query("SELECT series_no, sum(count)::INT AS n FROM lake.rollups_1d GROUP BY 1 ORDER BY 1")
    assert left["n"].to_pylist() == [15, 15, 20]


def test_upkeep_goes_on_beside_commits(writer: LakeWriter, reader: LakeReader) -> None:
    other = LakeWriter(writer.place)
    for k in range(3):
        writer.commit(
            {
                "samples": samples([(1, BASE_US + k, 1.0)]),
                "rollups_1d": rollups([(1, BASE_US + k, 1.0)], DAY_US),
            }
        )

    def meanwhile(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CALL ducklake_merge_adjacent_files('lake', 'samples')")
        other.commit({"samples": samples([(1, BASE_US + 9, 1.0)])})

    writer.commit({}, meanwhile)
    assert reader.samples([1], *FOREVER)["ts"].to_pylist() == [BASE_US + k for k in (0, 1, 2, 9)]
    other.close()


def test_every_table_can_be_consolidated_by_its_columns() -> None:
    assert set(upkeep.ROLLUP_PARTS) == set(ROLLUPS["1m"].schema.names)
    assert set(upkeep.LEDGER_PARTS) == set(LEDGER.schema.names)
