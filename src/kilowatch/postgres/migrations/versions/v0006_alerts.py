"""Alerts, what people did with them, when nobody is to be told; how detectors are set and what they learnt.

Keeps true that a key has at most one living alert: an index says so, whoever writes.
"""

from alembic import op

from kilowatch.postgres.migrations.tenancy import protect, withhold_from_customers

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE kilowatch.sites ADD COLUMN price_per_kwh numeric;
ALTER TABLE kilowatch.sites ADD COLUMN voice text NOT NULL DEFAULT 'plain';
ALTER TABLE kilowatch.sites ADD CONSTRAINT ck_sites_price_per_kwh
    CHECK (price_per_kwh >= 0 AND price_per_kwh <= 1000000);
ALTER TABLE kilowatch.sites ADD CONSTRAINT ck_sites_voice CHECK (voice IN ('plain', 'oracle'));
"""

KINDS = """('rule', 'phantom_load', 'spike', 'ghost_walk', 'high_consumption', 'zero_consumption',
        'negative_consumption', 'offline', 'model')"""
SEVERITIES = "('low', 'medium', 'high', 'critical')"

TABLES = f"""
CREATE TABLE kilowatch.alerts (
    id uuid CONSTRAINT pk_alerts PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_alerts_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    key uuid NOT NULL,
    kind text NOT NULL,
    rule_id uuid,
    device_no integer,
    site_id uuid NOT NULL,
    severity text NOT NULL,
    status text NOT NULL DEFAULT 'open',
    since timestamptz NOT NULL,
    raised_at timestamptz NOT NULL,
    ts timestamptz NOT NULL,
    metric text,
    value double precision,
    limit_value double precision,
    excess_w double precision,
    cost_per_day numeric,
    currency text NOT NULL,
    devices integer NOT NULL DEFAULT 1,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at timestamptz,
    resolved_by text,
    how text,
    suppressed_by text,
    suppressed_until timestamptz,
    parent_id uuid,
    CONSTRAINT uq_alerts_organisation_id_id UNIQUE (organisation_id, id),
    CONSTRAINT fk_alerts_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE,
    CONSTRAINT fk_alerts_organisation_id_site_id FOREIGN KEY (organisation_id, site_id)
        REFERENCES kilowatch.sites (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_alerts_kind CHECK (kind IN {KINDS}),
    CONSTRAINT ck_alerts_severity CHECK (severity IN {SEVERITIES}),
    CONSTRAINT ck_alerts_status CHECK (status IN ('open', 'acknowledged', 'suppressed', 'resolved')),
    CONSTRAINT ck_alerts_resolved CHECK ((status = 'resolved') = (resolved_at IS NOT NULL)),
    CONSTRAINT ck_alerts_how
        CHECK (how IN ('cleared', 'by_hand') AND (how IS NOT NULL) = (resolved_at IS NOT NULL)),
    CONSTRAINT ck_alerts_devices CHECK (devices >= 1)
);
CREATE UNIQUE INDEX ix_alerts_key ON kilowatch.alerts (key) WHERE status <> 'resolved';
CREATE INDEX ix_alerts_key_by_hand ON kilowatch.alerts (key) WHERE how = 'by_hand';
CREATE INDEX ix_alerts_organisation_id_raised_at ON kilowatch.alerts (organisation_id, raised_at, id);
CREATE INDEX ix_alerts_organisation_id_device_no ON kilowatch.alerts (organisation_id, device_no);
CREATE INDEX ix_alerts_organisation_id_site_id ON kilowatch.alerts (organisation_id, site_id);
CREATE INDEX ix_alerts_suppressed_until ON kilowatch.alerts (suppressed_until) WHERE status = 'suppressed';
CREATE INDEX ix_alerts_parent_id ON kilowatch.alerts (parent_id);
CREATE TABLE kilowatch.alert_comments (
    id uuid CONSTRAINT pk_alert_comments PRIMARY KEY,
    organisation_id uuid NOT NULL,
    alert_id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    text text NOT NULL,
    CONSTRAINT fk_alert_comments_organisation_id_alert_id FOREIGN KEY (organisation_id, alert_id)
        REFERENCES kilowatch.alerts (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_alert_comments_text CHECK (length(text) BETWEEN 1 AND 4000)
);
CREATE INDEX ix_alert_comments_organisation_id_alert_id
    ON kilowatch.alert_comments (organisation_id, alert_id);
CREATE TABLE kilowatch.maintenance_windows (
    id uuid CONSTRAINT pk_maintenance_windows PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_maintenance_windows_organisation_id
        REFERENCES kilowatch.organisations ON DELETE CASCADE,
    device_no integer,
    site_id uuid,
    kind text,
    rule_id uuid,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    reason text,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_maintenance_windows_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE,
    CONSTRAINT fk_maintenance_windows_organisation_id_site_id FOREIGN KEY (organisation_id, site_id)
        REFERENCES kilowatch.sites (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_maintenance_windows_kind CHECK (kind IN {KINDS}),
    CONSTRAINT ck_maintenance_windows_span CHECK (ends_at > starts_at),
    CONSTRAINT ck_maintenance_windows_reason CHECK (length(reason) BETWEEN 1 AND 500)
);
CREATE INDEX ix_maintenance_windows_organisation_id_ends_at
    ON kilowatch.maintenance_windows (organisation_id, ends_at);
CREATE TABLE kilowatch.detector_settings (
    id uuid CONSTRAINT pk_detector_settings PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_detector_settings_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    site_id uuid,
    kind text NOT NULL,
    is_on boolean,
    severity text,
    limits jsonb NOT NULL DEFAULT '{{}}'::jsonb,
    CONSTRAINT uq_detector_settings_organisation_id_site_id_kind
        UNIQUE NULLS NOT DISTINCT (organisation_id, site_id, kind),
    CONSTRAINT fk_detector_settings_organisation_id_site_id FOREIGN KEY (organisation_id, site_id)
        REFERENCES kilowatch.sites (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_detector_settings_kind CHECK (kind IN {KINDS}),
    CONSTRAINT ck_detector_settings_severity CHECK (severity IN {SEVERITIES}),
    CONSTRAINT ck_detector_settings_limits CHECK (jsonb_typeof(limits) = 'object')
);
CREATE TABLE kilowatch.device_profiles (
    device_no integer CONSTRAINT pk_device_profiles PRIMARY KEY,
    organisation_id uuid NOT NULL,
    median_w double precision[],
    spread_w double precision[],
    learnt_at timestamptz,
    pause_us bigint,
    CONSTRAINT fk_device_profiles_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE,
    CONSTRAINT ck_device_profiles_hours CHECK (cardinality(median_w) = 24 AND cardinality(spread_w) = 24),
    CONSTRAINT ck_device_profiles_pause_us CHECK (pause_us > 0)
);
"""

OF_DEVICES = "device_no IN (SELECT kilowatch.customer_devices())"
OF_SITES = "(device_no IS NULL AND site_id IN (SELECT a.site_id FROM kilowatch.site_assignments a))"
"""What is told of a site as a whole is for those who were given all of it."""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(COLUMNS + TABLES, execution_options={"no_parameters": True})
    for table in ("alerts", "alert_comments", "maintenance_windows", "detector_settings", "device_profiles"):
        protect(table)
    withhold_from_customers("alerts", f"{OF_DEVICES} OR {OF_SITES}")
    for table in ("alert_comments", "maintenance_windows", "detector_settings", "device_profiles"):
        withhold_from_customers(table)


def downgrade() -> None:
    op.execute(
        "DROP TABLE kilowatch.device_profiles, kilowatch.detector_settings, kilowatch.maintenance_windows,"
        " kilowatch.alert_comments, kilowatch.alerts"
    )
    op.execute("ALTER TABLE kilowatch.sites DROP COLUMN voice, DROP COLUMN price_per_kwh")
