"""What a worker counts, told to the servers, because only servers answer `/metrics`.

`worker.figures` carries one `WorkerFigures` as JSON, about once a second. It is fleeting: the next one says
all of it again.
"""

import msgspec

FIGURES_SUBJECT = "worker.figures"


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One value of a figure."""

    name: str
    labels: dict[str, str]
    value: float


class WorkerFigures(msgspec.Struct, frozen=True):
    """All figures of one worker."""

    worker: str
    """Which one: the partitions that it holds."""
    samples: list[Sample]

    def encode(self) -> bytes:
        """The figures as one JSON document."""
        return msgspec.json.encode(self)

    @classmethod
    def decode(cls, message: bytes) -> "WorkerFigures":
        """The figures in `message`.

        Raises:
            msgspec.MsgspecError: if the bytes are no figures.
        """
        return _FIGURES.decode(message)


_FIGURES = msgspec.json.Decoder(WorkerFigures)
