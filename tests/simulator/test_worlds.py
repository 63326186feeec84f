"""The worlds that come with Kilowatch can be played, and hold what was asked of them."""

import time
from collections import Counter
from importlib.resources import files
from itertools import pairwise

import pytest

from kilowatch.simulator.world.format import Chain, Effect, Scenario, World
from kilowatch.simulator.world.happenings import matches
from kilowatch.simulator.world.loading import find_worlds, load_world, shipped
from kilowatch.simulator.world.pages import STEMS

WORLDS = {name: load_world(folder) for name, folder in find_worlds([shipped()]).items()}
MARKETPLACE = WORLDS["marketplace"]


LIBRARY = {
    "marketing": [
        "blog_viral", "tiktok_mention", "podcast_sponsorship", "ad_campaign", "influencer_endorsement",
    ],
    "product": ["app_launch", "feature_release", "ui_redesign", "pricing_change", "new_payment_method"],
    "infrastructure": ["aws_outage", "stripe_rate_limiting", "weather_event", "internet_outage"],
    "academic": [
        "ib_exam_season", "sat_exams", "school_year_start", "finals_week", "summer_break", "school_holidays",
    ],
    "competitive": [
        "competitor_launch", "competitor_funding", "competitor_shutdown", "industry_report",
        "regulatory_change",
    ],
    "operational": [
        "tutor_training_completed", "support_hours_change", "new_pricing_tier", "referral_program_launch",
    ],
}  # fmt: skip
SCENARIOS = {
    "marketplace": {
        "exam-season-surge", "supply-crisis", "payment-outage", "quality-crisis", "support-overload",
        "churn-pattern", "recruiting-crisis", "competitor-disruption", "normal-operations",
    },
    "home": {"phantom_load", "spike", "ghost_walk"},
    "grid": {
        "heat_wave", "cold_snap", "cloud_front", "regional_peak", "feeder_outage", "meter_fault_wave",
        "price_shock", "car_rush_hour", "network_storm",
    },
    "plant": {"compressor_wear", "sensor_drift", "overheat", "voltage_spike"},
    "microgrid": {"islanding", "cloud_front", "battery_fault"},
}  # fmt: skip
FOLLOWED = {
    "grid": {f"grid.{region}.{what}" for region in ("north", "south", "east", "west", "central")
             for what in ("load", "solar")} | {"grid.weather.temperature", "grid.price"},
    "home": {"home.load", "home.solar"},
    "plant": {"plant.output"},
    "microgrid": {"microgrid.load", "microgrid.solar", "microgrid.wind"},
}  # fmt: skip
"""What fleets follow, or people look at first."""


def chain_from(stream: str, to: str) -> Chain:
    chains = [one for one in MARKETPLACE.chains if one.of == stream and to in {o.to for o in one.outcomes}]
    assert len(chains) == 1
    return chains[0]


def probability(stream: str, to: str) -> float:
    return next(one.probability for one in chain_from(stream, to).outcomes if one.to == to)


def effects_of(scenario: Scenario) -> list[Effect]:
    return [*scenario.effects, *(effect for cascade in scenario.cascades for effect in cascade.effects)]


# --- all worlds ---------------------------------------------------------------------------------------------


def test_the_files_of_all_worlds_lie_in_the_package() -> None:
    for name in SCENARIOS:
        folder = files("kilowatch.simulator").joinpath("worlds", name)
        assert all(folder.joinpath(f"{stem}.yaml").is_file() for stem in STEMS)


@pytest.mark.parametrize(("name", "scenarios"), SCENARIOS.items())
def test_a_world_has_its_scenarios(name: str, scenarios: set[str]) -> None:
    assert set(WORLDS[name].scenarios) == scenarios


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_is_read_within_200_ms(name: str) -> None:
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        load_world(shipped() / name)
        spent.append(time.perf_counter() - began)
    assert min(spent) < 0.2


