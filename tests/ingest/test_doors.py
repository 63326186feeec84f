"""What senders may rely on at the HTTP door: each form, each code, partial acceptance, limits."""

import gzip
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pytest
import zstandard

from kilowatch.accounts.store.organisations import Organisation
from kilowatch.clock import rfc3339
from kilowatch.ingest.doors import Doors
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import delete_device, list_devices
from kilowatch.stream.client import Client
from kilowatch.telemetry.metric import Metric
from kilowatch.telemetry.store import define_metrics, find_metrics, list_series
from kilowatch.wire.live import REGISTRY_SUBJECT, RegistryChange
from tests.ingest.conftest import Sender, http_client, logged, make_key, until


def recent(seconds: float = 0) -> str:
    """A time that far in the past."""
    return rfc3339(time.time_ns() // 1_000_000_000 * 1_000_000 - round(seconds * 1e6))


def reading(device: str = "D1", seconds: float = 0, **metrics: Any) -> dict[str, object]:
    return {"device": device, "ts": recent(seconds), "metrics": metrics or {"power": 1.5}}


async def test_a_reading_is_accepted_once_it_is_in_the_log(sender: Sender, client: Client) -> None:
    one = reading(power=195.9, voltage=230.5)
    answer = await sender.send(one)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "rejected": []}
    (frame,) = await logged(client)
    assert (frame.door, frame.on_conflict, len(frame)) == ("http", "reject", 1)
    assert rfc3339(int(frame.ts_us[0])) == one["ts"]
    assert sorted(column[0] for column in frame.metrics.values()) == [195.9, 230.5]


async def test_series_stand_before_their_first_reading_is_in_the_log(sender: Sender, client: Client) -> None:
    await sender.send(reading(power=1, current=2))
    (frame,) = await logged(client)
    async with sender.database.scope(sender.organisation.id) as connection:
        found = await list_series(connection, [int(frame.device[0])])
    assert {one.metric_no for one in found} == set(frame.metrics)
    assert [one.metric for one in found] == ["current", "power"]


async def test_one_bad_reading_does_not_touch_its_neighbours(sender: Sender, client: Client) -> None:
    answer = await sender.send([reading(), reading("D9"), {"device": "D2"}, reading("D2", power=7)])
    assert answer.status_code == 202
    body = answer.json()
    assert body["accepted"] == 2
    assert [(one["index"], one["code"]) for one in body["rejected"]] == [
        (1, "unknown_device"),
        (2, "bad_shape"),
    ]
    assert all(one["detail"] for one in body["rejected"])
    letters = await sender.letters()
    assert {(letter.device, letter.code, letter.door) for letter in letters} == {
        ("D9", "unknown_device", "http"),
        ("D2", "bad_shape", "http"),
    }
    assert sum(map(len, await logged(client))) == 2


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b'{"device":"D9","ts":"%t","metrics":{"power":1}}', "unknown_device"),
        (b'{"device":"D1","ts":"yesterday","metrics":{"power":1}}', "bad_timestamp"),
        (b'{"device":"D1","ts":"2026-11-20T12:00:00","metrics":{"power":1}}', "bad_timestamp"),
        (b'{"device":"D1","ts":"1970-01-01T00:00:00Z","metrics":{"power":1}}', "too_old"),
        (b'{"device":"D1","ts":"2100-01-01T00:00:00Z","metrics":{"power":1}}', "in_future"),
        (b'{"device":"D1","ts":"%t","metrics":{"power":NaN}}', "not_finite"),
        (b'{"device":"D1","ts":"%t","metrics":{"power":-Infinity}}', "not_finite"),
        (b'{"device":"D1","ts":"%t","metrics":{"power":1e999}}', "out_of_range"),
        (b'{"device":"D1","ts":"%t","metrics":{"humidity":101}}', "out_of_range"),
        (b'{"device":"D1","ts":"%t","metrics":{"state":"dancing"}}', "unknown_state"),
        (b'{"device":"D1","ts":"%t","metrics":{"power":"on"}}', "unknown_state"),
        (b'{"device":"D1","ts":"%t","metrics":{"state":7}}', "unknown_state"),
        (b'{"device":"D1","ts":"%t","metrics":{}}', "bad_shape"),
        (b'{"device":"D1","ts":"%t","metrics":{"power":[1]}}', "bad_shape"),
        (b'{"device":"D 1","ts":"%t","metrics":{"power":1}}', "bad_shape"),
        (b'{"device":"D1","ts":"%t","metrics":{"energy_wh":1}}', "bad_shape"),
        (b'{"ts":"%t","metrics":{"power":1}}', "bad_shape"),
        (b"[7]", "bad_shape"),
    ],
)
async def test_a_reading_that_is_not_good_says_why(
    sender: Sender, client: Client, bad: bytes, code: str
) -> None:
    answer = await sender.post(bad.replace(b"%t", recent().encode()))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert [(fault["index"], fault["code"]) for fault in problem["errors"]] == [(0, code)]
    (letter,) = await sender.letters()
    assert (letter.code, letter.door) == (code, "http")
    assert await logged(client) == []


