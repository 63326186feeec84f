"""Findings, clearings and what suppresses them, on a real PostgreSQL: laws and cases."""

import asyncio
import random
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.alerts.finding import Clearing, Finding
from kilowatch.alerts.store import alerts as acts
from kilowatch.alerts.store.raising import SETTLING_US, lift_alerts, list_living
from kilowatch.alerts.store.windows import create_window, delete_window, update_window
from kilowatch.clock import MICROSECONDS, to_datetime
from kilowatch.errors import Problem
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import delete_device, register_devices, update_device, update_site
from tests.alerts.house import NOW_US, PRICE, Home, make_home

NOW = to_datetime(NOW_US)


@pytest.fixture
async def home(database: Database, worker_database: Database, organisation: Organisation) -> Home:
    return await make_home(database, worker_database, organisation, "D1", "D2", "G1")


async def lifted(home: Home, at_s: float) -> list[uuid.UUID]:
    async with home.worker.scope(home.organisation_id) as connection:
        return await lift_alerts(connection, NOW_US + round(at_s * MICROSECONDS))


async def test_a_finding_opens_an_alert_with_all_that_is_known(database: Database, home: Home) -> None:
    async with database.scope(home.organisation_id) as connection:
        await update_site(connection, home.site_id, {"price_per_kwh": Decimal("0.25"), "currency": "USD"})
    finding = home.finding(0, 60)
    raised = await home.raise_(finding, at_s=61)
    (alert,) = await home.alerts()
    assert raised.opened == [finding.alert_id] == [alert.id]
    assert (alert.status, alert.severity, alert.device, alert.site_id) == (
        "open",
        "medium",
        "D1",
        home.site_id,
    )
    assert (alert.since, alert.ts) == (NOW, NOW + timedelta(seconds=60))
    assert alert.raised_at == NOW + timedelta(seconds=61)
    # 1.5 kW x 24 h x 0.25
    assert (alert.cost_per_day, alert.currency) == (Decimal("9.000000"), "USD")


async def test_without_a_price_of_the_site_the_instances_own_counts(home: Home) -> None:
    await home.raise_(home.finding(0), home.finding(0, key=home.key("D2"), excess_w=float("nan"), value=None))
    cost = {alert.device: alert.cost_per_day for alert in await home.alerts()}
    assert cost == {"D1": Decimal("1.5") * 24 * PRICE, "D2": None}


async def test_severity_goes_up_and_down_with_newer_findings_only(home: Home) -> None:
    first = home.finding(0, 10)
    assert (await home.raise_(first)).opened
    up = await home.raise_(home.finding(0, 20, severity="critical", value=9000.0))
    assert (up.opened, up.worse) == ([], [first.alert_id])
    stale = await home.raise_(home.finding(0, 15, severity="low"), home.finding(0, 20, severity="low"))
    assert (stale.worse, stale.better) == ([], [])
    down = await home.raise_(home.finding(0, 30, severity="high"))
    assert down.better == [first.alert_id]
    (alert,) = await home.alerts()
    assert (alert.severity, alert.value) == ("high", 2000.0)


async def test_a_clearing_ends_what_began_before_it_and_nothing_else(home: Home) -> None:
    finding = home.finding(100)
    await home.raise_(finding)
    assert await home.clear(home.clearing(99), home.clearing(200, home.key("D2"))) == []
    assert await home.clear(home.clearing(100), home.clearing(120), at_s=300) == [finding.alert_id]
    (alert,) = await home.alerts()
    assert (alert.status, alert.how, alert.resolved_at) == (
        "resolved",
        "cleared",
        NOW + timedelta(seconds=300),
    )
    assert (await home.raise_(finding)).opened == []
    later = home.finding(400)
    assert (await home.raise_(later)).opened == [later.alert_id]


async def test_what_was_resolved_by_hand_stays_so_while_the_breach_lasts(
    database: Database, home: Home
) -> None:
    finding = home.finding(0)
    await home.raise_(finding)
    async with database.scope(home.organisation_id) as connection:
        await acts.resolve_alert(connection, finding.alert_id, "user:x", NOW + timedelta(seconds=100))
    # A worker that started anew sees the same breach from somewhere in its middle.
    assert (await home.raise_(home.finding(50))).opened == []
    assert (await home.raise_(home.finding(150))).opened != []


# --- laws ------------------------------------------------------------------------------------------------

Story = list[tuple[str, int, int]]
"""(device, begins, lasts): breaches of devices; a clearing at the end of each."""

stories = st.lists(
    st.tuples(st.sampled_from(["D1", "D2"]), st.integers(1, 50), st.integers(1, 5)), min_size=1, max_size=8
)


