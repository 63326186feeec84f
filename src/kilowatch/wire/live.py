"""What travels on the live subjects: newest values, events, and word of changed registries.

`live.values` carries a frame (see `frame.py`) that `newest_per_series` has thinned, so a subscriber does no
work for values that were overtaken before they left. `live.events` carries one `LiveEvent` as JSON.
`registry.changed` carries one `RegistryChange` as JSON. All of it is fleeting: nothing is lost from the
lake when a message here is.
"""

from typing import Any, Literal

import msgspec
import numpy as np

from kilowatch.wire.frame import Frame

VALUES_SUBJECT = "live.values"
EVENTS_SUBJECT = "live.events"
REGISTRY_SUBJECT = "registry.changed"
COMMANDS_SUBJECT = "commands.stored"
"""An empty word here says that commands wait to be sent; without it they are found a moment later."""
PLACES_PER_READING = 16
"""Up to this many table places per reading, a table finds the newest readings faster than sorting does."""


class LiveEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened in one organisation and is told on one topic."""

    organisation: str
    """UUID of the organisation whose clients may receive it."""
    topic: str
    """The topic as clients subscribe to it: `alerts`, `streams.customer.7`."""
    ts_us: int
    """When it happened, epoch microseconds UTC."""
    type: str
    """What the message is: `alert`, `notification`, `command`, `device`, `stream`."""
    data: dict[str, Any] = {}
    """JSON members that the topic's readers know."""
    device_no: int | None = None
    """The device that it is about, if it is about one."""
    user: str | None = None
    """UUID of the person who alone may receive it; without it everybody of the organisation may."""
    also: tuple[str, ...] = ()
    """Other topics on whose account it is told, once to whoever has several of them: `frequency.high`."""
    source: str | None = None
    """Who numbers their events, and may tell one of them again."""
    number: int = 0
    """The event's number at its source: one that is not higher than all before it was told already."""

    def encode(self) -> bytes:
        """The event as one JSON document."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, message: bytes) -> "LiveEvent":
        """The event in `message`.

        Raises:
            msgspec.MsgspecError: if the bytes are no event.
        """
        return _EVENT.decode(message)


class RegistryChange(msgspec.Struct, frozen=True):
    """Word that rows of one organisation's registry changed, so that copies of them are read again."""

    organisation: str
    """UUID of the organisation."""
    kind: Literal["organisations", "keys", "sites", "devices", "metrics", "rules", "detectors", "arrivals"]
    """Which rows; `arrivals` are devices and metrics that are new, while nothing that was there changed."""

    def encode(self) -> bytes:
        """The change as one JSON document."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, message: bytes) -> "RegistryChange":
        """The change in `message`.

        Raises:
            msgspec.MsgspecError: if the bytes are no such word.
        """
        return _CHANGE.decode(message)


_EVENT = msgspec.json.Decoder(LiveEvent)
_CHANGE = msgspec.json.Decoder(RegistryChange)


def newest_per_series(frame: Frame) -> Frame:
    """The readings that carry the newest value of at least one series, sorted by device and time.

    A device that sends the same metrics each time keeps one reading; one that spreads its metrics over
    several readings keeps those, so that no series is lost. Of equal times the later row wins.
    """
    if len(frame) == 0:
        return frame
    rows = _newest_rows(frame)
    if rows is not None and not _is_sparse(frame, rows):
        return frame.take(rows)
    order = np.lexsort((frame.ts_us, frame.device))
    device = frame.device[order]
    last = np.empty(len(device), dtype=bool)
    last[:-1] = device[1:] != device[:-1]
    last[-1] = True
    if not last.all():
        last |= _newest_of_sparse_metrics(frame, order, device, last)
    return frame.take(order[last])


def _newest_rows(frame: Frame) -> np.ndarray[Any, np.dtype[np.intp]] | None:
    """The row of each device's newest reading, by device; None where device numbers are too far apart for
    a table of them."""
    places = int(frame.device.max()) + 1
    if places > PLACES_PER_READING * len(frame):
        return None
    device = frame.device.astype(np.intp)
    newest_us = np.full(places, np.iinfo(np.int64).min)
    np.maximum.at(newest_us, device, frame.ts_us)
    candidates = np.flatnonzero(frame.ts_us == newest_us[device])
    row = np.full(places, -1, np.intp)
    row[device[candidates]] = candidates
    rows: np.ndarray[Any, np.dtype[np.intp]] = row[row >= 0]
    return rows


def _is_sparse(frame: Frame, rows: np.ndarray[Any, np.dtype[np.intp]]) -> bool:
    """Whether a device's newest reading lacks a metric that an earlier one may have."""
    if len(rows) == len(frame):
        return False
    return any(
        np.isnan(column[rows]).any() and not np.isnan(column).all() for column in frame.metrics.values()
    )


def _newest_of_sparse_metrics(
    frame: Frame,
    order: np.ndarray[Any, np.dtype[np.intp]],
    device: np.ndarray[Any, np.dtype[np.int32]],
    last: np.ndarray[Any, np.dtype[np.bool_]],
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Rows (in sorted order) that hold the newest value of a metric which the device's newest row lacks."""
    kept = np.zeros(len(device), dtype=bool)
    for column in frame.metrics.values():
        there = ~np.isnan(column[order])
        if there[last].all():
            continue
        rows = np.flatnonzero(there)
        if len(rows):
            ends = np.empty(len(rows), dtype=bool)
            ends[:-1] = device[rows[1:]] != device[rows[:-1]]
            ends[-1] = True
            kept[rows[ends]] = True
    return kept
