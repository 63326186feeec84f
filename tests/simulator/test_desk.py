"""The desk of worlds: what may be asked, what is refused, and that all is as it was once it is taken back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kilowatch.clock import DrivenClock, rfc3339
from kilowatch.errors import Problem
from kilowatch.period import DAY_US, HOUR_US
from kilowatch.server import world_shapes as shapes
from kilowatch.simulator.stage.desk import Desk
from kilowatch.simulator.stage.play import MOST_DEEDS, MOST_TURNS
from kilowatch.simulator.world.loading import shipped
from kilowatch.simulator.world.shelf import Shelf
from tests.simulator.engine.markets import START_US
from tests.simulator.small_world import FILES, replace, spoil, write_world

OWN, OTHER = "own", "other"


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf([shipped()])


@pytest.fixture
def clock() -> DrivenClock:
    return DrivenClock(START_US + 10 * HOUR_US)


@pytest.fixture
def desk(shelf: Shelf, clock: DrivenClock) -> Desk:
    return Desk(shelf, clock)


def ask(desk: Desk, question: str, organisation: str = OWN, **given: Any) -> Any:
    return desk.answer(organisation, question, given)


def test_answers_have_the_shapes_of_the_api(desk: Desk, clock: DrivenClock) -> None:
    assert {one.name for one in shapes.Worlds.model_validate(ask(desk, "worlds")).items} == {
        "home", "grid", "plant", "microgrid", "marketplace",
    }  # fmt: skip
    assert len(shapes.Scenarios.model_validate(ask(desk, "scenarios")).items) >= 9 + 15
    templates = shapes.Templates.model_validate(ask(desk, "templates", world="marketplace")).items
    (limits,) = [one for one in templates if one.id == "stripe_rate_limiting"]
    assert limits.streams == ["system.payment.succeeded", "system.payment.failed"]
    assert {one.world for one in shapes.Templates.model_validate(ask(desk, "templates")).items} > {
        "grid",
        "home",
    }
    assert shapes.SimulationState.model_validate(ask(desk, "state")).status == "stopped"
    begun = shapes.ScenarioBegun.model_validate(ask(desk, "scenario", scenario_id="payment-outage"))
    assert begun.scenario.status == "active"
    assert begun.events
    clock.advance(600)
    assert desk.advance()
    streams = shapes.Streams.model_validate(ask(desk, "streams"))
    assert (streams.world, len(streams.items)) == ("marketplace", 50)
    assert any(one.latest for one in streams.items)
    state = shapes.SimulationState.model_validate(ask(desk, "state"))
    assert (state.status, state.history) == ("running", "modified")
    history = shapes.SimulationHistory.model_validate(ask(desk, "history", streams=["customer.tutor.search"]))
    assert len(history.streams["customer.tutor.search"]) == 7 * 24 - 1, "whole hours only"
    assert shapes.SimulationEvents.model_validate(ask(desk, "events")).items
    assert shapes.Correlations.model_validate(ask(desk, "correlations")).items
    stopped = shapes.ScenarioStopped.model_validate(ask(desk, "stop"))
    assert stopped.settling_until > begun.scenario.started_at
    assert shapes.SimulationReset.model_validate(ask(desk, "reset")).success
    event = shapes.EventShown.model_validate(ask(desk, "inject", template="blog_viral"))
    assert event.origin == "injected"


def test_one_scenario_at_a_time_and_each_organisation_its_own(desk: Desk, clock: DrivenClock) -> None:
    ask(desk, "scenario", scenario_id="heat_wave")
    for wish in ({"scenario_id": "cold_snap"}, {"scenario_id": "supply-crisis"}):
        with pytest.raises(Problem) as refused:
            ask(desk, "scenario", **wish)
        assert (refused.value.status, refused.value.code) == (409, "scenario_active")
    with pytest.raises(Problem) as refused:
        ask(desk, "change", world="plant")
    assert refused.value.code == "scenario_active"
    assert ask(desk, "state", OTHER)["status"] == "stopped"
    ask(desk, "scenario", OTHER, scenario_id="supply-crisis")
    assert ask(desk, "state")["scenario"]["id"] == "heat_wave"
    clock.advance(20 * 86_400)
    assert ask(desk, "state")["scenario"]["status"] == "settled"
    assert ask(desk, "state")["status"] == "baseline"
    ask(desk, "scenario", scenario_id="cold_snap")


def test_what_is_taken_back_leaves_the_baseline_to_the_bit(desk: Desk, clock: DrivenClock) -> None:
    before = ask(desk, "history")
    ask(desk, "inject", template="blog_viral", ts="2026-09-05T12:00:00+00:00")
    ask(desk, "scenario", scenario_id="exam-season-surge")
    clock.advance(3 * 3600)
    changed = ask(desk, "history", mode="difference")["streams"]
    assert any(point["value"] != 0 for points in changed.values() for point in points)
    ask(desk, "reset")
    clock.advance(-3 * 3600)
    assert ask(desk, "history", end_us=START_US + 10 * HOUR_US) == before


def test_a_heat_wave_makes_regions_climb_and_settles(desk: Desk, clock: DrivenClock) -> None:
    ask(desk, "scenario", scenario_id="heat_wave")
    clock.advance(3 * 3600)
    ratios = {one["name"]: one["ratio"] for one in ask(desk, "streams")["items"]}
    loads = [ratio for name, ratio in ratios.items() if name.startswith("grid.") and name.endswith(".load")]
    assert len(loads) == 5
    assert min(loads) > 1.15
    ask(desk, "stop")
    settled = ask(desk, "state")["scenario"]
    clock.advance(settled["left_s"] + 1)
    assert ask(desk, "state")["scenario"]["status"] == "settled"


def test_tickets_follow_a_payment_outage_hours_later_and_it_is_found_as_the_cause(
    desk: Desk, clock: DrivenClock
) -> None:
    """Over several days, at once: what is asked is answered from the values alone."""
    clock.advance(-10 * 3600)
    ask(desk, "change", world="marketplace", seed=7)
    begun = ask(desk, "scenario", scenario_id="payment-outage")
    started_us = desk.plays[OWN].begun[-1].begins_us
    clock.advance(3 * 86_400)
    tickets = ask(
        desk, "history", streams=["support.ticket.created"], mode="difference", start_us=started_us
    )["streams"]["support.ticket.created"]
    more = np.array([point["value"] for point in tickets])
    assert more[:48].sum() > 20
    assert np.argmax(more) >= 1
    names = {event["id"] for event in begun["events"]}
    since_us = started_us - 3 * HOUR_US
    for stream in ("support.ticket.created", "system.payment.failed"):
        found = ask(desk, "correlations", stream=stream, start_us=since_us)["items"]
        assert found, f"nothing is blamed for {stream}"
        assert found[0]["event"]["id"] in names


@pytest.mark.parametrize(
    ("question", "given", "code"),
    [
        ("scenario", {"scenario_id": "nothing"}, "unknown_scenario"),
        ("scenario", {"scenario_id": "cloud_front"}, "which_world"),
        ("scenario", {"scenario_id": "heat_wave", "world": "moon"}, "unknown_world"),
        ("stop", {}, "no_scenario_active"),
        ("streams", {"world": "moon"}, "unknown_world"),
        ("history", {"streams": ["moon.light"]}, "unknown_stream"),
        ("history", {"start_us": 5, "end_us": 4}, "bad_span"),
        ("history", {"start_us": 0}, "bad_span"),
        ("events", {"start_us": START_US, "end_us": START_US + 401 * DAY_US}, "bad_span"),
        ("correlations", {"start_us": START_US - 101 * DAY_US}, "bad_span"),
        ("correlations", {"event": "none"}, "unknown_event"),
        ("correlations", {"stream": "none"}, "unknown_stream"),
        ("inject", {"template": "none"}, "unknown_template"),
        ("inject", {"title": "No type"}, "invalid_event"),
        ("inject", {"template": "blog_viral", "ts": "soon"}, "bad_timestamp"),
        ("inject", {"template": "blog_viral", "ts": "9999-12-31T23:59:59Z"}, "bad_timestamp"),
        ("inject", {"template": "blog_viral", "ts": "0001-01-01T00:00:00+14:00"}, "bad_timestamp"),
        ("juggle", {}, "unknown_question"),
    ],
)
def test_what_cannot_be_is_refused_with_a_code(
    desk: Desk, question: str, given: dict[str, Any], code: str
) -> None:
    with pytest.raises(Problem) as refused:
        ask(desk, question, **given)
    assert refused.value.code == code
    assert refused.value.status in (404, 409, 422)


def test_a_span_needs_no_start_and_no_whole_interval(desk: Desk, clock: DrivenClock) -> None:
    ask(desk, "change", world="home")
    long_ago_us = START_US - 60 * DAY_US
    assert ask(desk, "events", end_us=long_ago_us)["items"]
    assert ask(desk, "correlations", end_us=long_ago_us)["items"]
    told = ask(desk, "history", start_us=long_ago_us + 1, end_us=long_ago_us + 2)
    assert not any(told["streams"].values())
    later = ask(desk, "history", end_us=clock.now_us() + 30 * DAY_US)
    assert later["time_range"]["end"] == rfc3339(clock.now_us())


def test_a_reset_brings_the_clock_back_to_now(desk: Desk, clock: DrivenClock) -> None:
    ask(desk, "change", world="home", seed=3)
    ask(desk, "change", speed=600, step_s=86_400)
    clock.advance(60)
    ask(desk, "scenario", scenario_id="spike")
    ask(desk, "reset")
    state = ask(desk, "state")
    assert (state["now"], state["speed"], state["seed"]) == (rfc3339(clock.now_us()), 1.0, 3)
    assert (state["world"], state["status"], state["record"]) == ("home", "baseline", None)
    clock.advance(60)
    assert all(START_US < told.ts_us <= clock.now_us() for told in desk.advance())


def test_what_is_wrong_with_an_event_of_ones_own_is_told_where_it_was_written(desk: Desk) -> None:
    effects = [{"streams": ["customer.login"], "value": -1.0}]
    with pytest.raises(Problem) as refused:
        ask(desk, "inject", type="energy", title="Rain", description="", effects=effects)
    assert [fault.pointer for fault in refused.value.errors] == ["/body/lasts_s"]
    with pytest.raises(Problem) as refused:
        ask(desk, "inject", type="energy", title="Rain", description="", effects=effects, lasts_s=60.0)
    assert [fault.pointer for fault in refused.value.errors] == ["/body/effects/0/value"]


def test_changed_files_are_played_from_what_begins_next(clock: DrivenClock, tmp_path: Path) -> None:
    folder = write_world(tmp_path)
    desk = Desk(Shelf([tmp_path]), clock)
    ask(desk, "change", world="bakery")
    first = desk.plays[OWN]
    ask(desk, "change", world="bakery")
    assert desk.plays[OWN] is first
    replace(folder, "scenarios.yaml", FILES["scenarios.yaml"].replace("cold_oven", "hot_oven"))
    assert desk.plays[OWN].world.scenarios.keys() == {"cold_oven"}
    ask(desk, "scenario", scenario_id="hot_oven")
    assert desk.plays[OWN] is not first
    replace(folder, "streams.yaml", spoil("streams.yaml", "mean: 230", "mean: 250"))
    with pytest.raises(Problem) as refused:
        ask(desk, "change", world="bakery")
    assert refused.value.code == "scenario_active"
    ask(desk, "reset")
    assert desk.plays[OWN].world.streams["oven.heat"].mean == 250
    assert desk.plays[OWN].begun == []
    replace(folder, "streams.yaml", "streams: 5")
    ask(desk, "reset")
    assert desk.plays[OWN].world.streams["oven.heat"].mean == 250


def test_what_is_wrong_with_worlds_is_told_in_their_list(clock: DrivenClock, tmp_path: Path) -> None:
    write_world(tmp_path, {"streams.yaml": "streams: 5"})
    desk = Desk(Shelf([tmp_path]), clock)
    (told,) = shapes.Worlds.model_validate(ask(desk, "worlds")).items
    assert (told.name, told.streams) == ("bakery", 0)
    assert any(problem.startswith("streams.yaml:1: ") for problem in told.problems)
    write_world(tmp_path)
    (told,) = shapes.Worlds.model_validate(ask(desk, "worlds")).items
    assert (told.title, told.streams, told.problems) == ("Bakery", 5, [])


def test_causes_of_long_ago_need_no_values_of_all_that_was_since(desk: Desk) -> None:
    span: dict[str, Any] = {"start_us": 400 * DAY_US, "end_us": 403 * DAY_US}
    found = shapes.Correlations.model_validate(ask(desk, "correlations", **span))
    assert found.items
    asked_of = desk.plays[OWN].correlation(**span)[1].verdicts
    assert len(asked_of) < 500


def test_plays_end_when_nobody_asks_but_not_in_a_scenario(desk: Desk, clock: DrivenClock) -> None:
    ask(desk, "streams")
    ask(desk, "scenario", OTHER, scenario_id="payment-outage")
    clock.advance(3601)
    desk.end_idle()
    assert OWN not in desk.plays
    clock.advance(40 * 86_400)
    desk.end_idle()
    assert not desk.plays


def test_what_is_kept_of_a_play_has_a_bound(desk: Desk, clock: DrivenClock) -> None:
    def turn(times: int) -> None:
        for _ in range(times):
            clock.advance(0.01)
            desk.plays[OWN].run_at(2.0)

    ask(desk, "change", world="marketplace")
    turn(MOST_TURNS + 5)
    ask(desk, "scenario", scenario_id="payment-outage")
    turn(MOST_TURNS - 1)
    for given in ({"speed": 1.0}, {"step_s": 60}):
        with pytest.raises(Problem) as refused:
            ask(desk, "change", **given)
        assert (refused.value.status, refused.value.code) == (409, "too_many_changes")
    assert len(ask(desk, "state")["record"]["timeline"]) == MOST_TURNS
    ask(desk, "reset")
    assert ask(desk, "change", speed=3.0)["speed"] == 3.0


def test_deeds_have_a_bound_and_a_reset_makes_room(desk: Desk) -> None:
    for _ in range(MOST_DEEDS):
        ask(desk, "inject", template="blog_viral")
    with pytest.raises(Problem) as refused:
        ask(desk, "inject", template="blog_viral")
    assert (refused.value.status, refused.value.code) == (409, "too_many_changes")
    with pytest.raises(Problem):
        ask(desk, "scenario", scenario_id="payment-outage")
    ask(desk, "reset")
    ask(desk, "inject", template="blog_viral")
