"""What each role, and each scope of an API key, may do: one table. Pure.

Keeps true that a right which is not in the table is nobody's. Whose sites, devices and readings are seen at
all is decided in PostgreSQL: a customer may read readings, and sees those of what is assigned to them.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["admin", "operator", "viewer", "customer"]
Verb = Literal["read", "create", "change", "delete"]
Scope = Literal["ingest", "read", "control", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)
"""From the highest to the lowest."""

_ADMIN = frozenset[Role](("admin",))
_STAFF = frozenset[Role](("admin", "operator"))
_HOUSE = frozenset[Role](("admin", "operator", "viewer"))
_ALL = frozenset[Role](ROLES)


@dataclass(frozen=True, slots=True)
class Right:
    """One row of the table: the roles whose people may do this, and the scope with which an API key may; None
    where no key may."""

    resource: str
    verb: Verb
    roles: frozenset[Role]
    scope: Scope | None


RIGHTS = {
    (right.resource, right.verb): right
    for right in (
        Right("organisation", "read", _ALL, "read"),
        Right("organisation", "change", _ADMIN, "admin"),
        Right("organisation", "delete", _ADMIN, None),
        Right("members", "read", _STAFF, "admin"),
        Right("members", "change", _STAFF, None),
        Right("members", "delete", _STAFF, None),
        Right("invitations", "read", _STAFF, "admin"),
        Right("invitations", "create", _STAFF, None),
        Right("invitations", "delete", _STAFF, None),
        Right("assignments", "read", _STAFF, "admin"),
        Right("assignments", "create", _STAFF, "admin"),
        Right("assignments", "delete", _STAFF, "admin"),
        Right("api_keys", "read", _ADMIN, "admin"),
        Right("api_keys", "create", _ADMIN, "admin"),
        Right("api_keys", "delete", _ADMIN, "admin"),
        Right("audit_log", "read", _ADMIN, "admin"),
        Right("sites", "read", _ALL, "read"),
        Right("sites", "create", _ADMIN, "admin"),
        Right("sites", "change", _ADMIN, "admin"),
        Right("sites", "delete", _ADMIN, "admin"),
        Right("devices", "read", _ALL, "read"),
        Right("devices", "create", _ADMIN, "admin"),
        Right("devices", "change", _STAFF, "admin"),
        Right("devices", "delete", _ADMIN, "admin"),
        Right("device_state", "change", _STAFF, "control"),
        Right("commands", "read", _ALL, "read"),
        Right("commands", "create", _STAFF, "control"),
        Right("commands", "change", _STAFF, "control"),
        Right("device_tokens", "create", _ADMIN, "admin"),
        Right("device_tokens", "delete", _ADMIN, "admin"),
        Right("readings", "read", _ALL, "read"),
        Right("live", "read", _ALL, "read"),
        Right("metrics", "read", _ALL, "read"),
        Right("metrics", "change", _ADMIN, "admin"),
        Right("rules", "read", _HOUSE, "read"),
        Right("rules", "create", _STAFF, "admin"),
        Right("rules", "change", _STAFF, "admin"),
        Right("rules", "delete", _STAFF, "admin"),
        Right("notifications", "read", _ALL, None),
        Right("notifications", "change", _ALL, None),
        Right("notifications", "delete", _ALL, None),
        Right("notification_channels", "read", _ALL, "admin"),
        Right("notification_channels", "create", _ALL, "admin"),
        Right("notification_channels", "change", _ALL, "admin"),
        Right("notification_channels", "delete", _ALL, "admin"),
        Right("organisation_channels", "change", _STAFF, "admin"),
        Right("notification_preferences", "read", _ALL, None),
        Right("notification_preferences", "change", _ALL, None),
        Right("dead_letters", "read", _HOUSE, "read"),
        Right("dead_letters", "delete", _STAFF, "admin"),
        Right("alerts", "read", _ALL, "read"),
        Right("alerts", "change", _STAFF, "control"),
        Right("maintenance_windows", "read", _HOUSE, "read"),
        Right("maintenance_windows", "create", _STAFF, "control"),
        Right("maintenance_windows", "change", _STAFF, "control"),
        Right("maintenance_windows", "delete", _STAFF, "control"),
        Right("detectors", "read", _HOUSE, "read"),
        Right("detectors", "change", _STAFF, "control"),
        Right("simulation", "read", _HOUSE, "read"),
        Right("simulation", "change", _STAFF, "control"),
    )
}
"""By resource and verb. An operator invites, changes and removes only members of a role below their own."""


def may_do(role: Role, resource: str, verb: Verb) -> bool:
    """Whether people of this role may do this."""
    return role in RIGHTS[resource, verb].roles


def is_below(role: Role, other: Role) -> bool:
    """Whether `role` is lower than `other`."""
    return ROLES.index(role) > ROLES.index(other)


def may_appoint(own: Role, role: Role) -> bool:
    """Whether somebody of the role `own` may make somebody a `role`, change them or remove them: an admin
    anybody, an operator those below."""
    return own == "admin" or (own == "operator" and is_below(role, own))
