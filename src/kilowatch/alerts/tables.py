"""Tables of alerts, comments, maintenance windows, settings of detectors and what these learnt of devices."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from kilowatch.postgres.schema import metadata

KINDS = (
    "kind IN ('rule', 'phantom_load', 'spike', 'ghost_walk', 'high_consumption', 'zero_consumption',"
    " 'negative_consumption', 'offline', 'model')"
)
SEVERITIES = "severity IN ('low', 'medium', 'high', 'critical')"
DEVICE = ("devices.organisation_id", "devices.device_no")
SITE = ("sites.organisation_id", "sites.id")

alerts = Table(
    "alerts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("key", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rule_id", Uuid),
    Column("device_no", Integer),
    Column("site_id", Uuid, nullable=False),
    Column("severity", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'open'")),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("raised_at", DateTime(timezone=True), nullable=False),
    Column("ts", DateTime(timezone=True), nullable=False),
    Column("metric", Text),
    Column("value", Float(53)),
    Column("limit_value", Float(53)),
    Column("excess_w", Float(53)),
    Column("cost_per_day", Numeric),
    Column("currency", Text, nullable=False),
    Column("devices", Integer, nullable=False, server_default=text("1")),
    Column("acknowledged_at", DateTime(timezone=True)),
    Column("acknowledged_by", Text),
    Column("resolved_at", DateTime(timezone=True)),
    Column("resolved_by", Text),
    Column("how", Text),
    Column("suppressed_by", Text),
    Column("suppressed_until", DateTime(timezone=True)),
    Column("parent_id", Uuid),
    UniqueConstraint("organisation_id", "id"),
    ForeignKeyConstraint(["organisation_id", "device_no"], DEVICE, ondelete="CASCADE"),
    ForeignKeyConstraint(["organisation_id", "site_id"], SITE, ondelete="CASCADE"),
    CheckConstraint(KINDS, name="kind"),
    CheckConstraint(SEVERITIES, name="severity"),
    CheckConstraint("status IN ('open', 'acknowledged', 'suppressed', 'resolved')", name="status"),
    CheckConstraint("(status = 'resolved') = (resolved_at IS NOT NULL)", name="resolved"),
    CheckConstraint(
        "how IN ('cleared', 'by_hand') AND (how IS NOT NULL) = (resolved_at IS NOT NULL)", name="how"
    ),
    CheckConstraint("devices >= 1", name="devices"),
    Index("ix_alerts_key", "key", unique=True, postgresql_where=text("status <> 'resolved'")),
    Index("ix_alerts_key_by_hand", "key", postgresql_where=text("how = 'by_hand'")),
    Index("ix_alerts_organisation_id_raised_at", "organisation_id", "raised_at", "id"),
    Index("ix_alerts_organisation_id_device_no", "organisation_id", "device_no"),
    Index("ix_alerts_organisation_id_site_id", "organisation_id", "site_id"),
    Index("ix_alerts_suppressed_until", "suppressed_until", postgresql_where=text("status = 'suppressed'")),
    Index("ix_alerts_parent_id", "parent_id"),
)

alert_comments = Table(
    "alert_comments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, nullable=False),
    Column("alert_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("text", Text, nullable=False),
    ForeignKeyConstraint(
        ["organisation_id", "alert_id"], ["alerts.organisation_id", "alerts.id"], ondelete="CASCADE"
    ),
    CheckConstraint("length(text) BETWEEN 1 AND 4000", name="text"),
    Index("ix_alert_comments_organisation_id_alert_id", "organisation_id", "alert_id"),
)

maintenance_windows = Table(
    "maintenance_windows",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("device_no", Integer),
    Column("site_id", Uuid),
    Column("kind", Text),
    Column("rule_id", Uuid),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text),
    Column("made_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["organisation_id", "device_no"], DEVICE, ondelete="CASCADE"),
    ForeignKeyConstraint(["organisation_id", "site_id"], SITE, ondelete="CASCADE"),
    CheckConstraint(KINDS, name="kind"),
    CheckConstraint("ends_at > starts_at", name="span"),
    CheckConstraint("length(reason) BETWEEN 1 AND 500", name="reason"),
    Index("ix_maintenance_windows_organisation_id_ends_at", "organisation_id", "ends_at"),
)

detector_settings = Table(
    "detector_settings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("site_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("is_on", Boolean),
    Column("severity", Text),
    Column("limits", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    UniqueConstraint("organisation_id", "site_id", "kind", postgresql_nulls_not_distinct=True),
    ForeignKeyConstraint(["organisation_id", "site_id"], SITE, ondelete="CASCADE"),
    CheckConstraint(KINDS, name="kind"),
    CheckConstraint(SEVERITIES, name="severity"),
    CheckConstraint("jsonb_typeof(limits) = 'object'", name="limits"),
)

device_profiles = Table(
    "device_profiles",
    metadata,
    Column("device_no", Integer, primary_key=True, autoincrement=False),
    Column("organisation_id", Uuid, nullable=False),
    Column("median_w", ARRAY(Float(53))),
    Column("spread_w", ARRAY(Float(53))),
    Column("learnt_at", DateTime(timezone=True)),
    Column("pause_us", BigInteger),
    ForeignKeyConstraint(["organisation_id", "device_no"], DEVICE, ondelete="CASCADE"),
    CheckConstraint("cardinality(median_w) = 24 AND cardinality(spread_w) = 24", name="hours"),
    CheckConstraint("pause_us > 0", name="pause_us"),
)
