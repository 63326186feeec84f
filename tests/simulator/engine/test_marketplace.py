"""The marketplace as it is seen: every number that was asked of it, over several seeds.

Rates, volumes and hours are those of values with all that happens by itself. What the calendar does is
measured without outside events, for some of these come with the calendar and add to it, and again with them.
Weeks beside a season are weeks of school: from the middle of January to the end of March and in autumn.
"""

from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import pytest

from kilowatch.clock import to_us
from kilowatch.period import DAY_US, HOUR_US
from kilowatch.simulator.engine.chance import Floats, Mask
from kilowatch.simulator.engine.delays import delay_of
from kilowatch.simulator.engine.happenings import background
from kilowatch.simulator.engine.history import happened, history, realised
from kilowatch.simulator.engine.levels import levels
from kilowatch.simulator.engine.modifiers import Modifier
from kilowatch.simulator.engine.moments import Calendar, Moments, calendar
from kilowatch.simulator.engine.normalise import flags, normalised
from kilowatch.simulator.engine.run import Run
from kilowatch.simulator.engine.settling import Course
from kilowatch.simulator.engine.statistics import statistics
from kilowatch.simulator.engine.usual import MONTH_US
from kilowatch.simulator.live.cadence import PAUSES_S
from kilowatch.simulator.live.waiting import Happenings, Waiting
from kilowatch.simulator.world.format import World
from kilowatch.simulator.world.loading import load_world, shipped
from tests.simulator.engine.markets import START_US, hourly

SEEDS = (1, 2, 3, 4, 5, 6)
FEW = SEEDS[:3]
BOOKED, AGREED, DUE, HELD = (
    "customer.booking.requested",
    "tutor.booking.confirmed",
    "session.due",
    "session.completed",
)
every_seed = pytest.mark.parametrize("seed", SEEDS)
of_few = pytest.mark.parametrize("seed", FEW)


@lru_cache(maxsize=1)
def market() -> World:
    return load_world(shipped() / "marketplace")


def at(month: int, day: int, year: int = 2026) -> int:
    return to_us(datetime(year, month, day, tzinfo=UTC))


YEAR = Moments(at(1, 1), HOUR_US, 365 * 24)


@lru_cache(maxsize=1)
def shown() -> Calendar:
    return calendar(YEAR, market().time_zone)


class Year:
    """A year of one seed, by streams."""

    def __init__(self, seed: int, *, with_events: bool) -> None:
        run = Run.of(market(), seed)
        value = happened(run, YEAR, background(run, YEAR) if with_events else ())
        self.by_name: dict[str, Floats] = dict(zip(run.causes.names, value, strict=True))

    def sum(self, name: str, where: Mask) -> float:
        return float(self.by_name[name][where].sum())

    def mean(self, name: str, where: Mask) -> float:
        return float(self.by_name[name][where].mean())

    def grown(self, name: str) -> Floats:
        """As it would be without the growth of the world."""
        rate = market().growth_per_month
        found: Floats = self.by_name[name] / (1.0 + rate) ** ((YEAR.ts_us - YEAR.start_us) / MONTH_US)
        return found


@lru_cache(maxsize=len(SEEDS))
def year(seed: int) -> Year:
    return Year(seed, with_events=True)


@lru_cache(maxsize=len(FEW))
def quiet_year(seed: int) -> Year:
    return Year(seed, with_events=False)


def days(first: int, last: int) -> Mask:
    """Days as month * 100 + day, ends inclusive."""
    return (shown().month_day >= first) & (shown().month_day <= last)


def school() -> Mask:
    return days(112, 327) | days(921, 1018)


# --- rates and volumes --------------------------------------------------------------------------------------


@every_seed
def test_rates_of_outcomes_are_those_of_a_market(seed: int) -> None:
    seen, when = year(seed), school()

    def per(part: str, whole: str) -> float:
        return seen.sum(part, when) / seen.sum(whole, when)

    assert 0.70 <= per(AGREED, BOOKED) <= 0.80
    assert 0.02 <= per("session.no_show.student", DUE) <= 0.05
    assert 0.01 <= per("session.no_show.tutor", DUE) <= 0.02
    assert 0.40 <= per("session.rating.submitted", HELD) <= 0.60
    assert 0.70 <= per("session.first.success", "session.first.held") <= 0.90
    answers = sum(per(name, BOOKED) for name in (AGREED, "tutor.booking.declined", "session.booking.expired"))
    assert answers == pytest.approx(1.0, abs=0.005)


