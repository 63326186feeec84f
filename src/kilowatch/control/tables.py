"""Tables of commands.

`no` says in which order a device gets its commands. `next_try_at` stands where a command's turn has come:
with the oldest of its device that has not ended, and with no other.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from kilowatch.postgres.schema import metadata

LIVING = "status IN ('queued', 'processing')"

commands = Table(
    "commands",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, nullable=False),
    Column("device_no", Integer, nullable=False),
    Column("no", BigInteger, Identity(always=True), nullable=False),
    Column("name", Text, nullable=False),
    Column("arguments", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'queued'")),
    Column("detail", Text),
    Column("idempotency_key", Text),
    Column("actor", Text, nullable=False),
    Column("user_id", Uuid),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("next_try_at", DateTime(timezone=True)),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("ended_at", DateTime(timezone=True)),
    UniqueConstraint("organisation_id", "device_no", "idempotency_key"),
    ForeignKeyConstraint(
        ["organisation_id", "device_no"], ["devices.organisation_id", "devices.device_no"], ondelete="CASCADE"
    ),
    CheckConstraint("name ~ '^[A-Za-z0-9_.-]{1,64}$'", name="name"),
    CheckConstraint("jsonb_typeof(arguments) = 'object'", name="arguments"),
    CheckConstraint(
        "status IN ('queued', 'processing', 'succeeded', 'failed', 'expired', 'cancelled')", name="status"
    ),
    CheckConstraint(f"(ended_at IS NULL) = ({LIVING})", name="ended_at"),
    CheckConstraint(f"next_try_at IS NULL OR {LIVING}", name="next_try_at"),
    Index("ix_commands_organisation_id_no", "organisation_id", "no"),
    Index("ix_commands_device_no_no", "device_no", "no"),
    Index("ix_commands_living", "device_no", "no", postgresql_where=text(LIVING)),
    Index("ix_commands_next_try_at", "next_try_at", postgresql_where=text("next_try_at IS NOT NULL")),
    Index("ix_commands_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    Index("ix_commands_expires_at", "expires_at", postgresql_where=text(LIVING)),
)