def tell(home: Home, story: Story) -> dict[str, list[Finding | Clearing]]:
    """What each device's watch says, in order; the last breach of each lasts on."""
    said: dict[str, list[Finding | Clearing]] = {}
    ends = {"D1": 0, "D2": 0}
    for device, begins, lasts in story:
        start = ends[device] + begins
        ends[device] = start + lasts
        key = home.key(device)
        said.setdefault(device, []).extend(
            [home.finding(start, key=key), home.clearing(ends[device], key=key)]
        )
    for one in said.values():
        one.pop()
    return said


async def apply(home: Home, items: list[Finding | Clearing]) -> None:
    for item in items:
        if isinstance(item, Finding):
            await home.raise_(item)
        else:
            await home.clear(item)


async def outcome(home: Home) -> set[Any]:
    return {
        (one.id, one.device, one.status, one.severity, one.since, one.value) for one in await home.alerts()
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories, st.randoms(use_true_random=False))
async def test_interleaving_and_repeats_change_nothing_and_a_key_lives_once(
    home: Home, story: Story, chance: random.Random
) -> None:
    async with home.worker.scope(home.organisation_id) as connection:
        await connection.execute(text("DELETE FROM kilowatch.alerts"))
    said = tell(home, story)
    await apply(home, [item for items in said.values() for item in items])
    straight = await outcome(home)
    assert sum(status == "open" for _, _, status, *_ in straight) == len(said)
    # A worker that was killed says some of it again.
    for items in said.values():
        await apply(home, items[chance.randrange(len(items)) :])
    assert await outcome(home) == straight
    async with home.worker.scope(home.organisation_id) as connection:
        await connection.execute(text("DELETE FROM kilowatch.alerts"))
    queues = [list(items) for items in said.values()]
    mixed: list[Finding | Clearing] = []
    while any(queues):
        mixed.append(chance.choice([one for one in queues if one]).pop(0))
        mixed += [mixed[-1]] * chance.randrange(2)
    await apply(home, mixed)
    assert await outcome(home) == straight


async def test_two_workers_at_once_open_one_alert_per_key(home: Home) -> None:
    findings = [home.finding(second, key=home.key(device)) for second in range(20) for device in home.devices]
    shuffled = [random.Random(seed).sample(findings, len(findings)) for seed in range(6)]
    raised = await asyncio.gather(*(home.raise_(*some) for some in shuffled))
    assert sum(len(one.opened) for one in raised) == 3
    assert sorted(alert.device or "" for alert in await home.alerts()) == ["D1", "D2", "G1"]


async def test_a_second_living_alert_of_a_key_is_refused_by_the_database(home: Home) -> None:
    await home.raise_(home.finding(0))
    copy = (
        "INSERT INTO kilowatch.alerts (id, organisation_id, key, kind, device_no, site_id, severity, since,"
        " raised_at, ts, currency) SELECT gen_random_uuid(), organisation_id, key, kind, device_no, site_id,"
        " severity, since, raised_at, ts, currency FROM kilowatch.alerts"
    )
    with pytest.raises(Exception, match="ix_alerts_key"):
        async with home.worker.scope(home.organisation_id) as connection:
            await connection.execute(text(copy))


async def test_many_findings_take_few_statements_and_gone_devices_are_left_out(
    database: Database, home: Home
) -> None:
    gone = home.finding(0, key=home.key("D2"))
    async with database.scope(home.organisation_id) as connection:
        await delete_device(connection, "D2")
    rules = [uuid.uuid4() for _ in range(5000)]
    many = [home.finding(0, key=home.key("D1", "rule", rule)) for rule in rules]
    assert len((await home.raise_(gone, *many)).opened) == 5000
    async with home.worker.unscoped() as connection:
        living = [
            one for one in await list_living(connection, ["rule"]) if one.key.device_no == home.devices["D1"]
        ]
    assert {one.key for one in living} == {finding.key for finding in many}
    assert all(one.since_us == NOW_US for one in living)
    assert len(await home.clear(*(home.clearing(1, finding.key) for finding in many))) == 5000


async def test_a_storm_of_silence_is_written(database: Database, home: Home) -> None:
    """As it is where no device has a gateway: each finding could be explained by each other one."""
    async with database.scope(home.organisation_id) as connection:
        names = [f"M{number}" for number in range(2000)]
        home.devices |= await register_devices(connection, home.organisation_id, names)
    storm = [home.finding(0, key=home.key(name, "offline")) for name in names]
    assert len((await home.raise_(*storm)).opened) == 2000
    assert len(await home.clear(*(home.clearing(5, one.key) for one in storm))) == 2000


