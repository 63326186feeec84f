"""A batch: what a request body says, in columns, with what could not be taken and why.

Owns the form in which every decoder hands readings on, and the checks that do not depend on the form: device
names, metric names, the number of metrics, and the time limits. Keeps true that each reading sent is either a
row of the batch or one reject, and that one bad reading never touches its neighbours.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kilowatch.clock import MICROSECONDS, rfc3339
from kilowatch.ids import DEVICE_ID, METRIC_NAME
from kilowatch.ingest.names import ABSENT, NameTable

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

RESERVED_METRIC = "energy_wh"
DAY_US = 86_400 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken: times from `oldest_us` to `newest_us` (both inclusive), at most `max_metrics` values in
    one reading. A reading without a time gets `now_us`."""

    now_us: int
    oldest_us: int
    newest_us: int
    max_metrics: int = 256

    @classmethod
    def around(cls, now_us: int, *, too_old_days: int, in_future_s: int, max_metrics: int) -> "Limits":
        """The limits that the settings mean at the moment `now_us`."""
        return cls(now_us, now_us - too_old_days * DAY_US, now_us + in_future_s * MICROSECONDS, max_metrics)


@dataclass(frozen=True, slots=True)
class Reject:
    """A reading that is not taken. `index`: its place in the sender's order, from 0; `payload`: the reading
    as it came, as a JSON value that PostgreSQL's jsonb holds."""

    index: int
    code: str
    detail: str
    device: str | None = None
    payload: object = None


class StateCell(NamedTuple):
    """A metric given by the name of a state; `row` counts the rows of the batch."""

    row: int
    metric: str
    text: str


@dataclass(slots=True)
class Batch:
    """Good readings in columns, one entry per reading in each array.

    device: the device number where the name is known, else `~k` for the unknown name `names[k]`;
    ts_us: epoch microseconds UTC; columns: metric name -> values, NaN where a reading lacks the metric;
    index: the reading's place in the sender's order; states: values still to be resolved by the catalogue.
    """

    device: Int32s
    names: list[str]
    ts_us: Int64s
    columns: dict[str, Floats]
    index: Int32s
    states: list[StateCell] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.device)

    def take(self, keep: Mask) -> "Batch":
        """The readings where `keep` is true, with the same names and rejects."""
        place = np.cumsum(keep) - 1
        return Batch(
            self.device[keep],
            self.names,
            self.ts_us[keep],
            {name: column[keep] for name, column in self.columns.items()},
            self.index[keep],
            [StateCell(int(place[cell.row]), *cell[1:]) for cell in self.states if keep[cell.row]],
            self.rejects,
        )

    def reading(self, row: int, device: str) -> dict[str, object]:
        """One row as the JSON reading it stands for, e.g. to keep it as a dead letter."""
        metrics: dict[str, object] = {
            name: float(column[row]) for name, column in self.columns.items() if not math.isnan(column[row])
        }
        metrics.update((cell.metric, cell.text) for cell in self.states if cell.row == row)
        return {"device": device, "ts": rfc3339(int(self.ts_us[row])), "metrics": metrics}