async def test_ten_thousand_metrics_in_one_reading_are_too_many(sender: Sender) -> None:
    many: dict[str, Any] = {f"m{number}": 1.0 for number in range(10_000)}
    answer = await sender.send([reading(**many), reading()])
    assert answer.status_code == 202
    assert [one["code"] for one in answer.json()["rejected"]] == ["too_many_metrics"]


async def test_nobody_fills_the_catalogue_of_metrics(sender: Sender) -> None:
    rounds = []
    for turn in range(5):
        fresh: dict[str, Any] = {f"m{turn}_{number}": 1.0 for number in range(250)}
        rounds.append(await sender.send(reading("D1", turn, **fresh)))
    assert [answer.status_code for answer in rounds] == [202, 202, 202, 202, 422]
    assert rounds[-1].json()["code"] == "too_many_metrics"
    async with sender.database.scope(sender.organisation.id) as connection:
        assert len(await find_metrics(connection, sender.organisation.id)) == 1000
    assert (await sender.send(reading(m0_0=2.0))).status_code == 202


async def test_named_states_and_booleans_become_numbers(sender: Sender, client: Client) -> None:
    rows = [
        reading(seconds=9, state="on"),
        reading(seconds=8, state="standby", relay=True),
        reading(state="off"),
    ]
    assert (await sender.send(rows)).json()["accepted"] == 3
    async with sender.database.scope(sender.organisation.id) as connection:
        metrics = await find_metrics(connection, sender.organisation.id)
    frame = (await logged(client))[0]
    assert frame.metrics[metrics["state"].metric_no].tolist() == [1, 2, 0]
    relay = frame.metrics[metrics["relay"].metric_no]
    assert np.isnan(relay[[0, 2]]).all()
    assert relay[1] == 1


async def test_limits_of_a_metric_that_was_defined_hold(sender: Sender) -> None:
    async with sender.database.scope(sender.organisation.id) as connection:
        wanted = [
            Metric("load", "%", minimum=0, maximum=120),
            Metric("mode", kind="state", states=("eco", "sport")),
        ]
        await define_metrics(connection, sender.organisation.id, wanted)
    answer = await sender.send(
        [reading(load=120), reading(seconds=1, load=120.5), reading(seconds=2, mode="sport")]
    )
    assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [(1, "out_of_range")]


async def test_only_a_key_that_may_makes_devices(registrar: Sender, client: Client) -> None:
    rows = [reading(f"new-{number}") for number in range(200)]
    answer = await registrar.send(rows)
    assert answer.json() == {"accepted": 200, "rejected": []}
    async with registrar.database.scope(registrar.organisation.id) as connection:
        made = (await list_devices(connection, 500)).items
    assert {device.id for device in made} == {row["device"] for row in rows}
    (frame,) = await logged(client)
    assert set(frame.device.tolist()) == {device.device_no for device in made}


