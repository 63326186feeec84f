"""What a client process is told to do: where to, what, for how long."""

from dataclasses import asdict, dataclass, field

import msgspec

from kilowatch.cli.bench.load import Shape


@dataclass(frozen=True, slots=True)
class Target:
    """Where a load goes. Devices are registered over HTTP in any case; those from `user` on are MQTT's."""

    host: str
    port: int
    http_port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    user: str = ""
    password: str = ""
    topic: str = ""
    """With `{device}` in it."""
    window: int = 200
    """Most unacknowledged messages of one MQTT connection."""


@dataclass(frozen=True, slots=True)
class Order:
    """One load."""

    target: Target
    shape: Shape
    seconds: float
    pace: float = 0.0
    """Readings per second over all connections; 0 for as many as are taken."""
    bodies: int = 0
    """So many bodies from each connection, however long they take; 0 for as many as `seconds` allow."""

    bears_errors: bool = False
    """Counts what goes wrong by its class, and goes on; else the first error ends the run."""

    @property
    def pace_s(self) -> float:
        """Time between two bodies of a connection, 0 where the answers set the pace."""
        return self.shape.rows * self.shape.connections / self.pace if self.pace else 0.0

    def encode(self) -> bytes:
        """One line of JSON."""
        return msgspec.json.encode(asdict(self)) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Order":
        """The order in a line."""
        return msgspec.json.decode(line, type=cls)
