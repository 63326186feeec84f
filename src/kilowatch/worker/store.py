"""What the worker and its upkeep ask of PostgreSQL, over all organisations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import RowMapping, text

from kilowatch.alerts.voices import SEVERITIES
from kilowatch.clock import to_datetime
from kilowatch.postgres.engine import Connection, Database
from kilowatch.rules.derive import KINDS as METER_KINDS
from kilowatch.rules.rule import INPUTS
from kilowatch.rules.watch import OPERATORS
from kilowatch.telemetry.metric import ENERGY
from kilowatch.telemetry.store import device_sources
from kilowatch.worker.registry import DeviceFact, SeriesFacts
from kilowatch.worker.watch_rows import UNITS, WATCH, WatchRows

DEVICES_AT_ONCE = 20_000

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


SERIES = text(
    "SELECT series_no, device_no, metric_no FROM kilowatch.series"
    " WHERE device_no = ANY(CAST(:devices AS integer[]))"
)
METRIC_NAMES = text(
    "SELECT metric_no, name FROM kilowatch.metrics WHERE metric_no = ANY(CAST(:metrics AS integer[]))"
)


async def learn_devices(
    database: Database, device_nos: Sequence[int]
) -> tuple[list[DeviceFact], SeriesFacts]:
    """The facts of the given devices; a device that is gone has none.

    Raises:
        EngineUnavailable: if PostgreSQL is away.
    """
    devices: list[DeviceFact] = []
    rows: list[Sequence[int]] = []
    async with database.unscoped() as connection:
        for start in range(0, len(device_nos), DEVICES_AT_ONCE):
            some = list(device_nos[start : start + DEVICES_AT_ONCE])
            devices += await _learn(connection, some)
            found = await connection.execute(SERIES, {"devices": some})
            rows += [tuple(row) for row in found]
        columns = np.array(rows, np.int32).reshape(-1, 3)
        metrics = np.unique(columns[:, 2]).tolist()
        named = await connection.execute(METRIC_NAMES, {"metrics": metrics})
        names = {row.metric_no: row.name for row in named}
    return devices, SeriesFacts(columns[:, 0], columns[:, 1], columns[:, 2], names)


async def _learn(connection: Connection, device_nos: Sequence[int]) -> list[DeviceFact]:
    sources = await device_sources(connection, device_nos)
    found = await connection.execute(RETENTION, {"devices": list(device_nos)})
    retention = {row.device_no: (row.retention_raw_days, row.retention_daily_days) for row in found}
    return [
        DeviceFact(
            source.device_no,
            source.organisation_id,
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
    SELECT d.device_no, d.organisation_id, told.at
    FROM unnest(CAST(:devices AS integer[]), CAST(:times AS timestamptz[])) AS told (device_no, at)
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
    times = [to_datetime(moment) for moment in at_us.tolist()]
    async with database.unscoped() as connection:
        await connection.execute(SEE, {"devices": device_nos.tolist(), "times": times})


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


# One row for each watch: an active rule on one series, or (silence of a device as a whole) on one device.
# Columns come as bytes, many rows at once: a million watches would be half a minute as rows of objects.
WATCHES = text("""
    WITH wanted AS NOT MATERIALIZED (
        SELECT * FROM kilowatch.rules r
        WHERE r.status = 'active'
            AND (CAST(:organisation_id AS uuid) IS NULL OR r.organisation_id = :organisation_id)
            AND (CAST(:rule_ids AS uuid[]) IS NULL OR r.id = ANY(CAST(:rule_ids AS uuid[])))
    ), pairs AS NOT MATERIALIZED (
        SELECT r.id, r.metric, d.device_no AS of_device, d.energy_metric_no FROM wanted r
        JOIN kilowatch.devices d ON d.device_no = r.device_no
        WHERE r.device_no IS NOT NULL
        UNION ALL
        SELECT r.id, r.metric, d.device_no, d.energy_metric_no FROM wanted r
        JOIN kilowatch.devices d ON d.organisation_id = r.organisation_id AND d.site_id = r.site_id
        WHERE r.site_id IS NOT NULL
        UNION ALL
        SELECT r.id, r.metric, d.device_no, d.energy_metric_no FROM wanted r
        JOIN kilowatch.devices d ON d.organisation_id = r.organisation_id AND d.type = r.device_type
        WHERE r.device_type IS NOT NULL
        UNION ALL
        SELECT r.id, r.metric, d.device_no, d.energy_metric_no FROM wanted r
        JOIN kilowatch.devices d ON d.organisation_id = r.organisation_id
        WHERE num_nonnulls(r.device_no, r.site_id, r.device_type) = 0
    ), watches AS (
        SELECT p.id, p.of_device, s.series_no, s.metric_no, m.kind, m.unit FROM pairs p
        JOIN kilowatch.series s ON s.device_no = p.of_device
        JOIN kilowatch.metrics m ON m.metric_no = s.metric_no
        WHERE CASE WHEN p.metric = :energy THEN s.metric_no = p.energy_metric_no ELSE m.name = p.metric END
        UNION ALL
        SELECT p.id, p.of_device, 0, 0, NULL, NULL FROM pairs p WHERE p.metric IS NULL
    ), numbered AS (
        SELECT *, (row_number() OVER () - 1) / :at_once AS part
        FROM (
            SELECT r.*, w.of_device, w.series_no, w.metric_no, w.kind, w.unit
            FROM watches w JOIN wanted r ON r.id = w.id
            WHERE w.of_device % :partitions = ANY(CAST(:numbers AS integer[]))
            LIMIT :most
        ) kept
    )
    SELECT count(*) AS count,
        string_agg(uuid_send(id), ''::bytea) AS rule,
        string_agg(uuid_send(organisation_id), ''::bytea) AS organisation,
        string_agg(int4send(series_no), ''::bytea) AS series,
        string_agg(int4send(of_device), ''::bytea) AS device,
        string_agg(int4send(metric_no), ''::bytea) AS metric,
        string_agg(int4send(array_position(CAST(:inputs AS text[]), input) - 1), ''::bytea) AS input,
        string_agg(int4send(coalesce(array_position(CAST(:operators AS text[]), operator) - 1, 0)), ''::bytea)
            AS operator,
        string_agg(float8send(coalesce(threshold, 0)), ''::bytea) AS limit,
        string_agg(float8send(coalesce(clear_threshold, threshold, 0)), ''::bytea) AS clear,
        string_agg(int4send(for_s), ''::bytea) AS for_s,
        string_agg(int4send(cooldown_s), ''::bytea) AS cooldown_s,
        string_agg(int4send(array_position(CAST(:severities AS text[]), severity) - 1), ''::bytea)
            AS severity,
        string_agg(int4send(coalesce(array_position(CAST(:kinds AS text[]), kind) - 1, 0)), ''::bytea)
            AS kind,
        string_agg(int4send(coalesce(array_position(CAST(:units AS text[]), unit), 0)), ''::bytea)
            AS unit,
        string_agg(int8send((extract(epoch FROM updated_at) * 1000000)::bigint), ''::bytea) AS updated_us
    FROM numbered GROUP BY part
