"""Repeated requests and replayed letters: the same again changes nothing."""

import asyncio

import msgspec

from kilowatch.accounts.identity import Authenticator
from kilowatch.accounts.rights import Role
from kilowatch.accounts.routes.browser import COOKIE
from kilowatch.clock import SystemClock
from kilowatch.ingest.doors import create_doors
from kilowatch.observe import metrics
from kilowatch.server.credentials import find_header
from kilowatch.settings import Settings
from kilowatch.sites.store import register_devices
from kilowatch.stream.client import Client
from tests.ingest.conftest import Sender, http_client, logged
from tests.ingest.test_doors import reading
from tests.server.persons import TOKENS, make_staff


async def test_the_same_request_gets_the_first_answer_again(sender: Sender, client: Client) -> None:
    rows = [reading(), reading("D9")]
    first = await sender.send(rows, idempotency_key="k-1")
    again = await sender.send(rows, idempotency_key="k-1")
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert first.json()["accepted"] == 1
    assert sum(map(len, await logged(client))) == 1
    assert len(await sender.letters()) == 1


async def test_both_of_two_at_once_get_one_answer(sender: Sender, client: Client) -> None:
    rows = [reading(seconds=place) for place in range(100)]
    answers = await asyncio.gather(*(sender.send(rows, idempotency_key="k-2") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert {answer.text for answer in answers} == {answers[0].text}
    assert sum(map(len, await logged(client))) == 100


async def test_another_process_gets_the_same_answer(
    sender: Sender, client: Client, settings: Settings
) -> None:
    rows = [reading(seconds=place) for place in range(100)]
    doors = create_doors(settings, SystemClock(), sender.database, client)
    await doors.start()
    async with http_client(doors) as http:
        other = Sender(http, sender.organisation, sender.database, sender.secret)
        here, there = await asyncio.gather(
            sender.send(rows, idempotency_key="k-3"), other.send(rows, idempotency_key="k-3")
        )
    await doors.stop()
    assert here.status_code == there.status_code == 202
    assert here.json() == there.json()
    assert sum(map(len, await logged(client))) == 100


async def test_one_key_for_another_body_is_refused(sender: Sender) -> None:
    assert (await sender.send(reading(power=1), idempotency_key="k-4")).status_code == 202
    refused = await sender.send(reading(power=2), idempotency_key="k-4")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert (await sender.send(reading(), idempotency_key="\t")).status_code == 400


async def test_a_refusal_is_remembered_too(sender: Sender) -> None:
    first = await sender.send(reading("D9"), idempotency_key="k-5")
    async with sender.database.scope(sender.organisation.id) as connection:
        await register_devices(connection, sender.organisation.id, ["D9"])
    again = await sender.send(reading("D9"), idempotency_key="k-5")
    assert first.status_code == 422
    assert again.status_code in (202, 422)  # another body when the clock went on
    assert (await sender.send(reading("D9"))).status_code == 202


async def test_influx_writes_may_carry_a_key(sender: Sender, client: Client) -> None:
    body = b"m,device=D1 power=1"
    for _ in range(2):
        assert (await sender.post(body, "/write", idempotency_key="k-6")).status_code == 204
    assert sum(map(len, await logged(client))) == 1


async def test_a_letter_is_replayed_once_its_cause_is_gone(sender: Sender, client: Client) -> None:
    await sender.send(reading("D9", power=7))
    (letter,) = await sender.letters()
    path = f"/api/v1/dead-letters/{letter.id}/replay"
    early = await sender.post(b"", path)
    assert (early.status_code, early.json()["code"]) == (422, "unknown_device")
    async with sender.database.scope(sender.organisation.id) as connection:
        await register_devices(connection, sender.organisation.id, ["D9"])
    answer = await sender.post(b"", path)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    (frame,) = await logged(client)
    assert frame.door == "replay"
    assert [column.tolist() for column in frame.metrics.values()] == [[7.0]]
    (kept,) = await sender.letters()
    assert kept.replayed_at is not None
    assert (await sender.post(b"", path)).status_code == 409


async def test_of_several_who_replay_a_letter_at_once_one_has_done_it(sender: Sender) -> None:
    await sender.send(reading("D9", power=7))
    (letter,) = await sender.letters()
    async with sender.database.scope(sender.organisation.id) as connection:
        await register_devices(connection, sender.organisation.id, ["D9"])
    handled = metrics.DEAD_LETTERS_HANDLED.labels("replayed")
    before = handled._value.get()
    path = f"/api/v1/dead-letters/{letter.id}/replay"
    answers = await asyncio.gather(*(sender.post(b"", path) for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [202, *[409] * 5]
    assert handled._value.get() == before + 1


async def test_a_letter_without_a_time_keeps_the_time_of_its_arrival(sender: Sender, client: Client) -> None:
    await sender.post(b'{"device":"D9","metrics":{"power":1}}')
    (letter,) = await sender.letters()
    async with sender.database.scope(sender.organisation.id) as connection:
        await register_devices(connection, sender.organisation.id, ["D9"])
    assert (await sender.post(b"", f"/api/v1/dead-letters/{letter.id}/replay")).status_code == 202
    (frame,) = await logged(client)
    assert abs(int(frame.ts_us[0]) - letter.received_at.timestamp() * 1e6) < 1e6


async def test_influx_lines_are_replayed(sender: Sender, client: Client) -> None:
    await sender.post(b"m,device=D9 power=3", "/write")
    (letter,) = await sender.letters()
    async with sender.database.scope(sender.organisation.id) as connection:
        await register_devices(connection, sender.organisation.id, ["D9"])
    assert (await sender.post(b"", f"/api/v1/dead-letters/{letter.id}/replay")).status_code == 202
    assert sum(map(len, await logged(client))) == 1


async def test_nobody_replays_what_is_not_theirs(sender: Sender, other_sender: Sender) -> None:
    await sender.send(reading("D9"))
    (letter,) = await sender.letters()
    path = f"/api/v1/dead-letters/{letter.id}/replay"
    assert (await other_sender.post(b"", path)).status_code == 404
    assert (await sender.post(b"", "/api/v1/dead-letters/nonsense/replay")).status_code == 404


async def test_people_replay_from_own_pages_as_far_as_their_role_goes(
    sender: Sender, client: Client, settings: Settings
) -> None:
    await sender.send(reading("D9"))
    (letter,) = await sender.letters()
    async with sender.database.scope(sender.organisation.id) as connection:
        await register_devices(connection, sender.organisation.id, ["D9"])
    staff = await make_staff(sender.database, sender.organisation.id)
    authenticator = Authenticator(sender.database, SystemClock(), tokens=TOKENS)
    doors = create_doors(
        settings, SystemClock(), sender.database, client, authenticator=authenticator, find_header=find_header
    )
    await doors.start()
    path, there = f"/api/v1/dead-letters/{letter.id}/replay", {"X-Organisation": sender.organisation.slug}

    def page_of(role: Role, origin: str) -> dict[str, str]:
        secret = staff[role].headers["Authorization"].removeprefix("Bearer ")
        return {"Cookie": f"{COOKIE}={secret}", "Origin": origin} | there

    async with http_client(doors) as http:
        own = str(http.base_url).rstrip("/")
        foreign = await http.post(path, headers=page_of("admin", "https://elsewhere.example"))
        assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign_origin")
        assert (await http.post(path, headers=page_of("viewer", own))).status_code == 403
        assert (await http.post(path, headers=staff["viewer"].headers | there)).status_code == 403
        assert (await http.post(path, headers=page_of("operator", own))).status_code == 202
    await doors.stop()


async def test_a_letter_that_holds_no_reading_stays(sender: Sender) -> None:
    await sender.post(msgspec.json.encode([7, reading()]))
    (letter,) = await sender.letters()
    answer = await sender.post(b"", f"/api/v1/dead-letters/{letter.id}/replay")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_shape")
    (kept,) = await sender.letters()
    assert kept.replayed_at is None