@every_seed
def test_there_are_tens_of_thousands_of_students_and_three_lessons_a_tutor_and_day(seed: int) -> None:
    seen, when = year(seed), school()
    students = sum(seen.mean(name, when) for name in seen.by_name if name.startswith("customer.students."))
    tutors = seen.mean("tutor.active", when)
    assert 20_000 <= students < 100_000
    assert 1 <= students / tutors <= 8
    assert 24 * seen.mean(HELD, when) / tutors == pytest.approx(3.0, abs=0.3)


@every_seed
def test_the_newer_students_are_the_sooner_they_leave(seed: int) -> None:
    seen, when = year(seed), school()
    new, settled, loyal = (
        24 * 30 * seen.mean(f"customer.churn.{one}", when) / seen.mean(f"customer.students.{one}", when)
        for one in ("new", "settled", "loyal")
    )
    assert 0.3 > new > 3 * settled
    assert settled > 1.5 * loyal > 0.01


@of_few
def test_supply_and_demand_are_near_each_other(seed: int) -> None:
    """Hours that are offered for each lesson that takes place: some are always free, most are not wanted."""
    seen = year(seed)
    for season in (school(), days(501, 531), days(601, 831), days(1222, 1231)):
        assert 1.2 <= seen.mean("tutor.supply.hours", season) / (24 * seen.mean(HELD, season)) <= 2.5


@pytest.mark.parametrize(
    ("stream", "factor", "rises"),
    [(BOOKED, 1.5, False), ("tutor.supply.hours", 0.6, False), ("tutor.supply.hours", 1.4, True)],
)
def test_scarce_tutors_agree_to_less(stream: str, factor: float, rises: bool) -> None:
    run, grid = Run.of(market()), hourly(2)
    course = Course(START_US, START_US + 2 * DAY_US)
    found = levels(run, grid, [Modifier("x", (stream,), "multiply", factor, course)])
    row = run.causes.number["tutor.booking.confirmation_rate"]
    assert (found.ratio[row, 40] > 1.02) if rises else (found.ratio[row, 40] < 0.98)


# --- time ---------------------------------------------------------------------------------------------------


@every_seed
def test_weekends_have_30_to_50_per_cent_more_lessons(seed: int) -> None:
    when, off = school(), shown().weekend
    for name in (DUE, HELD):
        assert 1.3 <= year(seed).mean(name, when & off) / year(seed).mean(name, when & ~off) <= 1.5


@every_seed
@pytest.mark.parametrize("name", [BOOKED, DUE, "customer.tutor.search", "customer.login"])
def test_the_peak_is_from_8_to_22_and_hardly_anything_happens_from_23_to_7(name: str, seed: int) -> None:
    hour, when = shown().hour.astype(int), school()
    means = np.array([year(seed).mean(name, when & (hour == one)) for one in range(24)])
    nights = means[[23, *range(7)]]
    assert nights.sum() < 0.04 * means.sum()
    assert means[8:22].sum() > 0.9 * means.sum()
    assert nights.max() < 0.4 * means[8:22].min()


@of_few
@pytest.mark.parametrize("with_events", [False, True])
@pytest.mark.parametrize("name", [BOOKED, DUE, "customer.tutor.search"])
def test_demand_follows_the_academic_calendar(name: str, with_events: bool, seed: int) -> None:
    of = (year if with_events else quiet_year)(seed).grown(name)
    usual = of[school()].mean()
    for exams in (days(501, 531), days(1101, 1219)):
        assert 1.4 <= of[exams].mean() / usual <= 1.6
    assert 0.7 <= of[days(601, 831)].mean() / usual <= 0.8
    for holidays in (days(328, 403), days(1222, 1231)):
        assert 0.43 <= of[holidays].mean() / usual <= 0.57


