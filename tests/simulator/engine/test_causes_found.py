"""What really moved streams against what an onlooker finds, in every shipped world, over several seeds.

Of the events that move something at least 90 % are found, of the others at most 10 % are blamed. Whoever asks
what moved a stream while a scenario went on is told of the scenario, or of an event that it brought.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest

from kilowatch.period import DAY_US, HOUR_US
from kilowatch.simulator.engine.correlation import Correlation, correlate
from kilowatch.simulator.engine.events import (
    Event,
    event_modifiers,
    expectation,
    planned_events,
    scenario_event,
)
from kilowatch.simulator.engine.happenings import background, happening
from kilowatch.simulator.engine.history import happened
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Moments, calendar_at
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import Begun, begin, stop
from kilowatch.simulator.world.format import World
from kilowatch.simulator.world.loading import find_worlds, load_world, shipped
from tests.simulator.engine.markets import START_US, hourly

SEEDS = (1, 2, 3, 4, 5, 6)
FOLDERS = find_worlds([shipped()])
BEGIN_DAY, BEGIN_H = 22, 14
DAYS_ASKED = 10
LEAST_MOVED = 0.15
"""How far from usual a stream was in the mean, at its expected time, for it to have really been moved."""


@lru_cache(maxsize=8)
def world(name: str) -> World:
    return load_world(FOLDERS[name])


def found_in(run: Run, moments: Moments, events: list[Event], done: tuple[Modifier, ...]) -> Correlation:
    expected = [expectation(event, run.causes.names, run.world.chains) for event in events]
    return correlate(run.causes.names, moments, happened(run, moments, done), run.world.time_zone, expected)


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_causes_are_found_and_red_herrings_are_not_blamed(name: str) -> None:
    judged: Counter[tuple[bool, bool]] = Counter()
    for seed in SEEDS:
        run, month = Run.of(world(name), seed), hourly(30, START_US + seed * 61 * DAY_US)
        events = list(happening(run, month.start_us, month.end_us - 12 * HOUR_US))
        found = found_in(run, month, events, background(run, month))
        for event in events:
            judged[event.moves, found.verdicts[event.id].is_cause] += 1
    assert judged.total() > 60 * len(SEEDS)
    assert judged[True, True] / (judged[True, True] + judged[True, False]) >= 0.9
    assert judged[False, True] / (judged[False, True] + judged[False, False]) <= 0.1


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_every_month_has_60_to_150_events_2_to_5_a_day_and_60_to_70_per_cent_move_something(
    name: str,
) -> None:
    """The share to a few events in a single month, of which there are fewer than a hundred."""
    for seed in SEEDS:
        run = Run.of(world(name), seed)
        start_us, end_us = START_US + seed * 61 * DAY_US, START_US + (seed + 1) * 61 * DAY_US
        found = happening(run, start_us, end_us)
        at_us = np.array([event.at_us for event in found])
        a_day = np.bincount(calendar_at(at_us, run.world.time_zone).day - start_us // DAY_US + 1)[2:-2]
        assert a_day.min() >= 2
        assert a_day.max() <= 5
        for month_us in (start_us, start_us + 30 * DAY_US):
            moves = [event.moves for event in found if month_us <= event.at_us < month_us + 30 * DAY_US]
            assert 60 <= len(moves) <= 150
            assert 0.55 <= np.mean(moves) <= 0.75
        assert 0.6 <= np.mean([event.moves for event in found]) <= 0.7


@dataclass
class Crisis:
    """A scenario that was begun on a day of a month, and what is found out about it at the end."""

    run: Run
    begun: Begun
    own: Event
    brought: set[str]
    events: dict[str, Event]
    found: Correlation

    def moved_really(self) -> list[str]:
        """The streams that the scenario itself acts on, as far as they were moved."""
        spans = expectation(self.own, self.run.causes.names, self.run.world.chains).spans
        ratio, ts = self.begun.levels.ratio, self.begun.levels.moments.ts_us
        means = {
            name: ratio[self.run.causes.number[name], (ts >= first) & (ts < last)]
            for name, (first, last) in spans.items()
        }
        return [name for name, one in means.items() if len(one) and abs(one.mean() - 1.0) >= LEAST_MOVED]

    def answers(self, stream: str) -> list[str]:
        """What moved a stream, of all events since the first one that the scenario brought."""
        since_us = min(self.events[one].at_us for one in self.brought)
        return [one.event for one in self.found.movers_of(stream) if self.events[one.event].at_us >= since_us]


def crisis(of: World, scenario: str, seed: int, later_us: int = 0) -> Crisis:
    run, month = Run.of(of, seed), hourly(30, START_US + seed * 7 * DAY_US + later_us)
    begun = begin(run, scenario, month.start_us + BEGIN_DAY * DAY_US + BEGIN_H * HOUR_US)
    planned = planned_events(of, begun.activation)
    own = scenario_event(of, begun.activation)
    events = [*happening(run, month.start_us, month.end_us), *planned, own]
    done = (*background(run, month), *begun.modifiers, *event_modifiers(planned, run.causes.names))
    found = found_in(run, month, events, done)
    brought = {own.id, *(event.id for event in planned)}
    return Crisis(run, begun, own, brought, {event.id: event for event in events}, found)


CRISES = [
    *(("marketplace", scenario, 1) for scenario in world("marketplace").scenarios),
    ("marketplace", "payment-outage", 3),
    *(("grid", scenario, 1) for scenario in ("heat_wave", "feeder_outage", "price_shock")),
]


@pytest.mark.parametrize(("name", "scenario", "seeds"), CRISES)
def test_whoever_asks_what_moved_a_stream_is_told_of_the_scenario(
    name: str, scenario: str, seeds: int
) -> None:
    asked, right, misled = 0, 0, 0
    for seed in SEEDS[:seeds]:
        one = crisis(world(name), scenario, seed)
        moved = one.moved_really()
        verdict = one.found.verdicts[one.own.id]
        assert verdict.is_cause == (scenario != "normal-operations")
        for stream in moved:
            answers = one.answers(stream)
            asked += 1
            right += bool(one.brought & set(answers))
            misled += bool(answers) and not one.events[answers[0]].moves
        if scenario == "payment-outage":
            assert one.brought & set(one.answers("support.ticket.created"))
    if scenario == "normal-operations":
        assert asked == 0
        return
    assert asked >= 2
    assert right >= 0.75 * asked
    assert misled <= 0.1 * asked


def test_all_year_round_tickets_are_put_down_to_the_outage_that_they_came_of() -> None:
    """By chains, of payments that failed: whatever else happened in those days."""
    right = 0
    for number in range(DAYS_ASKED):
        one = crisis(world("marketplace"), "payment-outage", 1, number * 37 * DAY_US)
        right += bool(one.brought & set(one.answers("support.ticket.created")))
    assert right >= 0.9 * DAYS_ASKED


def test_a_scenario_that_was_stopped_is_expected_no_longer() -> None:
    of = world("marketplace")
    run, now_us = Run.of(of), START_US + 10 * HOUR_US
    whole = begin(run, "supply-crisis", now_us).activation
    cut = stop(run, [whole], now_us + 6 * HOUR_US).activation
    spans = [expectation(scenario_event(of, one), run.causes.names).spans for one in (whole, cut)]
    assert spans[0]["tutor.active"] == (now_us, now_us + 3 * DAY_US)
    assert spans[0]["customer.tutor.search"] == (now_us + 4 * HOUR_US, now_us + 3 * DAY_US)
    assert spans[1]["tutor.active"] == (now_us, now_us + 6 * HOUR_US)
    assert spans[1]["customer.tutor.search"] == (now_us + 4 * HOUR_US, now_us + 6 * HOUR_US)
    assert "support.chat.started" not in spans[1], "what had not begun does not begin"


def test_what_comes_of_chains_is_expected_as_much_later() -> None:
    of = world("marketplace")
    run, now_us = Run.of(of), START_US + 10 * HOUR_US
    own = scenario_event(of, begin(run, "churn-pattern", now_us).activation)
    spans = expectation(own, run.causes.names, of.chains).spans
    begins, ends = ((one - now_us) / HOUR_US for one in spans["customer.churn.new"])
    assert begins == pytest.approx(6.0), "the soonest of its chains"
    assert ends == pytest.approx(5 * 24 + 72), "1 to 5 days, 3 in the mean"
    outage = expectation(
        scenario_event(of, begin(run, "payment-outage", now_us).activation), run.causes.names, of.chains
    )
    failed, tickets = outage.spans["system.payment.failed"], outage.follows["support.ticket.created"]
    assert tickets[0] == failed[0] + HOUR_US, "the soonest of its chains"
    assert tickets[1] == failed[1] + 3.5 * HOUR_US, "1 to 6 hours, 3.5 in the mean"
    assert not outage.follows.keys() & outage.spans.keys()
    assert spans["customer.students.new"][0] == now_us + (12 + 24 + 24) * HOUR_US
