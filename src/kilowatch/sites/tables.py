"""Tables of sites and devices.

Foreign keys carry the organisation with them, because PostgreSQL checks references without row-level
security: a device can only stand in a site of its own organisation.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
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

sites = Table(
    "sites",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False, server_default=text("'UTC'")),
    Column("currency", Text, nullable=False, server_default=text("'EUR'")),
    Column("region", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("icon", Text),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("demo_key_no", Integer),
    Column("price_per_kwh", Numeric),
    Column("voice", Text, nullable=False, server_default=text("'plain'")),
    UniqueConstraint("organisation_id", "id"),
    CheckConstraint("price_per_kwh >= 0 AND price_per_kwh <= 1000000", name="price_per_kwh"),
    CheckConstraint("voice IN ('plain', 'oracle')", name="voice"),
    ForeignKeyConstraint(["organisation_id", "demo_key_no"], ["api_keys.organisation_id", "api_keys.key_no"]),
    CheckConstraint("jsonb_typeof(metadata) = 'object'", name="metadata"),
    CheckConstraint("kind IN ('home', 'plant', 'microgrid', 'area')", name="kind"),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    Index("ix_sites_organisation_id_created_at", "organisation_id", "created_at"),
)

devices = Table(
    "devices",
    metadata,
    Column("device_no", Integer, Identity(always=True), primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("id", Text, nullable=False),
    Column("site_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False, server_default=text("'meter'")),
    Column("room", Text),
    Column("icon", Text),
    Column("rated_power_w", Float(53)),
    Column("idle_threshold_w", Float(53)),
    Column("region", Text),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("status", Text, nullable=False, server_default=text("'active'")),
    Column("energy_metric_no", Integer),
    Column("token_hash", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("state", Text, nullable=False, server_default=text("'on'")),
    Column("token_made_at", DateTime(timezone=True)),
    UniqueConstraint("organisation_id", "id"),
    UniqueConstraint("organisation_id", "device_no"),
    CheckConstraint("state IN ('on', 'off', 'standby')", name="state"),
    ForeignKeyConstraint(["organisation_id", "site_id"], ["sites.organisation_id", "sites.id"]),
    ForeignKeyConstraint(
        ["organisation_id", "energy_metric_no"], ["metrics.organisation_id", "metrics.metric_no"]
    ),
    CheckConstraint("id ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'", name="id"),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint("type ~ '^[a-z0-9][a-z0-9_-]{0,63}$'", name="type"),
    CheckConstraint("status IN ('active', 'inactive', 'maintenance', 'error')", name="status"),
    CheckConstraint("rated_power_w > 0 AND rated_power_w < 'Infinity'", name="rated_power_w"),
    CheckConstraint("idle_threshold_w >= 0 AND idle_threshold_w < 'Infinity'", name="idle_threshold_w"),
    CheckConstraint("jsonb_typeof(metadata) = 'object'", name="metadata"),
    CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
    Index("ix_devices_organisation_id_site_id", "organisation_id", "site_id"),
    Index("ix_devices_token_hash", "token_hash", unique=True),
)

site_assignments = Table(
    "site_assignments",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("user_id", Uuid, primary_key=True),
    Column("site_id", Uuid, primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(
        ["organisation_id", "user_id"],
        ["memberships.organisation_id", "memberships.user_id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["organisation_id", "site_id"], ["sites.organisation_id", "sites.id"], ondelete="CASCADE"
    ),
    Index("ix_site_assignments_organisation_id_site_id", "organisation_id", "site_id"),
)

device_assignments = Table(
    "device_assignments",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("user_id", Uuid, primary_key=True),
    Column("device_no", Integer, primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(
        ["organisation_id", "user_id"],
        ["memberships.organisation_id", "memberships.user_id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["organisation_id", "device_no"], ["devices.organisation_id", "devices.device_no"], ondelete="CASCADE"
    ),
    Index("ix_device_assignments_organisation_id_device_no", "organisation_id", "device_no"),
)

device_sightings = Table(
    "device_sightings",
    metadata,
    Column("device_no", Integer, primary_key=True, autoincrement=False),
    Column("organisation_id", Uuid, nullable=False),
    Column("last_seen", DateTime(timezone=True), nullable=False),
    ForeignKeyConstraint(
        ["organisation_id", "device_no"], ["devices.organisation_id", "devices.device_no"], ondelete="CASCADE"
    ),
)
