"""A home with devices for tests of alerts, and findings about them."""

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.alerts.alert import Alert
from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.store.alerts import Wanted, list_alerts
from kilowatch.alerts.store.raising import Raised, clear_alerts, raise_alerts
from kilowatch.clock import MICROSECONDS
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import list_sites, register_devices

NOW_US = 1_780_000_000 * MICROSECONDS
PRICE = Decimal("0.30")


@dataclass
class Home:
    """An organisation's home and its devices; times are seconds after NOW_US."""

    worker: Database
    organisation_id: uuid.UUID
    site_id: uuid.UUID
    devices: dict[str, int] = field(default_factory=dict)

    def key(self, device: str | None = "D1", kind: Any = "spike", rule_id: uuid.UUID | None = None) -> Key:
        if device is None:
            return Key(self.organisation_id, kind, site_id=self.site_id, rule_id=rule_id)
        return Key(self.organisation_id, kind, self.devices[device], rule_id=rule_id)

    def finding(
        self, since_s: int = 0, ts_s: int | None = None, *, key: Key | None = None, **more: Any
    ) -> Finding:
        ts_us = NOW_US + (since_s if ts_s is None else ts_s) * MICROSECONDS
        given: dict[str, Any] = {
            "severity": "medium",
            "value": 2000.0,
            "limit": 500.0,
            "excess_w": 1500.0,
            "metric": "power",
        }
        return Finding(
            key or self.key(), since_us=NOW_US + since_s * MICROSECONDS, ts_us=ts_us, **given | more
        )

    def clearing(self, ts_s: int, key: Key | None = None) -> Clearing:
        return Clearing(key or self.key(), NOW_US + ts_s * MICROSECONDS)

    async def raise_(self, *findings: Finding, at_s: int = 0) -> Raised:
        async with self.worker.unscoped() as connection:
            return await raise_alerts(connection, findings, NOW_US + at_s * MICROSECONDS, PRICE)

    async def clear(self, *clearings: Clearing, at_s: int = 0) -> list[uuid.UUID]:
        async with self.worker.unscoped() as connection:
            return await clear_alerts(connection, clearings, NOW_US + at_s * MICROSECONDS)

    async def alerts(self, **wanted: Any) -> list[Alert]:
        async with self.worker.scope(self.organisation_id) as connection:
            return (await list_alerts(connection, Wanted(**wanted), 500)).items


async def make_home(database: Database, worker: Database, organisation: Organisation, *devices: str) -> Home:
    """The organisation's home with these devices."""
    async with database.scope(organisation.id) as connection:
        (site,) = (await list_sites(connection)).items
        numbers = await register_devices(connection, organisation.id, devices or ("D1", "D2"))
    return Home(worker, organisation.id, site.id, numbers)