async def test_a_bad_reading_makes_no_device_and_no_metric(registrar: Sender) -> None:
    answer = await registrar.send([reading("ghost", state="dancing"), reading("ghost2", humidity=900)])
    assert answer.status_code == 422
    async with registrar.database.scope(registrar.organisation.id) as connection:
        assert (await list_devices(connection)).items == []
        assert await find_metrics(connection, registrar.organisation.id) == {}


async def test_ndjson_takes_the_good_lines(sender: Sender) -> None:
    lines = [
        msgspec.json.encode(reading(seconds=3)),
        b'{"device":"D1","ts',
        b"",
        msgspec.json.encode(reading("D2")),
    ]
    answer = await sender.post(b"\n".join(lines), content_type="application/x-ndjson")
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    assert [one["code"] for one in answer.json()["rejected"]] == ["bad_shape"]


def arrow_body(**columns: pa.Array) -> bytes:
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


async def test_arrow_streams_are_taken(sender: Sender, client: Client) -> None:
    moments = [datetime.now(UTC) - timedelta(seconds=place) for place in range(3)]
    body = arrow_body(
        device=pa.array(["D1", "D2", "D9"]).dictionary_encode(),
        ts=pa.array(moments, pa.timestamp("us", "UTC")),
        power=pa.array([1.0, 2.0, 3.0]),
        voltage=pa.array([230.0, None, 231.0]),
    )
    answer = await sender.post(body, content_type="application/vnd.apache.arrow.stream")
    assert answer.json()["accepted"] == 2
    assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [(2, "unknown_device")]
    (frame,) = await logged(client)
    assert len(frame.metrics) == 2


async def test_arrow_with_wrong_types_is_refused(sender: Sender) -> None:
    body = arrow_body(device=pa.array([1, 2]), ts=pa.array(["a", "b"]), power=pa.array(["x", "y"]))
    answer = await sender.post(body, content_type="application/vnd.apache.arrow.stream")
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_packed_bodies_are_taken(sender: Sender, encoding: str) -> None:
    body = msgspec.json.encode([reading(seconds=place) for place in range(100)])
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    answer = await sender.post(packed, content_encoding=encoding)
    assert answer.json() == {"accepted": 100, "rejected": []}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"device":"D1","ts":', {}, 400),
        (b"", {}, 400),
        (b"42", {}, 400),
        (b"not gzip", {"content_encoding": "gzip"}, 400),
        (gzip.compress(b"[]" * 9, mtime=0)[:-4], {"content_encoding": "gzip"}, 400),
        (b"not zstd", {"content_encoding": "zstd"}, 400),
        (b"[]", {"content_encoding": "br"}, 415),
        (b"<reading/>", {"content_type": "application/xml"}, 415),
        (b"not arrow", {"content_type": "application/vnd.apache.arrow.stream"}, 400),
        (b"\x00\xff\xfe", {"content_type": "application/x-ndjson"}, 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    sender: Sender, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await sender.post(body, **headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


async def test_an_empty_array_is_no_mistake(sender: Sender) -> None:
    answer = await sender.send([])
    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "rejected": []})


@pytest.mark.parametrize("packed", [False, True])
async def test_bodies_above_the_limit_are_refused(sender: Sender, client: Client, packed: bool) -> None:
    body = b"[" + b" " * (40 << 20) + b"]"
    answer = (
        await sender.post(gzip.compress(body, 1), content_encoding="gzip")
        if packed
        else await sender.post(body)
    )
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"
    assert (await sender.send(reading())).status_code == 202


