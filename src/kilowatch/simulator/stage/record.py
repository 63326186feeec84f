"""What people did in a play, and which simulated time was shown when, as JSON members; and back. Pure.

Keeps true: who reads a record has the same deeds and the same timeline to the microsecond, so the same
surroundings.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kilowatch.clock import rfc3339, to_us
from kilowatch.simulator.engine.events import Event
from kilowatch.simulator.engine.scenario import Activation
from kilowatch.simulator.stage.surroundings import Deed
from kilowatch.simulator.stage.watch import Knot, Timeline
from kilowatch.simulator.world.format import Effect

Members = dict[str, Any]


def record_shown(deeds: Sequence[Deed], timeline: Timeline) -> Members:
    """Deeds and timeline as they are shown."""
    return {
        "deeds": [_deed_shown(deed) for deed in deeds],
        "timeline": [
            {"at": rfc3339(knot.real_us), "shows": rfc3339(knot.shown_us), "speed": knot.speed}
            for knot in timeline.knots
        ],
    }


def read_record(shown: Members) -> tuple[list[Deed], Timeline]:
    """Deeds and timeline, from how they were shown.

    Raises:
        KeyError, TypeError, ValueError: if that is no record.
    """
    knots = [
        Knot(_moment(one["at"]), _moment(one["shows"]), float(one["speed"])) for one in shown["timeline"]
    ]
    return [_read_deed(one) for one in shown["deeds"]], Timeline.of(knots)


def _deed_shown(deed: Deed) -> Members:
    if isinstance(deed.what, Event):
        return {"at": rfc3339(deed.real_us), "scenario": None, "event": _event_shown(deed.what)}
    one = deed.what
    begun = {
        "id": one.id,
        "scenario": one.scenario,
        "begins": rfc3339(one.begins_us),
        "ends": rfc3339(one.ends_us),
        "is_stopped": one.is_stopped,
    }
    return {"at": rfc3339(deed.real_us), "scenario": begun, "event": None}


def _event_shown(event: Event) -> Members:
    return {
        "id": event.id,
        "ts": rfc3339(event.at_us),
        "type": event.type,
        "title": event.title,
        "effects": [effect.model_dump() for effect in event.effects],
        "delay_s": event.delay_s,
        "lasts_s": event.lasts_s,
    }


def _read_deed(shown: Members) -> Deed:
    at_us = _moment(shown["at"])
    if shown["event"] is not None:
        return Deed(at_us, _read_event(shown["event"]))
    one = shown["scenario"]
    ends_us = _moment(one["ends"])
    begun = Activation(
        one["id"], one["scenario"], _moment(one["begins"]), ends_us, ends_us, bool(one["is_stopped"])
    )
    return Deed(at_us, begun)


def _read_event(shown: Members) -> Event:
    effects = tuple(Effect.model_validate(one) for one in shown["effects"])
    return Event(
        id=shown["id"],
        at_us=_moment(shown["ts"]),
        type=shown["type"],
        title=shown["title"],
        description="",
        severity="info",
        icon="",
        link=None,
        effects=effects,
        delay_s=float(shown["delay_s"]),
        lasts_s=float(shown["lasts_s"]),
        origin="injected",
        moves=bool(effects),
    )


def _moment(text: str) -> int:
    return to_us(datetime.fromisoformat(text))
