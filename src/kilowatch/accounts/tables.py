"""Tables of organisations, API keys and people, and of who did what. Secrets are kept as hashes: SHA-256 of
keys, tokens and codes, Argon2id of passwords; second factors, which cannot be, are kept sealed."""

from sqlalchemy import (
    ARRAY,
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
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

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
    Column("regions", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    CheckConstraint("cardinality(regions) <= 1000", name="regions"),
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

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("verified_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("disabled_at", DateTime(timezone=True)),
    CheckConstraint("email = lower(email) AND length(email) BETWEEN 3 AND 254", name="email"),
    CheckConstraint("length(name) BETWEEN 1 AND 200", name="name"),
)

user_codes = Table(
    "user_codes",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("code_hash", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("purpose IN ('verify', 'reset')", name="purpose"),
    CheckConstraint("octet_length(code_hash) = 32", name="code_hash"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    UniqueConstraint("user_id", "id"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("used_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["user_id", "session_id"], [sessions.c.user_id, sessions.c.id], ondelete="CASCADE"),
    CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
    Index("ix_refresh_tokens_user_id_session_id", "user_id", "session_id"),
)

memberships = Table(
    "memberships",
    metadata,
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("is_personal", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("region", Text),
    CheckConstraint("role IN ('admin', 'operator', 'viewer', 'customer')", name="role"),
    Index("ix_memberships_user_id", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("region", Text),
    Column("invited_by", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("organisation_id", "email"),
    CheckConstraint("email = lower(email) AND length(email) BETWEEN 3 AND 254", name="email"),
    CheckConstraint("role IN ('admin', 'operator', 'viewer', 'customer')", name="role"),
    Index("ix_invitations_email", "email"),
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("confirmed_at", DateTime(timezone=True)),
    Column("last_step", BigInteger, nullable=False, server_default=text("0")),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),
    Column("used_at", DateTime(timezone=True)),
    CheckConstraint("octet_length(code_hash) = 32", name="code_hash"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("no", BigInteger, Identity(always=True), primary_key=True),
    Column("organisation_id", Uuid, ForeignKey("organisations.id", ondelete="CASCADE")),
    Column("user_id", Uuid),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("address", Text),
    Column("request_id", Text),
    CheckConstraint("action ~ '^[a-z]+(_[a-z]+)*[.][a-z]+(_[a-z]+)*$'", name="action"),
    CheckConstraint("jsonb_typeof(detail) = 'object'", name="detail"),
    Index("ix_audit_log_organisation_id_no", "organisation_id", "no"),
    Index("ix_audit_log_user_id_no", "user_id", "no"),
)
