"""Watches as rows of columns: which rule looks at which series of which device, and for what.

Keeps true: a watch is told apart by its rule and its device.
"""

import uuid
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from kilowatch.units import MICRO_WATT_HOURS, WATTS

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

WATCH: Final = np.dtype(
    [(f"{name}_{half}", np.uint64) for name in ("rule", "organisation") for half in ("high", "low")]
    + [(name, np.int32) for name in ("series", "device", "metric", "for_s", "cooldown_s")]
    + [(name, np.int8) for name in ("input", "operator", "severity", "kind", "unit")]
    + [("limit", np.float64), ("clear", np.float64), ("updated_us", np.int64)]
)
"""A watch. series and metric are 0 for the silence of a device as a whole; input, operator, severity and kind
are places in their lists, unit is one in `UNITS`, counted from 1, or 0."""
WatchRows = npt.NDArray[np.void]
UNITS: Final = (*WATTS, *MICRO_WATT_HOURS)
SCALES: Final = np.array([0.0, *WATTS.values(), *MICRO_WATT_HOURS.values()])


def uuid_of(row: np.void, name: str) -> uuid.UUID:
    """The `rule` or `organisation` of a watch."""
    return uuid.UUID(int=int(row[f"{name}_high"]) << 64 | int(row[f"{name}_low"]))


def hash_watches(rows: WatchRows) -> Hashes:
    """One number for rule and device. Rules' ids are random, so that two watches of one number are as good
    as impossible."""
    return hash_of(rows["rule_high"], rows["rule_low"], rows["device"])


def hash_of(high: Hashes, low: Hashes, device: npt.NDArray[np.int32]) -> Hashes:
    """The same of the two halves of rules' ids, and devices."""
    spread = device.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed: Hashes = (high * np.uint64(0xFF51AFD7ED558CCD)) ^ (low * np.uint64(0xC4CEB9FE1A85EC53)) ^ spread
    return mixed


def find_hashes(hashes: Hashes, order: Ints, wanted: Hashes) -> Ints:
    """The watch of each wanted number, -1 where there is none; `hashes` are sorted, `order` says whose."""
    if not len(hashes):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
    return np.where(hashes[at] == wanted, order[at], -1)


def halves_of(ids: Sequence[uuid.UUID]) -> tuple[Hashes, Hashes]:
    """The upper and lower halves of ids."""
    high = np.array([one.int >> 64 for one in ids], np.uint64)
    return high, np.array([one.int & 0xFFFF_FFFF_FFFF_FFFF for one in ids], np.uint64)


def rows_of(rows: WatchRows, name: str, ids: Sequence[uuid.UUID]) -> npt.NDArray[np.bool_]:
    """Whether the `rule` or `organisation` of each watch is one of these."""
    high, low = halves_of(ids)
    nobody = np.zeros(len(ids), np.int32)
    mine = hash_of(rows[f"{name}_high"], rows[f"{name}_low"], np.zeros(len(rows), np.int32))
    return np.isin(mine, hash_of(high, low, nobody))
