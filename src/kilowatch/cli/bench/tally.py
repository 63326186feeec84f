"""What a sender counts while it sends: accepted readings, refusals, and how long each answer took."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FAILURES_KEPT = 5


@dataclass(slots=True)
class Tally:
    """One phase of a run, over all of its connections."""

    accepted: int = 0
    """Readings that were acknowledged."""
    attempted: int = 0
    """Readings that were sent, each body counted once; only who bears errors counts them."""
    errors: Counter[str] = field(default_factory=Counter)
    """Readings that were not acknowledged, by the class of the error; only who bears errors has any."""
    answers: int = 0
    refused: int = 0
    """Answers that said "not now" (429, 503); the same body was sent again later."""
    last_at: float = 0.0
    """When the last acknowledgement came, in seconds of the monotonic clock."""
    waits: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds from sending to acknowledgement, one per request."""
    failures: list[str] = field(default_factory=list)
    """What went wrong, the first few; with any of these the run is no measurement."""

    def fail(self, what: str) -> None:
        """Notes something that must not happen in a run."""
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append(what)


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and most, in milliseconds; empty when there is nothing."""
    if not len(seconds):
        return {}
    ms = np.asarray(seconds, np.float64) * 1000
    p50, p95, p99 = np.percentile(ms, [50, 95, 99]).tolist()
    return {
        "p50": round(p50, 3),
        "p95": round(p95, 3),
        "p99": round(p99, 3),
        "most": round(float(ms.max()), 3),
    }


def as_document(tally: Tally) -> dict[str, Any]:
    """The tally as JSON members."""
    return {
        "accepted": tally.accepted,
        "attempted": tally.attempted,
        "errors": dict(tally.errors),
        "answers": tally.answers,
        "refused": tally.refused,
        "ack_ms": percentiles_ms(tally.waits),
        "failures": tally.failures,
    }
