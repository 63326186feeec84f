"""Worlds to try the engine on: a small market, and one of 50 streams with chains, influences and events."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from kilowatch.clock import to_us
from kilowatch.period import HOUR_US
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.world.format import World

START_US = to_us(datetime(2026, 9, 7, tzinfo=UTC))
"""A Monday."""
HOURS = [1.0] * 6 + [3.0, 5.0, 8.0, 10.0, 11.0, 12.0, 12.0, 11.0, 10.0, 10.0, 11.0]
HOURS += [13.0, 14.0, 14.0, 12.0, 8.0, 4.0, 2.0]


def hourly(days: float, start_us: int = START_US) -> Moments:
    return Moments(start_us, HOUR_US, int(days * 24))


def small(**more: Any) -> World:
    """Requests that are confirmed, declined or run out; searches follow; a rate and a price."""
    return World.model_validate(small_document() | more)


def small_document() -> dict[str, Any]:
    return {
        "name": "small",
        "title": "Small",
        "description": "A small market.",
        "time_zone": "Europe/Berlin",
        "seasons": {"exams": [{"from": "11-15", "to": "12-20"}]},
        "shapes": {"day": {"hours": HOURS, "weekend": 1.4}},
        "streams": {
            "search": {"title": "Searches", "mean": 6000, "shape": "day", "seasons": {"exams": 1.5}},
            "request": {"title": "Requests", "mean": 900, "shape": "day"},
            "confirmed": {"title": "Confirmed"},
            "declined": {"title": "Declined"},
            "expired": {"title": "Run out"},
            "done": {"title": "Done"},
            "rating": {"title": "Ratings"},
            "ticket": {"title": "Tickets", "mean": 60, "shape": "day"},
            "share": {"title": "Share", "kind": "ratio", "part": "confirmed", "whole": "request"},
            "supply": {"title": "Supply", "kind": "gauge", "mean": 500, "noise": 0.02, "least": 0},
        },
        "chains": [
            {
                "from": "request",
                "outcomes": [
                    {
                        "to": "confirmed",
                        "probability": 0.75,
                        "delay": {"from": "2h", "to": "20h", "shape": "early"},
                    },
                    {"to": "declined", "probability": 0.15, "delay": {"from": "1h", "to": "12h"}},
                    {"to": "expired", "probability": 0.10, "delay": {"from": "24h", "to": "24h"}},
                ],
            },
            {
                "from": "confirmed",
                "outcomes": [{"to": "done", "probability": 0.95, "delay": {"from": "6h", "to": "2d"}}],
            },
            {
                "from": "done",
                "outcomes": [{"to": "rating", "probability": 0.5, "delay": {"to": "2d", "shape": "early"}}],
            },
        ],
        "influences": [
            {"from": "search", "on": "request", "elasticity": 0.8, "delay": "1h"},
            {"from": "supply", "on": "request", "outcome": "confirmed", "elasticity": 0.5},
            {"from": "declined", "on": "ticket", "elasticity": 0.4, "delay": "90m"},
        ],
        "templates": {},
        "scenarios": {
            "surge": {
                "name": "Surge",
                "description": "Much more is searched for.",
                "lasts": "12h",
                "effects": [{"streams": ["search"], "value": 2.0}],
                "cascades": [
                    {"id": "tired", "delay": "4h", "effects": [{"streams": ["supply"], "value": 0.7}]},
                    {
                        "id": "angry",
                        "after": "tired",
                        "delay": "2h",
                        "effects": [{"streams": ["ticket"], "how": "add", "value": 100}],
                    },
                ],
                "settling": {"curve": "linear", "lasts": "6h"},
            },
            "outage": {
                "name": "Outage",
                "description": "Nothing can be requested.",
                "lasts": "4h",
                "effects": [{"streams": ["request"], "how": "override", "value": 0, "precedence": 5}],
                "settling": {
                    "curve": "immediate",
                    "backlog": {"streams": ["request"], "factor": 1.8, "lasts": "2h"},
                },
            },
            "doubt": {
                "name": "Doubt",
                "description": "Fewer requests are confirmed.",
                "lasts": "1d",
                "effects": [{"streams": ["confirmed"], "how": "shift", "value": -0.3}],
                "settling": {"curve": "exponential", "lasts": "3d"},
            },
        },
    }


@lru_cache(maxsize=1)
def large() -> World:
    """50 streams in six domains, 30 templates of events."""
    domains = ("customer", "tutor", "session", "support", "marketing", "system")
    streams: dict[str, Any] = {}
    chains: list[dict[str, Any]] = []
    influences: list[dict[str, Any]] = []
    for place, domain in enumerate(domains):
        for number in range(5):
            name, spread = f"{domain}.thing{number}", (3.0, 1.0, 0.3, 0.15, 0.1)[number]
            streams[name] = {"title": name, "mean": 6000.0 * spread * (1 + place), "shape": "day"}
        chains.append(
            {
                "from": f"{domain}.thing1",
                "outcomes": [
                    {
                        "to": f"{domain}.yes",
                        "probability": 0.75,
                        "delay": {"from": "1h", "to": "24h", "shape": "early"},
                    },
                    {"to": f"{domain}.no", "probability": 0.25, "delay": {"from": "30m", "to": "12h"}},
                ],
            }
        )
        streams |= {f"{domain}.{answer}": {"title": answer} for answer in ("yes", "no")}
        streams[f"{domain}.level"] = {"title": "level", "kind": "gauge", "mean": 100, "noise": 0.05}
        influences.append(
            {"from": f"{domain}.thing0", "on": f"{domain}.level", "elasticity": 0.5, "delay": "2h"}
        )
    streams["session.rate"] = {
        "title": "rate",
        "kind": "ratio",
        "part": "session.yes",
        "whole": "session.thing1",
    }
    streams["support.late"] = {"title": "late"}
    chains.append(
        {
            "from": "support.no",
            "outcomes": [{"to": "support.late", "probability": 0.4, "delay": {"to": "3d"}}],
        }
    )
    influences.append({"from": "marketing.thing0", "on": "customer.thing0", "elasticity": 0.4, "delay": "3h"})
    return World.model_validate(
        small_document()
        | {"growth_per_month": 0.03, "streams": streams, "chains": chains, "influences": influences}
        | {"templates": templates(list(streams)), "scenarios": {"surge": surge()}}
    )


def surge() -> dict[str, Any]:
    return {
        "name": "Surge",
        "description": "Much more of everything.",
        "lasts": "1d",
        "effects": [
            {"streams": ["customer.*"], "value": 1.8},
            {"streams": ["session.no"], "how": "shift", "value": 0.2},
        ],
        "cascades": [
            {"id": "later", "delay": "6h", "effects": [{"streams": ["support.thing1"], "value": 2.5}]}
        ],
        "settling": {"curve": "linear", "lasts": "8h"},
    }


def templates(names: list[str]) -> dict[str, Any]:
    """Events that move two streams each by 25 to 80 %, up or down, for 6 to 24 hours."""
    kinds = ("marketing", "product", "infrastructure", "academic", "competitive", "operational")
    own = [name for name in names if "thing" in name or name.endswith("level")]
    drawn = np.random.default_rng(5)
    found: dict[str, Any] = {}
    for number in range(30):
        first, second = (own[int(place)] for place in drawn.choice(len(own), 2, replace=False))
        factor = float(drawn.uniform(1.25, 1.8)) ** (1 if drawn.random() < 0.6 else -1)
        found[f"event-{number}"] = {
            "type": kinds[number % 6],
            "title": f"Event {number}",
            "description": "Something happened.",
            "effects": [{"streams": [first, second], "value": round(factor, 2)}],
            "delay": f"{number % 4}h",
            "lasts": f"{6 + 6 * (number % 4)}h",
            "timing": {"per_month": 3.3, "clustered": number % 6 == 0},
        }
    return found
