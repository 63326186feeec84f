"""The request that is being answered: its id and its sender's address, for whoever writes down what happens.

Keeps true that both are those of the present task's request, and empty outside of any.
"""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Where a request came from; both None for what nobody asked for over HTTP."""

    request_id: str | None = None
    address: str | None = None


NOWHERE = RequestOrigin()
ORIGIN: ContextVar[RequestOrigin] = ContextVar("origin", default=NOWHERE)
