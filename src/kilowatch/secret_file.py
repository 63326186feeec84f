"""Secrets that an instance makes for itself: one file each in `<data>/secrets`.

Keeps true: a secret is made once, however many processes start together, and only its owner reads it. Light
on purpose: the supervisor imports this.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def make_phrase() -> str:
    """48 random bytes, as text."""
    return secrets.token_urlsafe(48)


def keep_secret(data: Path, name: str, make: Callable[[], str] = make_phrase) -> bytes:
    """The secret of this name in a data folder, made if there is none."""
    path = data / "secrets" / f"{name}.key"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return path.read_bytes()
    made = path.with_name(f"{name}.{secrets.token_hex(8)}")
    made.touch(mode=0o600)
    made.write_text(make(), encoding="ascii")
    try:
        os.link(made, path)  # of several processes that start together, one makes it
    except FileExistsError:
        pass
    finally:
        made.unlink()
    return path.read_bytes()
