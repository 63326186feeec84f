"""A lake of each test's own: catalog in a fresh copy of the migrated database, files in a temp folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilowatch.lake.connection import LakePlace, prepare_lake
from kilowatch.lake.reading import LakeReader
from kilowatch.lake.writing import LakeWriter
from kilowatch.postgres.roles import LAKE, libpq_keywords
from tests.conftest import PostgresServer


@pytest.fixture
def place(postgres_server: PostgresServer, tmp_path: Path) -> LakePlace:
    """Where a new lake with all its tables is."""
    name = postgres_server.make_database()
    made = LakePlace(libpq_keywords(postgres_server.url(LAKE, name)), str(tmp_path / "lake"))
    prepare_lake(made)
    return made


@pytest.fixture
def writer(place: LakePlace) -> Iterator[LakeWriter]:
    """A writer on the test's lake."""
    opened = LakeWriter(place)
    yield opened
    opened.close()


@pytest.fixture
def reader(place: LakePlace) -> Iterator[LakeReader]:
    """A reader on the test's lake, with a connection of its own."""
    opened = LakeReader(place)
    yield opened
    opened.close()