@pytest.mark.parametrize("name", WORLDS)
def test_sixty_to_150_events_a_month_of_which_about_two_thirds_move_something(name: str) -> None:
    timings = [(one.timing, one.red_herrings) for one in WORLDS[name].templates.values()]
    always = [(timing.per_month, lost) for timing, lost in timings if not timing.seasons]
    total = sum(often for often, _ in always)
    assert total >= 66
    assert sum(timing.per_month for timing, _ in timings) <= 140
    assert 0.62 <= sum(often * (1 - lost) for often, lost in always) / total <= 0.68


@pytest.mark.parametrize("name", WORLDS)
def test_each_scenario_does_something_and_settles(name: str) -> None:
    for key, scenario in WORLDS[name].scenarios.items():
        assert bool(effects_of(scenario)) == (key != "normal-operations")
        assert scenario.settling.lasts > 0 or scenario.settling.curve == "immediate"
        assert scenario.description


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_world_of_energy_has_a_fleet_and_the_streams_that_it_follows(name: str) -> None:
    world = WORLDS[name]
    assert world.fleet is not None
    assert world.fleet.kind == name
    assert world.streams.keys() >= FOLLOWED[name]


# --- marketplace --------------------------------------------------------------------------------------------


def test_the_marketplace_has_fifty_streams_of_six_domains() -> None:
    assert len(MARKETPLACE.streams) == 50
    domains = Counter(name.split(".")[0] for name in MARKETPLACE.streams)
    assert set(domains) == {"customer", "tutor", "session", "support", "marketing", "system"}
    assert min(domains.values()) >= 4
    assert {stream.cadence for stream in MARKETPLACE.streams.values()} == {"high", "medium", "low"}


def test_the_library_of_the_marketplace_has_every_event() -> None:
    found = {name: template.type for name, template in MARKETPLACE.templates.items()}
    assert found.items() >= {name: kind for kind, names in LIBRARY.items() for name in names}.items()
    for template in MARKETPLACE.templates.values():
        assert template.icon
        assert template.effects
        assert template.timing.per_month > 0


@pytest.mark.parametrize(
    ("stream", "to", "least", "most"),
    [
        ("customer.booking.requested", "tutor.booking.confirmed", 0.7, 0.8),
        ("session.due", "session.no_show.student", 0.02, 0.05),
        ("session.due", "session.no_show.tutor", 0.01, 0.02),
        ("session.completed", "session.rating.submitted", 0.4, 0.6),
    ],
)
def test_events_of_the_marketplace_come_of_others_as_often_as_they_must(
    stream: str, to: str, least: float, most: float
) -> None:
    assert least <= probability(stream, to) <= most


@pytest.mark.parametrize("stream", ["customer.booking.requested", "session.due", "system.payment.attempted"])
def test_each_of_these_events_comes_to_exactly_one_outcome(stream: str) -> None:
    totals = [
        sum(one.probability for one in chain.outcomes) for chain in MARKETPLACE.chains if chain.of == stream
    ]
    assert totals == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("stream", "to", "least_h", "most_h"),
    [
        ("customer.booking.requested", "tutor.booking.confirmed", 2, 24),
        ("customer.booking.requested", "tutor.booking.declined", 2, 24),
        ("customer.booking.requested", "session.booking.expired", 2, 24),
        ("system.payment.failed", "support.ticket.created", 1, 6),
        ("session.completed", "session.rating.submitted", 0, 48),
    ],
)
def test_events_of_the_marketplace_come_when_they_must(
    stream: str, to: str, least_h: float, most_h: float
) -> None:
    delay = next(one.delay for one in chain_from(stream, to).outcomes if one.to == to)
    assert least_h * 3600 <= delay.least <= delay.most <= most_h * 3600


def test_a_failed_payment_may_end_with_a_student_who_leaves() -> None:
    way = [
        "system.payment.attempted",
        "system.payment.failed",
        "support.ticket.created",
        "customer.churn.new",
    ]
    assert all(probability(of, to) > 0 for of, to in pairwise(way))


