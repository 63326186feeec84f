"""What surrounds a fleet while it reports: what is played for its organisation, or a scenario of its own.

Keeps true: a fleet follows the stage only while the same world is played there. While the stage is away it
goes on with what it was told last, which tells of the time to come, too; where nothing is played it is as
usual.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from kilowatch.errors import Problem
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import Activation, begin
from kilowatch.simulator.fleet.rows import USUAL, Circumstances
from kilowatch.simulator.sending.door import Find
from kilowatch.simulator.stage.record import read_record
from kilowatch.simulator.stage.surroundings import Deed, surroundings
from kilowatch.simulator.stage.watch import Knot, Timeline
from kilowatch.simulator.world.format import World

PATH = "/api/v1/simulation/state"
EVERY_S = 1.0
SETTLED = "settled"


class Lead(Protocol):
    """What a fleet follows."""

    def around(self) -> Circumstances:
        """What surrounds the fleet, as it is known now."""

    def playing(self, moment_us: int) -> str:
        """What is played at a moment, for people; empty where nothing is."""


class Alone:
    """Nothing but the usual."""

    def around(self) -> Circumstances:
        """See `Lead`."""
        return USUAL

    def playing(self, moment_us: int) -> str:
        """See `Lead`."""
        del moment_us
        return ""


@dataclass(frozen=True)
class OwnScenario:
    """A scenario that a run begins by itself, at a moment of its own clock."""

    activation: Activation
    surrounded: Circumstances

    @classmethod
    def begun(cls, world: World, scenario: str, at_us: int) -> "OwnScenario":
        """The scenario from that moment on.

        Raises:
            Problem: 404 if the world does not have it.
        """
        run = Run.of(world)
        activation = begin(run, scenario, at_us).activation
        timeline = Timeline((Knot(at_us, at_us, 1.0),))
        return cls(activation, surroundings(run, [Deed(at_us, activation)], timeline))

    def around(self) -> Circumstances:
        """See `Lead`."""
        return self.surrounded

    def playing(self, moment_us: int) -> str:
        """See `Lead`."""
        if moment_us < self.activation.begins_us:
            return ""
        return _said(self.activation.scenario, self.activation.phase(moment_us))


@dataclass
class Follower:
    """Asks an instance what is played, once a second."""

    world: World
    find: Find
    say: Callable[[str], None]
    _around: Circumstances = USUAL
    _playing: str = ""
    _record: Any = None
    _trouble: str = ""
    _run: Run = field(init=False)

    def __post_init__(self) -> None:
        self._run = Run.of(self.world)

    def around(self) -> Circumstances:
        """See `Lead`."""
        return self._around

    def playing(self, moment_us: int) -> str:
        """See `Lead`."""
        del moment_us
        return self._playing

    async def follow(self, http: httpx.AsyncClient) -> None:
        """Keeps asking until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.ask(http)

    async def ask(self, http: httpx.AsyncClient) -> None:
        """Asks once."""
        place = self.find()
        try:
            if place is None:
                return
            answer = await http.get(f"{place.url}{PATH}", headers={"Authorization": f"Bearer {place.key}"})
        except httpx.TransportError:
            return
        if answer.is_success:
            self.hear(answer.json())
        elif answer.status_code not in (429, 503):
            self._say_once(f"The fleet cannot follow what is played: {place.url}{PATH} {answer.status_code}.")

    def hear(self, state: dict[str, Any]) -> None:
        """Takes the state of a play, as the API tells it."""
        is_ours = state["world"] == self.world.name
        record = state["record"] if is_ours else None
        if record != self._record:
            self._record, self._around = record, self._read(record)
        one = state["scenario"] if is_ours else None
        self._playing = "" if one is None else _said(one["id"], one["status"])

    def _read(self, record: Any) -> Circumstances:
        if record is None:
            return USUAL
        try:
            return surroundings(self._run, *read_record(record))
        except (Problem, KeyError, TypeError, ValueError) as error:
            reason = error.detail if isinstance(error, Problem) else str(error)
            self._say_once(f"The fleet cannot follow what is played: {reason}.")
            return USUAL

    def _say_once(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self.say(text)


def _said(scenario: str, status: str) -> str:
    return "" if status == SETTLED else f"{scenario} {status}"
