"""The four database roles, and the address under which each is reached.

Keeps true: the server and the front doors never hold the owner's rights. With an embedded server each role
has a login of its own; with an external one the owner's login takes on the role when it connects.
"""

from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

Role = Literal["kilowatch_owner", "kilowatch_app", "kilowatch_worker", "kilowatch_lake"]

OWNER: Role = "kilowatch_owner"
"""Owns schema and tables; used by migrations only."""
APP: Role = "kilowatch_app"
"""Server and front doors: row-level security shows them one organisation at a time."""
WORKER: Role = "kilowatch_worker"
"""Worker and jobs: sees every organisation's rows, owns none of the tables."""
LAKE: Role = "kilowatch_lake"
"""Owns schema `lake`, the catalog of the lake, and sees nothing else."""

ROLES: tuple[Role, ...] = (OWNER, APP, WORKER, LAKE)
TAKEN_ROLES: tuple[Role, ...] = (APP, WORKER, LAKE)

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


def as_role(url: str, role: Role) -> str:
    """The same login, acting as `role` from its first statement on; the owner's address stays as it is."""
    return url if role == OWNER else with_options(url, {"role": role})


def with_options(url: str, settings: dict[str, str]) -> str:
    """The address with server settings for the session (libpq's `options=-c name=value`) added."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    added = " ".join(f"-c {name}={value}" for name, value in settings.items())
    query["options"] = f"{query['options']} {added}" if query.get("options") else added
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote, safe="/")))


def sqlalchemy_url(url: str) -> str:
    """The address with the driver that SQLAlchemy is to use (psycopg 3)."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError("the address of a PostgreSQL starts with postgresql://")
    return f"postgresql+psycopg://{rest}"


def libpq_url(url: str) -> str:
    """The address as libpq and psycopg take it, without a driver's name."""
    return sqlalchemy_url(url).replace("postgresql+psycopg://", "postgresql://", 1)


def libpq_keywords(url: str) -> str:
    """The address as `keyword='value'` pairs, the form that DuckDB's postgres extension takes."""
    parts = urlsplit(libpq_url(url))
    pairs = {
        "dbname": unquote(parts.path.lstrip("/")),
        "host": unquote(parts.hostname or ""),
        "port": str(parts.port or ""),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        **dict(parse_qsl(parts.query)),
    }
    escaped = {
        name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in pairs.items() if value
    }
    return " ".join(f"{name}='{value}'" for name, value in escaped.items())
