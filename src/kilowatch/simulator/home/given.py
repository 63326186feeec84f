"""What the program that plays homes is given by who starts it.

Light on purpose: the supervisor imports this.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass, field

GIVEN = "KILOWATCH_SIMULATION"
"""Environment variable that tells what `Given` holds."""


@dataclass(frozen=True, slots=True)
class Given:
    """The instance's address, the secret shared with it, and the folder of worlds of one's own."""

    base_url: str
    root: str = field(repr=False)
    worlds: str | None = None

    def as_environment(self) -> dict[str, str]:
        """The variable that carries it to the program."""
        return {GIVEN: json.dumps(asdict(self))}

    @classmethod
    def take(cls) -> "Given":
        """What this process was given; its own children are not."""
        return cls(**json.loads(os.environ.pop(GIVEN)))


def command() -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "kilowatch.simulator.home.program"]
