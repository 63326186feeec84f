"""Metrics, series and remembered requests in PostgreSQL, in bulk: one statement for any number.

Keeps true: a metric's and a series' number never change; a device's energy is made from one metric, chosen
once. Row-level security decides whose rows are seen.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ARRAY, Text, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert

from kilowatch.accounts.store.organisations import is_there
from kilowatch.errors import Problem
from kilowatch.ids import METRIC_NAME
from kilowatch.postgres.engine import Connection, look_up_by_index
from kilowatch.telemetry.metric import ENERGY_METRIC, RESERVED, Metric, StoredMetric, describe, metric_faults
from kilowatch.telemetry.source import DeviceSource, Series
from kilowatch.telemetry.tables import idempotency_keys, metrics, series

Numbers = Sequence[int] | npt.NDArray[np.int32] | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RememberedResponse:
    """What a request with an Idempotency-Key was answered; fingerprint: hash of that request."""

    fingerprint: bytes
    response: Any
    created_at: datetime


async def ensure_metrics(
    connection: Connection, organisation_id: uuid.UUID, names: Sequence[str]
) -> dict[str, StoredMetric]:
    """Name -> metric, made as the catalogue describes it where missing. Reserved names and those that are
    none are left out of the answer."""
    proper = [name for name in names if METRIC_NAME.fullmatch(name) and name not in RESERVED]
    return await define_metrics(connection, organisation_id, [describe(name) for name in proper])


async def define_metrics(
    connection: Connection, organisation_id: uuid.UUID, wanted: Sequence[Metric]
) -> dict[str, StoredMetric]:
    """Name -> metric; those that exist stay as they were defined first, and none is made for an organisation
    that is being deleted."""
    known = await find_metrics(connection, organisation_id, [metric.name for metric in wanted])
    missing = {metric.name: metric for metric in wanted if metric.name not in known}
    if not missing or not await is_there(connection, organisation_id):
        return known
    # Sorted, because two callers inserting the same names in different orders would wait for each other.
    rows = [
        {
            "organisation_id": organisation_id,
            "name": metric.name,
            "unit": metric.unit,
            "kind": metric.kind,
            "states": list(metric.states),
            "minimum": metric.minimum,
            "maximum": metric.maximum,
        }
        for _, metric in sorted(missing.items())
    ]
    await connection.execute(insert(metrics).on_conflict_do_nothing(), rows)
    return known | await find_metrics(connection, organisation_id, list(missing))


async def find_metrics(
    connection: Connection, organisation_id: uuid.UUID, names: Sequence[str] | None = None
) -> dict[str, StoredMetric]:
    """Name -> metric of those that exist; all of the organisation's when no names are given."""
    query = select(metrics).where(metrics.c.organisation_id == organisation_id)
    if names is not None:
        query = query.where(metrics.c.name == func.any(literal(list(names), ARRAY(Text))))
    return {
        row.name: StoredMetric(
            row.metric_no, Metric(row.name, row.unit, row.kind, tuple(row.states), row.minimum, row.maximum)
        )
        for row in await connection.execute(query)
    }


async def change_metric(connection: Connection, organisation_id: uuid.UUID, metric: Metric) -> StoredMetric:
    """Defines a metric anew, or for the first time.

    Raises:
        Problem: 422 with all that is wrong; 409 `metric_in_use` if kept values would mean something else; 404
            if the organisation is gone.
    """
    faults = metric_faults(metric)
    if faults:
        raise Problem(422, "invalid", "The metric cannot be defined like this.", faults)
    known = (await define_metrics(connection, organisation_id, [metric])).get(metric.name)
    if known is None:
        raise Problem(404, "not_found", f"There is no organisation {organisation_id}.")
    old = known.metric
    recoded = (old.kind == "state") != (metric.kind == "state") or metric.states[
        : len(old.states)
    ] != old.states
    if recoded:
        used = select(series.c.series_no).where(series.c.metric_no == known.metric_no).limit(1)
        if (await connection.execute(used)).one_or_none() is not None:
            detail = f"{metric.name} has values; it stays what it is, and states keep their places."
            raise Problem(409, "metric_in_use", detail)
    changed = update(metrics).where(metrics.c.metric_no == known.metric_no)
    await connection.execute(
        changed.values(
            unit=metric.unit,
            kind=metric.kind,
            states=list(metric.states),
            minimum=metric.minimum,
            maximum=metric.maximum,
        )
    )
    return StoredMetric(known.metric_no, metric)


