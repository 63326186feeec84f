"""Proving the books: what must hold between the ledger, the roll-ups, the samples and the log. Pure.

Keeps true that a fault names what is wrong, where, and by how much; no fault means that every accepted value
is stored once, is a repeat of a stored one, or is a dead letter, and that every tier tells of the same ones.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

ROUNDING: Final = 1e-12
"""Sums of the same values in another order differ by no more than this part of count x largest value."""
WHOLE: Final = 2.0**53
"""Below this (9 GWh in micro-watt-hours) every whole number is a double, so sums of them are exact."""

Row = Mapping[str, Any]
Names = Mapping[int, str]


@dataclass(frozen=True, slots=True)
class LedgerFault:
    """Something that does not hold. check: `ledger`, `kept`, `tiers`, `repeated` or `log`."""

    check: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the values that one key sent for one device; counts of values, but for `readings`.

    replaced: of the stored ones, those that took the place of another; forgotten: gone by retention.
    """

    key_no: int
    device_no: int
    readings: int
    accepted: int
    stored: int
    replaced: int
    repeats: int
    dead_letters: int
    forgotten: int
    unbalanced: int = 0
    """Rows of the ledger that do not balance by themselves."""

    @property
    def difference(self) -> int:
        """What is accepted and nowhere accounted for."""
        return self.accepted - self.stored - self.repeats - self.dead_letters

    @property
    def kept(self) -> int:
        """How many values must be there now."""
        return self.stored - self.replaced - self.forgotten


@dataclass(frozen=True, slots=True)
class Messages:
    """The log against the ledger.

    counted: messages that the ledger counts; waiting: messages in the log; settled: those of them that are
    counted and only not acknowledged yet; last_sequence: messages that the log has ever taken.
    """

    counted: int
    waiting: int
    settled: int
    last_sequence: int

    @property
    def missing(self) -> int:
        """Messages that are neither counted nor waiting; negative when some are counted twice."""
        return self.last_sequence - self.counted - (self.waiting - self.settled)


def account_faults(accounts: Iterable[Account], device_names: Names) -> list[LedgerFault]:
    """Accounts in which accepted is not stored + repeats + dead letters."""
    return [
        LedgerFault(
            "ledger",
            f"key {account.key_no}, {device_names.get(account.device_no, f'device {account.device_no}')}",
            f"accepted {account.accepted}, accounted for {account.accepted - account.difference}, "
            f"in {account.unbalanced} rows",
        )
        for account in accounts
        if account.difference or account.unbalanced
    ]


def kept_faults(accounts: Iterable[Account], kept: Mapping[int, int], names: Names) -> list[LedgerFault]:
    """Devices of `names` whose roll-ups tell of another number of values than the ledger.

    kept: device number -> values that the roll-ups tell of.
    """
    owed: dict[int, int] = {}
    for account in accounts:
        owed[account.device_no] = owed.get(account.device_no, 0) + account.kept
    return [
        LedgerFault(
            "kept", names[device], f"{owed.get(device, 0)} stored, {kept.get(device, 0)} in the roll-ups"
        )
        for device in sorted(owed.keys() | kept.keys())
        if device in names and owed.get(device, 0) != kept.get(device, 0)
    ]


def tier_faults(tier: str, finer: str, rows: Iterable[Row], series_names: Names) -> list[LedgerFault]:
    """Series of which a tier and the finer table that it was made from tell different things."""
    faults = []
    for row in rows:
        where = f"{series_names[row['series_no']]}, {tier} against {finer}"
        if row["count"] != row["finer_count"]:
            faults.append(LedgerFault("tiers", where, f"counts {row['count']}, not {row['finer_count']}"))
        elif not sums_agree(row):
            faults.append(LedgerFault("tiers", where, f"sums to {row['sum']!r}, not {row['finer_sum']!r}"))
        elif row["covered_us"] != row["finer_covered_us"]:
            detail = f"covers {row['covered_us']} us, not {row['finer_covered_us']}"
            faults.append(LedgerFault("tiers", where, detail))
    return faults


def sums_agree(row: Row) -> bool:
    """Whether two sums of the same values are the same but for rounding; whole numbers (energy, which has no
    largest value) without that allowance, as long as every whole number of their size can be written."""
    largest = row["largest"]
    if math.isnan(largest):
        allowed = 0.0 if abs(row["sum"]) < WHOLE else ROUNDING * abs(row["sum"])
    else:
        allowed = ROUNDING * row["count"] * largest
    difference = abs(row["sum"] - row["finer_sum"])
    return bool(difference <= allowed) or bool(math.isnan(difference))


def repeated_faults(rows: Iterable[Row], series_names: Names) -> list[LedgerFault]:
    """Series that have several samples of one moment."""
    return [
        LedgerFault("repeated", series_names[row["series_no"]], f"{row['times']} moments are stored twice")
        for row in rows
    ]


def message_faults(messages: Messages) -> list[LedgerFault]:
    """Messages that are nowhere, or counted twice."""
    if messages.missing > 0:
        detail = f"{messages.missing} messages are neither counted in the ledger nor waiting"
    elif messages.missing < 0:
        detail = f"{-messages.missing} messages are counted twice"
    else:
        return []
    return [LedgerFault("log", "log", detail)]
