"""Which homes there are to play, asked of the instance again and again.

Light on purpose: who waits for the first home imports this. Keeps true that an answer which says that nothing
changed costs neither side a list.
"""

import sys

import msgspec

from kilowatch.simulator.home.door import Away, Doors
from kilowatch.wire.simulation import HOMES_PATH, Newest, PlayedHome, PlayedHomes, simulator_token


class Register:
    """The homes that the instance last told of."""

    def __init__(self, doors: Doors, root: bytes) -> None:
        self.homes: list[PlayedHome] = []
        self._doors = doors
        self._token = simulator_token(root)
        self._tag: str | None = None
        self._is_refused = False

    def ask(self) -> list[PlayedHome]:
        """Asks which homes there are. An instance that refuses (its secret is another) has none for us.

        Raises:
            Away: if it does not answer now.
        """
        known = {"If-None-Match": self._tag} if self._tag else {}
        answer = self._doors.ask("GET", HOMES_PATH, self._token, headers=known)
        if answer.status == 200:
            self.homes, self._tag = msgspec.json.decode(answer.body, type=PlayedHomes).items, answer.tag
        elif answer.status != 304:
            self.homes, self._tag = [], None
            if not self._is_refused:
                sys.stderr.write(
                    f"the instance refuses the simulator: {answer.status} {answer.body[:300]!r}\n"
                )
        self._is_refused = answer.status not in (200, 304)
        return self.homes

    def ask_newest(self, home: PlayedHome) -> int | None:
        """Until when readings of all devices of a home are stored; None before the first.

        Raises:
            Away: if the instance does not answer now, or the home is gone.
        """
        answer = self._doors.ask("GET", f"{HOMES_PATH}/{home.site_id}/newest", self._token)
        if answer.status != 200:
            raise Away
        return msgspec.json.decode(answer.body, type=Newest).newest_us
