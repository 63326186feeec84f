"""Dead letters: readings that were refused, with the reason, kept so that they can be mended and sent again.

Keeps true: whatever a door took in can be stored, bytes that are no text included. Pure.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

# What PostgreSQL's text and jsonb cannot hold: NUL, and halves of surrogate pairs.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable_text(value: str) -> str:
    """The text with a replacement character wherever PostgreSQL would refuse it."""
    return UNSTORABLE.sub(REPLACEMENT, value)


def storable_json(payload: Any) -> str:
    """The payload as JSON that jsonb takes; numbers that JSON does not know become null."""
    try:
        encoded = msgspec.json.encode(payload).decode()
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_storable(payload)).decode()
    return encoded if "\\u0000" not in encoded else msgspec.json.encode(_storable(payload)).decode()


def _storable(value: Any) -> Any:
    """The same value with every text inside it made storable."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {_storable(key): _storable(held) for key, held in value.items()}
    return [_storable(held) for held in value] if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, slots=True)
class NewDeadLetter:
    """A reading that was refused. payload: the reading as it came, as far as JSON can say it; source: names
    its place in the log, so that a message worked twice leaves one letter."""

    organisation_id: uuid.UUID
    device: str | None
    door: str
    code: str
    detail: str
    payload: Any
    received_at: datetime
    source: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A kept refusal; `replayed_at` when it was sent once more."""

    id: uuid.UUID
    organisation_id: uuid.UUID
    device: str | None
    door: str
    code: str
    detail: str
    payload: Any
    received_at: datetime
    source: str | None
    replayed_at: datetime | None
