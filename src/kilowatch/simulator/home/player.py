"""Plays homes against an instance: a month of history for one that is new, then a reading every two seconds.

Owns how far each home has been told. Keeps true: nothing is told twice with another value, because every
home goes on from what the instance has stored; a home that the instance no longer lists is not told of any
more; one slow home holds up no other; and a home is told among what surrounds it at that moment.
"""

import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from kilowatch.clock import Clock
from kilowatch.period import DAY_US, MINUTE_US, SECOND_US
from kilowatch.simulator.home.door import Away, Doors
from kilowatch.simulator.home.readings import (
    ARROW_TYPE,
    JSON_TYPE,
    AroundOf,
    as_usual,
    history_body,
    live_bodies,
    steps,
)
from kilowatch.simulator.home.register import Register
from kilowatch.wire.simulation import HISTORY_DAYS, PlayedHome, home_key

READINGS = "/api/v1/readings?on_conflict=replace"
"""What a device was set to may have changed while nobody told of it; then the newer word counts."""
LIVE_US = 2 * SECOND_US
BEHIND_US = 2 * MINUTE_US
"""Who is further behind than this is told by the minute until now."""
BODY_STEPS = 3 * 24 * 60
THREADS = 8


@dataclass(slots=True)
class Progress:
    """A home, how far it has been told (None: not known), and until when it is left alone."""

    home: PlayedHome
    told_us: int | None = None
    rests_until_us: int = 0
    at_work: Future[object] | None = None

    def is_busy(self) -> bool:
        """Whether something is being told of it; a fault in the telling is raised here, and ends us."""
        if self.at_work is None or not self.at_work.done():
            return self.at_work is not None
        self.at_work.result()
        return False


class Player:
    """Plays every home of a register; `beat` is called about once a second."""

    def __init__(
        self, doors: Doors, register: Register, root: bytes, clock: Clock, around_of: AroundOf = as_usual
    ) -> None:
        self._doors = doors
        self._register = register
        self._root = root
        self._clock = clock
        self._around_of = around_of
        self._played: dict[str, Progress] = {}
        self._pool = ThreadPoolExecutor(THREADS, "home")
        self._is_over = threading.Event()

    def beat(self, homes: Iterable[PlayedHome]) -> None:
        """Tells what is due of these homes, and of no others; does not wait for the answers."""
        self._take(homes)
        now_us = self._clock.now_us()
        moment_us = now_us // LIVE_US * LIVE_US
        due = []
        for progress in self._played.values():
            if progress.is_busy() or now_us < progress.rests_until_us:
                continue
            if progress.told_us is None or moment_us - progress.told_us > BEHIND_US:
                progress.at_work = self._pool.submit(self._catch_up, progress)
            elif moment_us > progress.told_us:
                due.append(progress)
        if due:
            self._tell_live(due, moment_us)

    def close(self) -> None:
        """Ends what is under way."""
        self._is_over.set()
        self._pool.shutdown(cancel_futures=True)

    def _take(self, homes: Iterable[PlayedHome]) -> None:
        listed = {home.site_id: home for home in homes}
        for site_id in self._played.keys() - listed.keys():
            del self._played[site_id]
        for site_id, home in listed.items():
            progress = self._played.setdefault(site_id, Progress(home))
            progress.home = home

    def _tell_live(self, due: list[Progress], moment_us: int) -> None:
        by_id = {progress.home.site_id: progress for progress in due}
        for home, body in live_bodies([progress.home for progress in due], moment_us, self._around_of):
            progress = by_id[home.site_id]
            progress.at_work = self._pool.submit(self._tell, progress, body, JSON_TYPE, moment_us)

    def _catch_up(self, progress: Progress) -> None:
        """Tells by the minute what the instance does not have, from a month before the home was made."""
        home = progress.home
        try:
            told_us = progress.told_us
            if told_us is None:
                told_us = self._register.ask_newest(home)
            if told_us is None:
                told_us = home.since_us - HISTORY_DAYS * DAY_US
        except Away as away:
            self._rest(progress, away)
            return
        progress.told_us = told_us
        missing = steps(told_us, self._clock.now_us())
        for at in range(0, len(missing), BODY_STEPS):
            part = missing[at : at + BODY_STEPS]
            is_played = self._played.get(home.site_id) is progress
            if self._is_over.is_set() or not is_played:
                return
            body = history_body(home, part, self._around_of(home))
            if not self._tell(progress, body, ARROW_TYPE, int(part[-1])):
                return

    def _tell(self, progress: Progress, body: bytes, media_type: str, until_us: int) -> bool:
        """Sends one body, if there is anything in it; whether the instance took it."""
        key = home_key(self._root, progress.home.site_id)
        try:
            if body:
                answer = self._doors.ask("POST", READINGS, key, body, {"Content-Type": media_type})
                if answer.status != 202:
                    raise Away
        except Away as away:
            self._rest(progress, away)
            return False
        progress.told_us = until_us
        return True

    def _rest(self, progress: Progress, away: Away) -> None:
        progress.rests_until_us = self._clock.now_us() + round(away.wait_s * SECOND_US)
