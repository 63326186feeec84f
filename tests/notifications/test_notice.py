"""Who is told what, on a real PostgreSQL: properties 17, 19 and 28 to 30, storms, escalations and their
end."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kilowatch.accounts.store.assignments import assign_device, assign_site
from kilowatch.accounts.store.members import remove_member
from kilowatch.accounts.store.users import disable
from kilowatch.clock import MICROSECONDS, to_datetime, to_us
from kilowatch.errors import Problem
from kilowatch.ids import new_id
from kilowatch.notifications.digest import Digest
from kilowatch.notifications.escalation import Step
from kilowatch.notifications.notice import Notice, escalate, settle, tell
from kilowatch.notifications.preference import Preferences, QuietHours
from kilowatch.notifications.severity import SEVERITIES, Severity, reaches
from kilowatch.notifications.store import notifications as store
from kilowatch.notifications.store.channels import change_channel
from kilowatch.notifications.storm import Guard
from kilowatch.postgres.engine import Sight
from kilowatch.sites.store import delete_device, delete_site
from kilowatch.wire.live import LiveEvent
from tests.notifications.conftest import NOW_US, Town

law = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
MINUTE_US = 60 * MICROSECONDS
AT = to_datetime(NOW_US)
severities = st.sampled_from(SEVERITIES)


async def say(town: Town, *notices: Notice, at_us: int = NOW_US) -> list[LiveEvent]:
    async with town.worker.unscoped() as connection:
        return await tell(connection, notices, at_us)


async def inbox(town: Town, user_id: uuid.UUID, limit: int = 100, cursor: str | None = None) -> store.Inbox:
    async with town.database.scope(Sight(town.organisation.id, user_id)) as connection:
        return await store.list_notifications(connection, user_id, limit, cursor)


@law
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["admin", "operator", "viewer", "customer"]),
            severities,
            st.sampled_from(["nothing", "site", "device"]),
        ),
        min_size=1,
        max_size=4,
    ),
    severities,
    st.booleans(),
)
async def test_each_alert_tells_whom_it_concerns_once(
    new_town: Callable[[], Awaitable[Town]],
    people: list[tuple[str, Severity, str]],
    severity: Severity,
    of_device: bool,
) -> None:
    """Property 17: a notification for everybody who may see the device and wants the severity."""
    town = await new_town()
    expected: dict[uuid.UUID, bool] = {}
    for role, least, assigned in people:
        user_id = await town.add(role, Preferences(least))  # type: ignore[arg-type]
        sees = role != "customer"
        if role == "customer":
            async with town.database.scope(town.organisation.id) as connection:
                place = town.organisation.id
                if assigned == "site":
                    await assign_site(connection, place, user_id, town.site_id)
                    sees = True
                elif assigned == "device":
                    await assign_device(connection, place, user_id, "kettle")
                    sees = of_device
        expected[user_id] = sees and reaches(severity, least)
    notice = town.notice(severity, device_no=town.device_no if of_device else None)
    events = [*await say(town, notice, notice), *await say(town, notice, at_us=NOW_US + 1)]
    assert {event.user for event in events} == {str(one) for one, wanted in expected.items() if wanted}
    assert len(events) == sum(expected.values())
    assert all((one.topic, one.data["title"]) == ("notifications", notice.title) for one in events)
    for user_id, wanted in expected.items():
        kept = await inbox(town, user_id)
        assert [(one.alert_id, one.severity, one.title) for one in kept.page.items] == (
            [(notice.alert_id, severity, notice.title)] if wanted else []
        )
        assert kept.unread == int(wanted)


acts = st.lists(
    st.one_of(
        st.just("tell"),
        st.tuples(st.sampled_from(["read", "dismiss"]), st.integers(0, 12)),
        st.just("read_all"),
    ),
    max_size=14,
)


@law
@given(acts, st.integers(1, 5))
async def test_the_list_has_all_unread_first_and_the_count_is_right(
    town: Town, acts: list[str | tuple[str, int]], limit: int
) -> None:
    """Properties 19 and 28 to 30, against a plain list."""
    user_id = await town.add("viewer")
    kept: dict[uuid.UUID, tuple[int, bool]] = {}  # when it was told, and whether it is read
    async with town.database.scope(Sight(town.organisation.id, user_id)) as connection:
        for turn, act in enumerate(acts):
            known = list(kept)
            if act == "tell":
                (event,) = [
                    one
                    for one in await say(town, town.notice(), at_us=NOW_US + turn)
                    if one.user == str(user_id)
                ]
                kept[uuid.UUID(event.data["id"])] = (turn, False)
            elif act == "read_all":
                await store.mark_all_read(connection, user_id, AT)
                kept = {one: (at, True) for one, (at, _) in kept.items()}
            elif known and act[0] == "read":
                chosen = known[int(act[1]) % len(known)]
                assert (await store.mark_read(connection, user_id, chosen, AT)).read_at == AT
                kept[chosen] = (kept[chosen][0], True)
            elif known:
                chosen = known[int(act[1]) % len(known)]
                await store.dismiss(connection, user_id, chosen, AT)
                del kept[chosen]
        listed: list[uuid.UUID] = []
        cursor = None
        while True:
            shown = await store.list_notifications(connection, user_id, limit, cursor)
            assert shown.unread == sum(not read for _, read in kept.values())
            assert await store.count_unread(connection, user_id) == shown.unread
            listed += [one.id for one in shown.page.items]
            cursor = shown.page.next_cursor
            if cursor is None:
                break
    assert listed == sorted(kept, key=lambda one: (kept[one][1], -kept[one][0]))


async def test_counts_are_right_while_many_read_and_many_tell(town: Town) -> None:
    user_id = await town.add("viewer")
    first = [uuid.UUID(one.data["id"]) for one in await say(town, *[town.notice() for _ in range(30)])]

    async def read(notification_id: uuid.UUID) -> None:
        async with town.database.scope(Sight(town.organisation.id, user_id)) as connection:
            await store.mark_read(connection, user_id, notification_id, AT)

    async def look() -> None:
        seen = await inbox(town, user_id)
        assert seen.unread == sum(one.read_at is None for one in seen.page.items)

    await asyncio.gather(
        *(read(one) for one in first[:20]),
        *(read(one) for one in first[:20]),  # in another window
        *(say(town, town.notice()) for _ in range(5)),
        *(look() for _ in range(10)),
    )
    assert (await inbox(town, user_id)).unread == 15


async def test_the_first_time_of_reading_stays(town: Town) -> None:
    user_id = await town.add("viewer")
    (event,) = await say(town, town.notice())
    notification_id = uuid.UUID(event.data["id"])
    async with town.database.scope(Sight(town.organisation.id, user_id)) as connection:
        for later in (0, 60):
            at = to_datetime(NOW_US + later * MICROSECONDS)
            assert (await store.mark_read(connection, user_id, notification_id, at)).read_at == AT
        await store.dismiss(connection, user_id, notification_id, AT)
        with pytest.raises(Problem):
            await store.mark_read(connection, user_id, notification_id, AT)
    assert await say(town, town.notice(alert_id=uuid.UUID(event.data["alert_id"]))) == []


async def test_what_grows_more_pressing_is_told_again(town: Town) -> None:
    user_id = await town.add("operator")
    alert = new_id()
    for severity in ("medium", "critical", "medium"):
        await say(town, town.notice(severity, alert_id=alert))
    assert sorted(one.severity for one in (await inbox(town, user_id)).page.items) == ["critical", "medium"]


async def test_who_left_or_is_disabled_is_told_nothing_and_what_is_gone_is_not_told(town: Town) -> None:
    gone, disabled, stays = [await town.add("viewer") for _ in range(3)]
    async with town.database.scope(town.organisation.id) as connection:
        await remove_member(connection, town.organisation.id, gone)
    async with town.database.person(disabled) as connection:
        await disable(connection, disabled)
    assert [one.user for one in await say(town, town.notice())] == [str(stays)]
    async with town.database.scope(town.organisation.id) as connection:
        await delete_device(connection, "kettle")
    assert (await inbox(town, stays)).page.items == []
    assert await say(town, town.notice()) == []
    assert len(await say(town, town.notice(device_no=None))) == 1
    async with town.database.scope(town.organisation.id) as connection:
        await delete_site(connection, town.site_id)
    assert await say(town, town.notice(device_no=None)) == []
    assert len(await say(town, town.notice(device_no=None, site_id=None))) == 1


async def test_a_rule_chooses_its_channels(town: Town) -> None:
    user_id = await town.add("operator")
    hook = await town.open_channel(user_id, "json://hook.example.org/x", "critical")
    mail = await town.open_channel(user_id, "mailto:ada@example.org", name="my mail")
    shared = await town.open_channel(None, "ntfy://ops", name="ops")
    for chosen, reached in (
        ((), {mail, shared}),
        ((str(hook),), {hook}),
        (("email", "ops"), {mail, shared}),
        (("json",), {hook}),
        (("sms", "json"), {hook}),
        (("gone",), {mail, shared}),
    ):
        notice = town.notice("high", rule_channels=chosen)
        await say(town, notice)
        found = {
            channel
            for channel in (hook, mail, shared)
            if any(one.alert_id == notice.alert_id for one in await town.log(channel))
        }
        assert found == reached, chosen


async def test_a_rule_whose_channels_are_gone_tells_by_severity_and_one_switched_off_is_not_gone(
    town: Town,
) -> None:
    user_id = await town.add("operator")
    loud = await town.open_channel(user_id, "json://hook.example.org/x")
    duty = await town.open_channel(None, "ntfy://ops", name="On duty")

    async def reached() -> set[uuid.UUID]:
        notice = town.notice(rule_channels=("On duty",))
        await say(town, notice)
        logs = {channel: await town.log(channel) for channel in (loud, duty)}
        return {one for one, log in logs.items() if any(d.alert_id == notice.alert_id for d in log)}

    async def change(**changes: object) -> None:
        async with town.database.scope(town.organisation.id) as connection:
            await change_channel(connection, duty, changes, AT)

    assert await reached() == {duty}
    await change(enabled=False)
    assert await reached() == set()
    await change(enabled=True, name="Off duty")
    assert await reached() == {loud, duty}


async def test_quiet_hours_and_digest_are_of_the_sites_zone(town: Town) -> None:
    """08:00Z is 17:00 in Seoul."""
    async with town.database.scope(town.organisation.id) as connection:
        await connection.execute(text("UPDATE kilowatch.sites SET time_zone = 'Asia/Seoul'"))
    wanted = Preferences(quiet_hours=QuietHours(16 * 60, 18 * 60), digest=Digest(7 * 60))
    user_id = await town.add("operator", wanted)
    channel = await town.open_channel(user_id, "json://hook.example.org/x")
    for severity in ("low", "high", "critical"):
        await say(town, town.notice(severity))
    placed = {(one.bundle, (to_us(one.due_at) - NOW_US) // MINUTE_US) for one in await town.log(channel)}
    assert placed == {("digest", 14 * 60), ("quiet", 60), (None, 0)}
    assert (await inbox(town, user_id)).unread == 3


async def test_a_storm_becomes_one_summary(town: Town) -> None:
    user_id = await town.add("operator", Preferences(storm=Guard(3, 5)))
    channel = await town.open_channel(user_id, "json://hook.example.org/x")
    for second in range(4):
        batch = [town.notice() for _ in range(10)]
        await say(town, *batch, at_us=NOW_US + second * MICROSECONDS)
    log = await town.log(channel)
    assert sum(one.bundle is None for one in log) == 3
    assert {to_us(one.due_at) for one in log if one.bundle == "storm"} == {NOW_US + 5 * MINUTE_US}
    assert len(log) == 40
    await say(town, town.notice(), at_us=NOW_US + 11 * MINUTE_US)
    assert (await town.log(channel))[-1].bundle is None


async def test_acknowledging_ends_what_is_on_its_way_but_the_digest(town: Town) -> None:
    other = await town.add("operator")
    steps = (Step(10, user_id=other, repeat_minutes=10, repeats=2),)
    user_id = await town.add("viewer", Preferences(digest=Digest(420), escalation=steps))
    channel = await town.open_channel(user_id, "json://hook.example.org/x")
    pressing, mild = town.notice("high"), town.notice("low")
    left = town.notice("high")
    await say(town, pressing, mild, left)
    async with town.database.scope(Sight(town.organisation.id, other)) as connection:
        await settle(connection, [pressing.alert_id, mild.alert_id], NOW_US + 1)
    states = {one.alert_id: one.status for one in await town.log(channel)}
    assert states == {pressing.alert_id: "dropped", mild.alert_id: "pending", left.alert_id: "pending"}
    async with town.worker.unscoped() as connection:
        found = await connection.execute(
            text(
                "SELECT DISTINCT alert_id FROM kilowatch.escalations WHERE ended_at IS NULL AND user_id = :me"
            ),
            {"me": user_id},
        )
        assert set(found.scalars()) == {left.alert_id}


async def test_steps_are_taken_until_somebody_acknowledges(town: Town) -> None:
    chief = await town.add("viewer", Preferences("critical"))
    chief_hook = await town.open_channel(chief, "json://hook.example.org/chief", "critical")
    ada = await town.add("operator")
    sms = await town.open_channel(ada, "json://hook.example.org/sms", "critical")
    steps = (Step(10, channel_id=sms), Step(20, user_id=chief, repeat_minutes=10, repeats=3))
    await town.wish(ada, Preferences(escalation=steps))
    notice = town.notice("medium")
    await say(town, notice)
    assert (await inbox(town, chief)).unread == 0

    async def at(minute: int) -> tuple[int, int, int]:
        async with town.worker.unscoped() as connection:
            await escalate(connection, NOW_US + minute * MINUTE_US)
        unread = (await inbox(town, chief)).unread
        return len(await town.log(sms)), len(await town.log(chief_hook)), unread

    assert await at(9) == (0, 0, 0)
    assert await at(10) == (1, 0, 0)
    assert await at(10) == (1, 0, 0)
    assert await at(20) == (1, 1, 1)
    assert await at(30) == (1, 2, 1)
    async with town.database.scope(Sight(town.organisation.id, ada)) as connection:
        await settle(connection, [notice.alert_id], NOW_US + 31 * MINUTE_US)
    assert await at(60) == (1, 2, 1)
    assert [one.step for one in await town.log(chief_hook)] == [2, 3]


async def test_everybody_who_escalates_to_somebody_reaches_them(town: Town) -> None:
    chief = await town.add("viewer")
    hook = await town.open_channel(chief, "json://hook.example.org/chief")
    await town.wish(chief, Preferences(storm=Guard(100, 5), escalation=(Step(5, channel_id=hook),)))
    for minutes in (10, 10, 20):
        await town.add("operator", Preferences(escalation=(Step(minutes, user_id=chief),)))
    await say(town, town.notice())
    sent = []
    for minute in (5, 10, 20):
        async with town.worker.unscoped() as connection:
            await escalate(connection, NOW_US + minute * MINUTE_US)
        sent.append(sorted(one.step for one in await town.log(hook)))
    assert sent == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4]]


async def test_what_somebody_looks_after_already_is_told_but_not_escalated(town: Town) -> None:
    user_id = await town.add("operator")
    hook = await town.open_channel(user_id, "json://hook.example.org/x")
    await town.wish(user_id, Preferences(escalation=(Step(5, channel_id=hook),)))
    notice = town.notice("medium")
    await say(town, notice)
    async with town.database.scope(Sight(town.organisation.id, user_id)) as connection:
        await settle(connection, [notice.alert_id], NOW_US)
    worse = town.notice("high", alert_id=notice.alert_id, looked_after=True)
    await say(town, worse, at_us=NOW_US + MINUTE_US)
    async with town.worker.unscoped() as connection:
        await escalate(connection, NOW_US + 60 * MINUTE_US)
    assert [(one.step, one.severity) for one in await town.log(hook)] == [(0, "medium"), (0, "high")]


async def test_nothing_is_told_of_a_transaction_that_did_not_stand(town: Town) -> None:
    user_id = await town.add("operator")
    channel = await town.open_channel(user_id, "json://hook.example.org/x")

    class BrokenError(Exception):
        pass

    async def break_off() -> None:
        async with town.worker.unscoped() as connection:
            await tell(connection, [town.notice()], NOW_US)
            raise BrokenError

    with pytest.raises(BrokenError):
        await break_off()
    assert (await inbox(town, user_id)).page.items == []
    assert await town.log(channel) == []


async def test_old_notifications_are_forgotten(town: Town) -> None:
    user_id = await town.add("operator")
    channel = await town.open_channel(user_id, "json://hook.example.org/x")
    await say(town, town.notice())
    before: datetime = to_datetime(NOW_US)
    async with town.worker.unscoped() as connection:
        await store.forget_notifications(connection, before)
    assert (await inbox(town, user_id)).unread == 1
    async with town.worker.scope(town.organisation.id) as connection:
        assert await store.forget_notifications(connection, to_datetime(NOW_US + 1)) == 1
    assert await town.log(channel) == []
