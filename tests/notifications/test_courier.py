"""Deliveries on real services: an SMTP server, a webhook, flaky and silent ones; and couriers that are
killed."""

import asyncio
import json
import subprocess
import sys
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.accounts.mail import Mail
from kilowatch.accounts.store.assignments import assign_device, assign_site, withdraw_device, withdraw_site
from kilowatch.accounts.store.users import disable
from kilowatch.clock import MICROSECONDS, DrivenClock, SystemClock, to_datetime, to_us
from kilowatch.notifications.backoff import TRIES_MOST, WAITS_S
from kilowatch.notifications.breaker import FAILURES_MOST, PAUSE_S
from kilowatch.notifications.courier import OTHER_KEY, Courier
from kilowatch.notifications.digest import Digest
from kilowatch.notifications.escalation import Step
from kilowatch.notifications.letter import Letter
from kilowatch.notifications.notice import settle, tell
from kilowatch.notifications.preference import Preferences, QuietHours
from kilowatch.notifications.seal import Seal
from kilowatch.notifications.sender import Sender
from kilowatch.notifications.store.channels import change_channel, get_channel
from kilowatch.notifications.store.notifications import list_notifications
from kilowatch.notifications.storm import Guard
from kilowatch.postgres.engine import Sight
from kilowatch.postgres.roles import WORKER
from tests.conftest import PostgresServer
from tests.notifications.conftest import KEY, NOW_US, Hook, Town
from tests.post import Post
from tests.worker.house import until

TRIAL = Letter("low", "Title", "Body")
UNGUARDED = Preferences(storm=Guard(1000, 1))


async def send_due(courier: Courier) -> None:
    """One turn, with all that follows from it."""
    await courier.turn()
    await courier.rest()


async def say(town: Town, count: int = 1, at_us: int = NOW_US, **more: Any) -> list[uuid.UUID]:
    notices = [town.notice(title=f"Kettle {number}", **more) for number in range(count)]
    async with town.worker.unscoped() as connection:
        await tell(connection, notices, at_us)
    return [one.alert_id for one in notices]


async def test_a_mail_arrives(town: Town, courier: Courier, post: Post) -> None:
    user_id = await town.add("operator")
    other = await town.open_channel(
        user_id, f"mailto://127.0.0.1:{post.port}?to=ops@example.org&from=kw@example.org"
    )
    own = await town.open_channel(user_id, "mailto:ada@example.org")
    await say(town)
    await send_due(courier)
    assert {letter["to"]: letter["subject"] for letter in post.letters} == {
        "ops@example.org": "Kettle 0",
        "ada@example.org": "Kettle 0",
    }
    for letter in post.letters:
        body = letter.get_body(("plain", "html"))
        assert body is not None
        assert "It takes 12 W." in body.get_content()
        assert "Pull the plug." in body.get_content()
    for channel in (other, own):
        (delivery,) = await town.log(channel)
        assert (delivery.status, delivery.tries, [one.ok for one in delivery.attempts]) == ("sent", 1, [True])


async def test_a_webhook_hears_in_order_and_once(town: Town, courier: Courier, hook: Hook) -> None:
    await town.open_channel(await town.add("operator", UNGUARDED), hook.address)
    for second in range(5):
        await say(town, at_us=NOW_US - second * MICROSECONDS, body=f"{second}")
    await send_due(courier)
    await send_due(courier)
    assert [one["message"][0] for one in hook.taken] == ["4", "3", "2", "1", "0"]
    assert {(one["title"], one["type"]) for one in hook.taken} == {("Kettle 0", "failure")}


