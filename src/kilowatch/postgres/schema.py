"""The one catalogue of tables that all rooms add theirs to, and how their constraints are named.

Keeps true: constraint names follow from tables and columns, so that migrations and models can be compared.
"""

from sqlalchemy import MetaData

SCHEMA = "kilowatch"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    },
)
