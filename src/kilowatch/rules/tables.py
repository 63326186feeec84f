"""The table of rules. What a rule raises is with the alerts."""

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from kilowatch.postgres.schema import metadata

rules = Table(
    "rules",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("device_no", Integer),
    Column("site_id", Uuid),
    Column("device_type", Text),
    Column("metric", Text),
    Column("input", Text, nullable=False),
    Column("operator", Text),
    Column("threshold", Float(53)),
    Column("for_s", Integer, nullable=False, server_default=text("0")),
    Column("clear_threshold", Float(53)),
    Column("cooldown_s", Integer, nullable=False, server_default=text("0")),
    Column("severity", Text, nullable=False, server_default=text("'medium'")),
    Column("status", Text, nullable=False, server_default=text("'active'")),
    Column("channels", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("organisation_id", "id"),
    ForeignKeyConstraint(
        ["organisation_id", "device_no"], ["devices.organisation_id", "devices.device_no"], ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["organisation_id", "site_id"], ["sites.organisation_id", "sites.id"], ondelete="CASCADE"
    ),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint("num_nonnulls(device_no, site_id, device_type) <= 1", name="target"),
    CheckConstraint(
        "input IN ('value', 'rate_per_minute', 'energy_1m', 'energy_15m', 'no_data')", name="input"
    ),
    CheckConstraint("operator IN ('>', '>=', '<', '<=', '=', '!=')", name="operator"),
    CheckConstraint(
        "(input = 'no_data' AND num_nonnulls(operator, threshold, clear_threshold) = 0 AND for_s > 0)"
        " OR (input <> 'no_data' AND num_nonnulls(operator, threshold, metric) = 3)",
        name="limits",
    ),
    CheckConstraint("abs(threshold) < 'Infinity' AND abs(clear_threshold) < 'Infinity'", name="finite"),
    CheckConstraint("for_s BETWEEN 0 AND 604800 AND cooldown_s BETWEEN 0 AND 604800", name="durations"),
    CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity"),
    CheckConstraint("status IN ('active', 'paused', 'archived')", name="status"),
    CheckConstraint("cardinality(channels) <= 20", name="channels"),
    Index("ix_rules_organisation_id_created_at_id", "organisation_id", "created_at", "id"),
    Index("ix_rules_organisation_id_device_no", "organisation_id", "device_no"),
    Index("ix_rules_organisation_id_site_id", "organisation_id", "site_id"),
    Index("ix_rules_updated_at", "updated_at"),
)
