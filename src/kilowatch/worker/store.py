"""What the worker and its upkeep ask of PostgreSQL, over all organisations."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from kilowatch.postgres.engine import Connection, Database
from kilowatch.telemetry.metric import ENERGY
from kilowatch.telemetry.store import device_sources, list_series
from kilowatch.worker.registry import DeviceFact, SeriesFact

DEVICES_AT_ONCE = 20_000

RETENTION = text(
    "SELECT d.device_no, o.retention_raw_days FROM kilowatch.devices d"
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


async def learn_devices(
    database: Database, device_nos: Sequence[int]
) -> tuple[list[DeviceFact], list[SeriesFact]]:
    """The facts of the given devices; a device that is gone has none.

    Raises:
        EngineUnavailable: if PostgreSQL is away.
    """
    devices: list[DeviceFact] = []
    series: list[SeriesFact] = []
    for start in range(0, len(device_nos), DEVICES_AT_ONCE):
        async with database.unscoped() as connection:
            some_devices, some_series = await _learn(connection, device_nos[start : start + DEVICES_AT_ONCE])
        devices += some_devices
        series += some_series
    return devices, series


async def _learn(
    connection: Connection, device_nos: Sequence[int]
) -> tuple[list[DeviceFact], list[SeriesFact]]:
    sources = await device_sources(connection, device_nos)
    found = await connection.execute(RETENTION, {"devices": list(device_nos)})
    retention = {row.device_no: row.retention_raw_days for row in found}
    devices = [
        DeviceFact(
            source.device_no,
            source.organisation_id,
            source.device,
            source.time_zone,
            retention.get(source.device_no, 0),
            source.rated_power_w,
            source.metric,
            source.kind,
            source.unit,
            source.energy_series_no,
        )
        for source in sources
    ]
    series = [
        SeriesFact(one.series_no, one.device_no, one.metric_no, one.metric)
        for one in await list_series(connection, device_nos)
    ]
    return devices, series
