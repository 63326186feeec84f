"""What a commit promises: all of it or nothing, on disk first, and readable in every form."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
import pytest

from kilowatch.errors import EngineUnavailable
from kilowatch.lake import reading, writing
from kilowatch.lake.connection import LakePlace, LostRace, open_lake, prepare_lake
from kilowatch.lake.reading import LakeReader
from kilowatch.lake.repairing import withdraw
from kilowatch.lake.upkeep import forget
from kilowatch.lake.writing import LakeWriter
from tests.conftest import wait_until
from tests.lake.rows import LOG_US, MINUTE_US, ledger, rollups, samples

BASE_US = 1_774_742_400_000_000
ROWS = [(1, BASE_US, 1.5), (1, BASE_US + MINUTE_US, -2.0), (2, BASE_US, float(2**53)), (7, BASE_US + 1, 0.1)]

NO_ROWS = pa.table({})


def read_back(reader: LakeReader, *series: int) -> list[tuple[int, int, float]]:
    found = reader.samples(series, BASE_US - 10**12, BASE_US + 10**12)
    return list(zip(*(found.column(name).to_pylist() for name in ("series_no", "ts", "value")), strict=True))


def test_what_is_committed_is_read_back(writer: LakeWriter, reader: LakeReader) -> None:
    writer.commit({"samples": samples(ROWS), "ledger": ledger(0, 1, 4)})
    assert read_back(reader, 1, 2, 7) == ROWS
    assert read_back(reader, 7) == ROWS[3:]
    assert read_back(reader) == []


def test_preparing_twice_changes_nothing(place: LakePlace, writer: LakeWriter, reader: LakeReader) -> None:
    writer.commit({"samples": samples(ROWS)})
    prepare_lake(place)
    assert read_back(reader, 1, 2, 7) == ROWS


def test_positions_are_those_of_one_log(writer: LakeWriter) -> None:
    assert writer.positions(LOG_US) == {}
    writer.commit({"ledger": ledger(0, 1, 4)})
    writer.commit({"ledger": ledger(3, 5, 9)})
    writer.commit({"ledger": ledger(0, 10, 11)})
    writer.commit({"ledger": ledger(1, 1, 500, log_us=LOG_US - 1)})
    assert writer.positions(LOG_US) == {0: 11, 3: 9}


def test_positions_wait_for_a_commit_under_way(place: LakePlace, writer: LakeWriter) -> None:
    found: list[dict[int, int]] = []
    with psycopg.connect(place.catalog) as committing, psycopg.connect(place.catalog) as watching:
        watching.autocommit = True
        committing.execute("LOCK TABLE lake.ducklake_snapshot IN ROW EXCLUSIVE MODE")  # as an INSERT does
        asking = threading.Thread(target=lambda: found.append(writer.positions(LOG_US)))
        asking.start()
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND mode = 'ShareLock'"
        wait_until(lambda: bool(watching.execute(waiting).rowcount), what="somebody who waits")
        assert not found
        committing.commit()
        asking.join(30)
    assert found == [{}]


def test_a_failed_commit_leaves_nothing_to_see(writer: LakeWriter, reader: LakeReader) -> None:
    def fail(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("SELECT error('no')")

    with pytest.raises(duckdb.Error):
        writer.commit({"samples": samples(ROWS), "ledger": ledger(0, 1, 4)}, fail)
    assert read_back(reader, 1, 2, 7) == []
    assert writer.positions(LOG_US) == {}
    writer.commit({"samples": samples(ROWS[:1])})
    assert read_back(reader, 1, 2, 7) == ROWS[:1]


def test_files_are_synced_before_the_catalog_names_them(
    writer: LakeWriter, reader: LakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []
    really_sync = writing.sync

    def watch(path: Path) -> None:
        seen.append((path.name, reader.query("SELECT count(*) AS n FROM lake.samples")["n"][0].as_py()))
        really_sync(path)

    monkeypatch.setattr(writing, "sync", watch)
    writer.commit({"samples": samples(ROWS)})
    files = writer.connection.execute(
        "SELECT data_file FROM ducklake_list_files('lake', 'samples')"
    ).fetchall()
    assert [name for (name,) in files] == [str(writer.place.path) + "/main/samples/" + seen[0][0]]
    assert seen == [(seen[0][0], 0), ("samples", 0)]


def test_a_full_disk_is_an_engine_away(writer: LakeWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(writing, "sync", full)
    with pytest.raises(EngineUnavailable, match="No space left"):
        writer.commit({"samples": samples(ROWS)})


def test_who_loses_a_race_is_told_so(place: LakePlace, writer: LakeWriter, reader: LakeReader) -> None:
    writer.commit({"samples": samples(ROWS)})
    other = LakeWriter(place)

    def delete_first(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("DELETE FROM lake.samples WHERE series_no = 1")
        other.commit({}, lambda theirs: theirs.execute("DELETE FROM lake.samples WHERE series_no = 1"))

    with pytest.raises(LostRace):
        writer.commit({"samples": samples([(9, BASE_US, 1.0)])}, delete_first)
    assert read_back(reader, 1, 2, 7, 9) == ROWS[2:]
    other.close()


def test_partial_roll_ups_are_read_as_one(writer: LakeWriter, reader: LakeReader) -> None:
    values = [3.0, -1.0, 2.5]
    for place, value in enumerate(values):
        moment = BASE_US + (2 - place) * 1000
        writer.commit({"rollups_1m": rollups([(4, moment, value)], MINUTE_US)})
    found = reader.rollups("1m", [4], BASE_US, BASE_US + MINUTE_US).to_pylist()
    assert found == [
        {
            "series_no": 4,
            "bucket": BASE_US,
            "count": 3,
            "sum": 4.5,
            "min": -1.0,
            "max": 3.0,
            "first": 2.5,
            "first_ts": BASE_US,
            "last": 3.0,
            "last_ts": BASE_US + 2000,
            "covered_us": 0,
        }
    ]


def test_stored_values_and_their_neighbours_are_found(writer: LakeWriter, reader: LakeReader) -> None:
    rows = [(s, BASE_US + k * 1000, float(100 * s + k)) for s in (1, 2, 3) for k in range(10)]
    for start in range(0, len(rows), 7):
        writer.commit({"samples": samples(rows[start : start + 7])})
    series, ts_us, value = reader.find_stored(
        np.array([1, 2, 2, 9], np.int32),
        np.array([BASE_US, BASE_US + 5000, BASE_US + 5001, BASE_US], np.int64),
    )
    assert sorted(zip(series, ts_us, value, strict=True)) == [(1, BASE_US, 100.0), (2, BASE_US + 5000, 205.0)]
    series, ts_us, value = reader.find_around(
        np.array([3, 1], np.int32),
        np.array([BASE_US + 4000, BASE_US - 5], np.int64),
        np.array([BASE_US + 5000, BASE_US - 5], np.int64),
        2,
        3,
    )
    assert list(zip(series, value, strict=True)) == [
        *((1, 100.0 + k) for k in range(3)),
        *((3, 300.0 + k) for k in range(2, 9)),
    ]


def test_days_with_forgotten_samples_are_found_and_relied_on_no_more(
    writer: LakeWriter, reader: LakeReader
) -> None:
    day_us = 86_400_000_000
    start_us = BASE_US // day_us * day_us
    rows = [(s, start_us + k * 3_600_000_000, 1.0) for s in (1, 2) for k in range(72)]
    writer.commit({"samples": samples(rows), "rollups_1d": rollups(rows, day_us)})
    days = pa.table(
        {
            "series_no": np.repeat(np.array([1, 2, 3], np.int32), 4),
            "start_us": np.tile(start_us + np.arange(-1, 3) * day_us, 3),
            "end_us": np.tile(start_us + np.arange(0, 4) * day_us, 3),
        }
    )
    assert [len(column) for column in reader.find_gaps(days)] == [0, 0, 0, 0]
    writer.commit({}, lambda connection: withdraw(connection, NO_ROWS, NO_ROWS, days))
    forget(writer, "samples", "ts", start_us + day_us + day_us // 2, [2])
    gaps = sorted(zip(*(column.tolist() for column in reader.find_gaps(days)), strict=True))
    hours = 23 * 3_600_000_000
    assert gaps == [(2, day, day, day + hours) for day in (start_us, start_us + day_us)]
    with pytest.raises(LostRace):
        writer.commit({"samples": samples(ROWS)}, None, lambda lake: withdraw(lake, NO_ROWS, NO_ROWS, days))
    assert read_back(reader, 7) == []
    # The first and last samples of a day that is gone stay neighbours.
    one = np.array([2], np.int32)
    around = reader.find_around(
        one, np.array([start_us + day_us]) - 1, np.array([start_us + day_us]) - 1, 1, 1
    )
    assert around[1].tolist() == [start_us + hours, start_us + day_us]


def test_a_worn_reader_renews_itself_under_way(
    place: LakePlace, writer: LakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "RENEW_AFTER_S", 0.0)
    monkeypatch.setattr(reading, "RENEW_AFTER_QUERIES", 3)
    writer.commit({"samples": samples(ROWS)})
    reader = LakeReader(place)
    first = reader._connection
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: reader.query("FROM lake.samples").num_rows, range(24)))
    assert answers == [len(ROWS)] * 24
    assert reader._connection is not first
    reader.close()


def test_a_renewed_writer_goes_on_with_its_reader(place: LakePlace) -> None:
    connection = open_lake(place)
    writer, shared = LakeWriter(place, connection.cursor()), LakeReader(place, connection)
    writer.commit({"samples": samples(ROWS[:2])})
    writer.renew(shared)
    writer.commit({"samples": samples(ROWS[2:])})
    assert read_back(shared, 1, 2, 7) == ROWS
    writer.close()
    shared.close()
