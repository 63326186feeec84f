"""Who sees what in an organisation: invitations, assignments, second factors, the audit log; what devices say
of themselves; homes for trying out; what is to be forgotten.

Keeps true that a customer's transaction sees the sites and devices assigned to them and nothing else of the
organisation, whatever the statement says: policies that restrict all others see to it.
"""

from alembic import op

from kilowatch.postgres.migrations.tenancy import (
    CURRENT,
    CURRENT_CUSTOMER,
    CURRENT_USER,
    protect,
    protect_personal,
    withhold_from_customers,
)
from kilowatch.postgres.roles import APP, WORKER

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE kilowatch.organisations ADD COLUMN regions text[] NOT NULL DEFAULT '{}'::text[];
ALTER TABLE kilowatch.organisations ADD CONSTRAINT ck_organisations_regions
    CHECK (cardinality(regions) <= 1000);
ALTER TABLE kilowatch.users ADD COLUMN disabled_at timestamptz;
ALTER TABLE kilowatch.memberships ADD COLUMN region text;
ALTER TABLE kilowatch.sites ADD COLUMN icon text;
ALTER TABLE kilowatch.sites ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}'::jsonb;
ALTER TABLE kilowatch.sites ADD COLUMN demo_key_no integer;
ALTER TABLE kilowatch.sites ADD CONSTRAINT ck_sites_metadata CHECK (jsonb_typeof(metadata) = 'object');
ALTER TABLE kilowatch.sites ADD CONSTRAINT fk_sites_organisation_id_demo_key_no
    FOREIGN KEY (organisation_id, demo_key_no) REFERENCES kilowatch.api_keys (organisation_id, key_no);
