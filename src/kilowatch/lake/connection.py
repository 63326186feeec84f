"""Opening the lake: DuckDB with the DuckLake extension, attached to its catalog in PostgreSQL.

Extensions are loaded from the installed wheels by path; nothing is ever downloaded. Keeps true that an engine
that is away shows as `EngineUnavailable` and never as an error of the data.
"""

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from kilowatch.errors import EngineUnavailable, StartRefused
from kilowatch.lake import layout

EXTENSIONS = {
    "postgres_scanner": "duckdb_extension_postgres_scanner",
    "ducklake": "duckdb_extension_ducklake",
}
CATALOG = "__ducklake_metadata_lake.lake.ducklake_metadata"
"""The catalog's own table of facts, as DuckDB calls it."""
REMOTE = ("s3://", "gs://", "http://", "https://")
# Words of PostgreSQL's client library and of DuckDB when the catalog's connection is what failed.
CONNECTION_WORDS = (
    "connection",
    "server closed",
    "could not connect",
    "terminating",
    "the database system is",
    "no such file or directory\n\tis the server running",
    "ssl syscall",
    "broken pipe",
)


@dataclass(frozen=True, slots=True)
class LakePlace:
    """Where a lake is: `catalog`, a libpq connection string; `path`, a folder or an s3:// address; limits."""

    catalog: str = field(repr=False)
    path: str
    memory_mb: int = 1024
    threads: int = 2

    @property
    def is_local(self) -> bool:
        """Whether the Parquet files lie on a file system of this machine."""
        return not self.path.startswith(REMOTE)

    @property
    def spill(self) -> Path:
        """Where sorts that exceed the memory put what they hold for the moment."""
        return (
            Path(self.path).parent / "spill" if self.is_local else Path(tempfile.gettempdir()) / "kilowatch"
        )


def extension_path(name: str) -> Path:
    """The file of an extension in its installed wheel.

    Raises:
        StartRefused: if the wheel of exactly this DuckDB version is not installed.
    """
    package = EXTENSIONS.get(name, f"duckdb_extension_{name}")
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if path.exists():
            return path
    raise StartRefused(
        f"DuckDB {duckdb.__version__} needs its extension {name}: "
        f"pip install {package.replace('_', '-')}=={duckdb.__version__}"
    )


class LostRace(EngineUnavailable):
    """Somebody else changed the same rows of the lake meanwhile; nothing of this change happened."""


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turns errors that trying again may cure into EngineUnavailable; the others pass.

    These are: the catalog is away, the disk is full or broken, two transactions changed the same rows.
    """
    try:
        yield
    except OSError as error:
        raise EngineUnavailable(f"the lake's files cannot be written: {error}") from error
    except duckdb.Error as error:
        text = str(error).lower()
        if "conflict" in text and isinstance(error, duckdb.TransactionException):
            raise LostRace(f"the lake was changed meanwhile: {error}") from error
        if isinstance(error, duckdb.IOException | duckdb.ConnectionException) or any(
            word in text for word in CONNECTION_WORDS
        ):
            raise EngineUnavailable(f"the lake does not answer: {error}") from error
        raise


def quoted(text: str) -> str:
    """A SQL string literal; DuckDB's ATTACH and LOAD take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def object_store_options() -> str:
    """The object store's login and address from the usual AWS_* variables, as options of CREATE SECRET."""
    variables = {
        "KEY_ID": "AWS_ACCESS_KEY_ID",
        "SECRET": "AWS_SECRET_ACCESS_KEY",
        "SESSION_TOKEN": "AWS_SESSION_TOKEN",
        "REGION": "AWS_REGION",
    }
    options = [f"{name} {quoted(os.environ[key])}" for name, key in variables.items() if key in os.environ]
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        address = urlsplit(endpoint)
        use_ssl = "true" if address.scheme == "https" else "false"
        options += [f"ENDPOINT {quoted(address.netloc)}", "URL_STYLE 'path'", f"USE_SSL {use_ssl}"]
    return ", ".join(["PROVIDER config", *options])


def open_lake(
    place: LakePlace, *, read_only: bool = False, anywhere: bool = False
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the lake attached as `lake`. `anywhere`: also where the catalog says that the
    files are somewhere else.

    Raises:
        EngineUnavailable: if PostgreSQL does not answer.
        StartRefused: if an extension is missing.
    """
    connection = duckdb.connect(
        config={
            "threads": place.threads,
            "memory_limit": f"{place.memory_mb}MB",
            "temp_directory": str(place.spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    names = ["postgres_scanner", "ducklake"] if place.is_local else ["httpfs", "postgres_scanner", "ducklake"]
    for name in names:
        connection.execute(f"LOAD {quoted(str(extension_path(name)))}")
    if not place.is_local:
        connection.execute(f"CREATE SECRET (TYPE s3, {object_store_options()})")
    connection.execute("SET TimeZone = 'UTC'")
    mode = (", READ_ONLY" if read_only else "") + (", OVERRIDE_DATA_PATH true" if anywhere else "")
    with engine_errors():
        connection.execute(
            f"ATTACH {quoted('ducklake:postgres:' + place.catalog)} AS lake "
            f"(DATA_PATH {quoted(data_path(place))}, METADATA_SCHEMA 'lake'{mode})"
        )
    return connection


def data_path(place: LakePlace) -> str:
    """The place of the files as the catalog writes it."""
    return place.path.rstrip("/") + "/"


def follow_move(connection: duckdb.DuckDBPyConnection, place: LakePlace) -> None:
    """Tells the catalog where its files are now, when a data folder was moved, renamed or copied. The
    catalog names each file by its place below that one.

    Raises:
        StartRefused: if the files have not come along.
    """
    row = connection.execute(f"SELECT value FROM {CATALOG} WHERE key = 'data_path'").fetchone()
    known, now = str(row[0]) if row else "", data_path(place)
    if known == now:
        return
    if not (place.is_local and (Path(place.path) / "main").is_dir()):
        raise StartRefused(
            f"The lake's files were in {known}, and {now} does not hold them. Move the files there, or set "
            "KILOWATCH_LAKE_PATH to where they are."
        )
    connection.execute(f"UPDATE {CATALOG} SET value = $1 WHERE key = 'data_path'", [now])


def prepare_lake(place: LakePlace) -> None:
    """Makes the catalog and the tables that are missing, and sets the options. Run by one process at a time
    (the migration lock)."""
    if place.is_local:
        Path(place.path).mkdir(parents=True, exist_ok=True)
    connection = open_lake(place, anywhere=True)
    try:
        with engine_errors():
            follow_move(connection, place)
            options = dict(connection.execute("SELECT option_name, value FROM lake.options()").fetchall())
            for option, (value, shown) in layout.OPTIONS.items():
                if options.get(option) != shown:
                    connection.execute(f"CALL lake.set_option({quoted(option)}, {quoted(value)})")
            tables = connection.execute("SELECT table_name FROM ducklake_table_info('lake')").fetchall()
            if {name for (name,) in tables} < set(layout.TABLES):
                # In one transaction: whoever is killed here leaves no table without its order.
                statements = (*layout.create_statements(), *layout.sort_statements())
                connection.execute("; ".join(["BEGIN", *statements, "COMMIT"]))
    finally:
        connection.close()
    if place.is_local:
        for name in layout.TABLES:
            (Path(place.path) / "main" / name).mkdir(parents=True, exist_ok=True)