# --- suppression -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "about", [{}, {"device": "D1"}, {"kind": "spike"}, {"site": True}, {"device": "D1", "kind": "spike"}]
)
async def test_a_window_hides_what_it_is_about(database: Database, home: Home, about: dict[str, Any]) -> None:
    given = {name: value for name, value in about.items() if name != "site"}
    if "site" in about:
        given["site_id"] = home.site_id
    other = home.finding(0, key=home.key("D2", "zero_consumption"))
    await home.raise_(other)
    async with database.scope(home.organisation_id) as connection:
        window = await create_window(
            connection, home.organisation_id, "user:x", NOW,
            starts_at=NOW, ends_at=NOW + timedelta(hours=1), **given,
        )  # fmt: skip
    finding = home.finding(0)
    raised = await home.raise_(finding)
    assert (raised.opened, raised.suppressed) == ([], [finding.alert_id])
    status = {alert.device: (alert.status, alert.suppressed_by) for alert in await home.alerts()}
    hidden = ("suppressed", f"window:{window.id}")
    assert status["D1"] == hidden
    assert status["D2"] == (hidden if about in ({}, {"site": True}) else ("open", None))
    assert await lifted(home, 3599) == []
    hidden_ids = {alert.id for alert in await home.alerts(status="suppressed")}
    assert set(await lifted(home, 3600)) == hidden_ids
    assert {alert.status for alert in await home.alerts()} == {"open"}


async def test_a_window_that_is_over_or_to_come_hides_nothing(database: Database, home: Home) -> None:
    async with database.scope(home.organisation_id) as connection:
        for start_h, end_h in ((-2, 0), (1, 2)):
            await create_window(
                connection, home.organisation_id, "user:x", NOW,
                starts_at=NOW + timedelta(hours=start_h), ends_at=NOW + timedelta(hours=end_h),
            )  # fmt: skip
    assert (await home.raise_(home.finding(0))).opened != []


async def test_a_window_that_is_shortened_or_removed_lets_go(database: Database, home: Home) -> None:
    spans = {"starts_at": NOW, "ends_at": NOW + timedelta(hours=9)}
    finding = home.finding(0)
    for remove in (False, True):
        async with database.scope(home.organisation_id) as connection:
            window = await create_window(connection, home.organisation_id, "user:x", NOW, **spans)
        await home.raise_(finding)
        assert [alert.status for alert in await home.alerts()] == ["suppressed"]
        async with database.scope(home.organisation_id) as connection:
            if remove:
                await delete_window(connection, window.id, NOW)
            else:
                soon = {"ends_at": NOW + timedelta(seconds=1)}
                await update_window(connection, window.id, soon, NOW + timedelta(seconds=2))
        assert await lifted(home, 2) == [finding.alert_id]


async def test_what_another_window_hides_stays_hidden(database: Database, home: Home) -> None:
    finding = home.finding(0)
    await home.raise_(finding)
    async with database.scope(home.organisation_id) as connection:
        for hours in (1, 2):
            window = await create_window(
                connection, home.organisation_id, "user:x", NOW,
                starts_at=NOW, ends_at=NOW + timedelta(hours=hours),
            )  # fmt: skip
    assert await lifted(home, 3601) == []
    (alert,) = await home.alerts()
    assert (alert.status, alert.suppressed_by) == ("suppressed", f"window:{window.id}")
    # A window whose reason is changed hides what it hid.
    async with database.scope(home.organisation_id) as connection:
        await update_window(connection, window.id, {"reason": "work"}, NOW + timedelta(hours=1.5))
    assert await lifted(home, 5401) == []
    assert await lifted(home, 7200) == [finding.alert_id]


async def test_a_silence_that_is_told_anew_opens_again(home: Home) -> None:
    key = home.key(kind="offline")
    await home.raise_(home.finding(0, 120, key=key))
    await home.clear(home.clearing(200, key))
    assert len((await home.raise_(home.finding(0, 300, key=key))).opened) == 1


async def test_a_renewed_cost_is_in_the_currency_of_its_price(database: Database, home: Home) -> None:
    await home.raise_(home.finding(0))
    async with database.scope(home.organisation_id) as connection:
        await update_site(connection, home.site_id, {"price_per_kwh": Decimal(1), "currency": "JPY"})
    await home.raise_(home.finding(0, 5))
    (alert,) = await home.alerts()
    assert (alert.cost_per_day, alert.currency) == (Decimal(36), "JPY")


