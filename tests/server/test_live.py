"""The live feed over real sockets: what is told, to whom, and what happens after a break."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from kilowatch.accounts.store.api_keys import create_api_key, list_api_keys
from kilowatch.server.app import Parts
from kilowatch.server.live.directory import Directory, Viewer
from kilowatch.server.live.hub import Registry
from kilowatch.sites.store import register_devices
from kilowatch.stream.client import Client
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from tests.server.conftest import WITHIN_S, House, Listener, Member, open_house, until

TS = 1_760_000_000_000_000


async def test_a_reading_is_told_under_its_device(house: House, member: Member) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("devices.D1")
        await listening(house, listener)
        await house.publish(member, "D1", TS, power=195.9, voltage=230.5)
        (message,) = await listener.hear_messages(1)
    assert message == {
        "topic": "devices.D1",
        "ts": "2025-10-09T08:53:20Z",
        "type": "reading",
        "data": {
            "device": "D1",
            "site_id": message["data"]["site_id"],
            "metrics": {"power": 195.9, "voltage": 230.5},
        },
    }


async def test_a_state_is_told_by_its_name(house: House, member: Member) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("devices.D1")
        await listening(house, listener)
        await house.publish(member, "D1", TS, state=1.0)
        (message,) = await listener.hear_messages(1)
    assert message["data"]["metrics"] == {"state": "on"}


async def test_only_what_was_asked_for_is_told(house: House, member: Member) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("devices.D2")
        await listening(house, listener)
        await house.publish(member, "D1", TS, power=1.0)
        await house.publish(member, "D2", TS, power=2.0)
        messages = await listener.hear_messages(1)
    assert [message["topic"] for message in messages] == ["devices.D2"]


async def test_nobody_hears_of_another_organisation(house: House, member: Member, stranger: Member) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("*", "devices.*", "sites.*")
        await listening(house, listener)
        await house.publish(stranger, "D1", TS, power=666.0)
        await house.publish(member, "D1", TS, power=1.0)
        messages = await listener.hear_messages(2)
    assert {message["data"]["metrics"]["power"] for message in messages} == {1.0}


async def test_an_event_is_told_to_its_organisation_only(
    house: House, member: Member, stranger: Member
) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("alerts", "streams.customer.*")
        await listening(house, listener)
        for owner, topic in ((stranger, "alerts"), (member, "streams.customer.7"), (member, "tariffs")):
            event = LiveEvent(str(owner.organisation.id), topic, TS, "alert", {"of": owner.organisation.slug})
            await house.stream.publish(EVENTS_SUBJECT, event.encode())
        (message,) = await listener.hear_messages(1)
    assert (message["topic"], message["data"]["of"]) == ("streams.customer.7", member.organisation.slug)


async def test_a_cursor_brings_everything_that_came_meanwhile(house: House, member: Member) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("devices.D1")
        await listening(house, listener)
        await house.publish(member, "D1", TS, power=1.0)
        await listener.hear_messages(1)
        cursor = listener.cursor
    for step in range(1, 4):
        before = house.application.hub.feed.ring.last_seq
        await house.publish(member, "D1", TS + step, power=1.0 + step)
        await until(lambda before=before: house.application.hub.feed.ring.last_seq > before)
    async with house.listen(member) as listener:
        await listener.subscribe("devices.D1", cursor=cursor)
        messages = await listener.hear_messages(3)
    assert [message["data"]["metrics"]["power"] for message in messages] == [2.0, 3.0, 4.0]
    assert {message["type"] for message in messages} == {"reading"}


@pytest.mark.parametrize("cursor", ["feedbeefcafe:1", "nonsense", "feedbeefcafe:99999999999999999999", ":"])
async def test_a_cursor_of_another_process_is_answered_with_reset_and_the_latest_state(
    house: House, member: Member, cursor: str
) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("devices.D1")
        await listening(house, listener)
        await house.publish(member, "D1", TS, power=7.0)
        await listener.hear_messages(1)
        async with house.listen(member) as second:
            await second.subscribe("devices.D1", cursor=cursor)
            assert await second.hear() == {"type": "reset"}
            (message,) = await second.hear_messages(1)
    assert (message["type"], message["data"]["metrics"]) == ("latest", {"power": 7.0})


async def test_a_second_subscription_tells_the_latest_state_of_what_is_new(
    house: House, member: Member
) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("devices.D1")
        await listening(house, listener)
        await house.publish(member, "D2", TS, power=5.0)
        await house.publish(member, "D1", TS, power=4.0)
        await listener.hear_messages(1)
        await listener.subscribe("devices.D*")
        messages = await listener.hear_messages(2)
        assert sorted(message["data"]["metrics"]["power"] for message in messages) == [4.0, 5.0]
        await listener.say(type="unsubscribe", topics=["devices.D1", "devices.D*"])
        await listener.say(type="ping")
        await listener.hear_until("pong")
        before = len(listener.told)
        await house.publish(member, "D1", TS + 1, power=9.0)
        await listener.subscribe("devices.D2")
        assert {message["data"]["device"] for message in await listener.hear_messages(1)} == {"D2"}
        assert len(listener.told) == before + 1


async def test_a_device_made_meanwhile_is_told_and_a_removed_one_is_not(
    house: House, member: Member, http: httpx.AsyncClient
) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("*")
        await listening(house, listener)
        made = await http.post("/api/v1/devices", json={"id": "D3"}, headers=member.bearer("admin"))
        assert made.status_code == 201
        async with house.database.scope(member.organisation.id) as connection:
            member.devices |= await register_devices(connection, member.organisation.id, ["D3"])
        await until(lambda: knows(house, member, "D3"))
        await house.publish(member, "D3", TS, power=3.0)
        (message,) = await listener.hear_messages(1)
        assert message["topic"] == "devices.D3"
        gone = await http.delete("/api/v1/devices/D3", headers=member.bearer("admin"))
        assert gone.status_code == 204
        await until(lambda: not knows(house, member, "D3"), within_s=1.0)
        await house.publish(member, "D3", TS + 1, power=3.0)
        await house.publish(member, "D1", TS + 1, power=1.0)
        messages = await listener.hear_messages(1)
        assert {message["topic"] for message in messages} == {"devices.D1"}


async def test_a_switched_device_is_told_to_its_own(
    house: House, member: Member, stranger: Member, http: httpx.AsyncClient
) -> None:
    """Of both organisations' D1 each hears its own, and only who asked for it."""
    keys = {}
    for one in (member, stranger):
        async with house.database.scope(one.organisation.id) as connection:
            _, keys[one.organisation.id] = await create_api_key(
                connection, one.organisation.id, "hand", ["control"]
            )

    async def switch(one: Member, device: str, state: str) -> None:
        hand = {"Authorization": f"Bearer {keys[one.organisation.id]}"}
        answer = await http.post(f"/api/v1/devices/{device}/state", json={"state": state}, headers=hand)
        assert answer.status_code == 200

    async with house.listen(member) as listener:
        await listener.subscribe("devices.D1")
        await listening(house, listener)
        await switch(stranger, "D1", "standby")
        await switch(member, "D2", "standby")
        await switch(member, "D1", "off")
        (message,) = await listener.hear_messages(1)
    assert (message["topic"], message["type"]) == ("devices.D1", "device")
    assert message["data"] == {"device": "D1", "state": "off"}


