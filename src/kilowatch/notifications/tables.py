"""Tables of notifications, channels, preferences, escalations and deliveries.

Addresses of channels are kept sealed. A notification without a user is the organisation's own, for its own
channels. What is told of a site or device goes when that goes, and what is somebody's when they leave.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from kilowatch.postgres.schema import metadata

SEVERITY = "IN ('low', 'medium', 'high', 'critical')"


def _member() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["organisation_id", "user_id"],
        ["memberships.organisation_id", "memberships.user_id"],
        ondelete="CASCADE",
    )


notifications = Table(
    "notifications",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Uuid),
    Column("alert_id", Uuid, nullable=False),
    Column("site_id", Uuid),
    Column("device_no", Integer),
    Column("severity", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("read_at", DateTime(timezone=True)),
    Column("dismissed_at", DateTime(timezone=True)),
    UniqueConstraint("organisation_id", "id"),
    _member(),
    ForeignKeyConstraint(
        ["organisation_id", "site_id"], ["sites.organisation_id", "sites.id"], ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["organisation_id", "device_no"], ["devices.organisation_id", "devices.device_no"], ondelete="CASCADE"
    ),
    CheckConstraint(f"severity {SEVERITY}", name="severity"),
    Index("ix_notifications_user_id_created_at", "organisation_id", "user_id", "created_at"),
    Index("ix_notifications_site_id", "organisation_id", "site_id"),
    Index("ix_notifications_device_no", "organisation_id", "device_no"),
)

notification_channels = Table(
    "notification_channels",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Uuid),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("shown", Text, nullable=False),
    Column("severity", Text, nullable=False, server_default=text("'low'")),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("closed_until", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("organisation_id", "id"),
    _member(),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint(f"severity {SEVERITY}", name="severity"),
    Index("ix_notification_channels_user_id", "organisation_id", "user_id"),
)

notification_preferences = Table(
    "notification_preferences",
    metadata,
    Column("organisation_id", Uuid, primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("severity", Text, nullable=False, server_default=text("'low'")),
    Column("quiet_start", SmallInteger),
    Column("quiet_end", SmallInteger),
    Column("quiet_lets_through", Text),
    Column("digest_minute", SmallInteger),
    Column("digest_severity", Text),
    Column("storm_most", Integer, nullable=False, server_default=text("10")),
    Column("storm_minutes", Integer, nullable=False, server_default=text("5")),
    Column("escalation", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("time_zone", Text),
    _member(),
    CheckConstraint(f"severity {SEVERITY}", name="severity"),
    CheckConstraint("jsonb_typeof(escalation) = 'array'", name="escalation"),
)

escalations = Table(
    "escalations",
    metadata,
    Column("no", BigInteger, Identity(always=True), primary_key=True),
    Column("organisation_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("notification_id", Uuid, nullable=False),
    Column("alert_id", Uuid, nullable=False),
    Column("step", SmallInteger, nullable=False),
    Column("channel_id", Uuid),
    Column("target_id", Uuid),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    _member(),
    ForeignKeyConstraint(
        ["organisation_id", "notification_id"],
        ["notifications.organisation_id", "notifications.id"],
        ondelete="CASCADE",
    ),
    Index("ix_escalations_due_at", "due_at", postgresql_where=text("ended_at IS NULL")),
    Index("ix_escalations_alert_id", "alert_id", postgresql_where=text("ended_at IS NULL")),
    Index("ix_escalations_notification_id", "organisation_id", "notification_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, nullable=False),
    Column("user_id", Uuid),
    Column("channel_id", Uuid, nullable=False),
    Column("notification_id", Uuid),
    Column("alert_id", Uuid),
    Column("step", SmallInteger, nullable=False, server_default=text("0")),
    Column("bundle", Text),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("tries", SmallInteger, nullable=False, server_default=text("0")),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    UniqueConstraint("notification_id", "channel_id", "step"),
    UniqueConstraint("organisation_id", "id"),
    ForeignKeyConstraint(
        ["organisation_id", "channel_id"],
        ["notification_channels.organisation_id", "notification_channels.id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["organisation_id", "notification_id"],
        ["notifications.organisation_id", "notifications.id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("status IN ('pending', 'sent', 'failed', 'dropped')", name="status"),
    CheckConstraint("bundle IN ('quiet', 'digest', 'storm')", name="bundle"),
    Index("ix_deliveries_due_at", "due_at", postgresql_where=text("status = 'pending'")),
    Index("ix_deliveries_alert_id", "alert_id", postgresql_where=text("status = 'pending'")),
    Index("ix_deliveries_channel_id_created_at", "organisation_id", "channel_id", "created_at"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("no", BigInteger, Identity(always=True), primary_key=True),
    Column("organisation_id", Uuid, nullable=False),
    Column("user_id", Uuid),
    Column("delivery_id", Uuid, nullable=False),
    Column("begun_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("ok", Boolean),
    Column("detail", Text, nullable=False, server_default=text("''")),
    ForeignKeyConstraint(
        ["organisation_id", "delivery_id"],
        ["deliveries.organisation_id", "deliveries.id"],
        ondelete="CASCADE",
    ),
    Index("ix_delivery_attempts_delivery_id", "organisation_id", "delivery_id"),
)
