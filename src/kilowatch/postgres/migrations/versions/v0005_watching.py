"""Rules: what an organisation wants to be told of.

Keeps true that a rule goes with its device, site or organisation, and that no customer sees one.
"""

from alembic import op

from kilowatch.postgres.migrations.tenancy import protect, withhold_from_customers

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE kilowatch.rules (
    id uuid CONSTRAINT pk_rules PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_rules_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    name text NOT NULL,
    device_no integer,
    site_id uuid,
    device_type text,
    metric text,
    input text NOT NULL,
    operator text,
    threshold double precision,
    for_s integer NOT NULL DEFAULT 0,
    clear_threshold double precision,
    cooldown_s integer NOT NULL DEFAULT 0,
    severity text NOT NULL DEFAULT 'medium',
    status text NOT NULL DEFAULT 'active',
    channels text[] NOT NULL DEFAULT '{}'::text[],
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_rules_organisation_id_id UNIQUE (organisation_id, id),
    CONSTRAINT fk_rules_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE,
    CONSTRAINT fk_rules_organisation_id_site_id FOREIGN KEY (organisation_id, site_id)
        REFERENCES kilowatch.sites (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_rules_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_rules_target CHECK (num_nonnulls(device_no, site_id, device_type) <= 1),
    CONSTRAINT ck_rules_input
        CHECK (input IN ('value', 'rate_per_minute', 'energy_1m', 'energy_15m', 'no_data')),
    CONSTRAINT ck_rules_operator CHECK (operator IN ('>', '>=', '<', '<=', '=', '!=')),
    CONSTRAINT ck_rules_limits CHECK (
        (input = 'no_data' AND num_nonnulls(operator, threshold, clear_threshold) = 0 AND for_s > 0)
        OR (input <> 'no_data' AND num_nonnulls(operator, threshold, metric) = 3)
    ),
    CONSTRAINT ck_rules_finite
        CHECK (abs(threshold) < 'Infinity' AND abs(clear_threshold) < 'Infinity'),
    CONSTRAINT ck_rules_durations
        CHECK (for_s BETWEEN 0 AND 604800 AND cooldown_s BETWEEN 0 AND 604800),
    CONSTRAINT ck_rules_severity CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    CONSTRAINT ck_rules_status CHECK (status IN ('active', 'paused', 'archived')),
    CONSTRAINT ck_rules_channels CHECK (cardinality(channels) <= 20)
);
CREATE INDEX ix_rules_organisation_id_created_at_id ON kilowatch.rules (organisation_id, created_at, id);
CREATE INDEX ix_rules_organisation_id_device_no ON kilowatch.rules (organisation_id, device_no);
CREATE INDEX ix_rules_organisation_id_site_id ON kilowatch.rules (organisation_id, site_id);
CREATE INDEX ix_rules_updated_at ON kilowatch.rules (updated_at);
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TABLES, execution_options={"no_parameters": True})
    protect("rules")
    withhold_from_customers("rules")


def downgrade() -> None:
    op.execute("DROP TABLE kilowatch.rules")
