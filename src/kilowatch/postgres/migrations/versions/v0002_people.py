"""People: users, their codes and sessions, and what they are in which organisation."""

from alembic import op

from kilowatch.postgres.migrations.tenancy import CURRENT_USER, protect, protect_personal
from kilowatch.postgres.roles import APP

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PEOPLE = """
CREATE TABLE kilowatch.users (
    id uuid CONSTRAINT pk_users PRIMARY KEY,
    email text NOT NULL CONSTRAINT uq_users_email UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    verified_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_users_email CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    CONSTRAINT ck_users_name CHECK (length(name) BETWEEN 1 AND 200)
);
CREATE TABLE kilowatch.user_codes (
    user_id uuid NOT NULL CONSTRAINT fk_user_codes_user_id REFERENCES kilowatch.users ON DELETE CASCADE,
    purpose text NOT NULL,
    code_hash bytea NOT NULL,
    tries integer NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_user_codes PRIMARY KEY (user_id, purpose),
    CONSTRAINT ck_user_codes_purpose CHECK (purpose IN ('verify', 'reset')),
    CONSTRAINT ck_user_codes_code_hash CHECK (octet_length(code_hash) = 32)
);
CREATE TABLE kilowatch.sessions (
    id uuid CONSTRAINT pk_sessions PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT fk_sessions_user_id REFERENCES kilowatch.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT uq_sessions_user_id_id UNIQUE (user_id, id)
);
CREATE TABLE kilowatch.refresh_tokens (
    token_hash bytea CONSTRAINT pk_refresh_tokens PRIMARY KEY,
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz,
    CONSTRAINT fk_refresh_tokens_user_id_session_id FOREIGN KEY (user_id, session_id)
        REFERENCES kilowatch.sessions (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_refresh_tokens_token_hash CHECK (octet_length(token_hash) = 32)
);
CREATE INDEX ix_refresh_tokens_user_id_session_id ON kilowatch.refresh_tokens (user_id, session_id);
CREATE TABLE kilowatch.memberships (
    organisation_id uuid NOT NULL
        CONSTRAINT fk_memberships_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    user_id uuid NOT NULL CONSTRAINT fk_memberships_user_id REFERENCES kilowatch.users ON DELETE CASCADE,
    role text NOT NULL,
    is_personal boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_memberships PRIMARY KEY (organisation_id, user_id),
    CONSTRAINT ck_memberships_role CHECK (role IN ('admin', 'operator', 'viewer', 'customer'))
);
CREATE INDEX ix_memberships_user_id ON kilowatch.memberships (user_id);
"""

# Look-ups before the user is known, or across organisations. Each gives away the least: a user only to who
# says the address, a token only to who shows its hash, memberships only to the user of the transaction.
LOOK_UPS = """
CREATE FUNCTION kilowatch.find_user(wanted text)
RETURNS SETOF kilowatch.users
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM kilowatch.users u WHERE u.email = wanted
$$;
CREATE FUNCTION kilowatch.find_refresh_token(wanted bytea)
RETURNS TABLE (
    user_id uuid, session_id uuid, used_at timestamptz, expires_at timestamptz, ended_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.user_id, t.session_id, t.used_at, s.expires_at, s.ended_at
    FROM kilowatch.refresh_tokens t JOIN kilowatch.sessions s ON s.id = t.session_id
    WHERE t.token_hash = wanted
$$;
CREATE FUNCTION kilowatch.list_memberships()
RETURNS TABLE (id uuid, slug text, name text, role text, is_personal boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT o.id, o.slug, o.name, m.role, m.is_personal
    FROM kilowatch.memberships m JOIN kilowatch.organisations o ON o.id = m.organisation_id
    WHERE m.user_id = NULLIF(current_setting('kilowatch.user_id', true), '')::uuid
    ORDER BY m.is_personal DESC, o.slug
$$;
REVOKE ALL ON FUNCTION kilowatch.find_user(text), kilowatch.find_refresh_token(bytea),
    kilowatch.list_memberships() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kilowatch.find_user(text), kilowatch.find_refresh_token(bytea),
    kilowatch.list_memberships() TO kilowatch_app, kilowatch_worker;
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.exec_driver_sql(PEOPLE + LOOK_UPS, execution_options={"no_parameters": True})
    protect_personal("users", "id")
    for table in ("user_codes", "sessions", "refresh_tokens"):
        protect_personal(table)
    protect("memberships")
    op.execute(
        f"CREATE POLICY own ON kilowatch.memberships FOR SELECT TO {APP} USING (user_id = {CURRENT_USER})"
    )


def downgrade() -> None:
    op.execute(
        "DROP FUNCTION kilowatch.find_user(text), kilowatch.find_refresh_token(bytea),"
        " kilowatch.list_memberships()"
    )
    op.execute(
        "DROP TABLE kilowatch.memberships, kilowatch.refresh_tokens, kilowatch.sessions,"
        " kilowatch.user_codes, kilowatch.users"
    )