@of_few
@pytest.mark.parametrize("name", [BOOKED, DUE, "customer.login", "customer.students.settled", "tutor.active"])
def test_growth_is_2_to_5_per_cent_a_month_and_steady(name: str, seed: int) -> None:
    of = quiet_year(seed).by_name[name]
    edges = [days(112, 208), days(223, 322), days(921, 1018)]  # four weeks each
    apart = [(at(2, 23) - at(1, 12)) / MONTH_US, (at(9, 21) - at(2, 23)) / MONTH_US]
    means = [of[one].mean() for one in edges]
    for before, after, months in zip(means[:-1], means[1:], apart, strict=True):
        assert 0.02 <= (after / before) ** (1.0 / months) - 1.0 <= 0.05


@of_few
@pytest.mark.parametrize(("step_us", "count"), [(HOUR_US, 720), (12 * HOUR_US, 60)])
def test_5_to_10_per_cent_of_intervals_are_a_little_odd(step_us: int, count: int, seed: int) -> None:
    """On streams that are measured; counts have the same chance of it and more of their own."""
    month = Moments(at(2, 1), step_us, count)
    odd, calm = (
        happened(Run.of(world, seed), month)
        for world in (market(), market().model_copy(update={"anomalies": 0.0}))
    )
    assert odd.shape == (50, count)
    rows = [row for row, stream in enumerate(market().streams.values()) if stream.kind == "gauge"]
    off = odd[rows] / calm[rows] - 1.0
    assert 0.05 <= (off != 0.0).mean() <= 0.10
    assert np.median(np.abs(off[off != 0.0])) <= 0.3
    assert np.abs(off).max() <= 0.75


@pytest.mark.parametrize(
    ("cadence", "pause_s"), [("high", (1, 10)), ("medium", (60, 300)), ("low", (1800, 3600))]
)
def test_streams_of_each_cadence_pause_as_long_as_they_must(cadence: str, pause_s: tuple[int, int]) -> None:
    assert PAUSES_S[cadence] == pause_s  # type: ignore[index]


# --- the scale ----------------------------------------------------------------------------------------------


@of_few
def test_most_of_a_month_lies_near_the_middle_of_the_scale(seed: int) -> None:
    run, month = Run.of(market(), seed), hourly(30, at(2, 2))
    value = happened(run, month, background(run, month))
    known = statistics(run.causes.names, month, value, market().time_zone)
    scaled = np.stack([normalised(row, known[name]) for name, row in zip(known, value, strict=True)])
    assert scaled.min() >= 0.0
    assert scaled.max() <= 100.0
    near = (scaled >= 30) & (scaled <= 70)
    assert near.mean() > 0.7
    assert near.mean(axis=1).min() > 0.5
    for name, row in zip(known, value, strict=True):
        of = known[name]
        shown_at = [of.mean + sigmas * of.std_dev for sigmas in (-9, -3, 0, 3, 9)]
        assert normalised(np.array(shown_at), of) == pytest.approx([0, 0, 50, 100, 100])
        told = flags(row, of)
        assert (told[np.abs(row - of.mean) < 0.99 * of.std_dev] == 0).all()
        assert (told[np.abs(row - of.mean) > 2.01 * of.std_dev] == 2).all()


# --- what comes of what -------------------------------------------------------------------------------------


@of_few
def test_each_request_is_agreed_to_declined_or_lapses_or_still_waits(seed: int) -> None:
    run, grid = Run.of(market(), seed), hourly(10)
    _, found = realised(run, grid, background(run, grid))
    asked, checked = dict(zip(run.causes.names, found.value, strict=True)), 0
    for place, chain in enumerate(market().chains):
        alone = all(len(run.causes.arrivals[run.causes.number[one.to]]) == 1 for one in chain.outcomes)
        if not chain.exclusive or not alone or sum(one.probability for one in chain.outcomes) < 1 - 1e-9:
            continue
        came = np.cumsum(sum(asked[one.to] for one in chain.outcomes))
        assert np.array_equal(np.cumsum(asked[chain.of]), came + found.waiting[place])
        assert found.waiting[place].min() >= 0.0
        checked += 1
    assert checked >= 3, "requests, lessons and payments"


