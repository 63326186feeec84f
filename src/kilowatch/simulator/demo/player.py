"""Plays the demo's three devices against an instance: history over HTTP, then live over MQTT.

Owns the order of things: the devices exist and are named before their first reading; what the instance does
not have yet is filled in, oldest first; then each row of a recording is sent at its moment, and a reading in
between every 1.5 s. Commands are answered, by each device in its manner. Keeps true that a second start adds
only what is missing: the instance is asked for each device's newest reading, and since every value is a
function of its moment, sending one twice changes nothing.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import aiomqtt
import httpx
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kilowatch.clock import Clock, SystemClock, rfc3339, to_us
from kilowatch.simulator.demo.cast import SITE, Role, load_cast, stray, value_shown
from kilowatch.simulator.pretend.device import PretendDevice
from kilowatch.simulator.pretend.wire import answer_all, subscribe

BATCH_READINGS = 5000
LIVE_S = 1.5
PATIENCE_S = 120.0
"""How long the instance may refuse or be away while history is sent."""
RECONNECT_S = 2.0

Reading = dict[str, Any]


class DemoFailed(Exception):
    """The instance refused the demo; the message says what it said."""


def run(
    base_url: str,
    key: str,
    mqtt_host: str,
    mqtt_port: int,
    organisation: str,
) -> None:
    """Plays until SIGINT or SIGTERM; see `play_demo`."""
    asyncio.run(_until_told(base_url, key, mqtt_host, mqtt_port, organisation))


async def _until_told(*given: Any) -> None:
    loop = asyncio.get_running_loop()
    playing = asyncio.ensure_future(play_demo(*given))
    for told in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(told, playing.cancel)
    with suppress(asyncio.CancelledError):
        await playing


async def play_demo(
    base_url: str,
    key: str,
    mqtt_host: str,
    mqtt_port: int,
    organisation: str,
    clock: Clock | None = None,
) -> None:
    """Fills in the history that is missing, then goes on live until it is cancelled.

    Args:
        base_url: address of the instance, such as `http://127.0.0.1:8000`.
        key: an API key of the organisation with the scopes `ingest`, `read`, `control` and `admin`.
        organisation: slug of the organisation, which begins the MQTT topics and is the login of its gateways.

    Raises:
        DemoFailed: if the instance refuses for a reason that waiting does not mend.
    """
    clock = clock or SystemClock()
    roles = load_cast()
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{base_url}/api/v1", headers=headers, timeout=60.0) as http:
        await set_stage(http, roles)
        sent_until = await fill_history(http, roles, clock, Console())
    meters = {role.id: PretendDevice(role.manner) for role in roles}
    topics = {role.id: f"{organisation}/devices/{role.id}/telemetry" for role in roles}
    while True:
        with suppress(aiomqtt.MqttError):
            async with aiomqtt.Client(mqtt_host, mqtt_port, username=organisation, password=key) as mqtt:
                await subscribe(mqtt, organisation, meters)
                answering = asyncio.create_task(answer_all(mqtt, meters))
                try:
                    await go_live(mqtt, topics, roles, sent_until, clock)
                finally:
                    answering.cancel()
                    await asyncio.gather(answering, return_exceptions=True)
        await asyncio.sleep(RECONNECT_S)


async def set_stage(http: httpx.AsyncClient, roles: list[Role]) -> None:
    """Makes the site and the devices where they are missing; what somebody renamed stays renamed."""
    there = {device["id"] for device in (await _ask(http, "GET", "/devices?limit=500")).json()["items"]}
    missing = [role for role in roles if role.id not in there]
    if not missing:
        return
    sites = (await _ask(http, "GET", "/sites")).json()["items"]
    if sites:
        site = (await _ask(http, "PATCH", f"/sites/{sites[0]['id']}", json=SITE)).json()
    else:
        site = (await _ask(http, "POST", "/sites", json=SITE)).json()
    for role in missing:
        await _ask(http, "POST", "/devices", json=role.fields | {"site_id": site["id"]})


async def fill_history(
    http: httpx.AsyncClient, roles: list[Role], clock: Clock, console: Console
) -> dict[str, int]:
    """Sends the rows that the instance does not have. Answers until when each device's rows are sent."""
    now_us = clock.now_us()
    newest = await find_newest(http)
    batches: list[tuple[Role, np.ndarray[Any, np.dtype[np.int64]]]] = []
    for role in roles:
        stamps = role.loop.stamps(newest.get(role.id, history_begins(role, now_us)), now_us)
        batches += [(role, stamps[at : at + BATCH_READINGS]) for at in range(0, len(stamps), BATCH_READINGS)]
    total = sum(len(stamps) for _, stamps in batches)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("readings"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("History of the demo", total=total)
        for role, stamps in batches:
            readings = [{"device": role.id} | reading for reading in readings_at(role, stamps)]
            if readings:
                await _ask(
                    http,
                    "POST",
                    "/readings",
                    content=b"\n".join(map(msgspec.json.encode, readings)),
                    headers={"Content-Type": "application/x-ndjson"},
                )
            progress.advance(task, len(stamps))
    return {role.id: now_us for role in roles}


def history_begins(role: Role, now_us: int) -> int:
    """After which moment the history of a device begins: one round long, and for a register one row before,
    because a register tells energy only from its second row on."""
    return now_us - role.loop.length_us - (role.loop.step_us if role.loop.register else 0)


async def find_newest(http: httpx.AsyncClient) -> dict[str, int]:
    """Time of the newest reading of each device that has one."""
    newest: dict[str, int] = {}
    for item in (await _ask(http, "GET", "/readings/latest")).json()["items"]:
        times = [to_us(datetime.fromisoformat(value["ts"])) for value in item["metrics"]]
        if times:
            newest[item["device"]] = max(times)
    return newest


def readings_at(role: Role, stamps_us: "np.ndarray[Any, np.dtype[np.int64]]") -> Iterator[Reading]:
    """The readings of a device's rows; a row without any value is none."""
    columns = role.loop.at_stamps(stamps_us)
    for row, stamp_us in enumerate(stamps_us.tolist()):
        metrics = {
            metric: value_shown(metric, float(column[row]), role.digits)
            for metric, column in columns.items()
            if not np.isnan(column[row])
        }
        if metrics:
            yield {"ts": rfc3339(stamp_us), "metrics": metrics}


def reading_between(role: Role, moment_us: int) -> Reading:
    """What a device reports at any moment: the line between two rows, straying a little."""
    values = role.loop.between(moment_us)
    metrics = {
        metric: value_shown(metric, values[metric] * (1 + share * stray(metric, moment_us)), role.digits)
        for metric, share in role.live.items()
        if metric in values
    }
    return {"ts": rfc3339(moment_us), "metrics": metrics}


async def go_live(
    mqtt: aiomqtt.Client, topics: dict[str, str], roles: list[Role], sent_until: dict[str, int], clock: Clock
) -> None:
    """Publishes a reading of each device every `LIVE_S`, and each row when its moment has come.

    `sent_until` is kept up to date, so that after a broken connection nothing is left out.
    """
    while True:
        now_us = clock.now_us() // 1000 * 1000
        for role in roles:
            due = list(readings_at(role, role.loop.stamps(sent_until[role.id], now_us)))
            between = reading_between(role, now_us)
            if now_us % role.loop.step_us and between["metrics"]:
                due.append(between)
            if due:
                await mqtt.publish(topics[role.id], msgspec.json.encode(due), qos=1)
            sent_until[role.id] = now_us
        await asyncio.sleep(LIVE_S)


async def _ask(http: httpx.AsyncClient, method: str, path: str, **content: Any) -> httpx.Response:
    """Asks the instance, again for a while where waiting helps.

    Raises:
        DemoFailed: if it refuses, or goes on refusing.
    """
    waited_s = 0.0
    while True:
        try:
            answer = await http.request(method, path, **content)
        except httpx.TransportError as error:
            wait_s, said = 1.0, f"{type(error).__name__}: {error}"
        else:
            if answer.is_success:
                return answer
            said = f"{answer.status_code} {answer.text}"
            if answer.status_code not in (429, 503):
                raise DemoFailed(f"{method} {path}: {said}")
            wait_s = float(answer.headers.get("Retry-After", 1))
        if waited_s >= PATIENCE_S:
            raise DemoFailed(f"{method} {path}, for {waited_s:.0f} s: {said}")
        await asyncio.sleep(wait_s)
        waited_s += wait_s
