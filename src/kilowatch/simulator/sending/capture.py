"""What was sent, kept in a file, and sent again.

An Arrow stream, compressed with zstd: `sent` (the simulated moment of the cycle), `device`, `ts`, and a
column for each metric. Keeps true: what a capture replays is what was captured, reading for reading and in
the same cycles; a file that was cut off in the middle is good up to there, and that is said.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa

from kilowatch.simulator.fleet.rows import Readings
from kilowatch.simulator.sending.source import Cycle

SENT, DEVICE, TIME = "sent", "device", "ts"
MOMENT = pa.timestamp("us", "UTC")


class BadCapture(Exception):
    """The file is no capture; the message says why."""


class CaptureWriter:
    """A capture in the making.

    Raises:
        FileExistsError: if the file is there already.
    """

    def __init__(self, path: Path, ids: pa.StringArray, metrics: tuple[str, ...]) -> None:
        self._ids, self._metrics = ids, metrics
        columns = [(SENT, MOMENT), (DEVICE, pa.dictionary(pa.int32(), pa.string())), (TIME, MOMENT)]
        self._schema = pa.schema([*columns, *((name, pa.float64()) for name in metrics)])
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._file = open(path, "xb")  # noqa: SIM115 - held until `close`
        self._writer = pa.ipc.new_stream(self._file, self._schema, options=options)
        self.readings = 0

    def write(self, moment_us: int, readings: Readings) -> None:
        """Adds what is sent at a moment."""
        rows = len(readings)
        columns = [
            pa.array(np.full(rows, moment_us), MOMENT),
            pa.DictionaryArray.from_arrays(pa.array(readings.device), self._ids),
            pa.array(readings.ts_us, MOMENT),
        ]
        nothing = np.full(rows, np.nan)
        columns += [
            pa.array(readings.columns.get(name, nothing), pa.float64(), from_pandas=True)
            for name in self._metrics
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self.readings += rows

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()
        self._file.close()


class CaptureSource:
    """A capture to be sent again, `shift_us` later than it was. broken: why it is read up to some place only,
    if it is.

    Raises:
        BadCapture: if the file is none, or has no reading.
    """

    def __init__(self, path: Path) -> None:
        self.shift_us = 0
        self.broken = ""
        self._path = path
        first_us: int | None = None
        self.readings, last_us = 0, 0
        for batch in _batches(path, self._note_break):
            if self.readings == 0:
                self.ids = batch.column(DEVICE).dictionary
                self.metrics = tuple(batch.schema.names[3:])
            moments = _moments(batch, SENT)
            first_us = int(moments[0]) if first_us is None else first_us
            last_us = int(moments[-1])
            self.readings += len(moments)
        if first_us is None:
            raise BadCapture(f"{path} has no reading")
        self.first_us, self.last_us = first_us, last_us

    def _note_break(self, reason: str) -> None:
        self.broken = reason

    def cycles(self) -> Iterator[Cycle]:
        """See `Source`."""
        batches = ((int(_moments(batch, SENT)[0]), batch) for batch in _batches(self._path, self._note_break))
        for sent_us, group in groupby(batches, key=lambda one: one[0]):
            yield Cycle(sent_us + self.shift_us, (self._read(batch) for _, batch in group))

    def _read(self, batch: pa.RecordBatch) -> Readings:
        columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in self.metrics}
        device = batch.column(DEVICE).indices.to_numpy(zero_copy_only=False).astype(np.int32)
        return Readings(device, _moments(batch, TIME) + self.shift_us, columns)


def _batches(path: Path, note_break: Callable[[str], None]) -> Iterator[pa.RecordBatch]:
    """The batches of a capture that are not empty, up to where the file was cut off or is broken."""
    try:
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
            if reader.schema.names[:3] != [SENT, DEVICE, TIME] or not _has_types(reader.schema):
                raise BadCapture(f"{path} is no capture of `kw simulate`")
            try:
                for batch in reader:
                    batch.validate(full=True)
                    if any(batch.column(name).null_count for name in (SENT, DEVICE, TIME)):
                        raise BadCapture(f"{path} has readings without device or time")
                    if batch.num_rows:
                        yield batch
            except (pa.ArrowException, OSError) as error:
                note_break(_first_line(error))
    except (pa.ArrowException, OSError) as error:
        raise BadCapture(f"{path} is no capture: {_first_line(error)}") from error


def _has_types(schema: pa.Schema) -> bool:
    """Whether columns have the types that are written."""
    sent, device, moment, *metrics = schema.types
    is_named = pa.types.is_dictionary(device) and pa.types.is_string(device.value_type)
    return sent == moment == MOMENT and is_named and all(one == pa.float64() for one in metrics)


def _first_line(error: Exception) -> str:
    return str(error).partition(chr(10))[0]


def _moments(batch: pa.RecordBatch, name: str) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    moments: np.ndarray[tuple[int], np.dtype[np.int64]] = batch.column(name).cast(pa.int64()).to_numpy()
    return moments