def test_the_sizes_of_the_marketplace_fit_each_other() -> None:
    means = {name: stream.mean or 0.0 for name, stream in MARKETPLACE.streams.items()}
    students = sum(mean for name, mean in means.items() if name.startswith("customer.students."))
    tutors = means["tutor.active"]
    held = means["session.due"] * probability("session.due", "session.completed")
    agreed = means["customer.booking.requested"] * probability(
        "customer.booking.requested", "tutor.booking.confirmed"
    )
    assert 10_000 <= students < 100_000
    assert 1 <= students / tutors <= 8
    assert held / tutors == pytest.approx(3, rel=0.05)
    assert agreed == pytest.approx(means["session.due"], rel=0.01)


@pytest.mark.parametrize("stream", ["customer.tutor.search", "customer.booking.requested", "session.due"])
def test_demand_follows_the_calendar(stream: str) -> None:
    seasons = MARKETPLACE.streams[stream].seasons
    assert 1.4 <= seasons["exams"] <= 1.6
    assert 0.7 <= seasons["summer"] <= 0.8
    assert seasons["holidays"] == 0.5
    assert 0.02 <= MARKETPLACE.growth_per_month <= 0.05


def test_lessons_are_held_by_day_and_more_of_them_at_weekends() -> None:
    shape = MARKETPLACE.shapes["lessons"]
    assert 1.3 <= shape.weekend <= 1.5
    for hours in (shape.hours, shape.weekend_hours or []):
        assert sum(hours[8:22]) / sum(hours) > 0.9
        assert (sum(hours[:7]) + hours[23]) / sum(hours) < 0.02


def test_a_payment_outage_is_over_at_once_with_a_backlog_of_two_hours() -> None:
    outage = MARKETPLACE.scenarios["payment-outage"]
    assert outage.settling.curve == "immediate"
    assert outage.settling.backlog is not None
    assert outage.settling.backlog.lasts == 2 * 3600
    assert (
        next(effect for effect in outage.effects if effect.streams == ["system.payment.failed"]).value > 0.8
    )


def test_demand_settles_in_a_line_within_six_to_twelve_hours_and_trust_within_days() -> None:
    surge = MARKETPLACE.scenarios["exam-season-surge"].settling
    crisis = MARKETPLACE.scenarios["quality-crisis"].settling
    assert (surge.curve, 6 * 3600 <= surge.lasts <= 12 * 3600) == ("linear", True)
    assert (crisis.curve, crisis.lasts >= 2 * 86_400) == ("exponential", True)


# --- energy -------------------------------------------------------------------------------------------------


def test_a_heat_wave_takes_every_region_up_by_a_third_to_a_half() -> None:
    world = WORLDS["grid"]
    assert world.fleet is not None
    for region in world.fleet.regions:
        assert 1.3 <= moved_by(world, world.scenarios["heat_wave"], f"grid.{region}.load") <= 1.5


def moved_by(world: World, scenario: Scenario, stream: str) -> float:
    """By which factor a stream is moved by a scenario and the events that it brings."""
    brought = [effect for one in scenario.events for effect in world.templates[one.template].effects]
    factor = 1.0
    for effect in [*effects_of(scenario), *brought]:
        if effect.how == "multiply" and any(matches(pattern, stream) for pattern in effect.streams):
            factor *= effect.value
    return factor


def test_every_kind_of_fault_is_brought_by_some_scenario() -> None:
    brought = {
        fault.kind for world in WORLDS.values() for one in world.scenarios.values() for fault in one.faults
    }
    assert brought == {
        "outage", "stuck", "drift", "overheat", "voltage_spike", "current_surge", "wear", "standby_draw",
        "power_spike", "walk", "late", "repeated", "out_of_order", "islanded", "meter_error",
    }  # fmt: skip