""")
WATCHES_AT_ONCE = 50_000
WATCHES_MOST = 4_000_000
"""Beyond so many, rules on many devices each are too many for a worker's memory; the rest is left out."""
FOR_MANY = text("SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true)")
"""Where rules were made a moment ago, PostgreSQL may take them for few, and go through devices one by one."""
WATCH_COLUMNS: dict[str, str] = {
    **dict.fromkeys(("series", "device", "metric", "input", "operator", "for_s", "cooldown_s"), ">i4"),
    **dict.fromkeys(("severity", "kind", "unit"), ">i4"),
    **dict.fromkeys(("limit", "clear"), ">f8"),
    "updated_us": ">i8",
}


async def load_watches(
    database: Database,
    numbers: Sequence[int],
    partitions: int,
    organisation_id: UUID | None = None,
    rule_ids: Sequence[UUID] | None = None,
) -> WatchRows:
    """Every watch of the devices of these partitions; those of one organisation or of some rules, where
    named.

    Raises:
        EngineUnavailable: if PostgreSQL is away.
    """
    given = {
        "organisation_id": organisation_id,
        "rule_ids": None if rule_ids is None else list(rule_ids),
        "energy": ENERGY,
        "at_once": WATCHES_AT_ONCE,
        "most": WATCHES_MOST,
        "partitions": partitions,
        "numbers": list(numbers),
        "inputs": list(INPUTS),
        "operators": list(OPERATORS),
        "severities": list(SEVERITIES),
        "kinds": list(METER_KINDS),
        "units": list(UNITS),
    }
    async with database.unscoped() as connection:
        if rule_ids is None:
            await connection.execute(FOR_MANY)
        found = await connection.stream(WATCHES, given)
        parts = [_as_watches(row) async for row in found.mappings()]
    return np.concatenate(parts) if parts else np.empty(0, WATCH)


def _as_watches(columns: RowMapping) -> WatchRows:
    rows = np.empty(columns["count"], WATCH)
    for name, form in WATCH_COLUMNS.items():
        rows[name] = np.frombuffer(columns[name], form)
    for name in ("rule", "organisation"):
        halves = np.frombuffer(columns[name], ">u8").reshape(-1, 2)
        rows[f"{name}_high"], rows[f"{name}_low"] = halves[:, 0], halves[:, 1]
    return rows


WITH_ENERGY = text(
    "SELECT DISTINCT organisation_id FROM kilowatch.rules"
    " WHERE organisation_id = ANY(CAST(:organisations AS uuid[])) AND metric = :energy AND status = 'active'"
)


async def list_with_energy_rules(database: Database, organisations: Sequence[UUID]) -> list[UUID]:
    """Those of the organisations that have rules on energy."""
    async with database.unscoped() as connection:
        given = {"organisations": list(organisations), "energy": ENERGY}
        return list((await connection.execute(WITH_ENERGY, given)).scalars())


RECENT = text(
    "SELECT id, updated_at FROM kilowatch.rules"
    " WHERE updated_at > now() - make_interval(secs => :recent_s)"
    " ORDER BY updated_at DESC, id LIMIT :most"
)


async def list_recent_rules(database: Database, recent_s: float, most: int) -> dict[UUID, datetime]:
    """The rules that were changed in the last seconds, of any status, and when; at most so many, the
    newest."""
    async with database.unscoped() as connection:
        found = await connection.execute(RECENT, {"recent_s": recent_s, "most": most})
        return {row.id: row.updated_at for row in found}


async def name_metrics(database: Database, metric_nos: Sequence[int]) -> dict[int, str]:
    """The names of metrics by their numbers."""
    async with database.unscoped() as connection:
        found = await connection.execute(METRIC_NAMES, {"metrics": list(metric_nos)})
        return {row.metric_no: row.name for row in found}
