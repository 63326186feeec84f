"""What rules find, as the alarms take it.

Keeps true: findings and clearings of one key stand in the order in which they happened, and each key only
once on either side: of a breach that began and ended in one look, both are told.
"""

from dataclasses import dataclass, field

import numpy as np

from kilowatch.alerts.alert import PER_MINUTE
from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.telling import SECONDS
from kilowatch.alerts.voices import SEVERITIES
from kilowatch.rules.rule import ENERGY_INPUTS, Input
from kilowatch.rules.watch import OPERATORS, Changes
from kilowatch.telemetry.metric import ENERGY
from kilowatch.worker.no_data import NoData, Turn
from kilowatch.worker.watch_rows import Ints, WatchRows, uuid_of

ABOVE = tuple(OPERATORS.index(operator) for operator in (">", ">="))


@dataclass(slots=True)
class Reports:
    """Findings and clearings of one look."""

    findings: list[Finding] = field(default_factory=list)
    clearings: list[Clearing] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.findings) + len(self.clearings)

    def add_changes(self, which: Input, rows: WatchRows, changes: Changes, names: dict[int, str]) -> None:
        """What limits on an input brought; `changes` name places in `rows`."""
        columns = (changes.watch, changes.is_raise, changes.ts_us, changes.value, changes.since_us)
        for place, is_raise, ts_us, value, since_us in zip(*(one.tolist() for one in columns), strict=True):
            row = rows[place]
            key = key_of(row)
            if not is_raise:
                self.clearings.append(Clearing(key, ts_us, value))
                continue
            name = ENERGY if which in ENERGY_INPUTS else names.get(int(row["metric"]))
            if which == "rate_per_minute" and name is not None:
                name += PER_MINUTE
            limit = float(row["limit"])
            above_w = None
            if which == "value" and name == "power" and row["operator"] in ABOVE:
                above_w = value - limit
            severity = SEVERITIES[row["severity"]]
            self.findings.append(Finding(key, severity, since_us, ts_us, name, value, limit, above_w))

    def add_silence(self, silence: NoData, turn: Turn) -> None:
        """Who has fallen silent, and who has come back."""
        for place in turn.raised.tolist():
            row = silence.rows[place]
            since_us, ts_us = int(silence.since_us[place]), int(silence.raised_us[place])
            lasted_s = (ts_us - since_us) / 1_000_000
            severity = SEVERITIES[row["severity"]]
            limit = float(row["for_s"])
            self.findings.append(Finding(key_of(row), severity, since_us, ts_us, SECONDS, lasted_s, limit))
        for place in turn.cleared.tolist():
            self.clearings.append(Clearing(key_of(silence.rows[place]), int(silence.heard_us[place])))

    def add_gone(self, rows: WatchRows, since_us: Ints, now_us: int) -> None:
        """Watches that were raised, since then, and are not there any more. A device's clock may be ahead of
        ours; what began then is over all the same."""
        self.clearings.extend(
            Clearing(key_of(row), max(now_us, began_us))
            for row, began_us in zip(rows, since_us.tolist(), strict=True)
        )


def key_of(row: np.void) -> Key:
    """Whom an alert of this watch is about."""
    return Key(uuid_of(row, "organisation"), "rule", int(row["device"]), rule_id=uuid_of(row, "rule"))
