"""What the worker and its upkeep ask of PostgreSQL about devices and series, and what they note of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import TextClause, text

from kilowatch.clock import MICROSECONDS, to_datetime
from kilowatch.postgres.engine import Connection, Database, look_up_by_index
from kilowatch.telemetry.metric import ENERGY
from kilowatch.telemetry.store import device_sources
from kilowatch.worker.registry import DeviceFact, SeriesFacts

DAY_US = 24 * 3600 * MICROSECONDS

RETENTION = text(
    "SELECT d.device_no, o.retention_raw_days, o.retention_daily_days FROM kilowatch.devices d"
    " JOIN kilowatch.organisations o ON o.id = d.organisation_id"
    " WHERE d.device_no = ANY(CAST(:devices AS integer[]))"
)


RETENTIONS = text(
    "SELECT o.retention_raw_days, o.retention_hourly_days, o.retention_daily_days,"
    " array_agg(s.series_no ORDER BY s.series_no), array_agg(s.device_no ORDER BY s.series_no),"
    " array_agg(m.name = :energy ORDER BY s.series_no)"
    " FROM kilowatch.organisations o JOIN kilowatch.series s ON s.organisation_id = o.id"
    " JOIN kilowatch.metrics m ON m.metric_no = s.metric_no"
    " GROUP BY 1, 2, 3"
)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each tier is kept, in days, and the series that it holds for: their devices, and whether they
    are energy, which is made here and counted nowhere."""

    raw_days: int
    hourly_days: int
    daily_days: int
    series: list[int]
    devices: list[int]
    is_energy: list[bool]


async def list_retentions(database: Database) -> list[Retention]:
    """Every retention that some organisation has, with the series of those organisations."""
    async with database.unscoped() as connection:
        return [Retention(*row) for row in await connection.execute(RETENTIONS, {"energy": ENERGY})]


OWNED = text(
    "SELECT s.series_no, s.device_no, d.id AS device, m.name AS metric, o.slug AS organisation,"
    " o.retention_raw_days AS raw_days, o.retention_hourly_days AS hourly_days,"
    " o.retention_daily_days AS daily_days"
    " FROM kilowatch.series s"
    " JOIN kilowatch.devices d ON d.device_no = s.device_no"
    " JOIN kilowatch.metrics m ON m.metric_no = s.metric_no"
    " JOIN kilowatch.organisations o ON o.id = s.organisation_id"
    " WHERE (CAST(:organisation AS text) IS NULL OR o.slug = :organisation)"
    " AND (CAST(:device AS text) IS NULL OR d.id = :device)"
    " ORDER BY s.series_no"
)


@dataclass(frozen=True, slots=True)
class OwnedSeries:
    """A series with the names of what it belongs to, and how long its tiers are kept, in days."""

    series_no: int
    device_no: int
    device: str
    metric: str
    organisation: str
    raw_days: int
    hourly_days: int
    daily_days: int

    @property
    def is_energy(self) -> bool:
        """Whether it is a device's canonical energy, which has roll-ups only."""
        return self.metric == ENERGY


async def list_owned_series(
    database: Database, organisation: str | None = None, device: str | None = None
) -> list[OwnedSeries]:
    """All series, or those of an organisation (by slug) or of devices called so."""
    async with database.unscoped() as connection:
        given = {"organisation": organisation, "device": device}
        return [OwnedSeries(**row) for row in (await connection.execute(OWNED, given)).mappings()]


# Columns come as bytes: rows as objects would hold up everything else while a million devices are learnt.
SERIES = text("""
    SELECT coalesce(string_agg(int4send(series_no), ''::bytea), ''::bytea) AS series,
        coalesce(string_agg(int4send(device_no), ''::bytea), ''::bytea) AS device,
        coalesce(string_agg(int4send(metric_no), ''::bytea), ''::bytea) AS metric
    FROM kilowatch.series WHERE device_no = ANY(CAST(:devices AS integer[]))
""")
METRIC_NAMES = text(
    "SELECT metric_no, name FROM kilowatch.metrics WHERE metric_no = ANY(CAST(:metrics AS integer[]))"
)


async def learn_devices(
    database: Database, device_nos: Sequence[int]
) -> tuple[list[DeviceFact], SeriesFacts]:
    """The facts of the given devices, at most some ten thousand at once; a device that is gone has none.

    Raises:
        EngineUnavailable: if PostgreSQL is away.
    """
    async with database.unscoped() as connection:
        devices = await _learn(connection, device_nos)
        found = (await connection.execute(SERIES, {"devices": list(device_nos)})).one()
        series, of_device, metric = (np.frombuffer(column, ">i4").astype(np.int32) for column in found)
        named = await connection.execute(METRIC_NAMES, {"metrics": np.unique(metric).tolist()})
        names = {row.metric_no: row.name for row in named}
    return devices, SeriesFacts(series, of_device, metric, names)


