"""Notifications, channels, preferences and deliveries.

Keeps true that a person's notifications, channels and preferences are seen by nobody else of the
organisation.
Deliveries and escalations, which tell nothing but that something is on its way, are the organisation's:
whoever acknowledges an alert ends them for everybody.
"""

from alembic import op

from kilowatch.postgres.migrations.tenancy import CURRENT, CURRENT_CUSTOMER, CURRENT_USER, protect
from kilowatch.postgres.roles import APP, WORKER

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE kilowatch.notifications (
    id uuid CONSTRAINT pk_notifications PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_notifications_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    user_id uuid,
    alert_id uuid NOT NULL,
    site_id uuid,
    device_no integer,
    severity text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    remedy text NOT NULL,
    happened_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    read_at timestamptz,
    dismissed_at timestamptz,
    CONSTRAINT uq_notifications_organisation_id_id UNIQUE (organisation_id, id),
    CONSTRAINT fk_notifications_organisation_id_user_id FOREIGN KEY (organisation_id, user_id)
        REFERENCES kilowatch.memberships (organisation_id, user_id) ON DELETE CASCADE,
    CONSTRAINT fk_notifications_organisation_id_site_id FOREIGN KEY (organisation_id, site_id)
        REFERENCES kilowatch.sites (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_notifications_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE,
    CONSTRAINT ck_notifications_severity CHECK (severity IN ('low', 'medium', 'high', 'critical'))
);
CREATE INDEX ix_notifications_user_id_created_at
    ON kilowatch.notifications (organisation_id, user_id, created_at);
CREATE INDEX ix_notifications_site_id ON kilowatch.notifications (organisation_id, site_id);
CREATE INDEX ix_notifications_device_no ON kilowatch.notifications (organisation_id, device_no);
CREATE TABLE kilowatch.notification_channels (
    id uuid CONSTRAINT pk_notification_channels PRIMARY KEY,
    organisation_id uuid NOT NULL CONSTRAINT fk_notification_channels_organisation_id
        REFERENCES kilowatch.organisations ON DELETE CASCADE,
    user_id uuid,
    name text NOT NULL,
    kind text NOT NULL,
    address bytea NOT NULL,
    shown text NOT NULL,
    severity text NOT NULL DEFAULT 'low',
    enabled boolean NOT NULL DEFAULT true,
    failures integer NOT NULL DEFAULT 0,
    closed_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_notification_channels_organisation_id_id UNIQUE (organisation_id, id),
    CONSTRAINT fk_notification_channels_organisation_id_user_id FOREIGN KEY (organisation_id, user_id)
        REFERENCES kilowatch.memberships (organisation_id, user_id) ON DELETE CASCADE,
    CONSTRAINT ck_notification_channels_name CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT ck_notification_channels_severity CHECK (severity IN ('low', 'medium', 'high', 'critical'))
);
CREATE INDEX ix_notification_channels_user_id ON kilowatch.notification_channels (organisation_id, user_id);
CREATE TABLE kilowatch.notification_preferences (
    organisation_id uuid,
    user_id uuid,
    severity text NOT NULL DEFAULT 'low',
    quiet_start smallint,
    quiet_end smallint,
    quiet_lets_through text,
    digest_minute smallint,
    digest_severity text,
    storm_most integer NOT NULL DEFAULT 10,
    storm_minutes integer NOT NULL DEFAULT 5,
    escalation jsonb NOT NULL DEFAULT '[]'::jsonb,
    time_zone text,
    CONSTRAINT pk_notification_preferences PRIMARY KEY (organisation_id, user_id),
    CONSTRAINT fk_notification_preferences_organisation_id_user_id FOREIGN KEY (organisation_id, user_id)
        REFERENCES kilowatch.memberships (organisation_id, user_id) ON DELETE CASCADE,
    CONSTRAINT ck_notification_preferences_severity
        CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    CONSTRAINT ck_notification_preferences_escalation CHECK (jsonb_typeof(escalation) = 'array')
);
CREATE TABLE kilowatch.escalations (
    no bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_escalations PRIMARY KEY,
    organisation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    notification_id uuid NOT NULL,
    alert_id uuid NOT NULL,
    step smallint NOT NULL,
    channel_id uuid,
    target_id uuid,
    due_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT fk_escalations_organisation_id_user_id FOREIGN KEY (organisation_id, user_id)
        REFERENCES kilowatch.memberships (organisation_id, user_id) ON DELETE CASCADE,
    CONSTRAINT fk_escalations_organisation_id_notification_id FOREIGN KEY (organisation_id, notification_id)
        REFERENCES kilowatch.notifications (organisation_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_escalations_due_at ON kilowatch.escalations (due_at) WHERE ended_at IS NULL;
CREATE INDEX ix_escalations_alert_id ON kilowatch.escalations (alert_id) WHERE ended_at IS NULL;
CREATE INDEX ix_escalations_notification_id ON kilowatch.escalations (organisation_id, notification_id);
CREATE TABLE kilowatch.deliveries (
    id uuid CONSTRAINT pk_deliveries PRIMARY KEY,
    organisation_id uuid NOT NULL,
    user_id uuid,
    channel_id uuid NOT NULL,
    notification_id uuid,
    alert_id uuid,
    step smallint NOT NULL DEFAULT 0,
    bundle text,
    status text NOT NULL DEFAULT 'pending',
    tries smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT uq_deliveries_notification_id_channel_id_step UNIQUE (notification_id, channel_id, step),
    CONSTRAINT uq_deliveries_organisation_id_id UNIQUE (organisation_id, id),
    CONSTRAINT fk_deliveries_organisation_id_channel_id FOREIGN KEY (organisation_id, channel_id)
        REFERENCES kilowatch.notification_channels (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_deliveries_organisation_id_notification_id FOREIGN KEY (organisation_id, notification_id)
        REFERENCES kilowatch.notifications (organisation_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_deliveries_status CHECK (status IN ('pending', 'sent', 'failed', 'dropped')),
    CONSTRAINT ck_deliveries_bundle CHECK (bundle IN ('quiet', 'digest', 'storm'))
);
CREATE INDEX ix_deliveries_due_at ON kilowatch.deliveries (due_at) WHERE status = 'pending';
CREATE INDEX ix_deliveries_alert_id ON kilowatch.deliveries (alert_id) WHERE status = 'pending';
CREATE INDEX ix_deliveries_channel_id_created_at
    ON kilowatch.deliveries (organisation_id, channel_id, created_at);
CREATE TABLE kilowatch.delivery_attempts (
    no bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_delivery_attempts PRIMARY KEY,
    organisation_id uuid NOT NULL,
    user_id uuid,
    delivery_id uuid NOT NULL,
    begun_at timestamptz NOT NULL,
    ended_at timestamptz,
    ok boolean,
    detail text NOT NULL DEFAULT '',
    CONSTRAINT fk_delivery_attempts_organisation_id_delivery_id FOREIGN KEY (organisation_id, delivery_id)
        REFERENCES kilowatch.deliveries (organisation_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_delivery_attempts_delivery_id
    ON kilowatch.delivery_attempts (organisation_id, delivery_id);
"""

FORGET_CHANNEL = """
CREATE FUNCTION kilowatch.forget_channel() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE kilowatch.rules SET channels = array_remove(channels, OLD.id::text), updated_at = clock_timestamp()
    WHERE organisation_id = OLD.organisation_id AND OLD.id::text = ANY (channels);
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION kilowatch.forget_channel() FROM PUBLIC;
CREATE TRIGGER forget_channel AFTER DELETE ON kilowatch.notification_channels
    FOR EACH ROW EXECUTE FUNCTION kilowatch.forget_channel();
"""
"""A rule whose own channels are all gone tells by its severity again, not nobody."""

PERSONAL = ("notifications", "notification_preferences")
OWN_OR_SHARED = ("notification_channels", "delivery_attempts")
OF_ORGANISATIONS = ("deliveries", "escalations")
STILL_ASSIGNED = (
    f"({CURRENT_CUSTOMER} IS NULL OR device_no IN (SELECT kilowatch.customer_devices())"  # noqa: S608
    " OR site_id IN (SELECT a.site_id FROM kilowatch.site_assignments a"
    f" WHERE a.user_id = {CURRENT_CUSTOMER}))"
)
"""A customer from whom something was taken sees no more what they were told of it."""


def upgrade() -> None:
    for statements in (TABLES, FORGET_CHANNEL):
        op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
    for table in PERSONAL:
        _protect_own(table, f"user_id = {CURRENT_USER}")
    for table in OWN_OR_SHARED:
        _protect_own(table, f"(user_id IS NULL OR user_id = {CURRENT_USER})")
    for table in OF_ORGANISATIONS:
        protect(table)
    for table in (*PERSONAL, *OWN_OR_SHARED, *OF_ORGANISATIONS):
        own = f"({CURRENT_CUSTOMER} IS NULL OR user_id = {CURRENT_CUSTOMER})"
        seen = f"({own} AND {STILL_ASSIGNED})" if table == "notifications" else own
        op.execute(
            f"CREATE POLICY customer ON kilowatch.{table} AS RESTRICTIVE TO {APP}"
            f" USING {seen} WITH CHECK {own}"
        )


def _protect_own(table: str, whose: str) -> None:
    """Row-level security for what belongs to a person in an organisation."""
    name = f"kilowatch.{table}"
    seen = f"organisation_id = {CURRENT} AND {whose}"
    every = f"({CURRENT} IS NULL OR organisation_id = {CURRENT})"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY person ON {name} TO {APP} USING ({seen}) WITH CHECK ({seen})")
    op.execute(f"CREATE POLICY every_organisation ON {name} TO {WORKER} USING {every} WITH CHECK {every}")
    op.execute(f"CREATE POLICY owner ON {name} TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {APP}, {WORKER}")


def downgrade() -> None:
    op.execute(
        "DROP TABLE kilowatch.delivery_attempts, kilowatch.deliveries, kilowatch.escalations,"
        " kilowatch.notification_preferences, kilowatch.notification_channels, kilowatch.notifications"
    )
    op.execute("DROP FUNCTION kilowatch.forget_channel()")