async def test_who_may_not_send_is_refused(
    sender: Sender,
    doors: Doors,
    database: Database,
    organisation: Organisation,
    other_organisation: Organisation,
) -> None:
    async with http_client(doors) as http:
        body = msgspec.json.encode(reading())
        nobody = await http.post("/api/v1/readings", content=body)
        assert (nobody.status_code, nobody.json()["code"]) == (401, "no_credentials")
        assert "www-authenticate" in nobody.headers
        wrong = await http.post("/api/v1/readings", content=body, headers={"authorization": "Bearer kw_no"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "bad_credentials")
    reader = Sender(sender.http, organisation, database, await make_key(database, organisation, ("read",)))
    assert (await reader.send(reading())).status_code == 403
    other = await make_key(database, other_organisation)
    stranger = Sender(sender.http, other_organisation, database, other)
    refused = await stranger.send(reading())
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_device")


async def test_influx_tokens_are_credentials(sender: Sender) -> None:
    answer = await sender.http.post(
        "/api/v1/readings",
        content=msgspec.json.encode(reading()),
        headers={"authorization": f"Token {sender.secret}"},
    )
    assert answer.status_code == 202


async def test_every_answer_carries_a_request_id(sender: Sender) -> None:
    own = await sender.send(reading(), x_request_id="abc-123")
    assert own.headers["x-request-id"] == "abc-123"
    unsafe = await sender.post(b"{", x_request_id='"><script>')
    assert unsafe.headers["x-request-id"] not in ("", '"><script>')
    assert unsafe.json()["instance"].endswith(unsafe.headers["x-request-id"])
    assert unsafe.headers["x-request-id"] != (await sender.post(b"{")).headers["x-request-id"]


async def test_replacing_travels_with_the_frame(sender: Sender, client: Client) -> None:
    assert (await sender.send(reading(), path="/api/v1/readings?on_conflict=replace")).status_code == 202
    many = [reading(seconds=place) for place in range(100)]
    assert (await sender.send(many, path="/api/v1/readings?on_conflict=replace")).status_code == 202
    assert [frame.on_conflict for frame in await logged(client)] == ["replace", "replace"]
    assert (await sender.send(reading(), path="/api/v1/readings?on_conflict=maybe")).status_code == 422


async def test_a_reading_without_a_time_gets_the_present(sender: Sender, client: Client) -> None:
    before = time.time_ns() // 1000
    await sender.send({"device": "D1", "metrics": {"power": 1}})
    await sender.send([{"device": "D1", "metrics": {"power": 1}}] * 100)
    for frame in await logged(client):
        assert before - 1 <= frame.ts_us.min() <= frame.ts_us.max() <= time.time_ns() // 1000 + 1


async def test_a_wide_batch_becomes_messages_that_fit(registrar: Sender, client: Client) -> None:
    rows = [
        reading(f"W{place % 50}", place, **{f"metric_{place % 7}_{number}": 1.0 for number in range(100)})
        for place in range(600)
    ]
    assert (await registrar.send(rows)).json()["accepted"] == 600
    frames = await logged(client)
    assert len(frames) > 1
    assert sum(map(len, frames)) == 600
    assert max(len(frame.encode()) for frame in frames) < 1 << 20


async def test_paths_that_are_not_ours(sender: Sender) -> None:
    assert (await sender.http.get("/api/v1/readings")).status_code == 405
    missing = await sender.http.get("/nowhere")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_other_paths_go_beyond(doors: Doors) -> None:
    async def beyond(scope: object, receive: object, send: object) -> None:
        assert callable(send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"beyond"})

    doors._beyond = beyond
    async with http_client(doors) as http:
        assert (await http.get("/api/v1/devices")).text == "beyond"
        assert (await http.get("/ping")).status_code == 204


async def test_a_deleted_device_is_unknown(sender: Sender, client: Client) -> None:
    assert (await sender.send(reading())).status_code == 202
    async with sender.database.scope(sender.organisation.id) as connection:
        await delete_device(connection, "D1")
    word = RegistryChange(str(sender.organisation.id), "devices").encode()
    await client.publish(REGISTRY_SUBJECT, word)
    await client.flush()

    async def is_refused() -> bool:
        """The word travels to the doors by a connection of its own."""
        answer: httpx.Response = await sender.send(reading(seconds=1))
        return answer.status_code == 422 and answer.json()["code"] == "unknown_device"

    await until(is_refused, "the doors know that the device is gone")
