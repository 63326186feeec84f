"""Findings on their way to people: in one transaction, once, in order, and through the absence of engines."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from kilowatch.alerts.alert import Alert
from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.notices import Notices
from kilowatch.alerts.store.alerts import Wanted, acknowledge_alert, lift_alert, list_alerts, suppress_alert
from kilowatch.alerts.store.windows import create_window
from kilowatch.alerts.telling import Told
from kilowatch.clock import MICROSECONDS, to_datetime, to_us
from kilowatch.ids import new_id
from kilowatch.notifications.escalation import Step
from kilowatch.notifications.notice import settle
from kilowatch.notifications.preference import Preferences, QuietHours
from kilowatch.notifications.store.channels import NewChannel, create_channel
from kilowatch.notifications.store.preferences import set_preferences
from kilowatch.postgres.engine import Connection, Database
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from kilowatch.worker.alarms import Alarms, in_order, rounds
from tests.server.persons import join, make_person
from tests.worker.house import NOW_US, House, until


class Notebook:
    """Writes down who would be told of what."""

    def __init__(self) -> None:
        self.told: list[uuid.UUID] = []
        self.settled: list[uuid.UUID] = []

    async def tell(self, connection: Connection, alerts: Sequence[Told], now_us: int) -> Sequence[LiveEvent]:
        del connection, now_us
        self.told += [one.alert.id for one in alerts]
        return ()

    async def settle(self, connection: Connection, alert_ids: Sequence[uuid.UUID], now_us: int) -> None:
        del connection, now_us
        self.settled += alert_ids


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
async def alarms(house: House, notebook: Notebook) -> AsyncIterator[Alarms]:
    await house.add(["D1", "D2"], ["power"])
    database = Database(house.worker_url)
    notices = Notices(notebook.tell, notebook.settle)
    yield Alarms(database, house.client, house.clock, Decimal("0.30"), notices=notices)
    await database.close()


def finding(house: House, second: int, device: str = "D1", severity: str = "low") -> Finding:
    key = Key(house.organisation.id, "spike", house.devices[device])
    at_us = NOW_US + second * MICROSECONDS
    return Finding(key, severity, at_us, at_us, "power", 10.0, 5.0, 5.0)  # type: ignore[arg-type]


def over(house: House, second: int, device: str = "D1") -> Clearing:
    return Clearing(finding(house, 0, device).key, NOW_US + second * MICROSECONDS)


async def kept(house: House) -> list[Alert]:
    async with house.database.scope(house.organisation.id) as connection:
        return (await list_alerts(connection, Wanted(), 500)).items


async def heard(house: House) -> list[LiveEvent]:
    """What the live subject says from now on."""
    events: list[LiveEvent] = []
    await house.client.subscribe(EVENTS_SUBJECT, lambda _, message: events.append(LiveEvent.decode(message)))
    await house.client.flush()
    return events


async def test_every_finding_becomes_an_alert_a_notice_and_a_live_message_once(
    house: House, alarms: Alarms, notebook: Notebook
) -> None:
    """Properties 17, 21 and 22."""
    events = await heard(house)
    one, other = finding(house, 0), finding(house, 0, "D2")
    for _ in range(3):
        await alarms.take([one, other], [])
    ids = {one.alert_id, other.alert_id}
    assert {alert.id for alert in await kept(house)} == ids
    assert sorted(notebook.told) == sorted(ids)

    async def told() -> bool:
        return len(events) >= 4

    await until(told, "four live messages")
    assert sorted((event.topic, event.data["id"]) for event in events) == sorted(
        (topic, str(alert_id)) for topic in ("alerts", "anomalies") for alert_id in ids
    )
    assert {event.device_no for event in events} == set(house.devices.values())


async def test_the_order_within_a_call_is_that_of_time(
    house: House, alarms: Alarms, notebook: Notebook
) -> None:
    findings = [finding(house, 0), finding(house, 20), finding(house, 40)]
    await alarms.take(findings, [over(house, 10), over(house, 30)])
    assert {alert.id: alert.status for alert in await kept(house)} == {
        findings[0].alert_id: "resolved", findings[1].alert_id: "resolved", findings[2].alert_id: "open",
    }  # fmt: skip
    assert notebook.told == [findings[2].alert_id]
    assert set(notebook.settled) == {one.alert_id for one in findings[:2]}


async def test_nobody_is_told_of_what_a_window_hides_until_it_is_over(
    house: House, alarms: Alarms, notebook: Notebook
) -> None:
    start, end = (to_datetime(NOW_US + hours * 3600 * MICROSECONDS) for hours in (0, 1))
    async with house.database.scope(house.organisation.id) as connection:
        await create_window(connection, house.organisation.id, "user:x", start, starts_at=start, ends_at=end)
    one, other = finding(house, 0), finding(house, 0, "D2")
    await alarms.take([one, other], [])
    assert notebook.told == []
    await alarms.take([], [over(house, 10, "D2")])
    house.clock.advance(3599)
    await alarms.lift()
    assert notebook.told == []
    house.clock.advance(1)
    await alarms.lift()
    assert notebook.told == [one.alert_id]
    await alarms.lift()
    assert notebook.told == [one.alert_id]


async def test_a_window_that_begins_hides_what_is_open_unless_somebody_lifts_it(
    house: House, alarms: Alarms, notebook: Notebook
) -> None:
    start, end = (to_datetime(NOW_US + hours * 3600 * MICROSECONDS) for hours in (1, 2))
    async with house.database.scope(house.organisation.id) as connection:
        await create_window(connection, house.organisation.id, "user:x", start, starts_at=start, ends_at=end)
    one = finding(house, 0)
    await alarms.take([one], [])
    await alarms.lift()
    assert [alert.status for alert in await kept(house)] == ["open"]
    house.clock.advance(3600)
    events = await heard(house)
    await alarms.lift()
    assert [alert.status for alert in await kept(house)] == ["suppressed"]
    assert notebook.settled == [one.alert_id]
    async with house.database.scope(house.organisation.id) as connection:
        await lift_alert(connection, one.alert_id)
    house.clock.advance(1)
    await alarms.lift()
    assert [alert.status for alert in await kept(house)] == ["open"]

    async def told() -> bool:
        return [event.data["status"] for event in events if event.topic == "alerts"] == ["suppressed"]

    await until(told, "word of it")


async def test_a_worse_severity_is_told_and_a_better_one_is_not(
    house: House, alarms: Alarms, notebook: Notebook
) -> None:
    first = finding(house, 0)
    for second, severity in ((0, "low"), (1, "high"), (2, "medium")):
        at_us = NOW_US + second * MICROSECONDS
        await alarms.take([Finding(first.key, severity, NOW_US, at_us)], [])  # type: ignore[arg-type]
    assert notebook.told == [first.alert_id, first.alert_id]
    (alert,) = await kept(house)
    assert alert.severity == "medium"


async def test_what_somebody_looks_after_is_told_when_it_grows_worse_but_not_escalated(
    house: House, alarms: Alarms
) -> None:
    alarms.notices = Notices()
    place = house.organisation.id
    person = await join(house.database, place, await make_person(house.database), "operator")
    async with house.database.person(person.user_id, place) as connection:
        wanted = Preferences(escalation=(Step(1, user_id=person.user_id),))
        await set_preferences(connection, place, person.user_id, wanted)
    first = finding(house, 0)
    await alarms.take([first], [])
    async with house.database.scope(place) as connection:
        await acknowledge_alert(connection, first.alert_id, "user:x", to_datetime(NOW_US))
        await settle(connection, [first.alert_id], NOW_US)
    await alarms.take([Finding(first.key, "high", NOW_US, NOW_US + MICROSECONDS)], [])
    async with alarms.database.unscoped() as connection:
        waiting = await connection.execute(
            text("SELECT count(*) FROM kilowatch.escalations WHERE alert_id = :id AND ended_at IS NULL"),
            {"id": first.alert_id},
        )
        assert waiting.scalar_one() == 0
        told = await connection.execute(
            text("SELECT severity FROM kilowatch.notifications WHERE alert_id = :id"), {"id": first.alert_id}
        )
        assert sorted(told.scalars()) == ["high", "low"]


async def test_who_was_not_told_yet_is_told_once_a_suppression_is_over(house: House, alarms: Alarms) -> None:
    """What waited is due again, and escalation goes on where it stopped."""
    alarms.notices = Notices()
    place = house.organisation.id
    person = await join(house.database, place, await make_person(house.database), "operator")
    channel = NewChannel(
        new_id(), place, person.user_id, "hook", "json", b"sealed", "json://...", "low", True
    )
    quiet = QuietHours(0, 24 * 60 - 1, lets_through=None)
    async with house.database.person(person.user_id, place) as connection:
        await create_channel(connection, channel)
        steps = (Step(10, channel_id=channel.id), Step(60, channel_id=channel.id))
        wanted = Preferences(escalation=steps, quiet_hours=quiet, time_zone="UTC")
        await set_preferences(connection, place, person.user_id, wanted)
    one = finding(house, 0)
    await alarms.take([one], [])

    async def waiting() -> tuple[list[str], list[float]]:
        async with alarms.database.unscoped() as connection:
            sent = await connection.execute(
                text("SELECT status FROM kilowatch.deliveries WHERE alert_id = :id"), {"id": one.alert_id}
            )
            steps = await connection.execute(
                text(
                    "SELECT due_at FROM kilowatch.escalations"
                    " WHERE alert_id = :id AND ended_at IS NULL ORDER BY due_at"
                ),
                {"id": one.alert_id},
            )
            return list(sent.scalars()), [(to_us(at) - NOW_US) / MICROSECONDS / 60 for at in steps.scalars()]

    begun_us = house.clock.now_us()
    offset = (begun_us - NOW_US) / MICROSECONDS / 60
    assert await waiting() == (["pending"], [offset + 10, offset + 60])
    house.clock.advance(5 * 60)
    now = to_datetime(house.clock.now_us())
    async with house.database.scope(place) as connection:
        await suppress_alert(connection, one.alert_id, "user:x", now, now + timedelta(hours=1))
        await settle(connection, [one.alert_id], house.clock.now_us())
    assert await waiting() == (["dropped"], [])
    house.clock.advance(3600)
    await alarms.lift()
    assert await waiting() == (["pending"], [offset + 70, offset + 120])


async def test_nothing_is_lost_while_postgresql_is_away(
    house: House, alarms: Alarms, notebook: Notebook
) -> None:
    house.postgres.stop()
    taking = asyncio.create_task(alarms.take([finding(house, 0), finding(house, 20)], [over(house, 10)]))
    cut_off = asyncio.create_task(alarms.take([finding(house, 0, "D2")], []))

    async def waits() -> bool:
        return len(alarms.waiting) == 4

    await until(waits, "all to wait")
    cut_off.cancel()
    house.postgres.start()
    async with asyncio.timeout(30):
        await taking
    assert sorted((alert.device, alert.status) for alert in await kept(house)) == [
        ("D1", "open"), ("D1", "resolved"), ("D2", "open"),
    ]  # fmt: skip
    assert len(notebook.told) == 2


async def test_one_that_cannot_be_written_stops_no_other(house: House, alarms: Alarms) -> None:
    good = finding(house, 0)
    bad = Finding(finding(house, 0, "D2").key, "grave", NOW_US, NOW_US)  # type: ignore[arg-type]
    await alarms.take([bad, good], [])
    assert [alert.id for alert in await kept(house)] == [good.alert_id]
    assert not alarms.waiting


ORGANISATION = uuid.uuid4()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.integers(0, 20)), max_size=30))
def test_rounds_keep_the_order_of_each_key(said: list[tuple[bool, int, int]]) -> None:
    keys = [Key(ORGANISATION, "spike", device) for device in range(4)]
    findings = [Finding(keys[device], "low", ts, ts) for begins, device, ts in said if begins]
    clearings = [Clearing(keys[device], ts) for begins, device, ts in said if not begins]
    items = in_order(findings, clearings)
    written: list[Finding | Clearing] = []
    for some, ended in rounds(items):
        written += [*some, *ended]
    for key in keys:
        assert [one for one in written if one.key == key] == [one for one in items if one.key == key]
