"""What must hold for any anomalies and any readings, with everything at work that tells people."""

import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.alerts.alert import Alert
from kilowatch.alerts.finding import Clearing, Finding, Key
from kilowatch.alerts.store.alerts import Wanted, list_alerts, resolve_alert
from kilowatch.alerts.telling import put_in_words
from kilowatch.alerts.voices import SEVERITIES, Kind, Severity
from kilowatch.clock import to_datetime
from kilowatch.notifications.store.notifications import Notification, list_notifications
from kilowatch.postgres.engine import Database, Sight
from kilowatch.sites.store import list_sites, set_state, update_device, update_site
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from kilowatch.worker.alarms import Alarms
from tests.server.persons import join, make_person
from tests.worker.house import House, until

KINDS: tuple[Kind, ...] = (
    "phantom_load", "spike", "high_consumption", "zero_consumption", "negative_consumption", "offline",
)  # fmt: skip
DEVICES = ("D1", "D2", "D3")
THRESHOLD_W = 5.0
KETTLES = [f"kettle-{place}" for place in range(20)]
Found = list[tuple[Kind, Severity, str]]

law = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
found = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from(SEVERITIES), st.sampled_from(DEVICES)),
    min_size=1,
    max_size=6,
    unique_by=lambda one: (one[0], one[2]),
)
stories = st.lists(
    st.lists(st.sampled_from([0.0, 4.9, THRESHOLD_W, 5.1, 40.0, 2000.0]), min_size=1, max_size=8),
    min_size=len(KETTLES),
    max_size=len(KETTLES),
)


async def alerts_of(house: House) -> dict[uuid.UUID, Alert]:
    async with house.database.scope(house.organisation.id) as connection:
        return {one.id: one for one in (await list_alerts(connection, Wanted(), 500)).items}


async def told_to(house: House, user_id: uuid.UUID) -> dict[uuid.UUID, Notification]:
    async with house.database.scope(Sight(house.organisation.id, user_id)) as connection:
        inbox = await list_notifications(connection, user_id, 500, None)
    return {one.alert_id: one for one in inbox.page.items}


@pytest.fixture
async def alarms(house: House) -> AsyncIterator[Alarms]:
    await house.add(DEVICES, ["power"])
    database = Database(house.worker_url)
    yield Alarms(database, house.client, house.clock, Decimal("0.30"))
    await database.close()


@pytest.fixture
async def events(house: House) -> list[LiveEvent]:
    """What the live subject says from now on."""
    heard: list[LiveEvent] = []
    await house.client.subscribe(EVENTS_SUBJECT, lambda _, message: heard.append(LiveEvent.decode(message)))
    await house.client.flush()
    return heard


@law
@given(found, st.sampled_from(["plain", "oracle"]), st.booleans())
async def test_for_any_anomaly_there_is_an_alert_a_notification_and_a_live_word_until_it_is_resolved(
    house: House,
    alarms: Alarms,
    events: list[LiveEvent],
    found: Found,
    voice: Literal["plain", "oracle"],
    by_hand: bool,
) -> None:
    """Properties 17, 18, 22 and 24: with the words of the site's voice, and with the moment of its end."""
    person = await join(house.database, house.organisation.id, await make_person(house.database), "viewer")
    events.clear()
    async with house.database.scope(house.organisation.id) as connection:
        (site,) = (await list_sites(connection)).items
        await update_site(connection, site.id, {"voice": voice})
    house.clock.advance(60)
    now_us = house.clock.now_us()
    findings = [
        Finding(
            Key(house.organisation.id, kind, house.devices[device]),
            *(severity, now_us, now_us, "power", 40.0, THRESHOLD_W, 35.0),
        )
        for kind, severity, device in found
    ]
    await alarms.take(findings, [])
    alerts, told = await alerts_of(house), await told_to(house, person.user_id)
    assert set(told) == {one.alert_id for one in findings}
    for one in findings:
        alert, notification = alerts[one.alert_id], told[one.alert_id]
        spoken = put_in_words(alert, now_us).spoken
        assert (alert.status, alert.kind, alert.severity) == ("open", one.key.kind, one.severity)
        assert (notification.title, notification.body) == (spoken.title, spoken.description)
        assert (notification.read_at, alert.voice) == (None, voice)

    async def heard() -> bool:
        return len(mine()) == len(findings)

    def mine() -> dict[str, LiveEvent]:
        return {one.data["alert_id"]: one for one in events if one.user == str(person.user_id)}

    await until(heard, "a live word of each")
    for alert_id, event in mine().items():
        notification = told[uuid.UUID(alert_id)]
        assert (event.data["title"], event.data["body"]) == (notification.title, notification.body)
    house.clock.advance(60)
    now = to_datetime(house.clock.now_us())
    if by_hand:
        async with house.database.scope(house.organisation.id) as connection:
            for one in findings:
                await resolve_alert(connection, one.alert_id, f"user:{person.user_id}", now)
    await alarms.take([], [Clearing(one.key, house.clock.now_us()) for one in findings])
    alerts = await alerts_of(house)
    ends = {(alerts[one.alert_id].status, alerts[one.alert_id].resolved_at) for one in findings}
    assert ends == {("resolved", now)}


@pytest.fixture
async def kettles(house: House) -> AsyncIterator[Callable[[dict[str, float]], Awaitable[None]]]:
    """Kettles on standby and a worker that looks at them; sends readings of the next second."""
    await house.add(KETTLES, ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        for device in KETTLES:
            await update_device(connection, device, {"idle_threshold_w": THRESHOLD_W})
            await set_state(connection, device, "standby")

    async def send(values: dict[str, float]) -> None:
        house.clock.advance(1)
        ts_us = house.clock.now_us()
        await house.send([(device, ts_us, {"power": watts}) for device, watts in values.items()])

    async def has_begun() -> bool:
        await send(dict.fromkeys(KETTLES, 2 * THRESHOLD_W))
        return len(await alerts_of(house)) == len(KETTLES)

    async with house.working():
        await until(has_begun, "detectors at work")
        yield send


def alerts_in(story: Sequence[float]) -> list[str]:
    """What becomes of a kettle that sends these values after none: an alert for each time it rises."""
    is_above = [False, *(watts > THRESHOLD_W for watts in story)]
    rises = sum(now and not before for before, now in itertools.pairwise(is_above))
    return ["resolved"] * (rises - 1) + (["open"] if is_above[-1] else ["resolved"]) if rises else []


@settings(law, max_examples=10)
@given(stories)
async def test_for_any_readings_the_detectors_find_what_is_in_them(
    house: House, kettles: Callable[[dict[str, float]], Awaitable[None]], told: list[list[float]]
) -> None:
    """Property 21, with twenty kettles in each example."""
    await kettles(dict.fromkeys(KETTLES, 0.0))
    begun = to_datetime(house.clock.now_us())
    for place in range(max(map(len, told))):
        now = {
            device: story[place] for device, story in zip(KETTLES, told, strict=True) if place < len(story)
        }
        await kettles(now)
    await house.settled()
    expected = dict(zip(KETTLES, map(alerts_in, told), strict=True))

    async def found() -> bool:
        held: dict[str, list[str]] = {device: [] for device in KETTLES}
        for one in sorted((await alerts_of(house)).values(), key=lambda alert: alert.since):
            if one.kind == "phantom_load" and one.since > begun:
                held[one.device or ""].append(one.status)
        return held == expected

    await until(found, f"the alerts of {expected}")
