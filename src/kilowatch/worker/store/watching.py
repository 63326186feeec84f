"""What rules and detectors need to know of PostgreSQL, in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import structlog
from sqlalchemy import RowMapping, text

from kilowatch.alerts.voices import SEVERITIES
from kilowatch.postgres.engine import Connection, Database, join_by_hash, look_up_by_index
from kilowatch.rules.derive import KINDS as METER_KINDS
from kilowatch.rules.rule import INPUTS
from kilowatch.rules.watch import OPERATORS
from kilowatch.telemetry.metric import ENERGY
from kilowatch.worker.watch_rows import UNITS, WATCH, WatchRows

_log = structlog.get_logger()

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
"""Beyond so many, rules on many devices each are too many for a worker's memory; the rest is left out, and
the log says so."""
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
        await (join_by_hash if rule_ids is None else look_up_by_index)(connection)
        parts = [_as_watches(row) for row in (await connection.execute(WATCHES, given)).mappings()]
    rows = np.concatenate(parts) if parts else np.empty(0, WATCH)
    if len(rows) >= WATCHES_MOST:
        advice = "narrow rules that are on every device, or share the partitions among more workers"
        _log.error("rules are left out: one worker holds no more", watches=len(rows), advice=advice)
    return rows


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


# Columns come as bytes, many rows at once, so that no object is made for each device; a site as its place
# among those asked for. A device of a site that is newer than those is left to the next look.
GROUND = text("""
    SELECT string_agg(int4send(device_no), ''::bytea) AS device,
        string_agg(int4send(site), ''::bytea) AS site,
        array_agg(type) AS type, array_agg(room) AS room,
        string_agg(float8send(idle_w), ''::bytea) AS idle_w,
        string_agg(int4send(is_off::integer), ''::bytea) AS is_off,
        string_agg(int4send(is_watched::integer), ''::bytea) AS is_watched,
        string_agg(int4send(gateway), ''::bytea) AS gateway,
        string_agg(int4send(energy_series), ''::bytea) AS energy_series,
        string_agg(int8send(last_seen_us), ''::bytea) AS last_seen_us,
        string_agg(int8send(pause_us), ''::bytea) AS pause_us
    FROM (
        SELECT d.device_no, CAST(place.number AS integer) - 1 AS site, d.type, coalesce(d.room, '') AS room,
            coalesce(d.idle_threshold_w, 'NaN') AS idle_w, d.state <> 'on' AS is_off,
            d.status IN ('active', 'error') AS is_watched, coalesce(g.device_no, 0) AS gateway,
            coalesce(e.series_no, 0) AS energy_series,
            coalesce(CAST(extract(epoch FROM seen.last_seen) * 1000000 AS bigint), 0) AS last_seen_us,
            coalesce(p.pause_us, 0) AS pause_us, (row_number() OVER () - 1) / :at_once AS part
        FROM kilowatch.devices d
        JOIN unnest(CAST(:sites AS uuid[])) WITH ORDINALITY AS place (id, number) ON place.id = d.site_id
        LEFT JOIN kilowatch.devices g
            ON g.organisation_id = d.organisation_id AND g.id = d.metadata ->> 'gateway'
        LEFT JOIN kilowatch.metrics m ON m.organisation_id = d.organisation_id AND m.name = :energy
        LEFT JOIN kilowatch.series e ON e.device_no = d.device_no AND e.metric_no = m.metric_no
        LEFT JOIN kilowatch.device_sightings seen ON seen.device_no = d.device_no
        LEFT JOIN kilowatch.device_profiles p ON p.device_no = d.device_no
        WHERE d.device_no % :partitions = ANY(CAST(:numbers AS integer[]))
    ) grounds GROUP BY part
""")
GROUND_AT_ONCE = 50_000
GROUND_COLUMNS: dict[str, str] = {
    **dict.fromkeys(("device", "site", "is_off", "is_watched", "gateway", "energy_series"), ">i4"),
    "idle_w": ">f8",
    **dict.fromkeys(("last_seen_us", "pause_us"), ">i8"),
}
SITES = text("SELECT organisation_id, id, time_zone, kind FROM kilowatch.sites ORDER BY id")
POWERS = text("SELECT metric_no, unit FROM kilowatch.metrics WHERE name = 'power' AND kind = 'gauge'")
STATES = text("SELECT metric_no, states FROM kilowatch.metrics WHERE name = 'state' AND kind = 'state'")


@dataclass(frozen=True, slots=True)
class GroundRows:
    """What detectors need to know of devices and sites. devices: columns by name, `site` being a place in
    sites; sites: (organisation, site, zone, kind); powers: metric number -> unit; states: metric number ->
    names of the states that devices tell."""

    devices: Mapping[str, Sequence[Any] | npt.NDArray[Any]]
    sites: list[tuple[UUID, UUID, str, str]]
    powers: dict[int, str]
    states: dict[int, list[str]] = field(default_factory=dict)


async def read_ground(connection: Connection, partitions: int, numbers: Sequence[int]) -> GroundRows:
    """The devices of these partitions, and all sites and metrics of power."""
    sites = [tuple(row) for row in await connection.execute(SITES)]
    powers = {row.metric_no: row.unit for row in await connection.execute(POWERS)}
    states = {row.metric_no: list(row.states) for row in await connection.execute(STATES)}
    given = {
        "energy": ENERGY,
        "at_once": GROUND_AT_ONCE,
        "sites": [site_id for _, site_id, _, _ in sites],
        "partitions": partitions,
        "numbers": list(numbers),
    }
    await join_by_hash(connection)
    names: dict[str, str] = {}
    parts: list[dict[str, npt.NDArray[Any]]] = []
    for row in (await connection.execute(GROUND, given)).mappings():
        part = {name: np.frombuffer(row[name], form) for name, form in GROUND_COLUMNS.items()}
        for name in ("type", "room"):
            part[name] = np.array([names.setdefault(one, one) for one in row[name]], np.object_)
        parts.append(part)
    devices = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    return GroundRows(devices, sites, powers, states)