def test_nothing_comes_of_nothing() -> None:
    """What chains make comes of nothing else, so where a stream stands still all that comes of it does."""
    run, grid = Run.of(market(), 3), hourly(15)
    since_us = START_US - 60 * DAY_US
    stopped = [
        Modifier("x", (name,), "override", 0.0, Course(since_us, START_US + 30 * DAY_US))
        for name in ("tutor.application.submitted", BOOKED, DUE, "marketing.visit", "customer.login")
    ]
    by_name = dict(zip(run.causes.names, happened(run, grid, stopped), strict=True))
    made = {outcome.to for chain in market().chains for outcome in chain.outcomes}
    assert {"tutor.availability.opened", AGREED, HELD, "session.rating.submitted"} < made
    assert not any(by_name[name].any() for name in made)


@pytest.mark.parametrize("place", range(len(load_world(shipped() / "marketplace").chains)))
def test_single_events_come_to_their_outcomes_as_often_and_as_late_as_they_must(place: int) -> None:
    run = Run.of(market(), 9)
    chain, many = market().chains[place], 4000
    stream, waiting = run.causes.number[chain.of], Waiting(run)
    waiting.chains = {stream: [place]}
    causes = Happenings.new(np.full(many, START_US), waiting.number(stream, many, many))
    chances = {(place, which): np.array([one.probability]) for which, one in enumerate(chain.outcomes)}
    waiting.spread(stream, causes, chances, np.zeros(many, np.int64), START_US)
    parents: list[int] = []
    for outcome in chain.outcomes:
        came = waiting.take(run.causes.number[outcome.to], START_US + 40 * DAY_US)
        late_s = (came.at_us - START_US) / 1e6
        assert len(came) / many == pytest.approx(outcome.probability, abs=0.035)
        assert late_s.min() >= outcome.delay.least - 1e-3
        assert late_s.max() <= outcome.delay.most
        middle_s = float(delay_of(outcome.delay, np.array([0.5]))[0])
        assert np.median(late_s) == pytest.approx(middle_s, rel=0.25, abs=1.0)
        assert (came.of == stream).all()
        assert len(set(came.parent.tolist())) == len(came)
        parents += came.parent.tolist()
    assert set(parents) <= set(range(many))
    if chain.exclusive:
        assert len(set(parents)) == len(parents)


def test_of_failed_payments_come_tickets_within_6_hours_and_of_these_students_who_leave_days_later() -> None:
    run, grid = Run.of(market()), hourly(10)
    failing = Modifier(
        "x", ("system.payment.failed",), "multiply", 20.0, Course(START_US, START_US + 2 * HOUR_US)
    )
    found, usual = levels(run, grid, [failing]), levels(run, grid)
    tickets, leaving = (
        found.of(name) - usual.of(name) for name in ("support.ticket.created", "customer.churn.new")
    )
    hours = np.flatnonzero(tickets > 0.01 * tickets.max())
    assert hours.min() >= 1
    assert hours.max() <= 2 + 6
    assert leaving[:24].sum() == pytest.approx(0.0, abs=0.02 * leaving.sum())
    assert leaving[24 : 7 * 24].sum() == pytest.approx(leaving.sum(), rel=0.05)
    assert leaving.sum() > 0.0


# --- history ------------------------------------------------------------------------------------------------


def test_all_of_a_month_can_be_made_anew_and_taken_back() -> None:
    run, month = Run.of(market(), 5), hourly(30)
    before = history(run, month, background(run, month))
    done = [Modifier("x", ("customer.login",), "multiply", 10.0, Course(month.start_us, month.end_us))]
    after = before.regenerated(month.start_us, month.end_us, done)
    assert after.value == pytest.approx(happened(run, month, (*before.background, *done)), rel=1e-12)
    login = run.causes.number["customer.login"]
    assert after.value[login].sum() / before.baseline[login].sum() == pytest.approx(10.0, rel=0.02)
    assert set(after.difference().totals()) >= {"customer.login", "system.api.requests"}
    assert np.array_equal(after.reset().value, before.baseline)
