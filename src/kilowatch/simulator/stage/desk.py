"""The desk: whoever asks about the worlds of an organisation is answered here.

Keeps true: each organisation has a play of its own, and hears of no other; a question that cannot be answered
is answered with a problem.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from kilowatch.clock import Clock, SystemClock, rfc3339, to_us
from kilowatch.errors import Fault, Problem
from kilowatch.period import DAY_US, SECOND_US
from kilowatch.simulator.engine.events import (
    Event,
    from_template,
    injected_event,
    planned_events,
    scenario_event,
)
from kilowatch.simulator.fleet.rows import Circumstances
from kilowatch.simulator.live.streams import Told
from kilowatch.simulator.stage import shown
from kilowatch.simulator.stage.play import HISTORY_US, Play
from kilowatch.simulator.world.format import World
from kilowatch.simulator.world.loading import shipped
from kilowatch.simulator.world.shelf import Shelf
from kilowatch.wire.stage import StreamTold

log = structlog.get_logger()

FIRST_WORLD = "marketplace"
SEED = 1
DEFAULT_SPAN_US = 7 * DAY_US
MOST_POINTS = 400_000
MOST_DAYS, MOST_DAYS_CORRELATED = 400, 100
"""The longest spans that are told; what moved what takes more than twice as long over twice the time."""
MOST_PLAYS = 20
NOT_PLAYED_US = 3600 * SECOND_US
"""A play that nobody asks about for so long is ended, unless a scenario goes on in it."""

LATEST_US = to_us(datetime(2200, 1, 1, tzinfo=UTC))
"""Nothing is planned for later."""
OWN_NAMES = {"/delay": "/delay_s", "/lasts": "/lasts_s"}
"""What members of a template are called where an event of one's own is described."""

Given = dict[str, Any]