async def test_a_revoked_key_ends_the_connection(
    house: House, member: Member, http: httpx.AsyncClient
) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("*")
        await listening(house, listener)
        async with house.database.scope(member.organisation.id) as connection:
            keys = {key.name: key.id for key in (await list_api_keys(connection)).items}
        revoked = await http.delete(f"/api/v1/api-keys/{keys['read']}", headers=member.bearer("admin"))
        assert revoked.status_code == 204
        with pytest.raises(ConnectionClosed) as closed:
            await listener.hear_until("never")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401


async def test_without_credentials_the_socket_is_accepted_and_closed(house: House, member: Member) -> None:
    for credentials, code in (
        ({}, 4401),
        ({"Authorization": "Bearer kw_wrong"}, 4401),
        (member.bearer("ingest"), 4403),
        ({"Cookie": f"kilowatch_session={member.keys['read']}"}, 4403),
        ({"Cookie": f"kilowatch_session={member.keys['read']}", "Origin": "http://evil.example"}, 4403),
    ):
        async with house.listen(None, **credentials) as listener:
            with pytest.raises(ConnectionClosed) as closed:
                await listener.hear()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


async def test_a_browser_of_this_very_page_may_listen(house: House, member: Member) -> None:
    cookie = {"Cookie": f"kilowatch_session={member.keys['read']}"}
    async with house.listen(None, **cookie, Origin=house.url) as listener:
        await listener.subscribe("devices.D1")
        await listening(house, listener)
        await house.publish(member, "D1", TS, power=1.0)
        assert len(await listener.hear_messages(1)) == 1


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "null",
        '{"type":"dance"}',
        '{"type":"subscribe","topics":"D1"}',
        '{"type":1}',
        "\x00",
        '{"type":"ping","deep":' + 5000 * "[" + 5000 * "]" + "}",
    ],
    ids=range(9),
)
async def test_a_message_that_is_none_is_answered_and_the_connection_stays(
    house: House, member: Member, message: str
) -> None:
    async with house.listen(member) as listener:
        await listener.socket.send(message)
        assert (await listener.hear())["type"] == "error"
        await listener.say(type="ping")
        assert (await listener.hear())["type"] == "pong"


