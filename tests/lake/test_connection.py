"""A lake that is there already: opened by a version with other options, or from another folder."""

import shutil
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from kilowatch.errors import StartRefused
from kilowatch.lake import layout
from kilowatch.lake.connection import LakePlace, open_lake, prepare_lake
from kilowatch.lake.reading import LakeReader
from kilowatch.lake.writing import LakeWriter
from kilowatch.postgres import migrate
from kilowatch.postgres.roles import LAKE, OWNER, libpq_keywords
from tests.conftest import PostgresServer
from tests.lake.rows import samples

ROWS = 250_000
"""Too many to be kept in the catalog itself."""
OPTION = "parquet_row_group_size"


@pytest.fixture
def place(postgres_server: PostgresServer, tmp_path: Path) -> LakePlace:
    """A lake in a database with the rights that an embedded one has."""
    name = postgres_server.make_database()
    owner = postgres_server.url(OWNER, name)
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC".encode())
        connection.execute(f"GRANT CONNECT ON DATABASE {name} TO {LAKE}".encode())
    migrate.upgrade(owner)
    made = LakePlace(libpq_keywords(postgres_server.url(LAKE, name)), str(tmp_path / "lake"))
    prepare_lake(made)
    return made


def test_a_lake_with_other_options_takes_those_of_this_version(
    place: LakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(layout.OPTIONS, OPTION, ("122880", "122880"))
    prepare_lake(place)
    connection = open_lake(place, read_only=True)
    options = dict(connection.execute("SELECT option_name, value FROM lake.options()").fetchall())
    connection.close()
    assert options[OPTION] == "122880"


def test_a_lake_is_read_and_written_where_its_folder_went(place: LakePlace, tmp_path: Path) -> None:
    write(place, 1)
    assert list(Path(place.path).rglob("*.parquet"))
    moved = replace(place, path=str(tmp_path / "elsewhere" / "lake"))
    shutil.move(place.path, moved.path)
    prepare_lake(moved)
    write(moved, 2)
    reader = LakeReader(moved)
    found = reader.query("SELECT series_no, count(*) AS n FROM lake.samples GROUP BY 1 ORDER BY 1", [])
    reader.close()
    assert found.to_pylist() == [{"series_no": 1, "n": ROWS}, {"series_no": 2, "n": ROWS}]
    assert not Path(place.path).exists()


def test_a_lake_whose_files_stayed_behind_is_refused(place: LakePlace, tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="does not hold them"):
        prepare_lake(replace(place, path=str(tmp_path / "empty")))
    prepare_lake(place)


def write(place: LakePlace, series_no: int) -> None:
    writer = LakeWriter(place)
    writer.commit({"samples": samples((series_no, moment, 2.5) for moment in range(ROWS))})
    writer.close()
