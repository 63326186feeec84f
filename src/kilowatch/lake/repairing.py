"""Taking rows back inside a transaction: replaced samples, the roll-ups over them, withdrawn corrections."""

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from kilowatch.lake.connection import LostRace
from kilowatch.lake.reading import GAPS, gap_bounds


def require_whole(connection: duckdb.DuckDBPyConnection, days: pa.Table) -> None:
    """Makes sure that of no day (series_no, start_us, end_us) samples have been forgotten.

    Raises:
        LostRace: if some have.
    """
    connection.register("days", days)
    gap = connection.execute(f"{GAPS} LIMIT 1", gap_bounds(days)).fetchone()
    connection.unregister("days")
    if gap is not None:
        raise LostRace("samples were forgotten while readings next to them were on their way")


def withdraw(
    connection: duckdb.DuckDBPyConnection, samples: pa.Table, corrections: pa.Table, whole: pa.Table
) -> None:
    """Deletes samples given as (series_no, ts_us) and corrections given as (series_no, ts_us, kind), if the
    days `whole` are so still.

    Raises:
        LostRace: if they are not.
    """
    if whole.num_rows:
        require_whole(connection, whole)
    if samples.num_rows:
        connection.register("replaced", samples)
        connection.execute(
            "DELETE FROM lake.samples WHERE (series_no, ts) IN "
            "(SELECT (series_no, make_timestamp(ts_us)) FROM replaced)"
        )
        connection.unregister("replaced")
    if corrections.num_rows:
        connection.register("withdrawn", corrections)
        connection.execute(
            "DELETE FROM lake.corrections WHERE (series_no, ts, kind) IN "
            "(SELECT (series_no, make_timestamp(ts_us), kind) FROM withdrawn)"
        )
        connection.unregister("withdrawn")


def roll_up_again(connection: duckdb.DuckDBPyConnection, buckets: Mapping[str, pa.Table]) -> None:
    """Makes the roll-ups of buckets, per tier (series_no, start_us, end_us), anew from the samples."""
    for tier, touched in buckets.items():
        if not touched.num_rows:
            continue
        connection.register("touched", touched)
        connection.execute(
            f"DELETE FROM lake.rollups_{tier} WHERE (series_no, bucket) IN "
            "(SELECT (series_no, make_timestamp(start_us)) FROM touched)"
        )
        connection.execute(
            f"INSERT INTO lake.rollups_{tier} "
            "SELECT s.series_no, make_timestamp(t.start_us), count(*), sum(s.value), min(s.value), "
            "max(s.value), arg_min(s.value, s.ts), min(s.ts), arg_max(s.value, s.ts), max(s.ts), 0 "
            "FROM lake.samples s JOIN touched t ON s.series_no = t.series_no "
            "AND s.ts >= make_timestamp(t.start_us) AND s.ts < make_timestamp(t.end_us) "
            "GROUP BY s.series_no, t.start_us"
        )
        connection.unregister("touched")
