"""Bodies that are read beside the event loop: others go on meanwhile, and every reading is accounted for."""

import asyncio
import threading
import time

import httpx
import msgspec
import pyarrow as pa
import pytest

from kilowatch.ingest.body import DECODE_BESIDE_BYTES, beside
from kilowatch.sites.store import list_devices
from kilowatch.stream.client import Client
from tests.ingest.conftest import Sender, logged
from tests.ingest.test_doors import reading

READINGS = 30_000
DEVICES = 300
SMALL = 150
ARROW = "application/vnd.apache.arrow.stream"
NOTE = "x" * 60
"""A metric's name, so that the bodies are large."""


def names_of(form: str) -> list[str]:
    return [f"{form}-{1000 + place % DEVICES}" for place in range(READINGS)]


def value_of(name: str) -> float:
    """What a device of this name sends, told by its name alone."""
    return float(int(name.rpartition("-")[2]) + 10_000 * len(name))


def large_bodies() -> list[tuple[bytes, str, str]]:
    """Content, path and type of a large body in each form, of different devices; the last is JSON again."""
    latest_ms = time.time_ns() // 1_000_000
    times = [latest_ms - place for place in range(READINGS)]

    def documents(form: str) -> list[bytes]:
        return [
            msgspec.json.encode({"device": name, "ts": at, "metrics": {"power": value_of(name), NOTE: 1}})
            for name, at in zip(names_of(form), times, strict=True)
        ]

    unlike = documents("unlike")
    unlike[-1] = unlike[-1].replace(b"{", b"{ ", 1)
    lines = [
        f"m,device={name} power={value_of(name)},{NOTE}=1 {at}"
        for name, at in zip(names_of("influx"), times, strict=True)
    ]
    names = names_of("arrow")
    table = pa.table(
        {
            "device": names,
            "ts": times,
            "power": [value_of(name) for name in names],
            **{f"{NOTE}{place}": [1.0] * READINGS for place in range(8)},
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    readings = "/api/v1/readings"
    return [
        (b"[" + b",".join(documents("json")) + b"]", readings, "application/json"),
        (b"[" + b",".join(unlike) + b"]", readings, "application/json"),
        (b"\n".join(documents("lines")), readings, "application/x-ndjson"),
        ("\n".join(lines).encode(), "/write?precision=ms", "text/plain"),
        (sink.getvalue().to_pybytes(), readings, ARROW),
        (b"[" + b",".join(documents("keyed")) + b"]", readings, "application/json"),
    ]


async def test_large_and_small_bodies_at_once_are_all_accounted_for(
    registrar: Sender, client: Client
) -> None:
    """Small requests make devices, so that the registry's copy grows while threads read it."""
    large = large_bodies()
    assert all(len(content) > DECODE_BESIDE_BYTES for content, _, _ in large)
    small = [f"small-{1000 + place}" for place in range(SMALL)]

    async def send_small(mine: list[str]) -> list[httpx.Response]:
        return [await registrar.send(reading(name, power=value_of(name))) for name in mine]

    few = [asyncio.create_task(send_small(small[place::3])) for place in range(3)]
    *plain, (keyed, keyed_path, keyed_kind) = large
    many = [registrar.post(content, path, content_type=kind) for content, path, kind in plain]
    many.append(registrar.post(keyed, keyed_path, content_type=keyed_kind, idempotency_key="large"))
    answers = await asyncio.gather(*many)
    forms = {answer.request.url.path: answer.status_code for answer in answers}
    assert forms == {"/api/v1/readings": 202, "/write": 204}
    assert [answer.json()["accepted"] for answer in answers if answer.status_code == 202] == [READINGS] * 5
    for told in await asyncio.gather(*few):
        assert {answer.status_code for answer in told} == {202}
    await check_log(registrar, client, expected=6 * READINGS + SMALL)


async def check_log(sender: Sender, client: Client, expected: int) -> None:
    """Each reading is in the log once, under the device that sent its value."""
    names: dict[int, str] = {}
    async with sender.database.scope(sender.organisation.id) as connection:
        cursor = None
        while not names or cursor is not None:
            page = await list_devices(connection, 500, cursor)
            names |= {one.device_no: one.id for one in page.items}
            cursor = page.next_cursor
    count = 0
    for frame in await logged(client):
        power = next(column for column in frame.metrics.values() if column[0] > 1)
        sent = [value_of(names[number]) for number in frame.device.tolist()]
        assert power.tolist() == sent
        count += len(frame)
    assert count == expected


async def test_a_large_body_that_is_not_good_is_refused_as_ever(sender: Sender) -> None:
    broken = await sender.post(b"[" + b" " * DECODE_BESIDE_BYTES + b"{]")
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("is_large", [False, True])
async def test_only_large_work_leaves_the_loop(is_large: bool) -> None:
    thread = await beside(is_large, threading.get_ident)
    assert (thread != threading.get_ident()) == is_large