class Slow:
    """A registry that lists no devices before it is let."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.asked, self.let = asyncio.Event(), asyncio.Event()
        self.read_latest, self.find_withdrawn = registry.read_latest, registry.find_withdrawn

    async def read_directory(self, viewer: Viewer) -> Directory:
        self.asked.set()
        await self.let.wait()
        return await self._registry.read_directory(viewer)


async def test_a_pong_says_that_what_was_asked_before_is_done(house: House, member: Member) -> None:
    slow = house.application.hub.registry = Slow(house.application.hub.registry)
    async with house.listen(member) as listener:
        await listener.subscribe("alerts")
        await listener.say(type="ping")
        await slow.asked.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await listener.socket.recv()
        slow.let.set()
        assert (await listener.hear())["type"] == "pong"
        event = LiveEvent(str(member.organisation.id), "alerts", TS, "alert", {"id": "1"})
        await house.stream.publish(EVENTS_SUBJECT, event.encode())
        (message,) = await listener.hear_messages(1)
    assert message["data"] == {"id": "1"}


async def test_a_topic_that_does_not_exist_is_refused_by_name(house: House, member: Member) -> None:
    async with house.listen(member) as listener:
        await listener.subscribe("devices.D1", "device.D1")
        error = await listener.hear()
    assert (error["code"], [fault["index"] for fault in error["errors"]]) == ("bad_topic", [1])


async def test_events_over_http_are_the_same_messages(
    house: House, member: Member, http: httpx.AsyncClient
) -> None:
    async with http.stream(
        "GET", "/api/v1/stream", params={"topics": "devices.D1,alerts"}, headers=member.bearer()
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        assert (await anext(lines)).startswith(":")
        await until(lambda: house.application.hub.client_count == 1)
        await house.publish(member, "D1", TS, power=1.5)
        async with asyncio.timeout(WITHIN_S):
            event = [line async for line in take_event(lines)]
    assert event[0].startswith("id: ")
    assert '"metrics":{"power":1.5}' in event[1]
    await until(lambda: house.application.hub.client_count == 0)


async def test_a_refused_stream_is_a_problem(http: httpx.AsyncClient, member: Member, house: House) -> None:
    for headers, topics, status in (
        ({}, "alerts", 401),
        (member.bearer("ingest"), "alerts", 403),
        (member.bearer(), "nonsense", 422),
    ):
        response = await http.get("/api/v1/stream", params={"topics": topics}, headers=headers)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
    assert house.application.hub.client_count == 0


@contextlib.asynccontextmanager
async def deaf_client(house: House, member: Member) -> AsyncIterator[None]:
    """A WebSocket whose client subscribes to everything and then reads nothing at all."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, limit=1024)
    lines = [
        "GET /api/v1/live HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Authorization: {member.bearer()['Authorization']}",
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    await reader.readuntil(b"\r\n\r\n")
    text = b'{"type":"subscribe","topics":["*"]}'
    # A client's frame is masked; a mask of zeros leaves the text as it is.
    writer.write(b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_client_that_does_not_read_holds_up_nobody_and_can_be_shut_out(
    house: House, member: Member, http: httpx.AsyncClient
) -> None:
    hub = house.application.hub
    async with deaf_client(house, member):
        await until(lambda: any(client.audience is not None for client in hub._clients))
        (deaf,) = hub._clients
        for second in range(50):
            event = LiveEvent(
                str(member.organisation.id), "alerts", TS + second, "alert", {"blob": "x" * 200_000}
            )
            await house.stream.publish(EVENTS_SUBJECT, event.encode())
        async with house.listen(member) as listener:
            await listener.subscribe("devices.D1")
            await listening(house, listener)
            for step in range(5):
                await house.publish(member, "D1", TS + step, power=float(step))
                (message,) = await listener.hear_messages(1)
                assert message["data"]["metrics"] == {"power": float(step)}
            # Ten megabytes wait for the other one, more than a socket takes: it is stuck in sending.
            assert deaf._items or deaf.seq < hub.feed.ring.last_seq
            async with house.database.scope(member.organisation.id) as connection:
                keys = {key.name: key.id for key in (await list_api_keys(connection)).items}
            await http.delete(f"/api/v1/api-keys/{keys['read']}", headers=member.bearer("admin"))
            await until(lambda: hub.client_count == 0, within_s=1.0)


async def test_a_client_that_answers_no_ping_is_closed(parts: Parts, stream: Client, member: Member) -> None:
    async with open_house(parts, stream, ping_s=0.1, silence_s=0.3) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        lines = [
            "GET /api/v1/live HTTP/1.1",
            "Host: 127.0.0.1",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            f"Authorization: {member.bearer()['Authorization']}",
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(WITHIN_S):
            received = await reader.read()
        writer.close()
    assert b"101 Switching Protocols" in received
    assert b"keepalive ping timeout" in received


async def test_open_connections_do_not_hold_up_the_end(parts: Parts, stream: Client, member: Member) -> None:
    async with (
        open_house(parts, stream) as house,
        httpx.AsyncClient(base_url=house.url) as http,
        house.listen(member) as listener,
        http.stream("GET", "/api/v1/stream", params={"topics": "*"}, headers=member.bearer()) as response,
    ):
        await listener.subscribe("*")
        lines = response.aiter_lines()
        await anext(lines)
        house.server.should_exit = True
        async with asyncio.timeout(2.5):
            await house.serving
        with pytest.raises(ConnectionClosed) as closed:
            await listener.hear_until("never")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code in (1001, 1012)


async def take_event(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The lines of the next event."""
    async for line in lines:
        if line:
            yield line
        if line.startswith("data:"):
            return


async def listening(house: House, listener: Listener) -> None:
    """Returns once the client's subscription is in place."""
    await listener.say(type="ping")
    await listener.hear_until("pong")


def knows(house: House, member: Member, device: str) -> bool:
    directory = house.application.hub._directories[Viewer(str(member.organisation.id))]
    return any(entry.id == device for entry in directory.devices.values())
