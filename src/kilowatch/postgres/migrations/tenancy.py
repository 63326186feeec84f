"""Row-level security, the same for every table of schema `kilowatch`.

Keeps true: the application's role sees and changes rows of one organisation only, the one that its
transaction named in `kilowatch.organisation_id`; without a name it sees nothing. The worker's role is
bound by a name in the same way and sees every organisation without one. A person's own rows are seen by whom
the transaction names in `kilowatch.user_id`. Where it names somebody in `kilowatch.customer_id`, only what is
assigned to them is left of all that. The owner, whose functions look up keys and people before either
is known, sees all.
"""

from alembic import op

from kilowatch.postgres.roles import APP, WORKER
from kilowatch.postgres.schema import SCHEMA

# In a sub-select, so that it is worked out once a statement and not once a row.
CURRENT = "(SELECT NULLIF(current_setting('kilowatch.organisation_id', true), '')::uuid)"
CURRENT_USER = "(SELECT NULLIF(current_setting('kilowatch.user_id', true), '')::uuid)"
CURRENT_CUSTOMER = "(SELECT NULLIF(current_setting('kilowatch.customer_id', true), '')::uuid)"


def protect(table: str, column: str = "organisation_id") -> None:
    """Turns on row-level security for a table and gives both roles their rights on it."""
    name = f"{SCHEMA}.{table}"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY organisation ON {name} TO {APP}"
        f" USING ({column} = {CURRENT}) WITH CHECK ({column} = {CURRENT})"
    )
    op.execute(
        f"CREATE POLICY every_organisation ON {name} TO {WORKER}"
        f" USING ({CURRENT} IS NULL OR {column} = {CURRENT})"
        f" WITH CHECK ({CURRENT} IS NULL OR {column} = {CURRENT})"
    )
    op.execute(f"CREATE POLICY owner ON {name} TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {APP}, {WORKER}")


def protect_personal(table: str, column: str = "user_id") -> None:
    """The same for a table whose rows are one person's: the application's role sees those of the user that
    its transaction named in `kilowatch.user_id`."""
    name = f"{SCHEMA}.{table}"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    mine = f"{column} = {CURRENT_USER}"
    op.execute(f"CREATE POLICY person ON {name} TO {APP} USING ({mine}) WITH CHECK ({mine})")
    op.execute(f"CREATE POLICY every_person ON {name} TO {WORKER} USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY owner ON {name} TO CURRENT_USER USING (true) WITH CHECK (true)")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {APP}, {WORKER}")


def withhold_from_customers(table: str, unless: str = "false") -> None:
    """Takes the rows of a table from a transaction that names a customer, unless they meet this condition;
    what it does see it cannot change. Goes on top of what `protect` allows.

    Not for the owner, a member of the application's role, whose functions find out what is assigned."""
    owner = op.get_bind().exec_driver_sql("SELECT quote_literal(current_user)").scalar_one()
    others = f"({CURRENT_CUSTOMER} IS NULL OR (SELECT current_user) = {owner})"
    op.execute(
        f"CREATE POLICY customer ON {SCHEMA}.{table} AS RESTRICTIVE TO {APP}"
        f" USING ({others} OR {unless}) WITH CHECK {others}"
    )
    op.execute(
        f"CREATE POLICY customer_deletes ON {SCHEMA}.{table} AS RESTRICTIVE FOR DELETE TO {APP}"
        f" USING {others}"
    )
