"""Tables of organisations and API keys. A key's secret is kept as its SHA-256 and nothing else."""

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from kilowatch.postgres.schema import metadata

organisations = Table(
    "organisations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("retention_raw_days", Integer, nullable=False, server_default=text("90")),
    Column("retention_hourly_days", Integer, nullable=False, server_default=text("365")),
    Column("retention_daily_days", Integer, nullable=False, server_default=text("1825")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug"),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint(
        "retention_raw_days > 0 AND retention_hourly_days > 0 AND retention_daily_days > 0", name="retention"
    ),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_no", Integer, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("auto_register", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    UniqueConstraint("organisation_id", "key_no"),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint("octet_length(secret_hash) = 32", name="secret_hash"),
    CheckConstraint(
        "cardinality(scopes) > 0 AND scopes <@ ARRAY['ingest', 'read', 'control', 'admin']", name="scopes"
    ),
    Index("ix_api_keys_organisation_id_created_at", "organisation_id", "created_at"),
)
