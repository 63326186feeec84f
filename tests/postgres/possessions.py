"""One of everything that an organisation can have."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
from sqlalchemy import text

import kilowatch.rules.store as rules
import kilowatch.sites.store as sites
import kilowatch.telemetry.store as telemetry
from kilowatch.accounts.store import (
    api_keys,
    audit,
    device_tokens,
    members,
    second_factors,
    sessions,
    users,
)
from kilowatch.accounts.store.organisations import Organisation
from kilowatch.alerts.finding import Finding, Key
from kilowatch.alerts.store import alerts, detectors, raising, windows
from kilowatch.clock import to_us
from kilowatch.control.command import NewCommand
from kilowatch.control.store import commands
from kilowatch.ids import new_id
from kilowatch.observe.request import ORIGIN, RequestOrigin
from kilowatch.postgres.engine import Database
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.telemetry.store import letters

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)
RULE = {"name": "High", "metric": "power", "operator": ">", "threshold": 1.0}


@dataclass(frozen=True)
class Owned:
    """One of everything that the owner has; `me` is the stranger's organisation, `myself` the stranger."""

    me: uuid.UUID
    myself: uuid.UUID
    owner: Organisation
    site_id: uuid.UUID
    device: str
    device_no: int
    metric_no: int
    key_id: uuid.UUID
    key_no: int
    letter_id: uuid.UUID
    rule_id: uuid.UUID
    user_id: uuid.UUID
    session_id: uuid.UUID
    token: str
    command_id: uuid.UUID
    alert_id: uuid.UUID
    window_id: uuid.UUID
    notification_id: uuid.UUID
    channel_id: uuid.UUID
    delivery_id: uuid.UUID

    @property
    def key(self) -> Key:
        """What the owner's alert is about."""
        return Key(self.owner.id, "spike", self.device_no)

    def finding(self, ts_us: int) -> Finding:
        """The owner's breach, as it stood then."""
        return Finding(self.key, "low", to_us(NOW), ts_us)


async def possess(database: Database, organisation: Organisation, other_organisation: Organisation) -> Owned:
    """Gives an organisation one of everything; a stranger of another one is to have nothing of it."""
    async with database.scope(organisation.id) as connection:
        site = await sites.create_site(connection, organisation.id, "plant", "Works")
        device = await sites.create_device(connection, organisation.id, "secret-device", site.id)
        metric = (await telemetry.ensure_metrics(connection, organisation.id, ["power"]))["power"]
        await telemetry.ensure_series(connection, [device.device_no], [metric.metric_no])
        await telemetry.device_sources(connection, [device.device_no])
        await device_tokens.make_device_token(connection, device.id)
        key, _ = await api_keys.create_api_key(connection, organisation.id, "K", ["admin", "ingest"])
        rule = await rules.create_rule(connection, organisation.id, RULE | {"device_id": device.id})
        letter = NewDeadLetter(organisation.id, device.id, "http", "conflict", "", {}, NOW, f"{key.id}")
        await letters.keep_dead_letters(connection, [letter])
        (kept,) = (await letters.list_dead_letters(connection)).items
        await telemetry.remember_response(connection, organisation.id, key.key_no, "request", b"f", {})
        command = NewCommand(new_id(), device.id, "set_state", {"state": "off"}, NOW, 60, "K", "key:1", None)
        await commands.create_commands(
            connection, organisation.id, [command], [audit.new_line("thing.made", actor="nobody")]
        )
        breach = Finding(Key(organisation.id, "spike", device.device_no), "low", to_us(NOW), to_us(NOW))
        (alert_id,) = (await raising.raise_alerts(connection, [breach], to_us(NOW), Decimal(1))).opened
        await alerts.add_comment(connection, alert_id, "nobody", NOW, "secret-comment")
        window = await windows.create_window(
            connection, organisation.id, "nobody", NOW, starts_at=LATER, ends_at=LATER + timedelta(days=1)
        )
        await detectors.set_detector(connection, organisation.id, site.id, "spike", {"is_on": False})
        await detectors.keep_pauses(connection, np.array([device.device_no]), np.array([1]))
    user_id, session_id, token = new_id(), new_id(), f"kwr_{new_id()}"
    told, channel, delivery = new_id(), new_id(), new_id()
    async with database.person(user_id, organisation.id) as connection:
        assert await users.create_user(connection, user_id, f"{user_id.hex}@example.org", "Ada", "hash")
        await members.add_member(connection, organisation.id, user_id, "admin", is_personal=True)
        await users.set_code(connection, user_id, "verify", "123456")
        await sessions.start_session(connection, user_id, session_id, 30, token)
        assert await second_factors.begin_second_factor(connection, user_id, b"sealed")
        assert await second_factors.confirm_second_factor(connection, user_id, ["code"])
        await audit.record(connection, "thing.made", actor="nobody", organisation_id=organisation.id)
        before = ORIGIN.set(RequestOrigin(address="192.0.2.1"))
        await audit.record(connection, "login.succeeded", actor="nobody", user_id=user_id)
        ORIGIN.reset(before)
        for insert in FURTHER:
            named = {"owner": organisation.id, "user": user_id, "site": site.id, "device": device.device_no}
            named |= {"told": told, "channel": channel, "alert": alert_id, "delivery": delivery}
            await connection.execute(text(insert), named)
    return Owned(
        other_organisation.id, new_id(), organisation, site.id, device.id, device.device_no, metric.metric_no,
        key.id, key.key_no, kept.id, rule.id, user_id, session_id, token, command.id, alert_id, window.id,
        told, channel, delivery,
    )  # fmt: skip


# Rows of tables in which other rooms than the stores below write.
FURTHER = (
    "INSERT INTO kilowatch.invitations (id, organisation_id, email, role, invited_by, expires_at)"
    " VALUES (:user, :owner, 'x@example.org', 'viewer', :user, now())",
    "INSERT INTO kilowatch.site_assignments (organisation_id, user_id, site_id)"
    " VALUES (:owner, :user, :site)",
    "INSERT INTO kilowatch.device_assignments (organisation_id, user_id, device_no)"
    " VALUES (:owner, :user, :device)",
    "INSERT INTO kilowatch.device_sightings (organisation_id, device_no, last_seen)"
    " VALUES (:owner, :device, now())",
    "INSERT INTO kilowatch.vanished_series (organisation_id, series_no, device_no)"
    " VALUES (:owner, 0 - :device, :device)",
    "INSERT INTO kilowatch.notifications (id, organisation_id, user_id, alert_id, site_id, device_no,"
    " severity, title, body, remedy, happened_at, created_at)"
    " VALUES (:told, :owner, :user, :alert, :site, :device, 'low', 'secret-device', '', '', now(), now())",
    "INSERT INTO kilowatch.notification_channels (id, organisation_id, user_id, name, kind, address, shown)"
    " VALUES (:channel, :owner, :user, 'secret-device', 'json', 'sealed', '')",
    "INSERT INTO kilowatch.notification_preferences (organisation_id, user_id) VALUES (:owner, :user)",
    "INSERT INTO kilowatch.deliveries (id, organisation_id, user_id, channel_id, notification_id, alert_id,"
    " due_at, created_at) VALUES (:delivery, :owner, :user, :channel, :told, :alert, '2026-01-01', now())",
    "INSERT INTO kilowatch.delivery_attempts (organisation_id, user_id, delivery_id, begun_at)"
    " VALUES (:owner, :user, :delivery, now())",
    "INSERT INTO kilowatch.escalations (organisation_id, user_id, notification_id, alert_id, step, due_at)"
    " VALUES (:owner, :user, :told, :alert, 1, '2026-01-01')",
)
