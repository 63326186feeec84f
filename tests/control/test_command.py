"""What a command may say, and what is read out of a device's answer."""

import json
import uuid
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.control.command import ANSWER_MAX_BYTES, DETAIL_MAX, Command, command_faults, read_answer

MOMENT = datetime(2026, 6, 1, 12, tzinfo=UTC)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("name", "arguments", "pointers"),
    [
        ("set_state", {"state": "off"}, []),
        ("set_state", {}, ["/arguments/state"]),
        ("set_state", {"state": "purple"}, ["/arguments/state"]),
        ("set_state", {"state": ["on"]}, ["/arguments/state"]),
        ("set_state", {"state": "on", "in_s": 5}, ["/arguments/in_s"]),
        ("toggle", {}, []),
        ("toggle", {"state": "standby"}, []),
        ("toggle", {"state": None}, ["/arguments/state"]),
        ("set_power", {"power_w": 1500}, []),
        ("set_power", {"power_w": -3.5}, []),
        ("set_power", {"power_w": True}, ["/arguments/power_w"]),
        ("set_power", {"power_w": "1500"}, ["/arguments/power_w"]),
        ("set_power", {}, ["/arguments/power_w"]),
        ("vendor.blink-3", {"any": [1, {"thing": None}]}, []),
        ("", {}, ["/name"]),
        ("two words", {}, ["/name"]),
        ("x" * 65, {}, ["/name"]),
        ("x", {"text": "y" * 8200}, ["/arguments"]),
        ("x", {"text": "a\x00b"}, ["/arguments"]),
        ("x", {"number": 10**19}, ["/arguments"]),
        ("x", {"numbers": [1e22]}, ["/arguments"]),
        ("x", {"number": float("nan")}, ["/arguments"]),
    ],
)
def test_what_cannot_be_sent_is_named(name: str, arguments: dict[str, object], pointers: list[str]) -> None:
    assert [fault.pointer for fault in command_faults(name, arguments, 60)] == pointers


@pytest.mark.parametrize(("expires_in_s", "wrong"), [(0, 1), (1, 0), (604_800, 0), (604_801, 1)])
def test_a_command_lasts_up_to_a_week(expires_in_s: int, wrong: int) -> None:
    assert len(command_faults("x", {}, expires_in_s)) == wrong


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_what_is_not_refused_can_be_sent_and_told(arguments: dict[str, object]) -> None:
    if command_faults("x", arguments, 60):
        return
    kept = json.loads(json.dumps(arguments))
    command = Command(
        uuid.uuid4(),
        uuid.uuid4(),
        1,
        1,
        "D1",
        "x",
        kept,
        "queued",
        None,
        "key:1",
        None,
        MOMENT,
        MOMENT,
        None,
        0,
    )
    assert json.loads(command.message())["arguments"] == kept
    assert json.loads(command.event(0).encode())["data"]["arguments"] == kept


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_answer_or_none(payload: bytes) -> None:
    answer = read_answer("home", "D1", payload)
    if answer is not None:
        assert isinstance(json.loads(payload)["ok"], bool)


@given(st.uuids(), st.booleans(), json_values)
def test_an_answer_is_read_whatever_its_detail(command: uuid.UUID, ok: bool, detail: object) -> None:
    try:
        payload = msgspec.json.encode({"id": str(command), "ok": ok, "detail": detail, "more": 1})
    except (OverflowError, UnicodeEncodeError):
        return
    answer = read_answer("home", "D1", payload)
    assert answer is not None
    assert (answer.id, answer.ok) == (command, ok)
    assert answer.detail is None or ("\x00" not in answer.detail and len(answer.detail) <= DETAIL_MAX)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ok",
        b"[]",
        b'{"id": 7, "ok": true}',
        b'{"ok": true}',
        b"x" * (ANSWER_MAX_BYTES + 1),
        b"[" * 9999,
    ],
)
def test_what_is_no_answer(payload: bytes) -> None:
    assert read_answer("home", "D1", payload) is None


def test_only_a_devices_topic_brings_answers() -> None:
    payload = msgspec.json.encode({"id": str(uuid.uuid4()), "ok": True})
    assert read_answer("home", "no device", payload) is None
