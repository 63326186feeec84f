"""What the hub asks the rest of the house: rights and names from PostgreSQL, newest values from the lake.

Keeps true that everything is read under the organisation's own row-level security, so a directory can only
hold what is that organisation's.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kilowatch.accounts.rights import may_do
from kilowatch.accounts.store.api_keys import ApiKey, list_api_keys
from kilowatch.accounts.store.members import list_memberships
from kilowatch.accounts.store.sessions import is_session_open
from kilowatch.clock import Clock, to_us
from kilowatch.postgres.engine import Connection, Database, Sight
from kilowatch.postgres.page import LIMIT_MAX
from kilowatch.server.live.directory import DeviceEntry, Directory, KeyRights, MetricEntry, Viewer
from kilowatch.sites.store import list_devices, list_sites
from kilowatch.telemetry.metric import ENERGY
from kilowatch.telemetry.query import Lake, read_latest
from kilowatch.telemetry.store import find_metrics, list_series
from kilowatch.wire.frame import Frame


@dataclass(frozen=True, slots=True)
class HouseRegistry:
    """The registry over PostgreSQL and the lake."""

    database: Database
    lake: Lake
    clock: Clock

    async def read_directory(self, viewer: Viewer) -> Directory:
        """The devices and metrics that the viewer sees, as PostgreSQL lists them now."""
        organisation_id = uuid.UUID(viewer.organisation)
        async with self.database.scope(_sight(viewer)) as connection:
            regions = await _regions(connection)
            devices = await _devices(connection, regions)
            metrics = await find_metrics(connection, organisation_id)
        entries = [
            MetricEntry(stored.metric_no, name, stored.metric.states)
            for name, stored in metrics.items()
            if name != ENERGY
        ]
        return Directory.of(viewer, devices, entries)

    async def read_latest(self, directory: Directory) -> list[Frame]:
        """The newest stored value of every series of the directory, one frame for each metric."""
        async with self.database.scope(_sight(directory.viewer)) as connection:
            series = await list_series(connection, list(directory.devices))
        numbers = [one.series_no for one in series if one.metric_no in directory.metrics]
        newest = await asyncio.to_thread(read_latest, self.lake, numbers)
        rows: defaultdict[int, list[tuple[int, int, float]]] = defaultdict(list)
        for one in series:
            if one.series_no in newest:
                rows[one.metric_no].append((one.device_no, *newest[one.series_no]))
        return [_frame(metric_no, found) for metric_no, found in rows.items()]

    async def find_withdrawn(self, rights: Iterable[KeyRights]) -> set[KeyRights]:
        """Those whose key was revoked, has expired, or may no longer read; people whose session is over, or
        who may no longer read there."""
        asked: defaultdict[str, set[KeyRights]] = defaultdict(set)
        withdrawn: set[KeyRights] = set()
        for right in rights:
            if right.user_id is None or right.session_id is None:
                asked[right.organisation].add(right)
            elif not await self._is_welcome(right, right.user_id, right.session_id):
                withdrawn.add(right)
        for organisation, of_keys in asked.items():
            valid = await self._valid_keys(uuid.UUID(organisation))
            withdrawn.update(right for right in of_keys if right.key_no not in valid)
        return withdrawn

    async def _is_welcome(self, right: KeyRights, user_id: uuid.UUID, session_id: uuid.UUID) -> bool:
        async with self.database.person(user_id) as connection:
            if not await is_session_open(connection, session_id):
                return False
            members = await list_memberships(connection)
        roles = [one.role for one in members if str(one.id) == right.organisation]
        # Who has become a customer, or is one no more, sees something else: they must come anew.
        return any(
            may_do(role, "live", "read") and (role == "customer") == right.is_customer for role in roles
        )

    async def _valid_keys(self, organisation_id: uuid.UUID) -> set[int]:
        now_us = self.clock.now_us()
        valid: set[int] = set()
        cursor: str | None = None
        async with self.database.scope(organisation_id) as connection:
            while True:
                page = await list_api_keys(connection, LIMIT_MAX, cursor)
                valid.update(key.key_no for key in page.items if _may_read(key, now_us))
                cursor = page.next_cursor
                if cursor is None:
                    return valid


def _sight(viewer: Viewer) -> Sight:
    return Sight(uuid.UUID(viewer.organisation), viewer.customer_id, viewer.customer_id is not None)


def _may_read(key: ApiKey, now_us: int) -> bool:
    if key.revoked_at is not None or "read" not in key.scopes:
        return False
    return key.expires_at is None or to_us(key.expires_at) > now_us


async def _regions(connection: Connection) -> dict[uuid.UUID, str | None]:
    regions: dict[uuid.UUID, str | None] = {}
    cursor: str | None = None
    while True:
        page = await list_sites(connection, LIMIT_MAX, cursor)
        regions.update({site.id: site.region for site in page.items})
        cursor = page.next_cursor
        if cursor is None:
            return regions


async def _devices(connection: Connection, regions: dict[uuid.UUID, str | None]) -> list[DeviceEntry]:
    entries: list[DeviceEntry] = []
    cursor: str | None = None
    while True:
        page = await list_devices(connection, LIMIT_MAX, cursor)
        entries.extend(
            DeviceEntry(one.device_no, one.id, str(one.site_id), one.region or regions.get(one.site_id))
            for one in page.items
        )
        cursor = page.next_cursor
        if cursor is None:
            return entries


def _frame(metric_no: int, rows: list[tuple[int, int, float]]) -> Frame:
    devices, times, values = zip(*rows, strict=True)
    return Frame(
        np.array(devices, dtype=np.int32),
        np.array(times, dtype=np.int64),
        np.zeros(len(rows), dtype=np.int32),
        {metric_no: np.array(values, dtype=np.float64)},
    )
