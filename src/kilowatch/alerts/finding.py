"""Findings: what rules and detectors say has begun, and what they say is over. Pure.

Keeps true: whoever finds the same breach in readings again, after a restart or on another machine, comes to
the same id.
"""

import uuid
from dataclasses import dataclass

from kilowatch.alerts.voices import Kind, Severity

NAMESPACE = uuid.UUID("5a6c3d0e-2c5f-4d0b-9a55-0f6d6a1f7c11")


@dataclass(frozen=True, slots=True)
class Key:
    """What at most one alert lives of: a kind, and whom it is about. rule_id: of the kind `rule`; device_no
    or site_id: a device, or a site as a whole (a ghost walk, a gateway's silence names the gateway)."""

    organisation_id: uuid.UUID
    kind: Kind
    device_no: int | None = None
    site_id: uuid.UUID | None = None
    rule_id: uuid.UUID | None = None

    @property
    def id(self) -> uuid.UUID:
        """The key as one value, the same wherever it is made."""
        return uuid.uuid5(NAMESPACE, self._text())

    def alert_id(self, since_us: int) -> uuid.UUID:
        """The id of the alert about a breach that began at this time, epoch microseconds UTC."""
        return uuid.uuid5(NAMESPACE, f"{self._text()} {since_us}")

    def _text(self) -> str:
        parts = (self.organisation_id, self.kind, self.device_no, self.site_id, self.rule_id)
        return " ".join(map(str, parts))


@dataclass(frozen=True, slots=True)
class Finding:
    """Something began. since_us: when the breach began; ts_us: the reading or moment at which it was certain;
    value and limit: in the metric's unit; excess_w: power above normal; devices: how many are concerned."""

    key: Key
    severity: Severity
    since_us: int
    ts_us: int
    metric: str | None = None
    value: float | None = None
    limit: float | None = None
    excess_w: float | None = None
    devices: int = 1

    @property
    def alert_id(self) -> uuid.UUID:
        """The alert's id. The clock tells of silence, and no look back finds it again; but one silence may be
        told of anew, by another name in between: the moment of telling makes its id."""
        return self.key.alert_id(self.ts_us if self.key.kind == "offline" else self.since_us)


@dataclass(frozen=True, slots=True)
class Clearing:
    """The condition of a key is over since ts_us; value: what was measured then."""

    key: Key
    ts_us: int
    value: float | None = None