@given(st.lists(st.sampled_from([200, 500, 404, 429]), max_size=TRIES_MOST))
@settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
async def test_a_flaky_service_is_tried_until_it_takes_it_or_is_given_up(
    town: Town, hook: Hook, mail: Mail, answers: list[int]
) -> None:
    """The law of trying again: each wait is the table's, and what was sent is sent no more."""
    clock = DrivenClock(NOW_US)

    async def publish(_: object) -> None:
        """Tells nobody."""

    courier = Courier(town.worker, Seal(KEY), Sender(mail, private_hosts=True, limit_s=5), clock, publish)
    hook.answers, hook.taken = list(answers), []
    channel = await town.open_channel(await town.add("operator", UNGUARDED), hook.address)
    async with town.worker.scope(town.organisation.id) as connection:
        await tell(connection, [town.notice(rule_channels=[str(channel)])], NOW_US)
    needed = next((tries for tries, answer in enumerate(answers, 1) if answer == 200), len(answers) + 1)
    for tries in range(1, min(needed, TRIES_MOST) + 1):
        await send_due(courier)
        (delivery,) = await town.log(channel)
        assert delivery.tries == len(delivery.attempts) == tries
        if tries == needed:
            assert (delivery.status, delivery.attempts[-1].ok) == ("sent", True)
        elif tries == TRIES_MOST:
            assert delivery.status == "failed"
        else:
            assert to_us(delivery.due_at) - clock.now_us() == WAITS_S[tries - 1] * MICROSECONDS
            assert str(answers[tries - 1]) in delivery.attempts[-1].detail
            assert "s3cr3t" not in delivery.attempts[-1].detail
            clock.advance(WAITS_S[tries - 1] - 1)
            await send_due(courier)
            assert len((await town.log(channel))[0].attempts) == tries
            clock.advance(1)
    clock.advance(86_400)
    await send_due(courier)
    assert len(hook.taken) == int(needed <= TRIES_MOST)


async def test_a_service_that_keeps_failing_is_left_alone(
    town: Town, courier: Courier, hook: Hook, clock: DrivenClock
) -> None:
    channel = await town.open_channel(await town.add("operator", UNGUARDED), hook.address)
    hook.answers = [500] * 100
    await say(town, 20)
    await send_due(courier)
    assert hook.asked == FAILURES_MOST
    clock.advance(PAUSE_S - 1)
    await send_due(courier)
    assert hook.asked == FAILURES_MOST
    clock.advance(1)
    await send_due(courier)
    assert hook.asked == FAILURES_MOST + 1
    hook.answers = []
    clock.advance(2 * PAUSE_S)
    await send_due(courier)
    clock.advance(3600)
    await send_due(courier)
    assert sorted(one["title"] for one in hook.taken) == sorted(f"Kettle {number}" for number in range(20))
    async with town.worker.scope(town.organisation.id) as connection:
        assert (await get_channel(connection, channel)).failures == 0


async def test_a_silent_service_holds_up_nobody_else(
    town: Town, courier: Courier, hook: Hook, post: Post
) -> None:
    user_id = await town.add("operator")
    silent = await town.open_channel(user_id, hook.address)
    await town.open_channel(user_id, "mailto:ada@example.org")
    hook.wait.clear()
    courier.sender = Sender(courier.sender._mail, private_hosts=True, limit_s=1)
    await say(town)
    await courier.turn()

    async def mailed() -> bool:
        return len(post.letters) == 1

    await until(mailed, "the mail beside the silent service", 5)
    await courier.rest()
    (delivery,) = await town.log(silent)
    assert (delivery.status, delivery.attempts[0].detail) == ("pending", "no answer within 1 s")


async def test_a_service_that_answers_never_keeps_one_thread_and_no_more(hook: Hook, mail: Mail) -> None:
    sender = Sender(mail, private_hosts=True, limit_s=0.2)
    hook.wait.clear()
    answers = [await sender.send(hook.address, TRIAL) for _ in range(3)]
    assert [one.ok for one in answers] == [False] * 3
    assert answers[1].detail == "the message before is still not answered"
    assert hook.asked == 1
    hook.wait.set()

    async def taken() -> bool:
        return (await sender.send(hook.address, TRIAL)).ok

    await until(taken, "it is asked again once it has answered")


async def test_what_waits_together_goes_in_one_message(
    town: Town, courier: Courier, hook: Hook, clock: DrivenClock
) -> None:
    wanted = Preferences(storm=Guard(2, 5), digest=Digest(9 * 60), time_zone="UTC")
    channel = await town.open_channel(await town.add("operator", wanted), hook.address)
    await say(town, 10)
    mild = await say(town, 4, severity="low")
    async with town.worker.unscoped() as connection:
        await settle(connection, mild, NOW_US)
    await send_due(courier)
    assert len(hook.taken) == 2
    clock.advance(5 * 60)
    await send_due(courier)
    assert [one["title"] for one in hook.taken[2:]] == ["Many alerts at once: 8 alerts (8 high)"]
    clock.advance(55 * 60)
    await send_due(courier)
    assert [one["title"] for one in hook.taken[3:]] == ["Daily digest: 4 alerts (4 low)"]
    assert {one.status for one in await town.log(channel)} == {"sent"}


