"""From a batch of readings to frames of the log: what the registry says about each reading.

Owns the checks that need the registry (device, metric, state, range) and the split into frames. Keeps true
that a reading in a frame has a device, metrics and series that stand in PostgreSQL, and that a reading is
taken whole or not at all. Where the copies of the registry suffice, nothing here waits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.ingest.batch import Batch, Floats, Int32s, Int64s, Reject, Rows, StateCell, shown
from kilowatch.ingest.directory import METRICS_MOST, Directory, Known
from kilowatch.telemetry.metric import Metric
from kilowatch.wire.frame import Door, Frame, OnConflict

Terms = tuple[Door, OnConflict]
"""What all readings of a frame share."""
Faults = dict[int, tuple[str, str]]


@dataclass(slots=True)
class Accepted:
    """Readings that may go into the log: one entry per reading in each array. columns: by metric number;
    index: the reading's place in the sender's order."""

    device: Int32s
    ts_us: Int64s
    columns: dict[int, Floats]
    index: Int32s

    def __len__(self) -> int:
        return len(self.device)


def judge(batch: Batch, known: Known) -> Batch:
    """The readings whose values their metrics allow; states become the numbers of their names, and readings
    with a value that is not allowed become rejects. Metrics that are not stored yet count as the catalogue
    describes them."""
    faults: Faults = {}
    if batch.states:
        _resolve_states(batch, known, faults)
    for name, column in batch.columns.items():
        metric = known.definition(name)
        if metric.minimum is not None or metric.maximum is not None:
            _check_range(metric, column, faults)
        if metric.kind == "state":
            _check_state(metric, column, faults)
    return reject(batch, known, faults) if faults else batch


def resolve(batch: Batch, known: Known) -> Accepted | None:
    """The readings by number, or None where the registry must be asked first."""
    if batch.names:
        return None
    columns = {}
    for name, column in batch.columns.items():
        metric = known.metrics.get(name)
        if metric is None:
            return None
        columns[metric.metric_no] = column
    if known.unknown_series(batch.device, columns):
        return None
    return Accepted(batch.device, batch.ts_us, columns, batch.index)


async def register(
    batch: Batch, known: Known, directory: Directory, *, auto_register: bool
) -> tuple[Batch, Accepted]:
    """Asks the registry for all that `resolve` lacked and makes what may be made; the rest are rejects.

    Raises:
        EngineUnavailable: if PostgreSQL does not answer.
    """
    if batch.names:
        batch = await _find_devices(batch, known, directory, auto_register)
    batch = await _find_metrics(batch, known, directory)
    while True:
        columns = {known.metrics[name].metric_no: column for name, column in batch.columns.items()}
        pairs = known.unknown_series(batch.device, columns)
        if not pairs:
            return batch, Accepted(batch.device, batch.ts_us, columns, batch.index)
        gone = await directory.ensure_series(known, pairs)
        if gone:
            rows = np.flatnonzero(np.isin(batch.device, list(gone)))
            batch = reject(batch, known, blame(rows, "unknown_device", "the device was deleted"))


def frame_of(accepted: Accepted, key: Int32s, terms: Terms, received_us: int) -> Frame:
    """The readings as one frame. `key` is the number of the sender's key for each reading."""
    door, on_conflict = terms
    return Frame(accepted.device, accepted.ts_us, key, accepted.columns, door, on_conflict, received_us)


def pieces_of(frame: Frame, partitions: int) -> list[tuple[int, Frame, Rows]]:
    """The frame as it goes into messages: partition, piece, and the rows of the frame that the piece has."""
    pieces: list[tuple[int, Frame, Rows]] = []
    if not len(frame):
        return pieces
    height = frame.most_rows
    of = frame.device % partitions
    for partition in np.unique(of).tolist():
        mine = np.flatnonzero(of == partition)
        for start in range(0, len(mine), height):
            rows = mine[start : start + height]
            whole = len(rows) == len(frame)
            pieces.append((partition, frame if whole else _slim(frame.take(rows)), rows))
    return pieces


def reject(batch: Batch, known: Known, faults: Faults) -> Batch:
    """The batch without the rows in `faults`, which become rejects."""
    keep = np.ones(len(batch), np.bool_)
    for row, (code, detail) in sorted(faults.items()):
        keep[row] = False
        number = int(batch.device[row])
        name = batch.names[~number] if number < 0 else known.device_names.get(number, "")
        batch.rejects.append(Reject(int(batch.index[row]), code, detail, name, batch.reading(row, name)))
    batch.rejects.sort(key=lambda one: one.index)
    kept = batch.take(keep)
    return without_unused(kept)


