"""Reading numbered readings back, and what that says: stored once, lost, twice, wrong.

Keeps true that every device of every door is read in full, raw and bit-exact (Arrow), over the whole time of
the run and over the far future where the impossible readings would lie.
"""

from dataclasses import asdict, dataclass
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.cli.bench.instance import BenchFailed
from kilowatch.cli.bench.numbered import ACCEPTED, FAR_US, METRIC, REFUSED, STEP_US, UNKNOWN, Door
from kilowatch.clock import rfc3339

DAY_US = 86_400_000_000
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(slots=True)
class Account:
    """What became of a door's readings."""

    sent: int = 0
    accepted: int = 0
    stored: int = 0
    """Different readings that are in the lake."""
    lost: int = 0
    """Accepted and not stored."""
    twice: int = 0
    """Rows beyond the first of a reading."""
    refused: int = 0
    refused_stored: int = 0
    """Refused before anything was taken, or rejected, and stored all the same."""
    unknown: int = 0
    """Given up without ever learning what became of them; stored or not, both is right."""
    wrong: int = 0
    """Rows that are none of the readings sent: another value, time or device."""
    retries: int = 0

    @property
    def is_right(self) -> bool:
        """Whether every accepted reading is stored once and nothing else is."""
        return not (self.lost or self.twice or self.refused_stored or self.wrong)

    def add(self, other: "Account") -> None:
        """Adds another door's account."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


Rows = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""Times and values."""


def audit(door: Door, http: httpx.Client, url: str, headers: dict[str, str]) -> Account:
    """The account of a door, from what can be read back.

    Raises:
        BenchFailed: if a device cannot be read.
    """
    near = (door.start_us - DAY_US, door.time_us(door.next) + DAY_US)
    far = (FAR_US - DAY_US, FAR_US + DAY_US)
    stored: dict[str, Rows] = {}
    for device in door.devices():
        parts = [read_device(http, url, headers, device, span) for span in (near, far)]
        stored[device] = (
            np.concatenate([times for times, _ in parts]),
            np.concatenate([values for _, values in parts]),
        )
    return judge(door, stored)


def judge(door: Door, stored: dict[str, Rows]) -> Account:
    """The account of a door, from all rows of its devices."""
    states = door.states[: door.next]
    seen = np.zeros(door.next, np.int64)
    wrong = 0
    for device, (times, values) in stored.items():
        numbers = (times - door.start_us) // STEP_US
        right = (numbers >= 0) & (numbers < door.next) & (values == numbers)
        right &= times == door.start_us + numbers * STEP_US
        right &= np.array([door.device(number) == device for number in numbers.tolist()], np.bool_)
        wrong += int((~right).sum())
        np.add.at(seen, numbers[right], 1)
    return Account(
        sent=door.next,
        accepted=int((states == ACCEPTED).sum()),
        stored=int((seen > 0).sum()),
        lost=int(((states == ACCEPTED) & (seen == 0)).sum()),
        twice=int(np.maximum(seen - 1, 0).sum()),
        refused=int((states == REFUSED).sum()),
        refused_stored=int(((states == REFUSED) & (seen > 0)).sum()),
        unknown=int((states == UNKNOWN).sum()),
        wrong=wrong,
        retries=door.retries,
    )


def read_device(
    http: httpx.Client, url: str, headers: dict[str, str], device: str, span: tuple[int, int]
) -> Rows:
    """Times and values of all that a device has stored in a span; nothing if there is no such device.

    Raises:
        BenchFailed: if it cannot be read.
    """
    question = {
        "start": rfc3339(span[0]),
        "end": rfc3339(span[1]),
        "metrics": METRIC,
        "resolution": "raw",
    }
    answer = http.get(
        f"{url}/api/v1/devices/{device}/readings", params=question, headers={**headers, "Accept": ARROW}
    )
    nothing_yet = answer.status_code == 422 and answer.json().get("code") == "unknown_metric"
    if answer.status_code == 404 or nothing_yet:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    if not answer.is_success:
        raise BenchFailed(f"{device} cannot be read: {answer.status_code} {answer.text[:300]}")
    with pa.ipc.open_stream(answer.content) as reader:
        rows = reader.read_all()
    times = rows.column("ts").cast(pa.int64()).to_numpy()
    return times, rows.column("value").to_numpy()


def agree(verified: dict[str, Any], stored: int) -> bool:
    """Whether `kw verify` finds everything in order and counts as many stored values as were read back."""
    return bool(verified["ok"]) and verified["totals"]["stored"] == stored
