"""The two ways to listen: WebSocket `/live`, and server-sent events `/stream` with the same messages.

Keeps true that a refusal over WebSocket is an accepted socket closed with a 44xx code (browsers hide any
other), and that each connection has its own sender, so that one that does not read holds up nobody.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from kilowatch.accounts.identity import Caller, require_right
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.server.credentials import Credentials
from kilowatch.server.live.client import LiveClient, Outgoing
from kilowatch.server.live.directory import KeyRights
from kilowatch.server.live.hub import Hub
from kilowatch.wire.address import API

REASON_BYTES = 120
CLOSE_WITHIN_S = 1.0


class FromClient(msgspec.Struct):
    """What a client may send."""

    type: str
    topics: list[str] = []
    cursor: str | None = None


_decoder = msgspec.json.Decoder(FromClient)


def make_routes(hub: Hub, credentials: Credentials) -> APIRouter:
    """The routes of the live feed."""
    routes = APIRouter(prefix=API)

    @routes.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        try:
            caller = await credentials.find_caller(socket, socket.query_params.get("organisation"))
            require_right(caller, "live", "read")
        except Problem as problem:
            await _close(socket, 4000 + problem.status, problem.detail)
        except EngineUnavailable:
            await _close(socket, 4503, "an engine does not answer now; try again")
        else:
            await _serve(socket, hub, caller)

    @routes.get(
        "/stream",
        tags=["live"],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}, "description": "The same as over WebSocket."}},
    )
    async def stream(
        caller: Annotated[Caller, Depends(credentials.may_by_address("live", "read"))],
        topics: Annotated[str, Query(description="Topics, joined by commas.", max_length=16_000)],
        last_event_id: Annotated[str | None, Header(description="The cursor.")] = None,
    ) -> Response:
        """Live messages as server-sent events."""
        client = hub.connect(_rights(caller))
        try:
            await hub.subscribe(client, [topic for topic in topics.split(",") if topic], last_event_id)
        except BaseException:
            hub.disconnect(client)
            raise
        return EventStream(hub, client)

    return routes


def _rights(caller: Caller) -> KeyRights:
    is_customer = caller.role == "customer"
    return KeyRights(
        str(caller.organisation_id), caller.key_no, caller.user_id, caller.session_id, is_customer
    )


# --- WebSocket -------------------------------------------------------------------------------------------


async def _serve(socket: WebSocket, hub: Hub, caller: Caller) -> None:
    client = hub.connect(_rights(caller))
    tasks = [
        asyncio.create_task(_receive(socket, hub, client)),
        asyncio.create_task(_send(socket, hub, client)),
        asyncio.create_task(client.ended.wait()),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hub.disconnect(client)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if client.closed is not None:
        await _close(socket, *client.closed)


async def _receive(socket: WebSocket, hub: Hub, client: LiveClient) -> None:
    """Follows the client's messages until it leaves."""
    while True:
        try:
            message = await socket.receive()
        except (WebSocketDisconnect, RuntimeError):
            return
        if message["type"] == "websocket.disconnect":
            return
        try:
            await _obey(hub, client, _decoder.decode(message.get("text") or message.get("bytes") or b""))
        except (msgspec.MsgspecError, RecursionError) as error:
            detail = "JSON is nested too deeply" if isinstance(error, RecursionError) else str(error)
            client.tell({"type": "error", "code": "bad_message", "detail": detail})
        except Problem as problem:
            client.tell(_error(problem))
        except EngineUnavailable:
            detail = "An engine does not answer now; subscribe again in a moment."
            client.tell({"type": "error", "code": "unavailable", "detail": detail})


async def _obey(hub: Hub, client: LiveClient, message: FromClient) -> None:
    match message.type:
        case "subscribe":
            await hub.subscribe(client, message.topics, message.cursor)
        case "unsubscribe":
            hub.unsubscribe(client, message.topics)
        case "ping":
            client.tell({"type": "pong"})
        case "pong":
            return
        case _:
            raise Problem(422, "bad_message", "type is subscribe, unsubscribe or ping.")


def _error(problem: Problem) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "error", "code": problem.code, "detail": problem.detail}
    if problem.errors:
        told["errors"] = [fault.as_dict() for fault in problem.errors]
    return told


async def _send(socket: WebSocket, hub: Hub, client: LiveClient) -> None:
    """Sends what there is to say, for as long as the client takes it."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
        while client.closed is None:
            for outgoing in await client.next(hub.now_s):
                await socket.send_text(outgoing.text.decode())


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Closes with a reason; does not wait long for a client that reads nothing, or has left."""
    short = reason.encode()[:REASON_BYTES].decode(errors="ignore")
    with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect, OSError):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await socket.close(code, short)


# --- server-sent events ----------------------------------------------------------------------------------


class EventStream(StreamingResponse):
    """The stream of one client; leaves the hub when the connection ends, however it ends."""

    def __init__(self, hub: Hub, client: LiveClient) -> None:
        super().__init__(
            _events(hub, client),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )
        self._hub = hub
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.disconnect(self._client)


async def _events(hub: Hub, client: LiveClient) -> AsyncIterator[bytes]:
    yield b": welcome\n\n"
    while client.closed is None:
        for outgoing in await client.next(hub.now_s):
            yield _event(outgoing)


def _event(outgoing: Outgoing) -> bytes:
    """One event; its id is the cursor, so that a browser comes back with it by itself."""
    lead = b"" if outgoing.cursor is None else b"id: " + outgoing.cursor.encode() + b"\n"
    return lead + b"data: " + outgoing.text + b"\n\n"