async def test_an_alert_that_waited_with_its_escalation_is_told_once(
    town: Town, courier: Courier, hook: Hook, clock: DrivenClock
) -> None:
    user_id = await town.add("operator")
    channel = await town.open_channel(user_id, hook.address)
    steps = (Step(10, channel_id=channel, repeat_minutes=10, repeats=3),)
    quiet = QuietHours(8 * 60, 9 * 60)
    await town.wish(user_id, Preferences(quiet_hours=quiet, escalation=steps, time_zone="UTC"))
    await say(town)
    for _ in range(6):
        clock.advance(10 * 60)
        await send_due(courier)
    assert [one["title"] for one in hook.taken] == ["Not acknowledged yet: Kettle 0"]
    assert {one.status for one in await town.log(channel)} == {"sent"}
    assert len(await town.log(channel)) == 5


async def test_a_channel_that_is_switched_off_is_told_nothing(
    town: Town, courier: Courier, hook: Hook
) -> None:
    channel = await town.open_channel(await town.add("operator"), hook.address)
    await say(town)
    async with town.worker.scope(town.organisation.id) as connection:
        await change_channel(connection, channel, {"enabled": False}, to_datetime(NOW_US))
    await say(town)
    async with town.worker.scope(town.organisation.id) as connection:
        await change_channel(connection, channel, {"enabled": True}, to_datetime(NOW_US))
    await send_due(courier)
    assert hook.taken == []


async def test_an_address_of_another_key_is_not_sent_to(town: Town, courier: Courier, hook: Hook) -> None:
    channel = await town.open_channel(await town.add("operator"), hook.address)
    courier.seal = Seal(b"o" * 32)
    await say(town)
    await send_due(courier)
    (delivery,) = await town.log(channel)
    assert delivery.attempts[0].detail == OTHER_KEY
    assert hook.asked == 0


async def test_two_couriers_send_everything_once(town: Town, courier: Courier, hook: Hook) -> None:
    other = Courier(town.worker, Seal(KEY), courier.sender, courier.clock, courier.publish)
    for _ in range(4):
        await town.open_channel(await town.add("operator", UNGUARDED), hook.address)
    await say(town, 10)
    await asyncio.gather(send_due(courier), send_due(other))
    await send_due(courier)
    assert len(hook.taken) == 40


@pytest.mark.parametrize("private", [False, True])
async def test_nothing_private_is_reached_unless_it_may_be(hook: Hook, mail: Mail, private: bool) -> None:
    sender = Sender(mail, private_hosts=private, limit_s=5)
    answer = await sender.send(hook.address, TRIAL)
    assert answer.ok == private
    assert hook.asked == int(private)
    redirected = await sender.send(f"json://localhost:{hook.port}/x", TRIAL)
    assert redirected.ok == private


async def test_a_message_that_ends_every_courier_is_given_up(
    town: Town, courier: Courier, hook: Hook, clock: DrivenClock
) -> None:
    channel = await town.open_channel(await town.add("operator"), hook.address)
    await say(town)
    for _ in range(TRIES_MOST):
        assert await courier._take(channel) is not None
        assert await courier._take(channel) is None  # it is somebody's
        clock.advance(courier.lease_s)
    assert await courier._take(channel) is None
    (delivery,) = await town.log(channel)
    assert (delivery.status, [one.ok for one in delivery.attempts]) == ("failed", [None] * TRIES_MOST)


