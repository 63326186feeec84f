"""The program that plays homes to try, and worlds for whoever asks, for as long as the instance runs.

Keeps true that it costs next to nothing while there are none: only then does it load what playing needs.
"""

import asyncio
import contextlib
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kilowatch.clock import SystemClock
from kilowatch.observe.logs import configure_logging
from kilowatch.simulator.home.door import Away, Doors
from kilowatch.simulator.home.given import Given
from kilowatch.simulator.home.register import Register
from kilowatch.simulator.stage.program import Program

if TYPE_CHECKING:
    from kilowatch.simulator.fleet.rows import Circumstances
    from kilowatch.simulator.home.player import Player
    from kilowatch.simulator.stage.desk import Desk
    from kilowatch.wire.simulation import PlayedHome

BEAT_S = 1.0


@dataclass(slots=True)
class Board:
    """Where the worlds say, and the homes see, what surrounds the homes of each organisation (by its UUID).
    Each side has a thread of its own: what hangs here is replaced as a whole, and never changed."""

    hung: "dict[str, Circumstances]" = field(default_factory=dict)

    def hang(self, surroundings: "dict[str, Circumstances]") -> None:
        """Replaces what was said before."""
        self.hung = surroundings

    def of(self, home: "PlayedHome") -> "Circumstances | None":
        """What surrounds a home; None: all is as usual."""
        return self.hung.get(home.organisation_id)


def play(given: Given, stop: threading.Event) -> None:
    """Plays the homes and the worlds of an instance until `stop` is set."""
    over, board = threading.Event(), Board()
    worlds = threading.Thread(target=_play_worlds, args=(given, over, board), name="worlds", daemon=True)
    worlds.start()
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
                player = _make_player(doors, register, root, board)
            if player is not None:
                player.beat(homes)
    finally:
        if player is not None:
            player.close()
        over.set()
        worlds.join()


def _make_player(doors: Doors, register: Register, root: bytes, board: Board) -> "Player":
    from kilowatch.simulator.home.player import Player

    return Player(doors, register, root, SystemClock(), board.of)


def _play_worlds(given: Given, over: threading.Event, board: Board) -> None:
    def make_desk() -> "Desk":
        from kilowatch.simulator.stage.desk import make_desk

        return make_desk(given.worlds)

    async def play() -> None:
        program = Program(given.base_url, given.root.encode(), make_desk, SystemClock(), surround=board.hang)
        playing = asyncio.create_task(program.run())
        await asyncio.wait(
            [playing, asyncio.create_task(asyncio.to_thread(over.wait))], return_when=asyncio.FIRST_COMPLETED
        )
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing

    asyncio.run(play())


def main() -> None:
    """Plays until SIGINT or SIGTERM."""
    configure_logging()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    play(Given.take(), stop)


if __name__ == "__main__":
    main()
