"""The walls on the live channels: whoever asks for everything, by every name of somebody else's things, hears
of their own and of nothing else. A customer hears of what is assigned to them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import text
from websockets.exceptions import ConnectionClosed

from kilowatch.accounts.rights import Role
from kilowatch.accounts.store.members import add_member
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import get_device
from kilowatch.wire.live import EVENTS_SUBJECT, LiveEvent
from tests.server.conftest import WITHIN_S, House, Member, until
from tests.server.test_people import Somebody

TS = 1_760_000_000_000_000
PLAIN_TOPICS = ("alerts", "notifications", "commands", "tariffs", "anomalies")
Ear = Callable[[House, dict[str, str], list[str]], AbstractAsyncContextManager[AsyncIterator[dict[str, Any]]]]


@asynccontextmanager
async def by_socket(
    house: House, headers: dict[str, str], topics: list[str]
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The messages that a WebSocket client is told."""
    async with house.listen(None, **headers) as listener:
        await listener.subscribe(*topics)

        async def messages() -> AsyncIterator[dict[str, Any]]:
            while True:
                for message in await listener.hear_messages(1):
                    yield message

        yield messages()


@asynccontextmanager
async def by_events(
    house: House, headers: dict[str, str], topics: list[str]
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The messages that come as server-sent events."""
    async with (
        httpx.AsyncClient(base_url=house.url, timeout=30) as http,
        http.stream(
            "GET", "/api/v1/stream", params={"topics": ",".join(topics)}, headers=headers
        ) as response,
    ):

        async def messages() -> AsyncIterator[dict[str, Any]]:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    for message in msgspec.json.decode(line[6:]).get("messages", []):
                        yield message

        yield messages()


async def join(
    house: House, letters: Path, database: Database, member: Member, role: Role
) -> tuple[Somebody, dict[str, str]]:
    """A new person who is a `role` in the member's organisation, and the headers that they ask there with."""
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as http:
        person = Somebody(http, letters)
        await person.sign_up()
        user_id = (await person.me()).json()["id"]
    async with database.person(user_id, member.organisation.id) as connection:
        await add_member(connection, member.organisation.id, user_id, role)
    return person, person.bearer() | {"X-Organisation": member.organisation.slug}


async def assign_device(database: Database, member: Member, user_id: str, device_id: str) -> None:
    async with database.scope(member.organisation.id) as connection:
        device = await get_device(connection, device_id)
        await connection.execute(
            text(
                "INSERT INTO kilowatch.device_assignments (organisation_id, user_id, device_no)"
                " VALUES (:organisation, :user, :device)"
            ),
            {"organisation": member.organisation.id, "user": user_id, "device": device.device_no},
        )


async def names_of(database: Database, member: Member) -> list[str]:
    """Every topic under which the member's things are told."""
    async with database.scope(member.organisation.id) as connection:
        sites = (await connection.execute(text("SELECT id::text FROM kilowatch.sites"))).scalars().all()
    wide = ["*", "devices.*", "sites.*", "regions.*", "streams.*"]
    return [*wide, *(f"devices.{name}" for name in member.devices), *(f"sites.{one}" for one in sites)]


async def tell_everything(house: House, member: Member, power: float) -> None:
    """Readings of all devices, and an event on every topic."""
    organisation = str(member.organisation.id)
    for name, device_no in member.devices.items():
        await house.publish(member, name, TS, power=power)
        about = LiveEvent(organisation, "alerts", TS, "alert", {"of": name}, device_no)
        await house.stream.publish(EVENTS_SUBJECT, about.encode())
    for topic in (*PLAIN_TOPICS, "streams.one", "frequency.high"):
        event = LiveEvent(organisation, topic, TS, "event", {"of": member.organisation.slug})
        await house.stream.publish(EVENTS_SUBJECT, event.encode())
    await house.stream.flush()


async def tell_own(house: House, member: Member, device: str) -> None:
    """A reading, and then an event that ends the listening."""
    await house.publish(member, device, TS + 1_000_000, power=42.0)
    last = LiveEvent(
        str(member.organisation.id),
        "alerts",
        TS,
        "alert",
        {"of": device, "last": True},
        member.devices[device],
    )
    await house.stream.publish(EVENTS_SUBJECT, last.encode())
    await house.stream.flush()


async def hear(messages: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is told until the event that ends the listening."""
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(WITHIN_S):
        async for message in messages:
            told.append(message)
            if message["data"].get("last"):
                break
    return told


EARS = pytest.mark.parametrize("ear", [by_socket, by_events], ids=["WebSocket", "events"])


@EARS
async def test_a_stranger_who_asks_for_everything_hears_of_their_own(
    house: House, member: Member, stranger: Member, database: Database, ear: Ear
) -> None:
    topics = await names_of(database, member)
    async with ear(house, stranger.bearer(), topics) as messages:
        await until(lambda: any(len(client.topics) for client in house.application.hub._clients))
        await tell_everything(house, member, 666.0)
        await tell_own(house, stranger, "D1")
        told = await hear(messages)
    readings = [message for message in told if message["type"] == "reading"]
    assert {message["data"]["metrics"]["power"] for message in readings} == {42.0}
    assert [message["data"] for message in told if message["type"] != "reading"] == [
        {"of": "D1", "last": True}
    ]


@EARS
async def test_a_customer_hears_of_what_is_assigned_to_them(
    house: House, member: Member, database: Database, tmp_path: Path, ear: Ear
) -> None:
    person, headers = await join(house, tmp_path / "mail", database, member, "customer")
    await assign_device(database, member, (await me_of(house, headers))["id"], "D2")
    topics = await names_of(database, member)
    async with ear(house, headers, topics) as messages:
        await until(lambda: any(len(client.topics) for client in house.application.hub._clients))
        await tell_everything(house, member, 1.0)
        await tell_own(house, member, "D2")
        told = await hear(messages)
    assert person.tokens
    assert {message["data"].get("device", message["data"].get("of")) for message in told} == {"D2"}
    assert [message["type"] for message in told].count("alert") == 2
    assert {message["type"] for message in told} == {"reading", "alert"}


async def status_of(house: House, headers: dict[str, str], path: str, query: dict[str, str]) -> int:
    """What the answer to a request begins with, since a stream does not end."""
    async with (
        httpx.AsyncClient(base_url=house.url, timeout=30) as http,
        http.stream("GET", path, params={"topics": "*", **query}, headers=headers) as answer,
    ):
        return answer.status_code


async def refusal_of(house: House, headers: dict[str, str], organisation: str) -> int | None:
    """The code that a WebSocket is closed with; None when it is served."""
    async with house.listen(None, f"?organisation={organisation}", **headers) as listener:
        try:
            await listener.subscribe("*")
            await listener.say(type="ping")
            await listener.hear_until("pong")
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code
        return None


@pytest.mark.parametrize("name", ["slug", "id"])
async def test_a_browser_names_the_organisation_in_the_address(
    house: House, member: Member, stranger: Member, database: Database, tmp_path: Path, name: str
) -> None:
    """A page cannot send `X-Organisation` with a WebSocket or an EventSource."""
    person, _ = await join(house, tmp_path / "mail", database, member, "viewer")
    theirs = str(getattr(member.organisation, name))
    elsewhere = str(getattr(stranger.organisation, name))
    async with house.listen(None, f"?organisation={theirs}", **person.bearer()) as listener:
        await listener.subscribe("devices.D1")
        await until(lambda: any(len(client.topics) for client in house.application.hub._clients))
        await house.publish(member, "D1", TS, power=7.0)
        (reading,) = await listener.hear_messages(1)
    assert reading["data"]["metrics"] == {"power": 7.0}
    for refused in (elsewhere, "", "no-such-place"):
        assert await refusal_of(house, person.bearer(), refused) == 4403
        asked = {"organisation": refused}
        assert await status_of(house, person.bearer(), "/api/v1/stream", asked) == 403
    asked = {"organisation": theirs}
    assert await status_of(house, person.bearer(), "/api/v1/stream", asked) == 200
    override = person.bearer() | {"X-Organisation": theirs}
    assert await status_of(house, override, "/api/v1/stream", {"organisation": elsewhere}) == 403


async def test_no_other_request_takes_the_organisation_from_the_address(
    house: House, member: Member, database: Database, tmp_path: Path
) -> None:
    person, there = await join(house, tmp_path / "mail", database, member, "viewer")
    asked = {"organisation": member.organisation.slug}
    async with httpx.AsyncClient(base_url=house.url) as http:
        own = await http.get("/api/v1/whoami", params=asked, headers=person.bearer())
        named = await http.get("/api/v1/whoami", headers=there)
    assert own.json()["organisation"] != member.organisation.slug
    assert named.json()["organisation"] == member.organisation.slug


async def me_of(house: House, headers: dict[str, str]) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=house.url) as http:
        return dict((await http.get("/api/v1/me", headers=headers)).json())