ALTER TABLE kilowatch.devices ADD COLUMN state text NOT NULL DEFAULT 'on';
ALTER TABLE kilowatch.devices ADD COLUMN token_made_at timestamptz;
ALTER TABLE kilowatch.devices ADD CONSTRAINT ck_devices_state CHECK (state IN ('on', 'off', 'standby'));
"""

TABLES = """
CREATE TABLE kilowatch.invitations (
    id uuid CONSTRAINT pk_invitations PRIMARY KEY,
    organisation_id uuid NOT NULL
        CONSTRAINT fk_invitations_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    email text NOT NULL,
    role text NOT NULL,
    region text,
    invited_by uuid NOT NULL
        CONSTRAINT fk_invitations_invited_by REFERENCES kilowatch.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT uq_invitations_organisation_id_email UNIQUE (organisation_id, email),
    CONSTRAINT ck_invitations_email CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
    CONSTRAINT ck_invitations_role CHECK (role IN ('admin', 'operator', 'viewer', 'customer'))
);
CREATE INDEX ix_invitations_email ON kilowatch.invitations (email);
CREATE TABLE kilowatch.site_assignments (
    organisation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    site_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_site_assignments PRIMARY KEY (user_id, site_id),
    CONSTRAINT fk_site_assignments_organisation_id_user_id FOREIGN KEY (organisation_id, user_id)
        REFERENCES kilowatch.memberships (organisation_id, user_id) ON DELETE CASCADE,
    CONSTRAINT fk_site_assignments_organisation_id_site_id FOREIGN KEY (organisation_id, site_id)
        REFERENCES kilowatch.sites (organisation_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_site_assignments_organisation_id_site_id
    ON kilowatch.site_assignments (organisation_id, site_id);
CREATE TABLE kilowatch.device_assignments (
    organisation_id uuid NOT NULL,
    user_id uuid NOT NULL,
    device_no integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_device_assignments PRIMARY KEY (user_id, device_no),
    CONSTRAINT fk_device_assignments_organisation_id_user_id FOREIGN KEY (organisation_id, user_id)
        REFERENCES kilowatch.memberships (organisation_id, user_id) ON DELETE CASCADE,
    CONSTRAINT fk_device_assignments_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE
);
CREATE INDEX ix_device_assignments_organisation_id_device_no
    ON kilowatch.device_assignments (organisation_id, device_no);
CREATE TABLE kilowatch.device_sightings (
    device_no integer CONSTRAINT pk_device_sightings PRIMARY KEY,
    organisation_id uuid NOT NULL,
    last_seen timestamptz NOT NULL,
    CONSTRAINT fk_device_sightings_organisation_id_device_no FOREIGN KEY (organisation_id, device_no)
        REFERENCES kilowatch.devices (organisation_id, device_no) ON DELETE CASCADE
);
CREATE TABLE kilowatch.vanished_series (
    series_no integer CONSTRAINT pk_vanished_series PRIMARY KEY,
    organisation_id uuid NOT NULL,
    device_no integer NOT NULL,
    vanished_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz
);
CREATE TABLE kilowatch.second_factors (
    user_id uuid CONSTRAINT pk_second_factors PRIMARY KEY
        CONSTRAINT fk_second_factors_user_id REFERENCES kilowatch.users ON DELETE CASCADE,
    secret bytea NOT NULL,
    confirmed_at timestamptz,
    last_step bigint NOT NULL DEFAULT 0
);
CREATE TABLE kilowatch.recovery_codes (
    user_id uuid NOT NULL CONSTRAINT fk_recovery_codes_user_id REFERENCES kilowatch.users ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    CONSTRAINT pk_recovery_codes PRIMARY KEY (user_id, code_hash),
    CONSTRAINT ck_recovery_codes_code_hash CHECK (octet_length(code_hash) = 32)
);
CREATE TABLE kilowatch.audit_log (
    no bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_audit_log PRIMARY KEY,
    organisation_id uuid
        CONSTRAINT fk_audit_log_organisation_id REFERENCES kilowatch.organisations ON DELETE CASCADE,
    user_id uuid,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    subject text,
    detail jsonb NOT NULL DEFAULT '{}'::jsonb,
    address text,
    request_id text,
    CONSTRAINT ck_audit_log_action CHECK (action ~ '^[a-z]+(_[a-z]+)*[.][a-z]+(_[a-z]+)*$'),
    CONSTRAINT ck_audit_log_detail CHECK (jsonb_typeof(detail) = 'object')
);
CREATE INDEX ix_audit_log_organisation_id_no ON kilowatch.audit_log (organisation_id, no);
CREATE INDEX ix_audit_log_user_id_no ON kilowatch.audit_log (user_id, no);
"""

# What a customer may see. The functions run with the owner's sight, since policies of `devices` and `sites`
# that asked each other would never end; they give away what the transaction's
# customer has, and no more.
CUSTOMERS = """
CREATE FUNCTION kilowatch.customer_devices()
RETURNS SETOF integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.device_no FROM kilowatch.device_assignments a
    WHERE a.user_id = NULLIF(current_setting('kilowatch.customer_id', true), '')::uuid
        AND a.organisation_id = NULLIF(current_setting('kilowatch.organisation_id', true), '')::uuid
    UNION
    SELECT d.device_no FROM kilowatch.site_assignments a
    JOIN kilowatch.devices d ON d.organisation_id = a.organisation_id AND d.site_id = a.site_id
    WHERE a.user_id = NULLIF(current_setting('kilowatch.customer_id', true), '')::uuid
        AND a.organisation_id = NULLIF(current_setting('kilowatch.organisation_id', true), '')::uuid
$$;
CREATE FUNCTION kilowatch.customer_sites()
RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.site_id FROM kilowatch.site_assignments a
    WHERE a.user_id = NULLIF(current_setting('kilowatch.customer_id', true), '')::uuid
        AND a.organisation_id = NULLIF(current_setting('kilowatch.organisation_id', true), '')::uuid
    UNION
    SELECT d.site_id FROM kilowatch.device_assignments a
    JOIN kilowatch.devices d ON d.device_no = a.device_no
    WHERE a.user_id = NULLIF(current_setting('kilowatch.customer_id', true), '')::uuid
        AND a.organisation_id = NULLIF(current_setting('kilowatch.organisation_id', true), '')::uuid
$$;
"""

# Look-ups before the organisation is known, or beyond one's own. An invitation is shown to the user of the
# transaction whose verified address it names, while whoever made it could still make it (`may_appoint` in
# rights.py); a device's login to who says organisation and device. A person
# is forgotten with the organisations that are theirs alone, unless members of another would be left without
# an admin; what others' audit logs tell of them names an id that is nobody's any more.
LOOK_UPS = """
CREATE FUNCTION kilowatch.list_own_invitations()
RETURNS TABLE (
    id uuid, organisation_id uuid, slug text, name text, role text, region text, expires_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT i.id, o.id, o.slug, o.name, i.role, i.region, i.expires_at
    FROM kilowatch.invitations i
    JOIN kilowatch.organisations o ON o.id = i.organisation_id
    JOIN kilowatch.users u ON u.email = i.email
    JOIN kilowatch.users maker ON maker.id = i.invited_by
    JOIN kilowatch.memberships m ON m.organisation_id = i.organisation_id AND m.user_id = i.invited_by
    WHERE u.id = NULLIF(current_setting('kilowatch.user_id', true), '')::uuid
        AND u.verified_at IS NOT NULL AND i.expires_at > now() AND maker.disabled_at IS NULL
        AND (m.role = 'admin' OR (m.role = 'operator' AND i.role IN ('viewer', 'customer')))
    ORDER BY i.created_at, i.id
$$;
CREATE FUNCTION kilowatch.list_members(
    after_user uuid, most integer, of_region text, of_role text, of_user uuid
)
RETURNS TABLE (
    user_id uuid, email text, name text, role text, region text, is_personal boolean,
    disabled_at timestamptz, created_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.id, u.email, u.name, m.role, m.region, m.is_personal, u.disabled_at, m.created_at
    FROM kilowatch.memberships m JOIN kilowatch.users u ON u.id = m.user_id
    WHERE m.organisation_id = NULLIF(current_setting('kilowatch.organisation_id', true), '')::uuid
        AND NULLIF(current_setting('kilowatch.customer_id', true), '') IS NULL
        AND (after_user IS NULL OR m.user_id > after_user)
        AND (of_region IS NULL OR m.region = of_region)
        AND (of_role IS NULL OR m.role = of_role)
        AND (of_user IS NULL OR m.user_id = of_user)
    ORDER BY m.user_id LIMIT most
$$;
CREATE FUNCTION kilowatch.find_device_login(wanted_slug text, wanted_device text)
RETURNS TABLE (organisation_id uuid, device_no integer, status text, token_hash bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.organisation_id, d.device_no, d.status, d.token_hash
    FROM kilowatch.organisations o JOIN kilowatch.devices d ON d.organisation_id = o.id
    WHERE o.slug = wanted_slug AND d.id = wanted_device
$$;
CREATE FUNCTION kilowatch.find_device_token(wanted bytea)
RETURNS TABLE (organisation_id uuid, slug text, device_no integer, id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.organisation_id, o.slug, d.device_no, d.id
    FROM kilowatch.devices d JOIN kilowatch.organisations o ON o.id = d.organisation_id
    WHERE d.token_hash = wanted AND d.status <> 'inactive'
$$;
CREATE FUNCTION kilowatch.forget_person(sender text, request text)
RETURNS TABLE (outcome text, organisation_id uuid, slug text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    me uuid := NULLIF(current_setting('kilowatch.user_id', true), '')::uuid;
    own uuid[];
BEGIN
    PERFORM FROM kilowatch.organisations o
    WHERE o.id IN (SELECT m.organisation_id FROM kilowatch.memberships m WHERE m.user_id = me)
    ORDER BY o.id FOR NO KEY UPDATE;
    RETURN QUERY
        SELECT 'needs_admin', o.id, o.slug
        FROM kilowatch.organisations o JOIN kilowatch.memberships m ON m.organisation_id = o.id
        WHERE m.user_id = me AND m.role = 'admin' AND NOT m.is_personal
            AND EXISTS (SELECT FROM kilowatch.memberships other
                WHERE other.organisation_id = o.id AND other.user_id <> me)
            AND NOT EXISTS (SELECT FROM kilowatch.memberships other
                WHERE other.organisation_id = o.id AND other.user_id <> me AND other.role = 'admin')
        ORDER BY o.slug;
    IF FOUND THEN
        RETURN;
    END IF;
    own := ARRAY(
        SELECT m.organisation_id FROM kilowatch.memberships m
        WHERE m.user_id = me AND (m.is_personal OR NOT EXISTS (
            SELECT FROM kilowatch.memberships other
            WHERE other.organisation_id = m.organisation_id AND other.user_id <> me
        ))
    );
    RETURN QUERY
        SELECT CASE WHEN o.id = ANY(own) THEN 'deleted' ELSE 'left' END, o.id, o.slug
        FROM kilowatch.organisations o JOIN kilowatch.memberships m ON m.organisation_id = o.id
        WHERE m.user_id = me;
    DELETE FROM kilowatch.invitations i USING kilowatch.users u WHERE u.id = me AND i.email = u.email;
    UPDATE kilowatch.audit_log a SET detail = a.detail - 'email' - 'name' FROM kilowatch.users u
    WHERE u.id = me AND a.detail ->> 'email' = u.email;
    DELETE FROM kilowatch.organisations o WHERE o.id = ANY(own);
    DELETE FROM kilowatch.audit_log a WHERE a.organisation_id IS NULL AND a.user_id = me;
    INSERT INTO kilowatch.audit_log (organisation_id, actor, action, subject, detail, address, request_id)
        SELECT m.organisation_id, 'user:' || me, 'member.left', me::text,
            jsonb_build_object('role', m.role), sender, request
        FROM kilowatch.memberships m WHERE m.user_id = me;
    DELETE FROM kilowatch.users u WHERE u.id = me;
    IF FOUND THEN
        INSERT INTO kilowatch.audit_log (actor, action, subject, address, request_id)
        VALUES ('user:' || me, 'account.deleted', me::text, sender, request);
    END IF;
END $$;
"""

# Deleting a device looks for its series by both columns; with the organisation's alone it would read all of
# the organisation's series each time.
INDEXES = """
CREATE INDEX ix_series_organisation_id_device_no ON kilowatch.series (organisation_id, device_no);
DROP INDEX kilowatch.ix_series_organisation_id;
"""

# The homes to try of those who show the secret that their keys were derived from, by the two blocks that HMAC
# mixes it into: a home is told only where HMAC-SHA256 gives the very key whose hash is stored. Devices that
# somebody added later are not played.
DEMO_HOMES = """
CREATE FUNCTION kilowatch.list_demo_devices(inner_pad bytea, outer_pad bytea)
RETURNS TABLE (
    site_id uuid, organisation_id uuid, time_zone text, made_at timestamptz, device_no integer, id text,
    state text
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, s.organisation_id, s.time_zone, s.created_at, d.device_no, d.id, d.state
    FROM kilowatch.sites s
    JOIN kilowatch.api_keys k ON k.key_no = s.demo_key_no
    JOIN kilowatch.devices d ON d.organisation_id = s.organisation_id AND d.site_id = s.id
        AND d.created_at = s.created_at
    WHERE k.revoked_at IS NULL AND k.secret_hash = sha256(convert_to('kw_' || rtrim(translate(encode(
        sha256(outer_pad || sha256(inner_pad || convert_to('home ' || s.id::text, 'UTF8'))), 'base64'
    ), '+/', '-_'), '='), 'UTF8'))
    ORDER BY s.created_at, s.id, d.device_no
$$;
"""

# Whatever way a series goes (its device, site or organisation is deleted), its number is noted in the same
# transaction, because its readings are in the lake; and with a device go its dead letters, which name it.
VANISHING = """
CREATE FUNCTION kilowatch.note_vanished_series() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO kilowatch.vanished_series (series_no, organisation_id, device_no)
    SELECT gone.series_no, gone.organisation_id, gone.device_no FROM gone;
    RETURN NULL;
END $$;
CREATE TRIGGER vanish AFTER DELETE ON kilowatch.series REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION kilowatch.note_vanished_series();
CREATE FUNCTION kilowatch.drop_dead_letters() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM kilowatch.dead_letters l USING gone
    WHERE l.organisation_id = gone.organisation_id AND l.device = gone.id;
    RETURN NULL;
END $$;
CREATE TRIGGER vanish AFTER DELETE ON kilowatch.devices REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION kilowatch.drop_dead_letters();
"""

FUNCTIONS = (
    "customer_devices()",
    "customer_sites()",
    "list_own_invitations()",
    "list_members(uuid, integer, text, text, uuid)",
    "find_device_login(text, text)",
    "find_device_token(bytea)",
    "forget_person(text, text)",
    "list_demo_devices(bytea, bytea)",
)
OF_ORGANISATIONS = (
    "invitations",
    "site_assignments",
    "device_assignments",
    "device_sightings",
    "vanished_series",
)
NOT_FOR_CUSTOMERS = (
    "api_keys",
    "dead_letters",
    "invitations",
    "idempotency_keys",
    "memberships",
    "audit_log",
    "vanished_series",
)
READ_BY_CUSTOMERS = ("organisations", "metrics")
"""The name of the place, and names and units, without which a customer's own readings would say nothing."""


def upgrade() -> None:
    run(COLUMNS + TABLES + CUSTOMERS + LOOK_UPS + INDEXES + DEMO_HOMES + VANISHING)
    for table in OF_ORGANISATIONS:
        protect(table)
    for table in ("second_factors", "recovery_codes"):
        protect_personal(table)
    protect_audit_log()
    op.execute(f"REVOKE UPDATE, DELETE ON kilowatch.vanished_series FROM {APP}")
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION kilowatch.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION kilowatch.{function} TO {APP}, {WORKER}")
    for table in NOT_FOR_CUSTOMERS:
        withhold_from_customers(table)
    for table in ("devices", "series", "device_sightings", "device_assignments"):
        withhold_from_customers(table, "device_no IN (SELECT kilowatch.customer_devices())")
    withhold_from_customers("sites", "id IN (SELECT kilowatch.customer_sites())")
    for table in READ_BY_CUSTOMERS:
        withhold_from_customers(table, "true")
    withhold_from_customers("site_assignments", f"user_id = {CURRENT_CUSTOMER}")


def protect_audit_log() -> None:
    """Written and never changed: nobody but the owner may update or delete a line. An organisation reads
    what happened in it and how its members signed in; a person what concerns them."""
    name = "kilowatch.audit_log"
    mine = f"user_id = {CURRENT_USER}"
    own = f"organisation_id = {CURRENT}"
    members = (  # but not which other organisations they deleted
        "(organisation_id IS NULL AND NOT starts_with(action, 'organisation.') AND user_id IN"  # noqa: S608
        f" (SELECT m.user_id FROM kilowatch.memberships m WHERE m.organisation_id = {CURRENT}))"
    )
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY reading ON {name} FOR SELECT TO {APP} USING ({own} OR {mine} OR {members})")
    op.execute(
        f"CREATE POLICY writing ON {name} FOR INSERT TO {APP} WITH CHECK (organisation_id IS NULL OR {own})"
    )
    op.execute(f"CREATE POLICY every_organisation ON {name} TO {WORKER} USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY owner ON {name} TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT ON {name} TO {APP}, {WORKER}")


def run(statements: str) -> None:
    """Several statements at once, and percent signs as they stand."""
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    op.execute("CREATE INDEX ix_series_organisation_id ON kilowatch.series (organisation_id)")
    op.execute("DROP INDEX kilowatch.ix_series_organisation_id_device_no")
    op.execute("DROP TRIGGER vanish ON kilowatch.series")
    op.execute("DROP TRIGGER vanish ON kilowatch.devices")
    op.execute("DROP FUNCTION kilowatch.note_vanished_series(), kilowatch.drop_dead_letters()")
    for table in (*NOT_FOR_CUSTOMERS, *READ_BY_CUSTOMERS, "devices", "series", "sites"):
        if table not in ("invitations", "audit_log", "vanished_series"):
            op.execute(f"DROP POLICY customer ON kilowatch.{table}")
            op.execute(f"DROP POLICY customer_deletes ON kilowatch.{table}")
    op.execute(
        "DROP TABLE kilowatch.audit_log, kilowatch.recovery_codes, kilowatch.second_factors,"
        " kilowatch.device_sightings, kilowatch.device_assignments, kilowatch.site_assignments,"
        " kilowatch.vanished_series, kilowatch.invitations"
    )
    op.execute("DROP FUNCTION " + ", ".join(f"kilowatch.{function}" for function in FUNCTIONS))
    op.execute("ALTER TABLE kilowatch.devices DROP COLUMN state, DROP COLUMN token_made_at")
    op.execute("ALTER TABLE kilowatch.sites DROP COLUMN icon, DROP COLUMN metadata, DROP COLUMN demo_key_no")
    op.execute("ALTER TABLE kilowatch.memberships DROP COLUMN region")
    op.execute("ALTER TABLE kilowatch.users DROP COLUMN disabled_at")
    op.execute("ALTER TABLE kilowatch.organisations DROP COLUMN regions")