# Existing pairs are left out before the insert, because a conflict uses up a number.
# Series of one metric get neighbouring numbers: merged files are sorted by number, and values of one metric
# share a smaller dictionary than those of several (1.7 instead of 2.0 bytes a sample in `kw bench`).
# Whoever deletes a device is waited for, and who deletes it next waits: a series needs its device.
ADD_SERIES = text("""
    WITH missing AS (
        SELECT DISTINCT pair.device_no, pair.metric_no
        FROM unnest(CAST(:devices AS integer[]), CAST(:metrics AS integer[])) AS pair (device_no, metric_no)
        WHERE NOT EXISTS (
            SELECT FROM kilowatch.series s
            WHERE s.device_no = pair.device_no AND s.metric_no = pair.metric_no
        )
    ), there AS MATERIALIZED (
        SELECT d.organisation_id, d.device_no, missing.metric_no
        FROM missing JOIN kilowatch.devices d ON d.device_no = missing.device_no
        ORDER BY d.device_no FOR KEY SHARE OF d
    )
    INSERT INTO kilowatch.series (organisation_id, device_no, metric_no)
    SELECT there.organisation_id, there.device_no, m.metric_no
    FROM there
    JOIN kilowatch.metrics m ON m.metric_no = there.metric_no AND m.organisation_id = there.organisation_id
    ORDER BY m.metric_no, there.device_no
    ON CONFLICT (device_no, metric_no) DO NOTHING
""")
NUMBER_SERIES = text("""
    SELECT coalesce(s.series_no, 0) AS series_no
    FROM unnest(CAST(:devices AS integer[]), CAST(:metrics AS integer[]))
        WITH ORDINALITY AS pair (device_no, metric_no, place)
    LEFT JOIN kilowatch.series s ON s.device_no = pair.device_no AND s.metric_no = pair.metric_no
    ORDER BY pair.place
""")


async def ensure_series(
    connection: Connection, device_nos: Numbers, metric_nos: Numbers
) -> npt.NDArray[np.int32]:
    """The series number of each pair (device, metric), in the order given, made where missing; 0 for a pair
    whose device or metric is gone or not of one organisation. The organisation follows from the device, so
    one call may carry pairs of many."""
    pairs = {"devices": _integers(device_nos), "metrics": _integers(metric_nos)}
    await look_up_by_index(connection)
    await connection.execute(ADD_SERIES, pairs)
    numbers = (await connection.execute(NUMBER_SERIES, pairs)).scalars().all()
    return np.array(numbers, dtype=np.int32)


async def list_series(connection: Connection, device_nos: Numbers) -> list[Series]:
    """All series of these devices, by device and metric name."""
    found = await connection.execute(
        text("""
            SELECT s.series_no, s.device_no, d.id AS device, s.metric_no,
                m.name AS metric, m.unit, m.kind, m.states
            FROM kilowatch.series s
            JOIN kilowatch.devices d ON d.device_no = s.device_no
            JOIN kilowatch.metrics m ON m.metric_no = s.metric_no
            WHERE s.device_no = ANY(CAST(:devices AS integer[]))
            ORDER BY s.device_no, m.name
        """),
        {"devices": _integers(device_nos)},
    )
    return [Series(**row) for row in found.mappings()]


