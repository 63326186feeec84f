"""Levels: what is usual, what is done to it, what follows, and that nothing is lost on the way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.period import DAY_US, HOUR_US, QUARTER_US
from kilowatch.simulator.engine.causes import arrange
from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.levels import levels, waiting_events
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Levels, Run
from kilowatch.simulator.engine.settling import Course
from kilowatch.simulator.world.format import How
from tests.simulator.engine.markets import START_US, hourly, large, small

law = settings(max_examples=40, deadline=None)
RUN = Run.of(small(anomalies=0))
NAMES = RUN.causes.names
GRID = hourly(6)


def modifier(
    streams: str, how: How, value: float, begins_h: float = 24, lasts_h: float = 12, **more: Any
) -> Modifier:
    begins = START_US + round(begins_h * HOUR_US)
    ends = begins + round(lasts_h * HOUR_US)
    course = Course(begins, ends, more.pop("curve", "immediate"), round(more.pop("fades_h", 0) * HOUR_US))
    return Modifier("test", tuple(streams.split()), how, value, course, **more)


@st.composite
def modifiers(draw: st.DrawFn) -> Modifier:
    how = draw(st.sampled_from(["multiply", "add", "override", "shift"]))
    value = {
        "multiply": st.floats(0.05, 10),
        "add": st.floats(-500, 5000),
        "override": st.floats(0, 5000),
        "shift": st.floats(-1, 1),
    }[how]
    return modifier(
        draw(st.sampled_from(NAMES)),
        how,  # type: ignore[arg-type]
        draw(value),
        begins_h=draw(st.floats(-48, 140)),
        lasts_h=draw(st.floats(0.1, 100)),
        curve=draw(st.sampled_from(["linear", "exponential", "immediate"])),
        fades_h=draw(st.floats(0.1, 48)),
    )


several = st.lists(modifiers(), max_size=5)


def at(found: Levels, name: str) -> Floats:
    ratio: Floats = found.ratio[NAMES.index(name)]
    return ratio


@law
@given(done=several, start=st.integers(-100, 100), skip=st.integers(0, 100), count=st.integers(1, 40))
def test_a_window_alone_is_the_same_as_within_the_whole(
    done: list[Modifier], start: int, skip: int, count: int
) -> None:
    whole = levels(RUN, Moments(START_US + start * HOUR_US, HOUR_US, skip + count + 7), done)
    alone = levels(RUN, Moments(START_US + (start + skip) * HOUR_US, HOUR_US, count), done)
    assert np.array_equal(whole.value[:, skip : skip + count], alone.value)
    assert np.array_equal(whole.ratio[:, skip : skip + count], alone.ratio)


@law
@given(done=several, order=st.randoms(use_true_random=False))
def test_the_order_of_modifiers_changes_nothing(done: list[Modifier], order: Any) -> None:
    shuffled = list(done)
    order.shuffle(shuffled)
    assert np.array_equal(levels(RUN, GRID, done).value, levels(RUN, GRID, shuffled).value)


@law
@given(name=st.sampled_from(NAMES), begins_h=st.floats(-10, 100))
def test_multiplying_by_one_and_adding_nothing_change_nothing(name: str, begins_h: float) -> None:
    idle = [modifier(name, "multiply", 1.0, begins_h), modifier(name, "add", 0.0, begins_h)]
    idle.append(modifier(name, "shift", 0.0, begins_h))
    found, plain = levels(RUN, GRID, idle), levels(RUN, GRID)
    assert np.array_equal(found.value, plain.value)
    assert (found.ratio == 1.0).all()


@law
@given(done=several)
def test_of_each_event_comes_at_most_one_outcome_and_of_each_request_exactly_one(
    done: list[Modifier],
) -> None:
    found = levels(RUN, GRID, done)
    for place, chain in enumerate(RUN.world.chains):
        chances = np.array([found.probability[place, which] for which in range(len(chain.outcomes))])
        assert chances.min() >= 0.0
        assert chances.sum(axis=0).max() <= 1.0 + 1e-9
    answered = sum(found.probability[0, which] for which in range(3))
    shift_of_all = {one.streams[0] for one in done if one.how in ("shift", "override", "multiply")}
    if not {"confirmed", "declined", "expired"} <= shift_of_all:
        assert answered == pytest.approx(1.0, abs=1e-9)


@law
@given(done=st.lists(modifiers().filter(lambda one: one.how != "add"), max_size=5))
def test_requests_are_answered_or_wait(done: list[Modifier]) -> None:
    long = levels(RUN, hourly(10, START_US - 3 * DAY_US), done)
    come = sum(long.of(name) for name in ("confirmed", "declined", "expired"))
    pending = waiting_events(RUN, long, 0)
    probability = sum(long.probability[0, which] for which in range(3))
    expected = long.of("request") * probability
    balance = expected - come - np.diff(pending, prepend=np.nan)
    settled = slice(48, None)  # what happened before the grid has come by then
    assert balance[settled] == pytest.approx(np.zeros(len(balance) - 48), abs=1e-6)


@law
@given(done=several)
def test_everything_is_usual_again_when_all_has_settled(done: list[Modifier]) -> None:
    over_us = max([one.course.over_us for one in done], default=START_US)
    after = over_us + (RUN.causes.memory(HOUR_US) + 2) * HOUR_US
    found = levels(RUN, Moments(after // HOUR_US * HOUR_US, HOUR_US, 24), done)
    assert (found.ratio == 1.0).all()


def test_means_hold_over_a_usual_week() -> None:
    for step_us in (QUARTER_US, HOUR_US, 6 * HOUR_US, 12 * HOUR_US):
        run = Run.of(small(), origin_us=START_US)
        week = levels(run, Moments(START_US - START_US % step_us, step_us, 7 * DAY_US // step_us))
        for name, mean in (("search", 6000), ("request", 900), ("confirmed", 675), ("rating", 320.6)):
            assert week.of(name).sum() / 7 == pytest.approx(mean, rel=0.01), (name, step_us)
        assert week.of("supply") == pytest.approx(np.full(week.moments.count, 500.0))


def test_weekends_nights_and_seasons_show() -> None:
    run = Run.of(small())
    level = levels(run, hourly(14)).of("search").reshape(14, 24)
    weekend = [5, 6, 12, 13]
    weekday = [day for day in range(14) if day not in weekend]
    assert level[weekend].sum(axis=1).mean() / level[weekday].sum(axis=1).mean() == pytest.approx(
        1.4, rel=0.02
    )
    assert level[0, 10:18].min() > 5 * level[0, 0:3].max()  # hours of UTC; Berlin is two ahead
    before = levels(run, Moments(START_US + 62 * DAY_US, HOUR_US, 7 * 24)).of("search").sum()
    within = levels(run, Moments(START_US + 76 * DAY_US, HOUR_US, 7 * 24)).of("search").sum()
    assert within / before == pytest.approx(1.5, rel=0.01)


def test_growth_is_as_given() -> None:
    run = Run.of(small(growth_per_month=0.04))
    first, later = (
        levels(run, hourly(7, START_US + weeks * 7 * DAY_US)).of("search").sum() for weeks in (0, 8)
    )
    assert later / first == pytest.approx(1.04 ** (56 / 30.436875), rel=1e-3)


def test_influences_follow_with_delay_and_elasticity() -> None:
    found = levels(RUN, GRID, [modifier("search", "multiply", 2.0)])
    request = at(found, "request")
    assert at(found, "search")[23:26] == pytest.approx([1.0, 2.0, 2.0])
    assert request[24:26] == pytest.approx([1.0, 2.0**0.8])
    assert request[36:38] == pytest.approx([2.0**0.8, 1.0])
    supply = levels(RUN, GRID, [modifier("supply", "multiply", 0.64)])
    assert supply.probability[0, 0][30] == pytest.approx(0.75 * 0.8)
    assert supply.probability[0, 1][30] == pytest.approx(0.4 * 0.6)
    assert at(supply, "confirmed")[35] < 0.9


def test_shifts_move_probability_and_others_make_room() -> None:
    found = levels(RUN, GRID, [modifier("confirmed", "shift", -0.25)])
    assert [found.probability[0, which][30] for which in range(3)] == pytest.approx([0.5, 0.3, 0.2])
    share = found.of("share")
    assert share[20] == pytest.approx(0.75)
    assert share[30:60].min() == pytest.approx(0.5, abs=0.03)


def test_what_modifiers_do_holds_against_what_only_follows() -> None:
    done = [modifier("confirmed", "shift", -0.3), modifier("supply", "multiply", 0.9)]
    found = levels(RUN, GRID, done)
    assert found.probability[0, 0][30] == pytest.approx(0.75 * 0.9**0.5 - 0.3)


def test_outcomes_of_a_chain_that_may_come_to_nothing_can_be_more_than_causes_allow() -> None:
    found = levels(RUN, GRID, [modifier("rating", "multiply", 3.0, 0, 144)])
    assert found.of("rating")[100:120] == pytest.approx(3.0 * found.usual[NAMES.index("rating")][100:120])
    assert found.probability[2, 0][100] == 1.0
    assert found.outside[NAMES.index("rating")][100] > 0.0


def test_overrides_take_the_place_of_all_else_by_precedence() -> None:
    low = modifier("supply", "override", 100.0)
    high = modifier("supply", "override", 50.0, 30, 3, precedence=1)
    times = modifier("supply", "multiply", 3.0)
    found = levels(RUN, GRID, [high, times, low]).of("supply")
    assert found[[20, 25, 31, 34, 40]].tolist() == [500.0, 100.0, 50.0, 100.0, 500.0]
    zero = levels(RUN, GRID, [modifier("request", "override", 0.0)])
    assert (zero.of("request")[24:36] == 0.0).all()


def test_additions_are_so_many_a_day_or_so_much_more() -> None:
    found = levels(RUN, GRID, [modifier("ticket", "add", 240.0)])
    more = found.value - found.usual
    assert more[NAMES.index("ticket")][24:36] == pytest.approx(np.full(12, 10.0))
    found = levels(RUN, GRID, [modifier("supply", "add", 25.0)])
    more = found.value - found.usual
    assert more[NAMES.index("supply")][24:36] == pytest.approx(np.full(12, 25.0))


def test_what_lasts_half_an_interval_is_felt_by_half() -> None:
    found = levels(RUN, GRID, [modifier("supply", "multiply", 2.0, 24.5, 1)])
    assert at(found, "supply")[23:27] == pytest.approx([1.0, 1.5, 1.5, 1.0])


def test_levels_never_fall_below_what_is_possible() -> None:
    found = levels(RUN, GRID, [modifier("search supply ticket", "add", -1e6)])
    assert found.value.min() >= 0.0


def test_circles_are_refused_with_their_names() -> None:
    world = small(influences=[
        {"from": "search", "on": "ticket", "elasticity": 1},
        {"from": "ticket", "on": "search", "elasticity": 1},
    ])  # fmt: skip
    with pytest.raises(ValueError, match=r"in a circle: .*search.*ticket"):
        arrange(world)


def test_a_large_world_keeps_its_laws() -> None:
    run = Run.of(large())
    done = [Modifier("test", ("customer.thing1",), "multiply", 2.0, Course(START_US, START_US + DAY_US))]
    found = levels(run, hourly(5), done)
    moved = {name for name, ratio in zip(found.names, found.ratio, strict=True) if (ratio != 1.0).any()}
    assert moved == {"customer.thing1", "customer.yes", "customer.no"}
    extra = found.value - found.usual
    of_yes, of_no, of_all = (
        extra[found.names.index(f"customer.{name}")].sum() for name in ("yes", "no", "thing1")
    )
    assert of_yes + of_no == pytest.approx(of_all)
