"""The first tables: organisations, keys, sites, devices, metrics, series, dead letters; jobs, lake."""

from importlib.metadata import version

from alembic import op
from procrastinate.schema import SchemaManager

from kilowatch.postgres.migrations.tenancy import protect
from kilowatch.postgres.roles import APP, LAKE, WORKER

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ORGANISATIONS = """
CREATE TABLE kilowatch.organisations (
    id uuid CONSTRAINT pk_organisations PRIMARY KEY,
    slug text NOT NULL CONSTRAINT uq_organisations_slug UNIQUE,
    name text NOT NULL,
    retention_raw_days integer NOT NULL DEFAULT 90,
    retention_hourly_days integer NOT NULL DEFAULT 365,
    retention_daily_days integer NOT NULL DEFAULT 1825,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_organisations_slug CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    CONSTRAINT ck_organisations_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_organisations_retention
        CHECK (retention_raw_days > 0 AND retention_hourly_days > 0 AND retention_daily_days > 0)
);
CREATE TABLE kilowatch.api_keys (
    key_no integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_api_keys PRIMARY KEY,
    id uuid NOT NULL CONSTRAINT uq_api_keys_id UNIQUE,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_api_keys_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    name text NOT NULL,
    prefix text NOT NULL,
    secret_hash bytea NOT NULL CONSTRAINT uq_api_keys_secret_hash UNIQUE,
    scopes text[] NOT NULL,
    auto_register boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT uq_api_keys_organisation_id_key_no UNIQUE (organisation_id, key_no),
    CONSTRAINT ck_api_keys_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_api_keys_secret_hash CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT ck_api_keys_scopes
        CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['ingest', 'read', 'control', 'admin'])
);
CREATE INDEX ix_api_keys_organisation_id_created_at ON kilowatch.api_keys (organisation_id, created_at);
"""

METRICS = """
CREATE TABLE kilowatch.metrics (
    metric_no integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_metrics PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_metrics_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    name text NOT NULL,
    unit text NOT NULL DEFAULT '',
    kind text NOT NULL DEFAULT 'gauge',
    states text[] NOT NULL DEFAULT '{}'::text[],
    minimum double precision,
    maximum double precision,
    CONSTRAINT uq_metrics_organisation_id_name UNIQUE (organisation_id, name),
    CONSTRAINT uq_metrics_organisation_id_metric_no UNIQUE (organisation_id, metric_no),
    CONSTRAINT ck_metrics_name CHECK (name ~ '^[A-Za-z_][A-Za-z0-9_.-]{0,63}$'),
    CONSTRAINT ck_metrics_kind CHECK (kind IN ('gauge', 'counter', 'interval', 'state')),
    CONSTRAINT ck_metrics_states CHECK ((kind = 'state') = (cardinality(states) > 0)),
    CONSTRAINT ck_metrics_span CHECK (minimum <= maximum)
);
"""

SITES = """
CREATE TABLE kilowatch.sites (
    id uuid CONSTRAINT pk_sites PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_sites_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    kind text NOT NULL,
    name text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    currency text NOT NULL DEFAULT 'EUR',
    region text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_sites_organisation_id_id UNIQUE (organisation_id, id),
    CONSTRAINT ck_sites_kind CHECK (kind IN ('home', 'plant', 'microgrid', 'area')),
    CONSTRAINT ck_sites_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_sites_currency CHECK (currency ~ '^[A-Z]{3}$')
);
CREATE INDEX ix_sites_organisation_id_created_at ON kilowatch.sites (organisation_id, created_at);
CREATE TABLE kilowatch.devices (
    device_no integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_devices PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_devices_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    id text NOT NULL,
    site_id uuid NOT NULL,
    name text NOT NULL,
    type text NOT NULL DEFAULT 'meter',
    room text,
    icon text,
    rated_power_w double precision,
    idle_threshold_w double precision,
    region text,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    status text NOT NULL DEFAULT 'active',
    energy_metric_no integer,
    token_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_devices_organisation_id_id UNIQUE (organisation_id, id),
    CONSTRAINT uq_devices_organisation_id_device_no UNIQUE (organisation_id, device_no),
    CONSTRAINT fk_devices_organisation_id_site_id
        FOREIGN KEY (organisation_id, site_id) REFERENCES kilowatch.sites (organisation_id, id),
    CONSTRAINT fk_devices_organisation_id_energy_metric_no
        FOREIGN KEY (organisation_id, energy_metric_no)
        REFERENCES kilowatch.metrics (organisation_id, metric_no),
    CONSTRAINT ck_devices_id CHECK (id ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'),
    CONSTRAINT ck_devices_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_devices_type CHECK (type ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    CONSTRAINT ck_devices_status CHECK (status IN ('active', 'inactive', 'maintenance', 'error')),
    CONSTRAINT ck_devices_rated_power_w CHECK (rated_power_w > 0 AND rated_power_w < 'Infinity'),
    CONSTRAINT ck_devices_idle_threshold_w CHECK (idle_threshold_w >= 0 AND idle_threshold_w < 'Infinity'),
    CONSTRAINT ck_devices_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT ck_devices_token_hash CHECK (octet_length(token_hash) = 32)
);
CREATE INDEX ix_devices_organisation_id_site_id ON kilowatch.devices (organisation_id, site_id);
CREATE UNIQUE INDEX ix_devices_token_hash ON kilowatch.devices (token_hash);
"""

