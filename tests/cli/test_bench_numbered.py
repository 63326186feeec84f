"""Numbered readings: each says which it is, and the account tells what became of it."""

import json
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from kilowatch.cli.bench.numbered import (
    ACCEPTED,
    BAD_EVERY,
    DOORS,
    FAR_US,
    METRIC,
    UNKNOWN,
    Door,
    DoorName,
    encode,
    problem_code,
)
from kilowatch.cli.bench.proof import Account, agree, judge
from kilowatch.clock import rfc3339

START_US = 1_795_219_200_000_000


@pytest.mark.parametrize("name", DOORS)
def test_requests_cover_every_number_once(name: DoorName) -> None:
    door = Door(name, START_US)
    taken = [number for _ in range(200) for number in door.take()]
    assert taken == list(range(door.next))
    assert len(door.states) >= door.next


def test_a_message_over_mqtt_is_of_one_device() -> None:
    door = Door("mqtt", START_US)
    for _ in range(20):
        assert len({door.device(number) for number in door.take()}) == 1


def test_bodies_say_device_time_and_number() -> None:
    door = Door("json", START_US)
    readings = json.loads(encode(door, door.take())[2])
    good = [reading for number, reading in enumerate(readings) if not door.is_bad(number)]
    assert good[3] == {"device": "json-3", "ts": rfc3339(START_US + 3000), "metrics": {METRIC: 3.0}}
    bad = readings[BAD_EVERY - 1]
    assert bad["ts"] == rfc3339(FAR_US + BAD_EVERY - 1)
    influx = Door("influx", START_US)
    path, _, body = encode(influx, influx.take())
    assert path == "/api/v2/write"
    assert body.splitlines()[1] == b"count,device=influx-1 number=1 %d" % ((START_US + 1000) * 1000)


def test_bad_readings_of_an_accepted_request_count_as_refused() -> None:
    door = Door("json", START_US)
    numbers = door.take()
    door.settle(numbers, ACCEPTED)
    assert int((door.states == ACCEPTED).sum()) == len(numbers) - len(numbers) // BAD_EVERY


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"code": "log_full"}, "log_full"),
        ({"type": "urn:kilowatch:problem:disk_full"}, "disk_full"),
        ({}, ""),
    ],
)
def test_the_code_of_a_refusal_is_found(document: dict[str, str], code: str) -> None:
    assert problem_code(httpx.Response(503, json=document)) == code
    assert problem_code(httpx.Response(503, content=b"no JSON")) == ""


Stored = dict[str, list[tuple[int, float]]]


def nothing(_stored: Stored) -> None:
    """Changes nothing."""


def filled(change: Callable[[Stored], object] = nothing) -> Account:
    """The account of a door with two accepted requests and one of unknown fate, after `change`."""
    door = Door("json", START_US)
    for state in (ACCEPTED, ACCEPTED, UNKNOWN):
        door.settle(door.take(), state)
    stored: Stored = {device: [] for device in door.devices()}
    for number in np.flatnonzero(door.states[: door.next] == ACCEPTED).tolist():
        stored[door.device(number)].append((door.time_us(number), float(number)))
    change(stored)
    columns = {
        device: (np.array([ts_us for ts_us, _ in rows]), np.array([value for _, value in rows]))
        for device, rows in stored.items()
    }
    return judge(door, columns)


def test_what_is_stored_once_is_right() -> None:
    account = filled()
    assert account.is_right
    assert (account.sent, account.accepted, account.stored) == (1500, 980, 980)
    assert (account.refused, account.unknown) == (20, 500)


def test_a_reading_of_unknown_fate_may_be_stored() -> None:
    account = filled(lambda stored: stored["json-0"].append((START_US + 1_000_000, 1000.0)))
    assert account.is_right
    assert account.stored == 981


def test_a_missing_reading_is_lost() -> None:
    account = filled(lambda stored: stored["json-1"].pop(0))
    assert (account.lost, account.is_right) == (1, False)


def test_a_second_row_is_twice() -> None:
    account = filled(lambda stored: stored["json-2"].append(stored["json-2"][0]))
    assert (account.twice, account.is_right) == (1, False)


def test_a_refused_reading_that_is_stored_is_wrong() -> None:
    bad = BAD_EVERY - 1
    account = filled(lambda stored: stored[f"json-{bad % 8}"].append((START_US + bad * 1000, float(bad))))
    assert (account.refused_stored, account.is_right) == (1, False)


@pytest.mark.parametrize(
    "row", [(START_US + 3000, 4.0), (START_US + 3001, 3.0), (START_US + 4000, 4.0), (FAR_US + 7, 7.0)]
)
def test_a_row_that_nobody_sent_is_wrong(row: tuple[int, float]) -> None:
    account = filled(lambda stored: stored["json-3"].append(row))
    assert (account.wrong, account.is_right) == (1, False)


def test_the_verifier_must_count_the_same() -> None:
    assert agree({"ok": True, "totals": {"stored": 9}}, 9)
    assert not agree({"ok": True, "totals": {"stored": 9}}, 8)
    assert not agree({"ok": False, "totals": {"stored": 9}}, 9)
