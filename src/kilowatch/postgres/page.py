"""Pages of lists: at most 500 items, and an opaque cursor that says where the next page starts.

Keeps true: a page never skips or repeats an item that stood while the pages were read, since cursors carry
the last item's place in the order and not a count.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from kilowatch.errors import Problem

LIMIT_MAX = 500
LIMIT_DEFAULT = 100
NUMBER_MAX = 2**31 - 1

Item = TypeVar("Item")
Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items of a list; `next_cursor` is None on the last page."""

    items: list[Item]
    next_cursor: str | None


def check_limit(limit: int) -> int:
    """The limit itself when it is one.

    Raises:
        Problem: 422 `bad_limit`.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise Problem(422, "bad_limit", f"limit is {limit}; it must be 1 to {LIMIT_MAX}.")
    return limit


def read_cursor(cursor: str, place: type[Place]) -> Place:
    """The place in the order that a cursor stands for.

    Raises:
        Problem: 400 `bad_cursor` for anything that is no cursor of this list.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=place)
        if isinstance(found, int) and not 0 <= found <= NUMBER_MAX:
            raise ValueError("a number that no row has")
    except (ValueError, msgspec.DecodeError) as error:
        raise Problem(
            400, "bad_cursor", "cursor is not one that this list gave; start without it."
        ) from error
    return found


def make_page(rows: Sequence[Item], limit: int, place: Callable[[Item], object]) -> Page[Item]:
    """The page of a query that asked for one row more than `limit`."""
    shown = list(rows[:limit])
    if len(rows) <= limit:
        return Page(shown, None)
    encoded = base64.urlsafe_b64encode(msgspec.json.encode(place(shown[-1])))
    return Page(shown, encoded.decode().rstrip("="))