@dataclass(slots=True)
class Desk:
    """The worlds that there are, and what is played for whom (UUIDs of organisations)."""

    shelf: Shelf
    clock: Clock
    plays: dict[str, Play] = field(default_factory=dict)
    asked_us: dict[str, int] = field(default_factory=dict)
    newest: dict[str, dict[str, StreamTold]] = field(default_factory=dict)

    def answer(self, organisation: str, question: str, given: Given) -> Any:
        """What is to be answered, as JSON members.

        Raises:
            Problem: if there is no answer.
        """
        self.asked_us[organisation] = self.clock.now_us()
        answers: dict[str, Callable[[str, Given], Any]] = {
            "worlds": self._worlds,
            "streams": self._streams,
            "scenarios": self._scenarios,
            "templates": self._templates,
            "state": self._state,
            "history": self._history,
            "events": self._events,
            "correlations": self._correlations,
            "scenario": self._begin,
            "stop": self._stop,
            "reset": self._reset,
            "inject": self._inject,
            "change": self._change,
        }
        if question not in answers:
            raise Problem(404, "unknown_question", f"The simulator knows no question {question!r}.")
        return answers[question](organisation, given)

    def advance(self) -> list[StreamTold]:
        """What the streams of all plays tell up to now. One that cannot go on ends, and the others do not."""
        told = []
        for organisation, play in list(self.plays.items()):
            try:
                words = [self._word(organisation, one) for one in play.advance()]
            except Exception:
                log.exception("a play ends by a fault", world=play.world.name)
                self._end(organisation)
                continue
            told += words
            self.newest[organisation].update({one.stream: one for one in words})
        return told

    def surroundings(self) -> dict[str, Circumstances]:
        """What surrounds the homes to try of organisations in whose world of homes somebody did anything. A
        play of which that cannot be told ends, and the others do not."""
        found = {}
        for organisation, play in list(self.plays.items()):
            if play.deeds and play.world.fleet is not None and play.world.fleet.kind == "home":
                try:
                    found[organisation] = play.surroundings()
                except Exception:
                    log.exception("a play ends by a fault", world=play.world.name)
                    self._end(organisation)
        return found

    def latest(self, organisation: str) -> list[StreamTold]:
        """What each stream of the organisation's play told last, if there is one; may be asked meanwhile."""
        if organisation in self.plays:
            self.asked_us[organisation] = self.clock.now_us()
        return list(self.newest.get(organisation, {}).values())

    def _word(self, organisation: str, told: Told) -> StreamTold:
        now_us, data = self.clock.now_us(), shown.told_shown(told)
        return StreamTold(organisation, told.stream, now_us, told.frequency, told.flag, data)

    def end_idle(self) -> None:
        """Ends plays that nobody has asked about for long."""
        now_us = self.clock.now_us()
        for organisation, play in list(self.plays.items()):
            quiet_us = now_us - self.asked_us.get(organisation, 0)
            begun = play.begun[-1] if play.begun else None
            goes_on = begun is not None and begun.phase(play.watch.now_us()) != "settled"
            if quiet_us > NOT_PLAYED_US and not goes_on:
                self._end(organisation)

    def _end(self, organisation: str) -> None:
        del self.plays[organisation], self.newest[organisation]

    # What there is

    def _worlds(self, organisation: str, given: Given) -> Any:
        del organisation, given
        self.shelf.refresh()
        problems = {name: [str(one) for one in told] for name, told in self.shelf.mistakes.items()}
        items = [
            shown.world_shown(world, problems.get(name, [])) for name, world in self.shelf.worlds.items()
        ]
        never_good = [name for name in problems if name not in self.shelf.worlds]
        return {"items": [*items, *(shown.bad_world_shown(name, problems[name]) for name in never_good)]}

    def _scenarios(self, organisation: str, given: Given) -> Any:
        del organisation
        return {"items": [one for world in self._wanted(given) for one in shown.scenarios_shown(world)]}

    def _templates(self, organisation: str, given: Given) -> Any:
        del organisation
        return {"items": [one for world in self._wanted(given) for one in shown.templates_shown(world)]}

    def _wanted(self, given: Given) -> list[World]:
        """The world that is asked about, or all, as their files are now."""
        self.shelf.refresh()
        return [self._world(given["world"])] if "world" in given else list(self.shelf.worlds.values())

    def _streams(self, organisation: str, given: Given) -> Any:
        play = self._play(organisation)
        if given.get("world", play.world.name) != play.world.name:
            play = Play(self._world(given["world"]), SEED, self.clock)
        return {"world": play.world.name, "items": shown.streams_shown(play)}

    def _state(self, organisation: str, given: Given) -> Any:
        del given
        play = self.plays.get(organisation)
        if play is not None:
            return shown.state_shown(play)
        now = rfc3339(self.clock.now_us())
        return {
            "world": None, "seed": SEED, "speed": 1.0, "now": now, "status": "stopped", "history": "baseline",
            "scenario": None, "events": [], "anomalies": [], "fleet": None, "record": None,
            "last_modified": now,
        }  # fmt: skip

    # What happened

    def _history(self, organisation: str, given: Given) -> Any:
        play = self._play(organisation)
        start_us, end_us = _span(play, given)
        names = given.get("streams") or list(play.names)
        unknown = [name for name in names if name not in play.names]
        if unknown:
            detail = f"The world {play.world.name} has no stream {unknown[0]!r}."
            raise Problem(404, "unknown_stream", detail)
        if len(names) * ((end_us - start_us) // play.step_us) > MOST_POINTS:
            detail = f"That is more than {MOST_POINTS:,} values; ask for fewer streams or a shorter span."
            raise Problem(422, "too_much", detail)
        return shown.history_shown(play, start_us, end_us, names, given.get("mode", "modified"))

    def _events(self, organisation: str, given: Given) -> Any:
        play = self._play(organisation)
        now_us = play.watch.now_us()
        start_us = given.get("start_us", min(given.get("end_us", now_us), now_us) - DEFAULT_SPAN_US)
        end_us = given.get("end_us", max(start_us, now_us) + DEFAULT_SPAN_US)
        _check_span(start_us, end_us)
        found = play.events(start_us, end_us)
        kind = given.get("type")
        kept = [one for one in found if kind in (None, one.type)]
        return {"items": [shown.event_shown(one, play.names) for one in kept]}

    def _correlations(self, organisation: str, given: Given) -> Any:
        play = self._play(organisation)
        now_us = play.watch.now_us()
        end_us = given.get("end_us", now_us + 1)
        start_us = given.get("start_us", min(end_us, now_us) - HISTORY_US)
        _check_span(start_us, end_us, MOST_DAYS_CORRELATED)
        stream = given.get("stream")
        if stream is not None and stream not in play.names:
            detail = f"The world {play.world.name} has no stream {stream!r}."
            raise Problem(404, "unknown_stream", detail)
        events, found = play.correlation(start_us, end_us)
        if "event" in given:
            events = [one for one in events if one.id == given["event"]]
            if not events:
                raise Problem(404, "unknown_event", f"There is no event {given['event']!r} in that time.")
        return {"items": shown.correlations_shown(play, events, found, stream)}

    # What is wished

    def _begin(self, organisation: str, given: Given) -> Any:
        world = self._world_of(organisation, given)
        play = self.plays.get(organisation)
        if play is None or play.world != world:
            _refuse_while_active(play)
            play = self._start(organisation, world, SEED)
        begun = play.begin(given["scenario_id"])
        brought = [*planned_events(play.world, begun), scenario_event(play.world, begun)]
        return {
            "success": True,
            "scenario": shown.activation_shown(play, begun),
            "events": [shown.event_shown(one, play.names) for one in brought],
            "estimated_duration_s": (begun.settled_us - begun.begins_us) / SECOND_US,
        }

    def _stop(self, organisation: str, given: Given) -> Any:
        del given
        return {
            "success": True,
            "settling_until": rfc3339(self._play(organisation).stop().settled_us),
        }

    def _reset(self, organisation: str, given: Given) -> Any:
        del given
        play = self._play(organisation)
        if (newest := self._newest(play)) != play.world or play.watch.is_turned:
            self._start(organisation, newest, play.seed)
        else:
            play.reset()
        return {"success": True, "message": "No scenario and no injected event is left; all is the baseline."}

    def _inject(self, organisation: str, given: Given) -> Any:
        play = self._play(organisation)
        at_us = _moment(given["ts"]) if "ts" in given else play.watch.now_us()
        event = _event_of(play.world, given, at_us)
        if not given.get("preview", False):
            play.inject(event)
        return shown.event_shown(event, play.names)

    def _change(self, organisation: str, given: Given) -> Any:
        play, seed = self.plays.get(organisation), given.get("seed", SEED)
        if play is None:
            play = self._start(organisation, self._world(given.get("world", FIRST_WORLD)), seed)
        world, seed = play.world, given.get("seed", play.seed)
        if "world" in given:
            world = self._world(given["world"])
        if world != play.world or seed != play.seed:
            _refuse_while_active(play)
            play = self._start(organisation, world, seed)
        if "speed" in given:
            play.run_at(given["speed"])
        if "step_s" in given:
            play.step(round(given["step_s"] * SECOND_US))
        return shown.state_shown(play)

    # Plays

    def _play(self, organisation: str) -> Play:
        play = self.plays.get(organisation)
        return play or self._start(organisation, self._world(FIRST_WORLD), SEED)

    def _start(self, organisation: str, world: World, seed: int) -> Play:
        if organisation not in self.plays and len(self.plays) >= MOST_PLAYS:
            self.end_idle()
            if len(self.plays) >= MOST_PLAYS:
                detail = f"{MOST_PLAYS} worlds are played already; try again when one has ended."
                raise Problem(503, "too_many_worlds", detail)
        self.plays[organisation] = play = Play(world, seed, self.clock)
        self.newest[organisation] = {
            name: self._word(organisation, told) for name, told in play.latest.items()
        }
        return play

    def _world(self, name: str) -> World:
        self.shelf.refresh()
        if name not in self.shelf.worlds:
            known = ", ".join(sorted(self.shelf.worlds))
            raise Problem(404, "unknown_world", f"There is no world {name!r}; there are {known}.")
        return self.shelf.worlds[name]

    def _newest(self, play: Play) -> World:
        """The world of a play as its files have it now: what begins anew begins in that one."""
        self.shelf.refresh()
        return self.shelf.worlds.get(play.world.name, play.world)

    def _world_of(self, organisation: str, given: Given) -> World:
        """The world whose scenario is wished: the one that is named, the one that is played, or the only one
        that has it."""
        if "world" in given:
            return self._world(given["world"])
        self.shelf.refresh()
        play, scenario = self.plays.get(organisation), given["scenario_id"]
        if play is not None and scenario in (newest := self._newest(play)).scenarios:
            return newest
        having = [world for world in self.shelf.worlds.values() if scenario in world.scenarios]
        if len(having) == 1:
            return having[0]
        if not having:
            known = ", ".join(
                sorted({one for world in self.shelf.worlds.values() for one in world.scenarios})
            )
            detail = f"No world has a scenario {scenario!r}; there are {known}."
            raise Problem(404, "unknown_scenario", detail)
        names = " and ".join(world.name for world in having)
        raise Problem(422, "which_world", f"{names} have a scenario {scenario!r}; say which world.")


def make_desk(own: str | None = None) -> Desk:
    """A desk with the worlds that come with Kilowatch and those in a folder of one's own, on the clock of
    this machine."""
    return Desk(Shelf([shipped(), *([Path(own)] if own else [])]), SystemClock())


def _refuse_while_active(play: Play | None) -> None:
    """Another world would end what goes on.

    Raises:
        Problem: 409 while a scenario is active.
    """
    if play is not None and play.begun and play.begun[-1].phase(play.watch.now_us()) == "active":
        name = play.world.scenarios[play.begun[-1].scenario].name
        raise Problem(
            409, "scenario_active", f"{name!r} is active in {play.world.name}; stop or reset first."
        )


def _span(play: Play, given: Given) -> tuple[int, int]:
    end_us = min(given.get("end_us", play.watch.now_us()), play.watch.now_us())
    start_us = given.get("start_us", end_us - DEFAULT_SPAN_US)
    _check_span(start_us, end_us)
    return start_us, end_us


def _check_span(start_us: int, end_us: int, most_days: int = MOST_DAYS) -> None:
    if start_us >= end_us:
        fault = Fault("empty_span", "start must lie before end, and before now.", pointer="/query/start")
        raise Problem(422, "bad_span", fault.detail, [fault])
    if end_us - start_us > most_days * DAY_US:
        fault = Fault("too_long", f"A span has at most {most_days} days.", pointer="/query/start")
        raise Problem(422, "bad_span", fault.detail, [fault])


def _moment(text: str) -> int:
    try:
        moment_us = to_us(datetime.fromisoformat(text))
    except ValueError as error:
        raise _bad_moment("ts is a time with a zone.") from error
    if not 0 <= moment_us <= LATEST_US:
        raise _bad_moment("ts must lie between 1970 and 2200.")
    return moment_us


def _bad_moment(detail: str) -> Problem:
    return Problem(422, "bad_timestamp", detail, [Fault("bad_timestamp", detail, pointer="/body/ts")])


def _event_of(world: World, given: Given, at_us: int) -> Event:
    event_id = str(uuid.uuid4())
    if "template" in given:
        return from_template(world, given["template"], at_us, event_id=event_id)
    described: Given = {
        name: given[name] for name in ("type", "title", "description", "severity", "icon") if name in given
    }
    described |= {"effects": given.get("effects", []), "delay": given.get("delay_s", 0.0)}
    if "lasts_s" in given:
        described["lasts"] = given["lasts_s"]
    try:
        return injected_event(world, described, at_us, event_id=event_id)
    except Problem as wrong:
        faults = [replace(fault, pointer=_in_body(fault.pointer or "")) for fault in wrong.errors]
        raise Problem(wrong.status, wrong.code, wrong.detail, faults) from None


def _in_body(pointer: str) -> str:
    """Where a part of a template stands in what was asked for."""
    return f"/body{OWN_NAMES.get(pointer, pointer)}"