async def test_a_gateway_explains_the_silence_of_its_children(database: Database, home: Home) -> None:
    async with database.scope(home.organisation_id) as connection:
        await update_device(connection, "D1", {"metadata": {"gateway": "G1"}})
    child = home.finding(0, key=home.key("D1", "offline"))
    other = home.finding(0, key=home.key("D2", "offline"))
    parent = home.finding(0, 5, key=home.key("G1", "offline"), devices=5)
    assert len((await home.raise_(child, other)).opened) == 2
    raised = await home.raise_(parent)
    assert (raised.opened, raised.suppressed) == ([parent.alert_id], [child.alert_id])
    late = home.finding(7, key=home.key("D1", "zero_consumption"))
    assert (await home.raise_(late)).suppressed == [late.alert_id]
    # The children of a gateway that is back come back, too, a little later; what does not is told then.
    await home.clear(home.clearing(10, parent.key), at_s=10)
    await home.clear(home.clearing(12, child.key), at_s=12)
    settling_s = SETTLING_US / MICROSECONDS
    assert await lifted(home, 9 + settling_s) == []
    assert await lifted(home, 10 + settling_s) == [late.alert_id]


async def test_of_two_gateways_that_name_each_other_one_is_told_of(database: Database, home: Home) -> None:
    async with database.scope(home.organisation_id) as connection:
        await update_device(connection, "D1", {"metadata": {"gateway": "D2"}})
        await update_device(connection, "D2", {"metadata": {"gateway": "D1"}})
    raised = await home.raise_(*(home.finding(0, key=home.key(one, "offline")) for one in ("D1", "D2")))
    assert (len(raised.opened), len(raised.suppressed)) == (1, 1)


async def test_a_silent_site_explains_its_devices_and_one_batch_is_enough(home: Home) -> None:
    site = home.finding(0, key=home.key(None, "offline"), devices=3)
    child = home.finding(0, key=home.key("D1", "offline"))
    raised = await home.raise_(child, site)
    assert (raised.opened, raised.suppressed) == ([site.alert_id], [child.alert_id])
    async with home.worker.unscoped() as connection:
        keys = {one.key for one in await list_living(connection, ["offline"])}
    assert {site.key, child.key} <= keys


# --- what people do --------------------------------------------------------------------------------------


async def test_what_people_do_follows_the_lifecycle(database: Database, home: Home) -> None:
    finding = home.finding(0)
    await home.raise_(finding)
    later = NOW + timedelta(minutes=1)
    async with database.scope(home.organisation_id) as connection:
        first = await acts.acknowledge_alert(connection, finding.alert_id, "user:a", later)
        again = await acts.acknowledge_alert(connection, finding.alert_id, "user:b", later)
        assert (first.status, first.acknowledged_by, again) == ("acknowledged", "user:a", first)
        hidden = await acts.suppress_alert(connection, finding.alert_id, "user:a", later, None)
        assert (hidden.status, hidden.suppressed_by) == ("suppressed", "user:a")
        with pytest.raises(Problem, match="alert_suppressed"):
            await acts.acknowledge_alert(connection, finding.alert_id, "user:a", later)
        assert (await acts.lift_alert(connection, finding.alert_id)).status == "open"
        done = await acts.resolve_alert(connection, finding.alert_id, "user:c", later)
        # Property 24: what is resolved says since when, and that moment is now.
        assert (done.status, done.how, done.resolved_at, done.resolved_by) == (
            "resolved",
            "by_hand",
            later,
            "user:c",
        )
        with pytest.raises(Problem, match="alert_resolved"):
            await acts.suppress_alert(connection, finding.alert_id, "user:a", later, None)
        for past in (later, later.replace(tzinfo=None)):
            with pytest.raises(Problem, match="invalid"):
                await acts.suppress_alert(connection, finding.alert_id, "user:a", later, past)
    assert await home.clear(home.clearing(50)) == []


async def test_comments_stay_in_order_and_bad_ones_are_refused(database: Database, home: Home) -> None:
    finding = home.finding(0)
    await home.raise_(finding)
    async with database.scope(home.organisation_id) as connection:
        for number in range(3):
            when = NOW + timedelta(seconds=number)
            await acts.add_comment(connection, finding.alert_id, "user:a", when, f"{number}")
        assert [one.text for one in await acts.list_comments(connection, finding.alert_id)] == ["0", "1", "2"]
        for bad in ("", "  ", "a\x00", "\ud800", "x" * 4001):
            with pytest.raises(Problem, match="invalid"):
                await acts.add_comment(connection, finding.alert_id, "user:a", NOW, bad)
        with pytest.raises(Problem, match="not_found"):
            await acts.add_comment(connection, uuid.uuid4(), "user:a", NOW, "x")
