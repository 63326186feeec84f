"""What the server and the simulator say to each other about homes to try Kilowatch out with.

Keeps true: both derive the same credentials from the one secret that they share, so that none of them is kept
anywhere. The simulator needs nothing else of what is behind the doors.
"""

import hashlib
import uuid
from typing import Literal, get_args

import msgspec

from kilowatch.ids import derive_secret
from kilowatch.wire.address import API

STATES = ("off", "on", "standby")
HOMES_PATH = f"{API}/simulation/homes"
HISTORY_DAYS = 30
BLOCK_BYTES = 64
"""Block of SHA-256, which HMAC is made of (RFC 2104)."""

Role = Literal["fridge", "heat-pump", "television", "washing-machine", "lights"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What stands in a home to try."""
SetState = Literal["off", "on", "standby"]


class PlayedDevice(msgspec.Struct, frozen=True):
    """A device to be played. state: as somebody set it."""

    id: str
    role: Role
    state: SetState


class PlayedHome(msgspec.Struct, frozen=True):
    """A home to be played. organisation_id: whose worlds surround it; since_us: when it was made; its history
    is older, its live readings are newer."""

    site_id: str
    organisation_id: str
    time_zone: str
    since_us: int
    devices: list[PlayedDevice]


class PlayedHomes(msgspec.Struct, frozen=True):
    """Every home to be played."""

    items: list[PlayedHome]


class Newest(msgspec.Struct, frozen=True):
    """Until when readings of a home are stored; None before the first."""

    newest_us: int | None


def simulator_token(root: bytes) -> str:
    """What the simulator shows to learn of homes."""
    return derive_secret(root, "simulator")


def home_purpose(site_id: uuid.UUID | str) -> str:
    """What the key of a home is derived for."""
    return f"home {site_id}"


def home_key(root: bytes, site_id: uuid.UUID | str) -> str:
    """The API key that a home's readings are sent with."""
    return derive_secret(root, home_purpose(site_id))


def hmac_pads(root: bytes) -> tuple[bytes, bytes]:
    """The secret as HMAC mixes it in, inside and outside, for who has only SHA-256 at hand."""
    block = (root if len(root) <= BLOCK_BYTES else hashlib.sha256(root).digest()).ljust(BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)
