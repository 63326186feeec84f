"""What the live feed knows of one organisation: its devices with their places, and its metrics.

Owns the copy of the registry that readings are named from. Keeps true: a device number that the copy lacks
has no name and is told to nobody, so a device of another organisation can never be shown.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kilowatch.server.live.topics import PERSONAL, Topics

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class KeyRights:
    """By what right a client listens: the API key that it came with, or the session of a person."""

    organisation: str
    key_no: int
    user_id: uuid.UUID | None = None
    session_id: uuid.UUID | None = None
    is_customer: bool = False

    @property
    def viewer(self) -> "Viewer":
        """Whose copy of the registry this client is told from."""
        return Viewer(self.organisation, self.user_id if self.is_customer else None)

    def person(self, topics: Topics) -> str | None:
        """Whose own messages this client is told: nobody's where the topics have none."""
        personal = topics.everything or PERSONAL in topics
        return str(self.user_id) if personal and self.user_id is not None else None


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who sees one and the same: an organisation's own people and keys, or one customer of it."""

    organisation: str
    customer_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device as the feed names it; `region` is its own or else its site's."""

    device_no: int
    id: str
    site_id: str
    region: str | None


@dataclass(frozen=True, slots=True)
class MetricEntry:
    """A metric as the feed names it; `states` are the names of a state metric's values."""

    metric_no: int
    name: str
    states: tuple[str, ...] = ()

    def show(self, value: float) -> float | str:
        """The value as it was sent: a state by its name, anything else as a number."""
        place = int(value)
        return self.states[place] if 0 <= place < len(self.states) else value


@dataclass(slots=True)
class Directory:
    """Devices and metrics of one organisation, by number; of a customer's copy, what is assigned to them."""

    viewer: Viewer
    devices: dict[int, DeviceEntry] = field(default_factory=dict)
    metrics: dict[int, MetricEntry] = field(default_factory=dict)

    @classmethod
    def of(
        cls, viewer: Viewer, devices: Sequence[DeviceEntry], metrics: Sequence[MetricEntry]
    ) -> "Directory":
        """The directory of these entries."""
        return cls(
            viewer,
            {entry.device_no: entry for entry in devices},
            {entry.metric_no: entry for entry in metrics},
        )


@dataclass(frozen=True, slots=True)
class Interest:
    """Which devices' readings a set of topics covers, and under which topics each is told.

    `mask` is indexed by device number. A reading is told once for each family of topics that covers it;
    `*` alone tells it once, under its device.
    """

    mask: Mask
    topics_of: dict[int, tuple[str, ...]]

    def rows(self, device: npt.NDArray[np.int32]) -> npt.NDArray[np.intp]:
        """Positions of the covered devices in `device`."""
        if not self.topics_of:
            return np.empty(0, dtype=np.intp)
        known = device < len(self.mask)
        if known.all():
            return np.flatnonzero(self.mask[device])
        rows = np.flatnonzero(known)
        return rows[self.mask[device[rows]]]


def find_interest(directory: Directory, topics: Topics) -> Interest:
    """The devices of `directory` that `topics` cover."""
    by_device, by_site, by_region = (topics.names(family) for family in ("devices", "sites", "regions"))
    topics_of: dict[int, tuple[str, ...]] = {}
    for number, entry in directory.devices.items():
        told: list[str] = []
        if topics.everything or entry.id in by_device:
            told.append(f"devices.{entry.id}")
        if entry.site_id in by_site:
            told.append(f"sites.{entry.site_id}")
        if entry.region is not None and entry.region in by_region:
            told.append(f"regions.{entry.region}")
        if told:
            topics_of[number] = tuple(told)
    mask = np.zeros(max(topics_of, default=-1) + 1, dtype=bool)
    mask[list(topics_of)] = True
    return Interest(mask, topics_of)
