"""The scenarios of the marketplace as they are felt; modifiers that are many or extreme."""

import numpy as np
import pytest

from kilowatch.period import DAY_US, HOUR_US, MINUTE_US, QUARTER_US
from kilowatch.simulator.engine.chance import Floats
from kilowatch.simulator.engine.events import event_modifiers, planned_events
from kilowatch.simulator.engine.history import happened
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.scenario import Activation, begin, scenario_modifiers, stop
from kilowatch.simulator.engine.settling import Course
from kilowatch.simulator.world.loading import load_world, shipped
from tests.simulator.engine.markets import START_US, hourly

RUN = Run.of(load_world(shipped() / "marketplace"))
NOW_US = START_US + 14 * HOUR_US


def felt(activation: Activation, name: str, hours: list[float], *, absolute: bool = False) -> Floats:
    """The level of a stream per its usual one, or as it is, so long after the end of a scenario and with the
    events that it brings."""
    grid = Moments.covering(activation.begins_us - HOUR_US, activation.ends_us + 14 * DAY_US, QUARTER_US)
    brought = event_modifiers(planned_events(RUN.world, activation), RUN.causes.names)
    found = levels(RUN, grid, (*scenario_modifiers(RUN.world, activation), *brought))
    row = RUN.causes.number[name]
    places = [grid.place(activation.ends_us + round(at * HOUR_US)) for at in hours]
    return (found.value if absolute else found.ratio)[row, places]


def test_in_a_payment_outage_95_of_100_payments_fail_and_when_it_is_over_what_waited_comes_for_2_hours() -> (
    None
):
    one = begin(RUN, "payment-outage", NOW_US).activation
    rates = felt(one, "system.payment.failure_rate", [-4.25, -2.0, -0.5, 0.5, 3.0], absolute=True)
    assert rates == pytest.approx([0.14, 0.95, 0.95, 0.02, 0.02], abs=0.005)
    attempts = felt(one, "system.payment.attempted", [0.5, 1.75, 2.25, 3.0])
    assert attempts[:2].min() > 2.0
    assert attempts[2:] == pytest.approx([1.0, 1.0], abs=0.05)
    assert one.settled_us - one.ends_us <= 6 * HOUR_US


def test_a_surge_of_demand_comes_back_in_a_straight_line_within_6_to_12_hours() -> None:
    one = begin(RUN, "exam-season-surge", NOW_US).activation
    more = felt(one, "customer.tutor.search", [-1.0, 2.25, 4.5, 6.75, 9.1]) - 1.0
    assert more[1:] / more[0] == pytest.approx([0.75, 0.5, 0.25, 0.0], abs=0.03)
    assert felt(one, "customer.booking.requested", [12.0]) == pytest.approx([1.0], abs=0.05)


def test_trust_comes_back_fast_at_first_and_takes_days() -> None:
    one = begin(RUN, "quality-crisis", NOW_US).activation
    less = 1.0 - felt(one, "session.rating.average", [-1.0, 29.0, 58.0, 87.0, 145.0])
    steps = -np.diff(less)
    assert (steps > 0.0).all()
    assert steps[0] > 2.0 * steps[1] > 3.0 * steps[2]
    assert less[1] / less[0] == pytest.approx(0.36, abs=0.05), "a fifth of six days"
    assert less[-1] == pytest.approx(0.0, abs=0.01)
    assert 1 <= (one.settled_us - one.ends_us) / DAY_US <= 14


@pytest.mark.parametrize("scenario", sorted(RUN.world.scenarios))
def test_stopped_soon_after_its_beginning_every_scenario_settles_on_its_curve(scenario: str) -> None:
    whole = begin(RUN, scenario, NOW_US).activation
    cut = stop(RUN, [whole], NOW_US + 30 * MINUTE_US).activation
    settling = RUN.world.scenarios[scenario].settling
    longest_s = max(settling.lasts, settling.backlog.lasts if settling.backlog else 0.0)
    over = [one.course.over_us for one in scenario_modifiers(RUN.world, cut)]
    assert max(over, default=cut.ends_us) <= cut.ends_us + longest_s * 1e6
    assert cut.ends_us <= cut.settled_us <= whole.settled_us


def done(how: str, value: float, begins_h: float = 0.0, lasts_h: float = 2000.0, name: str = "customer.login",
         precedence: int = 0) -> Modifier:  # fmt: skip
    begins_us = START_US + round(begins_h * HOUR_US)
    course = Course(begins_us, begins_us + round(lasts_h * HOUR_US))
    return Modifier("x", (name,), how, value, course, precedence)  # type: ignore[arg-type]


def test_factors_multiply_numbers_add_up_and_an_override_takes_the_place_of_it_all() -> None:
    grid, row = hourly(1), RUN.causes.number["customer.login"]
    usual = levels(RUN, grid).value[row]

    def level(*modifiers: Modifier) -> Floats:
        found: Floats = levels(RUN, grid, modifiers).value[row]
        return found

    assert level(done("multiply", 1.5), done("multiply", 1.2)) == pytest.approx(1.8 * usual)
    assert level(done("add", 20.0 * 24)) == pytest.approx(usual + 20.0), "so many a day"
    assert level(done("multiply", 3.0), done("override", 240.0)) == pytest.approx(np.full(24, 10.0))
    ranked = level(done("override", 240.0, precedence=2), done("override", 480.0, precedence=1))
    assert ranked == pytest.approx(np.full(24, 10.0)), "the higher precedence counts"


def test_what_is_extreme_or_lasts_for_weeks_or_changes_each_minute_is_no_trouble() -> None:
    month = hourly(30)
    names = [name for name, stream in RUN.world.streams.items() if stream.kind != "ratio"]
    tenfold = [done("multiply", 10.0, name=name) for name in names]
    restless = [done("multiply", 0.5 + one % 3, one / 60, 1 / 60) for one in range(0, 48 * 60, 7)]
    for modifiers in (tenfold, restless):
        value = happened(RUN, month, modifiers)
        assert np.isfinite(value).all()
        assert value.min() >= 0.0
    there: list[Activation] = []
    for minute in range(0, 40, 4):
        now_us = NOW_US + minute * MINUTE_US
        begun = begin(RUN, sorted(RUN.world.scenarios)[minute % 9], now_us, there)
        there.append(begun.activation)
        there.append(stop(RUN, [there.pop()], now_us + MINUTE_US).activation)
        assert there[-1].phase(now_us + MINUTE_US) != "active"
    assert all(one.phase(NOW_US + 200 * DAY_US) == "settled" for one in there)
