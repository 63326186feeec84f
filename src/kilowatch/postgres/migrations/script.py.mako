"""${message}.

A step must suit a running installation: add nullable, fill in batches, then enforce. Locks are waited for
five seconds only (set by `kilowatch.postgres.migrate`), so that no step holds up the doors.
"""

from alembic import op

from kilowatch.postgres.migrations.tenancy import protect

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
