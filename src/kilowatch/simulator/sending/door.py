"""The doors of an instance as senders see them: what an answer means, and where the instance is now."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from kilowatch.simulator.sending.parcel import Parcel

PATIENCE_S = 1.0
"""How long to wait where the instance does not say."""


@dataclass(frozen=True, slots=True)
class Place:
    """An instance: the address of its HTTP server and of its MQTT door, if it has one, and how to come in."""

    url: str
    organisation: str
    key: str = field(repr=False)
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int | None = None


Find = Callable[[], Place | None]
"""Says where the instance is now; None while it does not run."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a parcel. codes: how many readings were refused for which reason."""

    accepted: int
    codes: dict[str, int] = field(default_factory=dict)


class Away(Exception):
    """The instance does not answer, or (`is_asked`) asks to come again after `wait_s`."""

    def __init__(self, wait_s: float = PATIENCE_S, *, is_asked: bool = False) -> None:
        super().__init__(f"try again in {wait_s:g} s")
        self.wait_s = wait_s
        self.is_asked = is_asked


class TurnedAway(Exception):
    """The instance refuses this sender for good; the message says why."""


class Sender(Protocol):
    """One connection to one door."""

    async def send(self, parcel: Parcel) -> Told:
        """Sends a parcel, and waits for the answer.

        Raises:
            Away: if it must be sent again later.
            TurnedAway: if it must not be sent again at all.
        """

    async def close(self) -> None:
        """Ends the connection."""
