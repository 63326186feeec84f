"""How detectors are set, and what they learnt of devices, in PostgreSQL.

Keeps true: a site has one setting of each detector, and so has the organisation. Row-level security decides
whose rows are seen.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from kilowatch.alerts.detector import Setting, setting_faults
from kilowatch.alerts.tables import detector_settings
from kilowatch.clock import to_datetime
from kilowatch.errors import Problem
from kilowatch.ids import new_id
from kilowatch.postgres.engine import Connection
from kilowatch.sites.store import get_site

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHOWN = [column for column in detector_settings.c if column.name != "id"]


async def list_settings(connection: Connection, organisation_id: uuid.UUID | None = None) -> list[Setting]:
    """What was set, in one organisation or, for the worker, in all."""
    query = select(*SHOWN)
    if organisation_id is not None:
        query = query.where(detector_settings.c.organisation_id == organisation_id)
    return [Setting(**row) for row in (await connection.execute(query)).mappings()]


async def set_detector(
    connection: Connection,
    organisation_id: uuid.UUID,
    site_id: uuid.UUID | None,
    kind: str,
    changes: Mapping[str, Any],
) -> None:
    """Sets what is given (`is_on`, `severity`, `limits`) of a detector; None takes back what was set.
    `limits` are replaced as a whole.

    Raises:
        Problem: 404 for a site that is not there; 422 with all that is wrong.
    """
    if site_id is not None:
        await get_site(connection, site_id)
    faults = setting_faults(kind, changes)
    if faults:
        raise Problem(422, "invalid", "The detector cannot be set like this.", faults)
    values = {name: changes[name] for name in ("is_on", "severity") if name in changes}
    if "limits" in changes:
        values["limits"] = changes["limits"] or {}
    made = insert(detector_settings).values(
        id=new_id(), organisation_id=organisation_id, site_id=site_id, kind=kind, **values
    )
    same = ["organisation_id", "site_id", "kind"]
    if values:
        await connection.execute(made.on_conflict_do_update(index_elements=same, set_=values))


# --- what was learnt -------------------------------------------------------------------------------------

KEEP_PROFILES = text("""
    INSERT INTO kilowatch.device_profiles AS kept (device_no, organisation_id, median_w, spread_w, learnt_at)
    SELECT d.device_no, d.organisation_id, CAST(g.median_w AS float8[]), CAST(g.spread_w AS float8[]), :now
    FROM unnest(CAST(:devices AS integer[]), CAST(:medians AS text[]), CAST(:spreads AS text[]))
        AS g (device_no, median_w, spread_w)
    JOIN kilowatch.devices d ON d.device_no = g.device_no
    ORDER BY d.device_no FOR KEY SHARE OF d
    ON CONFLICT (device_no) DO UPDATE
        SET median_w = excluded.median_w, spread_w = excluded.spread_w, learnt_at = excluded.learnt_at
""")
KEEP_PAUSES = text("""
    INSERT INTO kilowatch.device_profiles AS kept (device_no, organisation_id, pause_us)
    SELECT d.device_no, d.organisation_id, g.pause_us
    FROM unnest(CAST(:devices AS integer[]), CAST(:pauses AS bigint[])) AS g (device_no, pause_us)
    JOIN kilowatch.devices d ON d.device_no = g.device_no
    ORDER BY d.device_no FOR KEY SHARE OF d
    ON CONFLICT (device_no) DO UPDATE SET pause_us = excluded.pause_us
""")
PROFILES = text(
    "SELECT device_no, median_w, spread_w FROM kilowatch.device_profiles WHERE median_w IS NOT NULL"
    " AND device_no % :partitions = ANY(CAST(:numbers AS integer[]))"
)


async def keep_profiles(
    connection: Connection, device_nos: Ints, median_w: Floats, spread_w: Floats, now_us: int
) -> None:
    """Keeps what is usual for these devices, hour by hour: shapes (devices, 24), NaN where nothing is known.
    Devices that are gone are left out."""
    columns = {
        "devices": device_nos.tolist(),
        "medians": [_written(row) for row in median_w.tolist()],
        "spreads": [_written(row) for row in spread_w.tolist()],
        "now": to_datetime(now_us),
    }
    await connection.execute(KEEP_PROFILES, columns)


async def keep_pauses(connection: Connection, device_nos: Ints, pause_us: Ints) -> None:
    """Keeps how long these devices usually pause; those that are gone are left out."""
    columns = {"devices": device_nos.tolist(), "pauses": np.maximum(pause_us, 1).tolist()}
    await connection.execute(KEEP_PAUSES, columns)


async def list_profiles(
    connection: Connection, partitions: int, numbers: Sequence[int]
) -> tuple[Ints, Floats, Floats]:
    """Device numbers of these partitions, and the median and spread of each hour of their day."""
    found = (await connection.execute(PROFILES, {"partitions": partitions, "numbers": list(numbers)})).all()
    devices = np.array([row.device_no for row in found], np.int64)
    medians = np.array([row.median_w for row in found], np.float64).reshape(-1, 24)
    return devices, medians, np.array([row.spread_w for row in found], np.float64).reshape(-1, 24)


def _written(row: Sequence[float]) -> str:
    return "{" + ",".join("NaN" if value != value else repr(value) for value in row) + "}"
