"""What every room's routes are given: the database, who may come in, and whom to tell of changes.

Keeps true that a route never looks at credentials itself: it names the right it needs, and gets a caller.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from kilowatch.accounts.identity import Caller
from kilowatch.postgres.engine import Database

Rows = Literal["keys", "sites", "devices", "metrics"]


@dataclass(frozen=True, slots=True)
class Access:
    """Given to the routes of every room."""

    database: Database
    reader: Callable[..., Awaitable[Caller]]
    """A dependency that lets callers with the scope `read` pass."""
    admin: Callable[..., Awaitable[Caller]]
    """A dependency that lets callers with the scope `admin` pass."""
    anybody: Callable[..., Awaitable[Caller]]
    """A dependency that lets every caller with valid credentials pass."""
    announce: Callable[[uuid.UUID, Rows], Awaitable[None]]
    """Says that rows of an organisation changed; call it after the transaction has ended."""
