"""Tables of metrics, series (deleted ones too), dead letters, remembered requests. The lake has the rest."""

from sqlalchemy import (
    ARRAY,
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
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from kilowatch.postgres.schema import metadata

metrics = Table(
    "metrics",
    metadata,
    Column("metric_no", Integer, Identity(always=True), primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("unit", Text, nullable=False, server_default=text("''")),
    Column("kind", Text, nullable=False, server_default=text("'gauge'")),
    Column("states", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("minimum", Float(53)),
    Column("maximum", Float(53)),
    UniqueConstraint("organisation_id", "name"),
    UniqueConstraint("organisation_id", "metric_no"),
    CheckConstraint("name ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'", name="name"),
    CheckConstraint("kind IN ('gauge', 'counter', 'interval', 'state')", name="kind"),
    CheckConstraint("(kind = 'state') = (cardinality(states) > 0)", name="states"),
    CheckConstraint("minimum <= maximum", name="span"),
)

series = Table(
    "series",
    metadata,
    Column("series_no", Integer, Identity(always=True), primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("device_no", Integer, nullable=False),
    Column("metric_no", Integer, nullable=False),
    UniqueConstraint("device_no", "metric_no"),
    ForeignKeyConstraint(
        ["organisation_id", "device_no"],
        ["devices.organisation_id", "devices.device_no"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(["organisation_id", "metric_no"], ["metrics.organisation_id", "metrics.metric_no"]),
    Index("ix_series_organisation_id_device_no", "organisation_id", "device_no"),
)

vanished_series = Table(
    "vanished_series",
    metadata,
    Column("series_no", Integer, primary_key=True, autoincrement=False),
    Column("organisation_id", Uuid, nullable=False),
    Column("device_no", Integer, nullable=False),
    Column("vanished_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("erased_at", DateTime(timezone=True)),
)
"""Series that were deleted, and whose readings the lake may still hold. Filled by a trigger of `series`."""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("device", Text),
    Column("door", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("source", Text, unique=True),
    Column("replayed_at", DateTime(timezone=True)),
    Index("ix_dead_letters_organisation_id_received_at_id", "organisation_id", "received_at", "id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organisation_id", Uuid, nullable=False),
    Column("key_no", Integer, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("response", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(
        ["organisation_id", "key_no"], ["api_keys.organisation_id", "api_keys.key_no"], ondelete="CASCADE"
    ),
    CheckConstraint("length(idempotency_key) BETWEEN 1 AND 255", name="idempotency_key"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)
