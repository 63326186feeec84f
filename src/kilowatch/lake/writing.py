"""Committing to the lake: several tables in one transaction, on disk before it counts.

Keeps true that when `commit` returns, every Parquet file of the commit and its folder entry were fsynced
before the catalog named them; so a catalog that survives a power cut never names a torn file. DuckLake itself
does not fsync the files that it writes, which is why local files are written here and handed over whole.
"""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kilowatch.lake.connection import LakePlace, engine_errors, open_lake, quoted
from kilowatch.lake.layout import TABLES
from kilowatch.lake.reading import LakeReader

CATALOG = "__ducklake_metadata_lake"
"""The name by which DuckDB knows the catalog's database."""
WAIT_FOR_COMMITS = "LOCK TABLE lake.ducklake_snapshot IN SHARE MODE"
"""Every commit inserts there, and a share lock waits for whoever has inserted and not ended."""

Change = Callable[[duckdb.DuckDBPyConnection], object]


class LakeWriter:
    """One connection that writes. Not for use by several threads at once."""

    def __init__(self, place: LakePlace, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        self.place = place
        self.connection = connection or open_lake(place)

    def renew(self, reader: LakeReader) -> None:
        """Opens the lake anew, for itself and a reader that shares the instance. To be done now and then
        between commits: an instance keeps something of every commit for as long as it lives."""
        connection = open_lake(self.place)
        self.connection.close()
        self.connection = connection.cursor()
        reader.use(connection)

    def close(self) -> None:
        """Closes the connection; a transaction that is open is rolled back."""
        self.connection.close()

    def commit(
        self, tables: Mapping[str, pa.Table], change: Change | None = None, first: Change | None = None
    ) -> None:
        """Runs `first`, adds rows to tables (by name; empty ones are left out), runs `change`, in one
        transaction.

        Raises:
            LostRace: if another transaction changed the same rows; nothing happened.
            EngineUnavailable: if the catalog went away or the disk is full. Whether the commit happened is
                then unknown: ask `positions` before trying again.
        """
        filled = {name: rows for name, rows in tables.items() if rows.num_rows}
        files: dict[str, Path] = {}
        with engine_errors():
            if self.place.is_local:
                files = {name: self._write_file(name, rows) for name, rows in filled.items()}
            with self._transaction():
                if first is not None:
                    self._change_on_disk(first)
                for name, rows in filled.items():
                    if self.place.is_local:
                        self._hand_over(name, files[name])
                    else:
                        self._insert(name, rows)
                if change is not None:
                    self._change_on_disk(change)

    def _write_file(self, table: str, rows: pa.Table) -> Path:
        folder = Path(self.place.path) / "main" / table
        path = folder / f"commit-{uuid.uuid4().hex}.parquet"
        schema = TABLES[table].schema
        encodings = {
            field.name: "BYTE_STREAM_SPLIT" if field.type == pa.float64() else "DELTA_BINARY_PACKED"
            for field in schema
            if field.type != pa.string()
        }
        pq.write_table(
            rows,
            path,
            compression="lz4",
            use_dictionary=False,
            column_encoding=encodings,
            row_group_size=1 << 20,
        )
        sync(path)
        sync(folder)
        return path

    def _hand_over(self, table: str, path: Path) -> None:
        self.connection.execute(f"CALL ducklake_add_data_files('lake', {quoted(table)}, {quoted(str(path))})")

    def _insert(self, table: str, rows: pa.Table) -> None:
        self.connection.register("incoming", rows)
        try:
            self.connection.execute(f"INSERT INTO lake.{table} SELECT * FROM incoming")
        finally:
            self.connection.unregister("incoming")

    def _change_on_disk(self, change: Change) -> None:
        before = self._files() if self.place.is_local else set()
        change(self.connection)
        if self.place.is_local:
            for path in self._files() - before:
                sync(path)
            for name in TABLES:
                sync(Path(self.place.path) / "main" / name)

    def _files(self) -> set[Path]:
        return {path for name in TABLES for path in (Path(self.place.path) / "main" / name).iterdir()}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            # A failed COMMIT, or a lost connection to the catalog, has ended the transaction already.
            with suppress(duckdb.Error):
                self.connection.execute("ROLLBACK")
            raise

    def positions(self, log_us: int) -> dict[int, int]:
        """The last sequence that is committed of the log that was made at `log_us`, per partition.

        Waits for commits that are under way, also for one that a killed process left to the catalog, so
        that whoever asks after taking the partitions gets an answer that stays true.
        """
        with engine_errors():
            with self._transaction():
                self.connection.execute(f"CALL postgres_execute('{CATALOG}', '{WAIT_FOR_COMMITS}')")
            rows = self.connection.execute(
                "SELECT partition, max(last_seq) FROM lake.ledger WHERE log_us = ? GROUP BY partition",
                [log_us],
            ).fetchall()
        return dict(rows)


def sync(path: Path) -> None:
    """Forces a file or a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
