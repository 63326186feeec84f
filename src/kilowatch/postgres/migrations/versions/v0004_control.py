"""Commands to devices.

Keeps true that a command goes with its device, that what has ended has no next try, and that a customer sees
commands to what is assigned to them and changes none.
"""

from alembic import op

from kilowatch.postgres.migrations.tenancy import protect, withhold_from_customers

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE kilowatch.commands (
    id uuid CONSTRAINT pk_commands PRIMARY KEY,
    organisation_id uuid NOT NULL,
    device_no integer NOT NULL,
    no bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    arguments jsonb NOT NULL,
    status text NOT NULL DEFAULT 'queued',
    detail text,
    idempotency_key text,
    actor text NOT NULL,
    user_id uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    next_try_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    ended_at timestamptz,
    CONSTRAINT uq_commands_organisation_id_device_no_idempotency_key
        UNIQUE (organisation_id, device_no, idempotency_key),
    CONSTRAINT fk_commands_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE,
    CONSTRAINT ck_commands_name CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    CONSTRAINT ck_commands_arguments CHECK (jsonb_typeof(arguments) = 'object'),
    CONSTRAINT ck_commands_status
        CHECK (status IN ('queued', 'processing', 'succeeded', 'failed', 'expired', 'cancelled')),
    CONSTRAINT ck_commands_ended_at CHECK ((ended_at IS NULL) = (status IN ('queued', 'processing'))),
    CONSTRAINT ck_commands_next_try_at CHECK (next_try_at IS NULL OR status IN ('queued', 'processing'))
);
CREATE INDEX ix_commands_organisation_id_no ON kilowatch.commands (organisation_id, no);
CREATE INDEX ix_commands_device_no_no ON kilowatch.commands (device_no, no);
CREATE INDEX ix_commands_living ON kilowatch.commands (device_no, no)
    WHERE status IN ('queued', 'processing');
CREATE INDEX ix_commands_next_try_at ON kilowatch.commands (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX ix_commands_ended_at ON kilowatch.commands (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX ix_commands_expires_at ON kilowatch.commands (expires_at)
    WHERE status IN ('queued', 'processing');
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TABLES, execution_options={"no_parameters": True})
    protect("commands")
    withhold_from_customers("commands", "device_no IN (SELECT kilowatch.customer_devices())")


def downgrade() -> None:
    op.execute("DROP TABLE kilowatch.commands")