def without_unused(batch: Batch) -> Batch:
    """The batch without names and metrics that none of its readings carries."""
    if batch.names:
        used, places = np.unique(~batch.device[batch.device < 0], return_inverse=True)
        batch.device[batch.device < 0] = ~places.astype(np.int32)
        batch.names = [batch.names[place] for place in used]
    stated = {cell.metric for cell in batch.states}
    batch.columns = {
        name: column
        for name, column in batch.columns.items()
        if name in stated or bool((column == column).any())
    }
    return batch


def _resolve_states(batch: Batch, known: Known, faults: Faults) -> None:
    cells: Sequence[StateCell] = batch.states
    for cell in cells:
        metric = known.definition(cell.metric)
        if cell.text not in metric.states:
            faults.setdefault(cell.row, ("unknown_state", _no_state(metric, cell.text)))
            continue
        column = batch.columns.get(cell.metric)
        if column is None:
            column = batch.columns[cell.metric] = np.full(len(batch), np.nan)
        elif not column.flags.writeable:
            column = batch.columns[cell.metric] = column.copy()
        column[cell.row] = metric.states.index(cell.text)
    if not faults:
        batch.states = []
        return
    batch.states = [cell for cell in cells if cell.row in faults]


def _no_state(metric: Metric, text: str) -> str:
    if metric.kind != "state":
        return f"{shown(metric.name)} has no states, so it cannot be {shown(text)}; it takes numbers"
    return f"{shown(metric.name)} has no state {shown(text)}; it has {', '.join(metric.states)}"


def _check_range(metric: Metric, column: Floats, faults: Faults) -> None:
    low = -np.inf if metric.minimum is None else metric.minimum
    high = np.inf if metric.maximum is None else metric.maximum
    # NaN compares false either way: a reading without the metric is not out of its range.
    for row in np.flatnonzero((column < low) | (column > high)).tolist():
        detail = f"{metric.name} = {column[row]:g} is outside {_span(metric)}"
        faults.setdefault(row, ("out_of_range", detail))


def _span(metric: Metric) -> str:
    if metric.maximum is None:
        return f"its range, {metric.minimum:g} or more"
    if metric.minimum is None:
        return f"its range, {metric.maximum:g} or less"
    return f"its range, {metric.minimum:g} to {metric.maximum:g}"


def _check_state(metric: Metric, column: Floats, faults: Faults) -> None:
    wrong = (column < 0) | (column >= len(metric.states)) | (np.floor(column) != column)
    for row in np.flatnonzero(wrong & (column == column)).tolist():
        faults.setdefault(row, ("unknown_state", _no_state(metric, f"{column[row]:g}")))


async def _find_devices(batch: Batch, known: Known, directory: Directory, auto_register: bool) -> Batch:
    await directory.find_devices(known, batch.names, register=auto_register)
    numbers = known.devices.find_names(batch.names)
    unknown = batch.device < 0
    places = ~batch.device[unknown]
    device = batch.device.copy()
    found = numbers[places]
    device[unknown] = np.where(found >= 0, found, batch.device[unknown])
    batch.device = device
    missing = np.flatnonzero(device < 0)
    if not len(missing):
        batch.names = []
        return batch
    faults: Faults = {}
    for row in missing.tolist():
        name = batch.names[~int(device[row])]
        faults[row] = (
            "unknown_device",
            f"there is no device {name}; create it, or use a key that may register devices",
        )
    return without_unused(reject(batch, known, faults))


async def _find_metrics(batch: Batch, known: Known, directory: Directory) -> Batch:
    missing = [name for name in batch.columns if name not in known.metrics]
    if not missing:
        return batch
    batch = without_unused(batch)
    missing = [name for name in batch.columns if name not in known.metrics]
    if missing:
        await directory.ensure_metrics(known, missing)
    faults: Faults = {}
    for name in [name for name in batch.columns if name not in known.metrics]:
        column = batch.columns[name]
        detail = f"the organisation has {METRICS_MOST} metrics already, so {name} cannot be added"
        faults = blame(np.flatnonzero(column == column), "too_many_metrics", detail) | faults
    if faults:
        batch = reject(batch, known, faults)
        batch.columns = {name: column for name, column in batch.columns.items() if name in known.metrics}
    return batch


def blame(rows: Iterable[int], code: str, detail: str) -> Faults:
    return {int(row): (code, detail) for row in rows}


def _slim(frame: Frame) -> Frame:
    """The frame without the metrics that none of its readings has."""
    frame.metrics = {
        number: column for number, column in frame.metrics.items() if bool((column == column).any())
    }
    return frame
