"""A frame: a batch of readings in columns, as it lies in the log.

Owns the layout (Arrow IPC stream, one record batch, version 1) and keeps true that a frame read back is
the frame written, bit for bit. Metric columns are named by their metric number; NaN means that the reading
has no such metric, since a reading's own values are always finite.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VERSION = b"1"
MOST_BYTES = 1_000_000
"""A frame's size, about: NATS servers take 1 MiB by default."""
FIELD_BYTES, ROW_BYTES = 200, 16

Door = Literal["http", "influx", "mqtt", "replay"]
OnConflict = Literal["reject", "replace"]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


LEADING = ["device", "ts", "key"]
LEADING_TYPES = [pa.int32(), pa.int64(), pa.int32()]


class FrameError(ValueError):
    """These bytes are not a frame of a version that this program reads."""


@dataclass(slots=True)
class Frame:
    """Readings in columns; all arrays have one entry per reading.

    device: device numbers; ts_us: epoch microseconds UTC; key: number of the API key that sent it;
    metrics: metric number -> values, NaN where a reading lacks the metric;
    received_us: when the door took it.
    """

    device: Int32s
    ts_us: Int64s
    key: Int32s
    metrics: dict[int, Floats] = field(default_factory=dict)
    door: Door = "http"
    on_conflict: OnConflict = "reject"
    received_us: int = 0

    def __len__(self) -> int:
        return len(self.device)

    @property
    def most_rows(self) -> int:
        """How many readings with these metrics fit into one message."""
        fields = FIELD_BYTES * len(self.metrics)
        return max(1, max(MOST_BYTES - fields, MOST_BYTES // 4) // (ROW_BYTES + 8 * len(self.metrics)))

    def encode(self) -> bytes:
        """The frame as one Arrow IPC stream."""
        names = ["device", "ts", "key", *(str(number) for number in self.metrics)]
        arrays = [pa.array(column) for column in (self.device, self.ts_us, self.key, *self.metrics.values())]
        schema = pa.schema(
            [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)],
            metadata={
                b"v": VERSION,
                b"door": self.door.encode(),
                b"on_conflict": self.on_conflict.encode(),
                b"received_us": str(self.received_us).encode(),
            },
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.record_batch(arrays, schema=schema))
        return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]

    @classmethod
    def decode(cls, message: bytes) -> "Frame":
        """The frame in `message`; its arrays are read-only views of the same memory.

        Raises:
            FrameError: if the bytes are no frame, or one of another version.
        """
        try:
            with pa.ipc.open_stream(message) as reader:
                metadata = reader.schema.metadata or {}
                if metadata.get(b"v") != VERSION:
                    raise FrameError(f"frame version {metadata.get(b'v')!r} is not {VERSION!r}")
                batch = reader.read_next_batch()
            batch.validate()
            names, types = batch.schema.names, batch.schema.types
            if names[:3] != LEADING or types[:3] != LEADING_TYPES or set(types[3:]) - {pa.float64()}:
                found = ", ".join(f"{name} {kind}" for name, kind in zip(names[:3], types[:3], strict=True))
                raise FrameError(f"frame columns are {found} and {set(types[3:])}")
            columns = [column.to_numpy(zero_copy_only=True) for column in batch.columns]
            return cls(
                columns[0],
                columns[1],
                columns[2],
                {int(name): column for name, column in zip(names[3:], columns[3:], strict=True)},
                metadata[b"door"].decode(),
                metadata[b"on_conflict"].decode(),
                int(metadata[b"received_us"]),
            )
        except FrameError:
            raise
        except (pa.ArrowException, StopIteration, KeyError, ValueError, OSError, MemoryError) as error:
            raise FrameError(f"these bytes are no frame: {error}") from error

    @classmethod
    def concat(cls, frames: "list[Frame]") -> "Frame":
        """One frame with the readings of all, in order; a metric that some frames lack is NaN there.

        `door`, `on_conflict` and `received_us` are the first frame's.
        """
        if len(frames) == 1:
            return frames[0]
        numbers = list(dict.fromkeys(number for frame in frames for number in frame.metrics))
        metrics = {
            number: np.concatenate(
                [
                    frame.metrics[number] if number in frame.metrics else np.full(len(frame), np.nan)
                    for frame in frames
                ]
            )
            for number in numbers
        }
        return cls(
            np.concatenate([frame.device for frame in frames]),
            np.concatenate([frame.ts_us for frame in frames]),
            np.concatenate([frame.key for frame in frames]),
            metrics,
            frames[0].door,
            frames[0].on_conflict,
            frames[0].received_us,
        )

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Frame":
        """The readings at `rows` (positions or a mask), in that order."""
        return Frame(
            self.device[rows],
            self.ts_us[rows],
            self.key[rows],
            {number: column[rows] for number, column in self.metrics.items()},
            self.door,
            self.on_conflict,
            self.received_us,
        )

    def pieces(self) -> "list[Frame]":
        """The same readings in frames that fit into a message each."""
        if len(self) <= self.most_rows:
            return [self]
        starts = range(self.most_rows, len(self), self.most_rows)
        return [self.take(rows) for rows in np.split(np.arange(len(self)), starts)]
