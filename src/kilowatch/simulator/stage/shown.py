"""How a play is shown: what is asked for over HTTP, as JSON members. Pure.

Keeps true: whether an event really moves anything is not shown; people find out.
"""

from typing import Any

import numpy as np

from kilowatch.clock import rfc3339
from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.correlation import Correlation, Moved
from kilowatch.simulator.engine.events import Event, expectation
from kilowatch.simulator.engine.modifiers import streams_of
from kilowatch.simulator.engine.normalise import normalised
from kilowatch.simulator.engine.scenario import Activation, cascades
from kilowatch.simulator.engine.statistics import StreamStatistics
from kilowatch.simulator.live.streams import Told
from kilowatch.simulator.stage.play import Play
from kilowatch.simulator.stage.record import record_shown
from kilowatch.simulator.world.format import World

DIRECTIONS = {-1: "decrease", 0: "mixed", 1: "increase"}


def world_shown(world: World, problems: list[str]) -> dict[str, Any]:
    """A world in the list of worlds."""
    return {
        "name": world.name,
        "title": world.title,
        "description": world.description,
        "streams": len(world.streams),
        "scenarios": len(world.scenarios),
        "fleet": fleet_shown(world),
        "problems": problems,
    }


def bad_world_shown(name: str, problems: list[str]) -> dict[str, Any]:
    """A world whose files never could be played."""
    return {
        "name": name,
        "title": name,
        "description": "",
        "streams": 0,
        "scenarios": 0,
        "fleet": None,
        "problems": problems,
    }


def fleet_shown(world: World) -> dict[str, Any] | None:
    """The devices of a world, if it has any."""
    fleet = world.fleet
    return None if fleet is None else {"kind": fleet.kind, "devices": fleet.devices, "regions": fleet.regions}


def scenarios_shown(world: World) -> list[dict[str, Any]]:
    """The scenarios of a world."""
    names = list(world.streams)
    found = []
    for scenario_id, one in world.scenarios.items():
        effects = [*one.effects, *(effect for _, several in cascades(one) for effect in several)]
        moved = {name for effect in effects for name in streams_of(effect.streams, names)}
        found.append(
            {
                "id": scenario_id,
                "world": world.name,
                "name": one.name,
                "description": one.description,
                "lasts_s": one.lasts,
                "settles_s": one.settling.lasts,
                "curve": one.settling.curve,
                "streams": [name for name in names if name in moved],
                "events": [world.templates[planned.template].title for planned in one.events],
            }
        )
    return found


def templates_shown(world: World) -> list[dict[str, Any]]:
    """What may happen outside in a world, by itself or because somebody wants it to."""
    names = list(world.streams)
    found = []
    for template_id, one in world.templates.items():
        moved = {name for effect in one.effects for name in streams_of(effect.streams, names)}
        found.append(
            {
                "id": template_id,
                "world": world.name,
                "type": one.type,
                "title": one.title,
                "description": one.description,
                "severity": one.severity,
                "delay_s": one.delay,
                "lasts_s": one.lasts,
                "streams": [name for name in names if name in moved],
            }
        )
    return found


def event_shown(event: Event, names: tuple[str, ...]) -> dict[str, Any]:
    """An event, with what everybody expects of it."""
    expected = expectation(event, names)
    signs = set(expected.directions.values())
    direction = "none" if not signs else DIRECTIONS[signs.pop()] if len(signs) == 1 else "mixed"
    return {
        "id": event.id,
        "type": event.type,
        "title": event.title,
        "description": event.description,
        "severity": event.severity,
        "icon": event.icon,
        "link": event.link,
        "ts": rfc3339(event.at_us),
        "until": rfc3339(event.ends_us),
        "streams": list(expected.directions),
        "direction": direction,
        "magnitude": expected.magnitude if expected.directions else "none",
        "origin": event.origin,
    }


def statistics_shown(of: StreamStatistics) -> dict[str, Any]:
    """What is usual for a stream."""
    return {
        "mean": of.mean,
        "median": of.median,
        "standard_deviation": of.std_dev,
        "least": of.least,
        "most": of.most,
        **{name: of.percentiles[name] for name in ("p25", "p75", "p90", "p95")},
        "weekday_mean": of.weekday_mean,
        "weekend_mean": of.weekend_mean,
        "trend_per_month": of.trend_per_month,
        "seasonality": of.seasonality,
    }


def told_shown(told: Told) -> dict[str, Any]:
    """What a stream told, live."""
    return {
        "timestamp": rfc3339(told.at_us),
        "value": told.value,
        "normalised": told.normalised,
        "ratio": told.ratio,
        "count": told.count,
        "events": [{"id": one.id, "ts": rfc3339(one.at_us), "parent": one.parent} for one in told.happenings],
    }


def value_shown(told: Told) -> dict[str, Any]:
    """A value and how unusual it is."""
    return {
        "ts": rfc3339(told.at_us),
        "value": told.value,
        "normalised": told.normalised,
        "flag": told.flag,
    }