@pytest.mark.parametrize("kind", ["site", "device"])
async def test_a_customer_is_told_nothing_of_what_was_taken_from_them(
    town: Town, courier: Courier, hook: Hook, kind: str
) -> None:
    user_id, place = await town.add("customer"), town.organisation.id
    channel = await town.open_channel(user_id, hook.address)
    async with town.database.scope(place) as connection:
        if kind == "site":
            await assign_site(connection, place, user_id, town.site_id)
        else:
            await assign_device(connection, place, user_id, "kettle")
    await say(town)
    await send_due(courier)
    assert len(hook.taken) == 1
    sight = Sight(place, user_id, is_customer=True)
    async with town.database.scope(sight) as connection:
        assert (await list_notifications(connection, user_id)).unread == 1
    await say(town)
    async with town.database.scope(place) as connection:
        if kind == "site":
            await withdraw_site(connection, place, user_id, town.site_id)
        else:
            await withdraw_device(connection, place, user_id, "kettle")
    await send_due(courier)
    assert len(hook.taken) == 1
    assert {one.status for one in await town.log(channel)} == {"sent", "dropped"}
    async with town.database.scope(sight) as connection:
        found = await list_notifications(connection, user_id)
    assert (found.unread, found.page.items) == (0, [])


async def test_nothing_is_sent_to_who_is_disabled(town: Town, courier: Courier, hook: Hook) -> None:
    user_id = await town.add("operator")
    await town.open_channel(user_id, hook.address)
    await say(town)
    async with town.database.person(user_id) as connection:
        await disable(connection, user_id)
    await send_due(courier)
    assert hook.asked == 0


async def test_a_courier_ends_soon_while_a_service_is_silent(
    town: Town, courier: Courier, hook: Hook
) -> None:
    channel = await town.open_channel(await town.add("operator"), hook.address)
    hook.wait.clear()
    courier.sender = Sender(courier.sender._mail, private_hosts=True, limit_s=60)
    await say(town)
    stop = asyncio.Event()
    running = asyncio.create_task(courier.run(stop))

    async def begun() -> bool:
        return hook.asked == 1

    await until(begun, "a message on its way", 30)
    stop.set()
    await asyncio.wait_for(running, 20)
    (delivery,) = await town.log(channel)
    assert (delivery.status, delivery.attempts[0].ok) == ("pending", None)


CHILD = """
import asyncio, json, sys
from kilowatch.accounts.mail import NoMail
from kilowatch.cli.processes import until_told
from kilowatch.clock import SystemClock
from kilowatch.notifications.courier import Courier
from kilowatch.notifications.seal import Seal
from kilowatch.notifications.sender import Sender
from kilowatch.postgres.engine import Database

async def publish(event):
    pass

async def work(url, key):
    database = Database(url)
    sender = Sender(NoMail(), private_hosts=True)
    courier = Courier(database, Seal(key), sender, SystemClock(), publish, lease_s=1.0, poll_s=0.05)
    await courier.run(until_told())
    await database.close()

url, key = json.loads(sys.argv[1])
asyncio.run(work(url, key.encode()))
"""


async def test_a_courier_that_is_killed_forgets_nothing(
    town: Town, hook: Hook, postgres_server: PostgresServer, database_name: str
) -> None:
    """kill -9 while a message is on its way and others wait: each arrives, if need be twice."""
    channel = await town.open_channel(await town.add("operator", UNGUARDED), hook.address)
    given = json.dumps([postgres_server.url(WORKER, database_name), KEY.decode()])

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", CHILD, given])

    await say(town, 6, SystemClock().now_us())

    async def begun() -> bool:
        return hook.asked > before

    async def arrived() -> bool:
        return {one["title"] for one in hook.taken} == {f"Kettle {number}" for number in range(6)}

    process = start()
    try:
        for _ in range(2):
            before = hook.asked
            hook.wait.clear()
            await until(begun, "a message on its way", 60)
            process.kill()
            await asyncio.to_thread(process.wait, 30)
            hook.wait.set()
            process = start()
        await until(arrived, "every message", 60)

        async def noted() -> bool:
            return all(one.status == "sent" for one in await town.log(channel))

        await until(noted, "every message in the log", 60)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 60) == 0
    finally:
        process.kill()
        process.wait(30)
    log = await town.log(channel)
    cut_off = [attempt for one in log for attempt in one.attempts if attempt.ok is None]
    assert 1 <= len(cut_off) <= 2
    assert all(one.tries == len(one.attempts) <= 3 for one in log)
