"""Addresses of channels at rest: sealed, since they hold tokens and passwords.

Keeps true: who reads the tables but not the instance's key learns no address.
"""

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

PURPOSE = "notification channels"
"""What the key is derived for, from the one that signs access tokens."""


class Seal:
    """Seals and opens addresses with a key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._box = SecretBox(key)

    def seal(self, address: str) -> bytes:
        """The sealed address."""
        return bytes(self._box.encrypt(address.encode()))

    def open(self, sealed: bytes) -> str | None:
        """The address; None when it was sealed with another key."""
        try:
            return self._box.decrypt(sealed).decode()
        except CryptoError:
            return None