def streams_shown(play: Play) -> list[dict[str, Any]]:
    """The streams of a play."""
    ratios = play.streams.ratios(play.watch.now_us())
    return [
        {
            "name": name,
            "title": stream.title,
            "unit": stream.unit,
            "kind": stream.kind,
            "domain": name.partition(".")[0],
            "frequency": stream.cadence,
            "statistics": statistics_shown(play.statistics[name]),
            "latest": value_shown(play.latest[name]) if name in play.latest else None,
            "ratio": ratios[name],
        }
        for name, stream in play.world.streams.items()
    ]


def activation_shown(play: Play, one: Activation) -> dict[str, Any]:
    """A scenario that was begun."""
    now_us = play.watch.now_us()
    ratios = play.streams.ratios(now_us)
    moved = next(shown["streams"] for shown in scenarios_shown(play.world) if shown["id"] == one.scenario)
    return {
        "id": one.scenario,
        "name": play.world.scenarios[one.scenario].name,
        "status": one.phase(now_us),
        "started_at": rfc3339(one.begins_us),
        "ends_at": rfc3339(one.ends_us),
        "settled_at": rfc3339(one.settled_us),
        "left_s": max(one.settled_us - now_us, 0) / SECOND_US,
        "streams": {name: ratios[name] for name in moved},
        "warnings": [warning.detail for warning in play.warnings],
    }


def state_shown(play: Play) -> dict[str, Any]:
    """How a play stands."""
    now_us = play.watch.now_us()
    last = play.begun[-1] if play.begun else None
    phase = None if last is None else last.phase(now_us)
    felt = [one for one in play.events(now_us - 14 * 86_400 * SECOND_US, now_us + 1) if one.ends_us > now_us]
    return {
        "world": play.world.name,
        "seed": play.seed,
        "speed": play.watch.speed,
        "now": rfc3339(now_us),
        "status": {"active": "running", "settling": "settling"}.get(phase or "", "baseline"),
        "history": "modified" if play.begun or play.injected else "baseline",
        "scenario": None if last is None else activation_shown(play, last),
        "events": [event_shown(one, play.names) for one in felt],
        "anomalies": [{"stream": one.stream, **value_shown(one)} for one in reversed(play.anomalies)],
        "fleet": fleet_shown(play.world),
        "record": record_shown(play.deeds, play.watch.timeline) if play.deeds else None,
        "last_modified": rfc3339(play.modified_us),
    }


def history_shown(play: Play, start_us: int, end_us: int, names: list[str], mode: str) -> dict[str, Any]:
    """What streams told in whole intervals within `[start_us, end_us)`, with the events of that time."""
    moments = play.grid(start_us, end_us)
    value = play.values(moments, of_people=mode != "baseline")
    if mode == "difference":
        value = value - play.values(moments, of_people=False)
    ts = [rfc3339(at_us) for at_us in moments.ts_us.tolist()]
    streams = {}
    for name in names:
        row = value[play.names.index(name)]
        of = play.statistics[name]
        scaled = normalised(row + of.mean if mode == "difference" else row, of)
        streams[name] = [
            {"ts": at, "value": one, "normalised": shown}
            for at, one, shown in zip(ts, row.tolist(), np.round(scaled, 2).tolist(), strict=True)
        ]
    return {
        "world": play.world.name,
        "time_range": {"start": rfc3339(start_us), "end": rfc3339(end_us)},
        "interval_s": play.world.interval,
        "streams": streams,
        "events": [event_shown(one, play.names) for one in play.events(start_us, end_us)],
    }


def correlations_shown(
    play: Play, events: list[Event], found: Correlation, stream: str | None
) -> list[dict[str, Any]]:
    """Events with what they moved, the clearest first; with a stream those that moved it, likewise."""
    shown = []
    for event in events:
        verdict = found.verdicts.get(event.id)
        moved = [] if verdict is None else list(found.moved_by(event.id))
        if stream is not None:
            moved = [one for one in moved if one.stream == stream]
            if not moved:
                continue
        shown.append(
            {
                "event": event_shown(event, play.names),
                "verdict": "unknown" if verdict is None else "causal" if verdict.is_cause else "red_herring",
                "score": 0.0 if verdict is None else verdict.score,
                "movements": [_moved_shown(one) for one in moved],
            }
        )
    if stream is None:
        return sorted(shown, key=lambda one: -one["score"])
    places = {moved.event: place for place, moved in enumerate(found.movers_of(stream))}
    return sorted(shown, key=lambda one: places[one["event"]["id"]])


def _moved_shown(one: Moved) -> dict[str, Any]:
    return {
        "event_id": one.event,
        "stream": one.stream,
        "score": one.score,
        "change": one.change,
        "began": rfc3339(one.onset_us),
        "was_expected": one.is_expected,
    }
