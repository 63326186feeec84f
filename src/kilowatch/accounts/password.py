"""Passwords: which are good enough, how they are kept and compared.

Keeps true: only Argon2id hashes leave this module, and comparing takes as long whether or not there is such a
user. The policy is NIST SP 800-63B's: a length and a list of known ones, no rules on composition.
"""

import asyncio
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kilowatch.errors import Fault

SHORTEST, LONGEST = 10, 200
_RUNS = (
    "0123456789012345",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjkl",
)
HASH_BEGINNING = "$argon2id$"
_WORDS = "common_passwords.txt"
# OWASP's setting for Argon2id: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def password_faults(password: str, *own: str) -> list[Fault]:
    """What is wrong with a password for somebody whose address and name are `own`; empty when nothing is."""
    if not SHORTEST <= len(password) <= LONGEST:
        detail = (
            f"A password has {SHORTEST} to {LONGEST} characters; four words that nobody else has are good."
        )
    elif _is_common(password):
        detail = "This password is among those that are tried first; choose another."
    elif any(
        len(part) > 2 and _bare(password) == _bare(part) for word in own for part in (word, *word.split("@"))
    ):
        detail = "The password must not be your name or address."
    else:
        return []
    return [Fault("weak_password", detail, pointer="/password")]


def _bare(text: str) -> str:
    """Small letters without the digits and signs around them, which are what people add."""
    return text.casefold().strip("0123456789!?.,-_+*#$%&/ ")


@cache
def _common() -> frozenset[str]:
    return frozenset((files("kilowatch.accounts") / _WORDS).read_text("utf-8").split())


def _is_common(password: str) -> bool:
    text, bare = password.casefold(), _bare(password)
    if len(set(text)) < 4 or bare in _common() or any(text in run or text[::-1] in run for run in _RUNS):
        return True
    halves = text[: len(text) // 2], text[len(text) // 2 :]
    return halves[0] == halves[1] and (_bare(halves[0]) in _common() or len(set(halves[0])) < 5)


async def hash_password(password: str) -> str:
    """The password's Argon2id hash, with its salt and settings."""
    return await asyncio.to_thread(_hasher.hash, password)


async def is_password(password: str, password_hash: str | None) -> bool:
    """Whether the password is the one behind the hash. Without a hash (nobody has this address, or no
    password counts there) the answer is no and takes as long."""
    is_hash = password_hash is not None and password_hash.startswith(HASH_BEGINNING)
    right = await asyncio.to_thread(_compare, password_hash if is_hash else _nobodys_hash(), password)
    return right and is_hash


def _compare(password_hash: str | None, password: str) -> bool:
    try:
        return _hasher.verify(password_hash or "", password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody's")
