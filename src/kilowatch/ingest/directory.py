"""What the doors remember of each organisation's registry: devices, metrics and series.

Owns the copies. Keeps true that a copy is never more than a word of change behind (`registry.changed`, or a
lost connection, drops it) and that a number once given out here stands in PostgreSQL. Copies fill as senders
use names; what is not known here is asked for, never guessed.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from kilowatch.errors import EngineUnavailable
from kilowatch.ingest.batch import Floats, Int32s
from kilowatch.ingest.names import NameTable
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import find_devices, register_devices
from kilowatch.stream.client import Client, Subscription
from kilowatch.telemetry.metric import Metric, StoredMetric, describe
from kilowatch.telemetry.store import ensure_metrics, ensure_series, find_metrics
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange

METRICS_MOST = 1000
"""Most metric names of one organisation, so that nobody fills the catalogue with noise."""
ORGANISATIONS_MOST = 10_000
"""Most organisations whose copies are kept."""


class Places:
    """A small number for each device number, dense within its organisation and the same for ever, so that
    what is kept per device takes little room however far apart the device numbers are."""

    def __init__(self) -> None:
        self._place = np.full(1024, -1, np.int32)
        self._next: Counter[uuid.UUID] = Counter()

    def of(self, device: Int32s) -> Int32s:
        """Places of devices that were `take`n."""
        return np.take(self._place, device)

    def take(self, organisation_id: uuid.UUID, device: Int32s) -> None:
        """Gives a place to each device that has none. The numbers must be distinct."""
        if not len(device):
            return
        most = int(device.max())
        if most >= len(self._place):
            grown = np.full(max(most + 1, 2 * len(self._place)), -1, np.int32)
            grown[: len(self._place)] = self._place
            self._place = grown
        fresh = device[self._place[device] < 0]
        first = self._next[organisation_id]
        self._place[fresh] = np.arange(first, first + len(fresh), dtype=np.int32)
        self._next[organisation_id] = first + len(fresh)


@dataclass(slots=True)
class Known:
    """The copy of one organisation: what of its registry was asked for since the copy was made."""

    organisation_id: uuid.UUID
    places: Places
    devices: NameTable = field(default_factory=NameTable)
    device_names: dict[int, str] = field(default_factory=dict)
    metrics: dict[str, StoredMetric] = field(default_factory=dict)
    _series: dict[int, npt.NDArray[np.bool_]] = field(default_factory=dict)

    def definition(self, name: str) -> Metric:
        """What a metric's name means here, also before it is first stored."""
        found = self.metrics.get(name)
        return describe(name) if found is None else found.metric

    def add_devices(self, numbers: Mapping[str, int]) -> None:
        """Takes in devices, name -> number."""
        if numbers:
            self.places.take(self.organisation_id, np.fromiter(set(numbers.values()), np.int32))
            self.devices.add(list(numbers), list(numbers.values()))
            self.device_names.update((number, name) for name, number in numbers.items())

    def unknown_series(self, device: Int32s, columns: Mapping[int, Floats]) -> list[tuple[int, int]]:
        """Pairs of device and metric number that have a value here and are not known to be series."""
        if not len(device):
            return []
        place = self.places.of(device)
        most = int(place.max()) + 1
        pairs: list[tuple[int, int]] = []
        for metric_no, column in columns.items():
            there = self._there(metric_no, most)[place]
            if not there.all():
                fresh = np.unique(device[~there & (column == column)])
                pairs.extend((number, metric_no) for number in fresh.tolist())
        return pairs

    def add_series(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Takes in series, each a device and a metric number."""
        if not pairs:
            return
        table = np.array(pairs, np.int32)
        place = self.places.of(np.ascontiguousarray(table[:, 0]))
        for metric_no in np.unique(table[:, 1]).tolist():
            mine = place[table[:, 1] == metric_no]
            self._there(metric_no, int(mine.max()) + 1)[mine] = True

    def _there(self, metric_no: int, most: int) -> npt.NDArray[np.bool_]:
        there = self._series.get(metric_no)
        if there is None or len(there) < most:
            grown = np.zeros(max(64, 1 << (most - 1).bit_length()), np.bool_)
            if there is not None:
                grown[: len(there)] = there
            there = self._series[metric_no] = grown
        return there


class Directory:
    """All copies. `start` listens for changes; belongs to one event loop."""

    def __init__(self, database: Database, client: Client) -> None:
        self._database = database
        self._client = client
        self._places = Places()
        self._known: dict[uuid.UUID, Known] = {}
        self._reading: dict[uuid.UUID, asyncio.Task[Known]] = {}
        self._echoes: Counter[bytes] = Counter()
        self._on_keys_changed: list[Callable[[], None]] = []
        self._subscription: Subscription | None = None
        self._forget_connection: Callable[[], None] | None = None

    async def start(self) -> None:
        """Listens for changes of the registry."""
        self._subscription = await self._client.subscribe(REGISTRY_SUBJECT, self._on_change)
        self._forget_connection = self._client.on_connection(self._on_connection)

    async def stop(self) -> None:
        """Stops listening."""
        if self._subscription is not None:
            await self._subscription.stop()
        if self._forget_connection is not None:
            self._forget_connection()

    def on_keys_changed(self, told: Callable[[], None]) -> None:
        """Calls `told` whenever API keys changed, or may have."""
        self._on_keys_changed.append(told)

    def peek(self, organisation_id: uuid.UUID) -> Known | None:
        """The copy, if there is one already."""
        return self._known.get(organisation_id)

    async def get(self, organisation_id: uuid.UUID) -> Known:
        """The copy; its metrics are read first when there is none.

        Raises:
            EngineUnavailable: if PostgreSQL is needed and does not answer.
        """
        known = self._known.get(organisation_id)
        if known is not None:
            return known
        task = self._reading.get(organisation_id)
        if task is None:
            task = self._reading[organisation_id] = asyncio.create_task(self._read(organisation_id))
            task.add_done_callback(lambda done: self._has_read(organisation_id, done))
        return await asyncio.shield(task)

    async def find_devices(self, known: Known, names: Sequence[str], *, register: bool) -> None:
        """Takes in those devices of these names that exist; with `register` all of them do afterwards.

        Raises:
            EngineUnavailable: if PostgreSQL does not answer.
        """
        async with self._database.scope(known.organisation_id) as connection:
            found = await find_devices(connection, known.organisation_id, names)
            missing = [name for name in names if name not in found]
            made = register and bool(missing)
            if made:
                found |= await register_devices(connection, known.organisation_id, missing)
        known.add_devices(found)
        if made:
            await self._announce(known)

    async def ensure_metrics(self, known: Known, names: Sequence[str]) -> None:
        """Takes in these metrics, making those that are not there while the organisation has room for more.

        Raises:
            EngineUnavailable: if PostgreSQL does not answer.
        """
        async with self._database.scope(known.organisation_id) as connection:
            found = await find_metrics(connection, known.organisation_id)
            missing = [name for name in names if name not in found][: max(0, METRICS_MOST - len(found))]
            if missing:
                found |= await ensure_metrics(connection, known.organisation_id, missing)
        known.metrics.update(found)
        if missing:
            await self._announce(known)

    async def ensure_series(self, known: Known, pairs: Sequence[tuple[int, int]]) -> set[int]:
        """Makes those series that are not there. Returns the devices that cannot have them, because they were
        deleted; the copy is dropped then.

        Raises:
            EngineUnavailable: if PostgreSQL does not answer.
        """
        table = np.array(pairs, np.int32)
        async with self._database.scope(known.organisation_id) as connection:
            numbers = await ensure_series(connection, table[:, 0], table[:, 1])
        gone = set(table[numbers == 0, 0].tolist())
        if gone:
            self.forget(known.organisation_id)
        known.add_series([pair for pair in pairs if pair[0] not in gone])
        return gone

    def forget(self, organisation_id: uuid.UUID) -> None:
        """Drops a copy; requests that are under way end with the one they began with."""
        self._known.pop(organisation_id, None)
        self._reading.pop(organisation_id, None)

    async def _read(self, organisation_id: uuid.UUID) -> Known:
        known = Known(organisation_id, self._places)
        async with self._database.scope(organisation_id) as connection:
            known.metrics.update(await find_metrics(connection, organisation_id))
        return known

    def _has_read(self, organisation_id: uuid.UUID, task: "asyncio.Task[Known]") -> None:
        """Keeps a copy, unless a change overtook its reading."""
        if self._reading.get(organisation_id) is not task:
            return
        del self._reading[organisation_id]
        if not task.cancelled() and task.exception() is None:
            while len(self._known) >= ORGANISATIONS_MOST:
                del self._known[next(iter(self._known))]
            self._known[organisation_id] = task.result()

    async def _announce(self, known: Known) -> None:
        """Tells everybody else. The word comes back to us, and our own copy holds the change already."""
        word = RegistryChange(str(known.organisation_id), "arrivals").encode()
        self._echoes[word] += 1
        try:
            await self._client.publish(REGISTRY_SUBJECT, word)
        except EngineUnavailable:
            self._echoes.clear()

    def _on_change(self, _subject: str, data: bytes) -> None:
        if self._echoes[data] > 0:
            self._echoes[data] -= 1
            return
        del self._echoes[data]
        try:
            change = RegistryChange.decode(data)
            organisation_id = uuid.UUID(change.organisation)
        except (msgspec.MsgspecError, ValueError):
            return
        if change.kind == "rules":  # which are no business of doors
            return
        self.forget(organisation_id)
        if change.kind in ("keys", "organisations"):
            self._tell_keys_changed()

    def _on_connection(self, _connected: bool) -> None:
        """Words may have been missed, our own among them."""
        self._echoes.clear()
        self._known.clear()
        self._reading.clear()
        self._tell_keys_changed()

    def _tell_keys_changed(self) -> None:
        for told in self._on_keys_changed:
            told()