TELEMETRY = """
CREATE TABLE kilowatch.series (
    series_no integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_series PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_series_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    device_no integer NOT NULL,
    metric_no integer NOT NULL,
    CONSTRAINT uq_series_device_no_metric_no UNIQUE (device_no, metric_no),
    CONSTRAINT fk_series_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE,
    CONSTRAINT fk_series_organisation_id_metric_no FOREIGN KEY (organisation_id, metric_no)
        REFERENCES kilowatch.metrics (organisation_id, metric_no)
);
CREATE INDEX ix_series_organisation_id ON kilowatch.series (organisation_id);
CREATE TABLE kilowatch.dead_letters (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_dead_letters PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_dead_letters_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    device text,
    door text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL,
    source text CONSTRAINT uq_dead_letters_source UNIQUE,
    replayed_at timestamptz
);
CREATE INDEX ix_dead_letters_organisation_id_received_at_id
    ON kilowatch.dead_letters (organisation_id, received_at, id);
CREATE TABLE kilowatch.idempotency_keys (
    organisation_id uuid NOT NULL,
    key_no integer NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    response jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (key_no, idempotency_key),
    CONSTRAINT fk_idempotency_keys_organisation_id_key_no FOREIGN KEY (organisation_id, key_no)
        REFERENCES kilowatch.api_keys (organisation_id, key_no) ON DELETE CASCADE,
    CONSTRAINT ck_idempotency_keys_idempotency_key CHECK (length(idempotency_key) BETWEEN 1 AND 255)
);
CREATE INDEX ix_idempotency_keys_created_at ON kilowatch.idempotency_keys (created_at);
"""

# Look-ups before the organisation is known. They run with the owner's sight, so each gives away the least:
# a key only to who shows its hash, an organisation only to who says its exact slug.
LOOK_UPS = """
CREATE FUNCTION kilowatch.find_api_key(wanted bytea)
RETURNS TABLE (
    key_no integer, organisation_id uuid, slug text, scopes text[], auto_register boolean,
    expires_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.key_no, k.organisation_id, o.slug, k.scopes, k.auto_register, k.expires_at
    FROM kilowatch.api_keys k JOIN kilowatch.organisations o ON o.id = k.organisation_id
    WHERE k.secret_hash = wanted AND k.revoked_at IS NULL
$$;
CREATE FUNCTION kilowatch.find_organisation(wanted text)
RETURNS SETOF kilowatch.organisations
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM kilowatch.organisations o WHERE o.slug = wanted
$$;
REVOKE ALL ON FUNCTION kilowatch.find_api_key(bytea), kilowatch.find_organisation(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kilowatch.find_api_key(bytea), kilowatch.find_organisation(text)
    TO kilowatch_app, kilowatch_worker;
"""

# The server may enqueue a job in the transaction that needs it, and never reads what others enqueued.
# Functions carry their search path, so that enqueuing works under any.
JOBS = """
GRANT USAGE ON SCHEMA procrastinate TO kilowatch_worker, kilowatch_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA procrastinate TO kilowatch_worker;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA procrastinate TO kilowatch_worker, kilowatch_app;
GRANT INSERT, SELECT (id) ON procrastinate.procrastinate_jobs TO kilowatch_app;
GRANT INSERT ON procrastinate.procrastinate_events TO kilowatch_app;
DO $$
DECLARE routine regprocedure;
BEGIN
    FOR routine IN
        SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'procrastinate'::regnamespace
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = procrastinate, pg_catalog, pg_temp', routine);
    END LOOP;
END $$;
"""

PROTECTED = ("api_keys", "sites", "devices", "metrics", "series", "dead_letters", "idempotency_keys")


def upgrade() -> None:
    run(ORGANISATIONS + METRICS + SITES + TELEMETRY + LOOK_UPS)
    run(f"GRANT USAGE ON SCHEMA kilowatch TO {APP}, {WORKER}")
    protect("organisations", "id")
    for table in PROTECTED:
        protect(table)
    run(f"CREATE SCHEMA lake AUTHORIZATION {LAKE}")
    install_jobs()


def install_jobs() -> None:
    """The job runner's tables, as its installed version has them; the comment tells later steps which."""
    path = op.get_bind().exec_driver_sql("SHOW search_path").scalar_one()
    run("CREATE SCHEMA procrastinate; SET LOCAL search_path = procrastinate, pg_catalog")
    run(SchemaManager.get_schema())
    run(f"SET LOCAL search_path = {path}")
    run(JOBS)
    run(f"COMMENT ON SCHEMA procrastinate IS 'procrastinate {version('procrastinate')}'")


def run(statements: str) -> None:
    """Several statements at once, and percent signs as they stand."""
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Refuses while the lake's catalog holds tables: without it the Parquet files are only files."""
    run("DROP SCHEMA lake RESTRICT")
    run("DROP SCHEMA procrastinate CASCADE")
    run("DROP FUNCTION kilowatch.find_api_key(bytea), kilowatch.find_organisation(text)")
    run(
        "DROP TABLE kilowatch.idempotency_keys, kilowatch.dead_letters, kilowatch.series, kilowatch.devices,"
        " kilowatch.sites, kilowatch.metrics, kilowatch.api_keys, kilowatch.organisations"
    )
    run(f"REVOKE USAGE ON SCHEMA kilowatch FROM {APP}, {WORKER}")
