"""The program that plays homes to try, for as long as the instance runs.

Keeps true that it costs next to nothing while there are none: only then does it load what playing needs.
"""

import signal
import threading
from typing import TYPE_CHECKING

from kilowatch.clock import SystemClock
from kilowatch.simulator.home.door import Away, Doors
from kilowatch.simulator.home.given import Given
from kilowatch.simulator.home.register import Register

if TYPE_CHECKING:
    from kilowatch.simulator.home.player import Player

BEAT_S = 1.0


def play(given: Given, stop: threading.Event) -> None:
    """Plays the homes of an instance until `stop` is set."""
    doors, root = Doors(given.base_url), given.root.encode()
    register = Register(doors, root)
    player: Player | None = None
    wait_s = 0.0
    try:
        while not stop.wait(wait_s):
            wait_s = BEAT_S
            try:
                homes = register.ask()
            except Away as away:
                wait_s = away.wait_s
                continue
            if homes and player is None:
                player = _make_player(doors, register, root)
            if player is not None:
                player.beat(homes)
    finally:
        if player is not None:
            player.close()


def _make_player(doors: Doors, register: Register, root: bytes) -> "Player":
    from kilowatch.simulator.home.player import Player

    return Player(doors, register, root, SystemClock())


def main() -> None:
    """Plays until SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    play(Given.take(), stop)


if __name__ == "__main__":
    main()
