"""Names and secrets: how an id, a slug and a key look, and how a secret is made and hashed.

Keeps true: a secret is shown once and only its SHA-256 is stored. Keys carry 256 random bits, so a fast
hash is enough; passwords, which people choose, never come here.
"""

import base64
import hashlib
import hmac
import re
import secrets
import uuid

from kilowatch.errors import Fault, Problem

DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
ORGANISATION_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
METRIC_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
KEY_PREFIX = "kw_"
DEVICE_TOKEN_PREFIX = "kwd_"  # noqa: S105 - only what tokens begin with
NAME_MAX = 200


def require_device_id(text: str) -> str:
    """The id itself; what can be no device's id is not there (PostgreSQL would refuse some of it).

    Raises:
        Problem: 404 `not_found`.
    """
    if not DEVICE_ID.fullmatch(text):
        raise Problem(404, "not_found", f"There is no device {text[:80]!r}.")
    return text


def new_id() -> uuid.UUID:
    """A random UUID (version 4)."""
    return uuid.uuid4()


def new_secret(prefix: str = KEY_PREFIX) -> str:
    """A new API key, or a token with another prefix: 43 characters after it carry 256 random bits."""
    return prefix + secrets.token_urlsafe(32)


def derive_secret(root: bytes, purpose: str) -> str:
    """The API key that belongs to a purpose: whoever holds the root secret can say it, and nobody else."""
    digest = hmac.digest(root, purpose.encode(), "sha256")
    return KEY_PREFIX + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a key, 32 bytes: what is stored and looked up."""
    return hashlib.sha256(secret.encode()).digest()


def name_faults(name: object) -> list[Fault]:
    """What is wrong with a name that people read; empty when nothing is."""
    if isinstance(name, str) and 1 <= len(name) <= NAME_MAX and name.isprintable() and name.strip() == name:
        return []
    detail = f"name has 1 to {NAME_MAX} printable characters and no blanks around it."
    return [Fault("bad_name", detail, pointer="/name")]