# A counter tells best what was used, an amount per interval next, power last; within a kind the names of the
# catalogue come first. What flows back (export) and single phases are no device's energy.
CHOOSE_SOURCES = text("""
    UPDATE kilowatch.devices d SET energy_metric_no = best.metric_no
    FROM (
        SELECT DISTINCT ON (s.device_no) s.device_no, m.metric_no
        FROM kilowatch.series s
        JOIN kilowatch.metrics m ON m.metric_no = s.metric_no
        WHERE s.device_no = ANY(CAST(:devices AS integer[])) AND m.name <> :energy
            AND m.name NOT LIKE '%export%' AND m.name !~ '_l[123]$'
            AND (
                (m.kind IN ('counter', 'interval') AND m.unit IN ('Wh', 'kWh', 'MWh'))
                OR (m.kind = 'gauge' AND m.name = 'power' AND m.unit IN ('W', 'kW', 'MW'))
            )
        ORDER BY s.device_no, array_position(ARRAY['counter', 'interval', 'gauge'], m.kind),
            array_position(ARRAY['energy', 'energy_import', 'energy_interval', 'power'], m.name), m.metric_no
    ) best
    WHERE d.device_no = best.device_no AND d.energy_metric_no IS NULL
""")
ADD_ENERGY_METRICS = text("""
    INSERT INTO kilowatch.metrics (organisation_id, name, unit, kind)
    SELECT DISTINCT d.organisation_id, :energy, :unit, :kind
    FROM kilowatch.devices d
    WHERE d.device_no = ANY(CAST(:devices AS integer[])) AND d.energy_metric_no IS NOT NULL AND NOT EXISTS (
        SELECT FROM kilowatch.metrics m WHERE m.organisation_id = d.organisation_id AND m.name = :energy
    )
    ORDER BY 1
    ON CONFLICT (organisation_id, name) DO NOTHING
""")
ADD_ENERGY_SERIES = text("""
    INSERT INTO kilowatch.series (organisation_id, device_no, metric_no)
    SELECT d.organisation_id, d.device_no, m.metric_no
    FROM kilowatch.devices d
    JOIN kilowatch.metrics m ON m.organisation_id = d.organisation_id AND m.name = :energy
    WHERE d.device_no = ANY(CAST(:devices AS integer[])) AND d.energy_metric_no IS NOT NULL AND NOT EXISTS (
        SELECT FROM kilowatch.series s WHERE s.device_no = d.device_no AND s.metric_no = m.metric_no
    )
    ORDER BY d.device_no
    ON CONFLICT (device_no, metric_no) DO NOTHING
""")
SOURCES = text("""
    SELECT d.device_no, d.organisation_id, d.id AS device, site.time_zone, d.rated_power_w,
        d.energy_metric_no AS metric_no, source.name AS metric, source.kind, source.unit,
        s.series_no AS energy_series_no
    FROM kilowatch.devices d
    JOIN kilowatch.sites site ON site.id = d.site_id
    LEFT JOIN kilowatch.metrics source ON source.metric_no = d.energy_metric_no
    LEFT JOIN kilowatch.metrics energy ON energy.organisation_id = d.organisation_id AND energy.name = :energy
    LEFT JOIN kilowatch.series s ON s.device_no = d.device_no AND s.metric_no = energy.metric_no
    WHERE d.device_no = ANY(CAST(:devices AS integer[]))
    ORDER BY d.device_no
""")


async def device_sources(connection: Connection, device_nos: Numbers) -> list[DeviceSource]:
    """What the worker needs of these devices, of any organisations, by device number.

    Chooses the energy source of devices that have none yet, from the series that they have by now (so ensure
    their series first), and makes their energy series. A choice once made stays.
    """
    given = {"devices": _integers(device_nos), "energy": ENERGY_METRIC.name}
    await look_up_by_index(connection)
    await connection.execute(CHOOSE_SOURCES, given)
    meaning = {"unit": ENERGY_METRIC.unit, "kind": ENERGY_METRIC.kind}
    await connection.execute(ADD_ENERGY_METRICS, {**given, **meaning})
    await connection.execute(ADD_ENERGY_SERIES, given)
    found = await connection.execute(SOURCES, given)
    return [DeviceSource(**row) for row in found.mappings()]


async def find_response(
    connection: Connection, key_no: int, idempotency_key: str
) -> RememberedResponse | None:
    """What the request with this key was answered, if it is still remembered."""
    query = select(
        idempotency_keys.c.fingerprint, idempotency_keys.c.response, idempotency_keys.c.created_at
    ).where(idempotency_keys.c.key_no == key_no, idempotency_keys.c.idempotency_key == idempotency_key)
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else RememberedResponse(**row)


async def remember_response(
    connection: Connection,
    organisation_id: uuid.UUID,
    key_no: int,
    idempotency_key: str,
    fingerprint: bytes,
    response: Any,
) -> RememberedResponse:
    """Keeps an answer and returns the one that counts: an earlier one for the same key wins."""
    kept = insert(idempotency_keys).values(
        organisation_id=organisation_id,
        key_no=key_no,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        response=response,
    )
    await connection.execute(kept.on_conflict_do_nothing())
    found = await find_response(connection, key_no, idempotency_key)
    if found is None:
        raise Problem(404, "not_found", f"There is no API key number {key_no}.")
    return found


async def forget_responses(connection: Connection, before: datetime) -> int:
    """Forgets the answers given before this moment and returns how many they were."""
    gone = await connection.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < before))
    return gone.rowcount


def _integers(numbers: Numbers) -> list[int]:
    return numbers.tolist() if isinstance(numbers, np.ndarray) else list(numbers)
