"""What every room's routes are given: the database, who may come in, and whom to tell of changes.

Keeps true that a route never looks at credentials itself: it names the right it needs, and gets a caller.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from kilowatch.accounts.identity import Caller
from kilowatch.accounts.rights import RIGHTS, Verb
from kilowatch.postgres.engine import Database
from kilowatch.wire.live import LiveEvent

Rows = Literal["organisations", "keys", "sites", "devices", "metrics", "rules", "detectors"]
"""`keys` is who may come in: keys, members, sessions."""


Guard = Callable[..., Awaitable[Caller]]


def name_right(guard: Guard, resource: str, verb: Verb) -> Guard:
    """The guard, telling which right it asks for: documents and tests read it off."""
    vars(guard)["right"] = RIGHTS[resource, verb]
    return guard


class MakeGuard(Protocol):
    """Makes dependencies that let callers with a right pass."""

    def __call__(self, resource: str, verb: Verb, there: bool = False) -> Guard:
        """The dependency for this right of `rights.py`."""


@dataclass(frozen=True, slots=True)
class Access:
    """Given to the routes of every room."""

    database: Database
    may: MakeGuard
    """Makes a dependency that lets callers with a right pass: `may(resource, verb)`. With `there=True` the
    right is asked for in the organisation that the path names as `organisation_id`."""
    anybody: Guard
    """A dependency that lets every caller with valid credentials pass."""
    announce: Callable[[uuid.UUID, Rows], Awaitable[None]]
    """Says that rows of an organisation changed; call it after the transaction has ended."""
    tell: Callable[[LiveEvent], Awaitable[None]]
    """Tells those who listen of something that happened; call it after the transaction has ended."""