@dataclass(slots=True)
class Draft:
    """Readings in columns before the checks that all forms share.

    device: index into `names`, or a device number where `known` says that names were looked up already and
    `~k` stands for `names[k]`; faults: row -> code and detail, found while decoding; payload: gives the
    reading of a row for its dead letter; rejects: readings that never became rows; sender: gives the device
    that a row names, where the payload is no JSON reading; place: words that lead the detail of a fault.
    """

    device: Int32s
    names: list[str]
    ts_us: Int64s
    columns: dict[str, Floats]
    index: Int32s
    payload: Callable[[int], object]
    states: list[StateCell] = field(default_factory=list)
    faults: dict[int, tuple[str, str]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    looked_up: bool = False
    sender: Callable[[int], str | None] | None = None
    place: Callable[[int], str] | None = None

    def blame(self, rows: Rows | Sequence[int], code: str, detail: str) -> None:
        """Marks rows as bad, unless they are already."""
        for row in rows:
            self.faults.setdefault(int(row), (code, detail))


def finish(draft: Draft, limits: Limits, known: NameTable) -> Batch:
    """The batch of a draft: all shared checks done, names looked up, bad rows turned into rejects."""
    _check_names(draft)
    _check_metrics(draft, limits.max_metrics)
    _check_times(draft, limits)
    device = draft.device
    if not draft.looked_up:
        numbers = known.find_names(draft.names)
        unknown = np.flatnonzero(numbers == ABSENT).astype(np.int32)
        numbers[unknown] = ~np.arange(len(unknown), dtype=np.int32)
        device = numbers[device] if len(numbers) else device
        names = [draft.names[k] for k in unknown]
    else:
        names = draft.names
    batch = Batch(device, names, draft.ts_us, draft.columns, draft.index, draft.states, draft.rejects)
    if draft.faults:
        batch = _without_faults(batch, draft)
    batch.rejects.sort(key=lambda reject: reject.index)
    return batch


def _without_faults(batch: Batch, draft: Draft) -> Batch:
    keep = np.ones(len(batch), np.bool_)
    for row, (code, detail) in draft.faults.items():
        keep[row] = False
        payload = draft.payload(row)
        device = draft.sender(row) if draft.sender else device_of(payload)
        where = draft.place(row) if draft.place else ""
        batch.rejects.append(Reject(int(draft.index[row]), code, where + detail, device, storable(payload)))
    return _forget_unused(batch.take(keep))


def _forget_unused(batch: Batch) -> Batch:
    """Drops metrics and names that only bad readings carried, so that nobody registers them."""
    batch.columns = {name: column for name, column in batch.columns.items() if (column == column).any()}
    used = np.unique(~batch.device[batch.device < 0])
    if len(used) < len(batch.names):
        new_place = np.zeros(len(batch.names), np.int32)
        new_place[used] = np.arange(len(used), dtype=np.int32)
        unknown = batch.device < 0
        batch.device[unknown] = ~new_place[~batch.device[unknown]]
        batch.names = [batch.names[k] for k in used]
    return batch


def _check_names(draft: Draft) -> None:
    for place, name in enumerate(draft.names):
        if not DEVICE_ID.fullmatch(name):
            value = ~place if draft.looked_up else place
            draft.blame(
                np.flatnonzero(draft.device == value),
                "bad_shape",
                f"{shown(name)} is no device id: 1 to 64 letters, digits, - and _, "
                "beginning with a letter or digit",
            )


def _check_metrics(draft: Draft, max_metrics: int) -> None:
    count = len(draft.columns) + len({cell.metric for cell in draft.states})
    if count > max_metrics:
        _check_width(draft, max_metrics)
    for name in [name for name in draft.columns if metric_fault(name)]:
        values = draft.columns.pop(name)
        draft.blame(np.flatnonzero(values == values), "bad_shape", metric_fault(name) or "")
    for cell in draft.states:
        if wrong := metric_fault(cell.metric):
            draft.blame([cell.row], "bad_shape", wrong)


def _check_width(draft: Draft, max_metrics: int) -> None:
    width = np.zeros(len(draft.device), np.int64)
    for column in draft.columns.values():
        width += column == column
    for cell in draft.states:
        width[cell.row] += 1
    draft.blame(np.flatnonzero(width > max_metrics), "too_many_metrics", too_many(max_metrics))


def _check_times(draft: Draft, limits: Limits) -> None:
    if not len(draft.ts_us):
        return
    if draft.ts_us.min() < limits.oldest_us:
        early = np.flatnonzero(draft.ts_us < limits.oldest_us)
        draft.blame(
            early, "too_old", f"older than {rfc3339(limits.oldest_us)}, the oldest time that is taken"
        )
    if draft.ts_us.max() > limits.newest_us:
        late = np.flatnonzero(draft.ts_us > limits.newest_us)
        draft.blame(
            late,
            "in_future",
            f"later than {rfc3339(limits.newest_us)}, the newest time taken now; check the clock",
        )


def metric_fault(name: str) -> str | None:
    """What is wrong with a metric's name, or None."""
    if name == RESERVED_METRIC:
        return f"the metric {RESERVED_METRIC} is computed here and cannot be sent"
    if not METRIC_NAME.fullmatch(name):
        return (
            f"{shown(name)} is no metric name: 1 to 64 letters, digits, _, . and -, "
            "beginning with a letter or _"
        )
    return None


def too_many(max_metrics: int) -> str:
    """The sentence for a reading with too many metrics."""
    return f"more than {max_metrics} metrics in one reading"


def shown(text: str, most: int = 80) -> str:
    """Foreign text in quotes, cut to a readable length."""
    return ascii(text if len(text) <= most else text[: most - 3] + "...")


def device_of(payload: object) -> str | None:
    """The device that a bad reading names, as far as it can be told."""
    name = payload.get("device") if isinstance(payload, dict) else None
    return slug_or_none(name) if isinstance(name, str) else None


def slug_or_none(name: str) -> str | None:
    """`name` if it can be a device's id."""
    return name if DEVICE_ID.fullmatch(name) else None


def storable(value: object) -> object:
    """`value` as JSON that PostgreSQL's jsonb holds: no NUL, no lone surrogate, no NaN, not too deep."""
    try:
        return _storable(value, 100)
    except RecursionError:
        return shown(repr(type(value)))


def _storable(value: object, depth: int) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth == 0 and isinstance(value, dict | list):
        return "..."
    if isinstance(value, dict):
        return {str(_storable(str(key), 0)): _storable(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, depth - 1) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    return shown(str(value), 1000)