async def _learn(connection: Connection, device_nos: Sequence[int]) -> list[DeviceFact]:
    sources = await device_sources(connection, device_nos)
    found = await connection.execute(RETENTION, {"devices": list(device_nos)})
    retention = {row.device_no: (row.retention_raw_days, row.retention_daily_days) for row in found}
    organisations = {source.organisation_id: source.organisation_id for source in sources}
    return [
        DeviceFact(
            source.device_no,
            organisations[source.organisation_id],
            source.device,
            source.time_zone,
            retention.get(source.device_no, (0, 0))[0],
            source.rated_power_w,
            source.metric,
            source.kind,
            source.unit,
            source.energy_series_no,
            retention.get(source.device_no, (0, 0))[1],
        )
        for source in sources
    ]


# Whoever deletes a device waits for this lock, and with it for the row that refers to the device.
SEE = text("""
    INSERT INTO kilowatch.device_sightings AS seen (device_no, organisation_id, last_seen)
    SELECT d.device_no, d.organisation_id, to_timestamp(0) + told.at_us * interval '1 microsecond'
    FROM unnest(CAST(:devices AS integer[]), CAST(:times AS bigint[])) AS told (device_no, at_us)
    JOIN kilowatch.devices d ON d.device_no = told.device_no
    ORDER BY d.device_no FOR KEY SHARE OF d
    ON CONFLICT (device_no) DO UPDATE SET last_seen = excluded.last_seen
        WHERE excluded.last_seen > seen.last_seen
""")


async def note_sightings(
    database: Database, device_nos: npt.NDArray[np.int32], at_us: npt.NDArray[np.int64]
) -> None:
    """Notes when devices were last heard of; never back in time, and not of those that are gone.

    Raises:
        EngineUnavailable: if PostgreSQL is away.
    """
    async with database.unscoped() as connection:
        await look_up_by_index(connection)
        await connection.execute(SEE, {"devices": device_nos.tolist(), "times": at_us.tolist()})


VANISHED = text(
    "SELECT series_no, device_no, vanished_at < now() - make_interval(secs => :settled_s) AS is_settled"
    " FROM kilowatch.vanished_series WHERE erased_at IS NULL"
    " OR vanished_at < now() - make_interval(secs => :settled_s) ORDER BY series_no"
)
ERASED = text(
    "UPDATE kilowatch.vanished_series SET erased_at = now() WHERE series_no = ANY(CAST(:series AS integer[]))"
)
SETTLED = text("DELETE FROM kilowatch.vanished_series WHERE series_no = ANY(CAST(:series AS integer[]))")


@dataclass(frozen=True, slots=True)
class VanishedSeries:
    """A series that was deleted. is_settled: so long ago that nobody can be adding to it any more."""

    series_no: int
    device_no: int
    is_settled: bool


async def list_vanished(database: Database, settled_s: float) -> list[VanishedSeries]:
    """The series to erase from the lake now: the new ones, and once more those gone for `settled_s`."""
    async with database.unscoped() as connection:
        found = await connection.execute(VANISHED, {"settled_s": settled_s})
        return [VanishedSeries(**row) for row in found.mappings()]


async def note_erased(database: Database, vanished: Sequence[VanishedSeries]) -> None:
    """Notes that nothing is left of these; the settled ones need not be remembered any more."""
    async with database.unscoped() as connection:
        for statement, settled in ((ERASED, False), (SETTLED, True)):
            numbers = [one.series_no for one in vanished if one.is_settled == settled]
            await connection.execute(statement, {"series": numbers})


SESSIONS_KEPT_DAYS = 30
"""So long it can be told that a refresh token was of a session that is over."""
OFFERS_KEPT_DAYS = 1
"""Codes and invitations that have run out."""
PORTION = 1000


def _forget(table: str, key: str, ended: str) -> TextClause:
    """Forgets some rows that ended before a moment. The condition stands twice, since a row may be renewed
    between the two."""
    return text(
        f"DELETE FROM kilowatch.{table} WHERE {ended} < :before AND ({key}) IN"  # noqa: S608 - names of ours
        f" (SELECT {key} FROM kilowatch.{table} WHERE {ended} < :before LIMIT :most)"
    )


OVER = (
    (_forget("sessions", "id", "least(ended_at, expires_at)"), SESSIONS_KEPT_DAYS),
    (_forget("user_codes", "user_id, purpose", "expires_at"), OFFERS_KEPT_DAYS),
    (_forget("invitations", "id", "expires_at"), OFFERS_KEPT_DAYS),
)


async def forget_what_is_over(database: Database, now_us: int, portion: int = PORTION) -> int:
    """Forgets sessions (with their refresh tokens), codes and invitations that ended some while ago, a
    portion each transaction; how many they were."""
    count = 0
    for statement, kept_days in OVER:
        before = to_datetime(now_us - kept_days * DAY_US)
        gone = portion
        while gone == portion:
            async with database.unscoped() as connection:
                done = await connection.execute(statement, {"before": before, "most": portion})
            gone = done.rowcount
            count += gone
    return count


async def name_metrics(database: Database, metric_nos: Sequence[int]) -> dict[int, str]:
    """The names of metrics by their numbers."""
    async with database.unscoped() as connection:
        found = await connection.execute(METRIC_NAMES, {"metrics": list(metric_nos)})
        return {row.metric_no: row.name for row in found}
