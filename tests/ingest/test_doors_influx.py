"""Line protocol as Influx clients speak it."""

import base64
import gzip
import time

from kilowatch.clock import rfc3339
from kilowatch.ingest.doors import Doors
from kilowatch.stream.client import Client
from tests.ingest.conftest import Sender, http_client, logged


def now_s() -> int:
    return time.time_ns() // 1_000_000_000


async def test_a_write_is_answered_as_influx_does(sender: Sender, client: Client) -> None:
    stamp = now_s()
    body = f"m,device=D1 power=195.9,voltage=230i {stamp}000000000\nm,host=D2 relay=t {stamp}000000000\n"
    answer = await sender.post(body.encode(), "/api/v2/write?org=o&bucket=b")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["x-request-id"]
    frames = await logged(client)
    assert {frame.door for frame in frames} == {"influx"}
    assert sum(map(len, frames)) == 2
    assert {rfc3339(int(moment)) for frame in frames for moment in frame.ts_us} == {
        rfc3339(stamp * 1_000_000)
    }


async def test_precision_database_and_gzip(sender: Sender, client: Client) -> None:
    stamp = now_s()
    body = gzip.compress(f"m,device_id=D1 power=1 {stamp}".encode())
    answer = await sender.post(body, "/write?db=x&precision=s", content_encoding="gzip")
    assert answer.status_code == 204
    (frame,) = await logged(client)
    assert frame.ts_us.tolist() == [stamp * 1_000_000]


async def test_a_partial_write_stores_the_good_lines(sender: Sender, client: Client) -> None:
    body = b"m,device=D1 power=1\nm,device=D1 power=\nm,device=D9 power=2\n"
    answer = await sender.post(body, "/api/v2/write")
    assert answer.status_code == 400
    told = answer.json()
    assert told["code"] == "invalid"
    assert "dropped=2" in told["message"]
    assert told["message"].count("line ") == 1
    assert told["accepted"] == 1
    assert [(one["index"], one["code"]) for one in told["rejected"]] == [
        (1, "bad_shape"),
        (2, "unknown_device"),
    ]
    assert sum(map(len, await logged(client))) == 1
    assert {letter.door for letter in await sender.letters()} == {"influx"}


async def test_many_lines_make_their_own_message(registrar: Sender, client: Client) -> None:
    stamp = now_s() - 1000
    lines = [f"m,device=I{place % 10} power={place}.5 {stamp + place}" for place in range(1000)]
    assert (await registrar.post("\n".join(lines).encode(), "/write?precision=s")).status_code == 204
    assert sum(map(len, await logged(client))) == 1000


async def test_older_clients_put_the_key_where_a_password_goes(sender: Sender, doors: Doors) -> None:
    body = b"m,device=D1 power=1"
    async with http_client(doors) as http:
        basic = base64.b64encode(f"telegraf:{sender.secret}".encode()).decode()
        assert (
            await http.post("/write", content=body, headers={"authorization": f"Basic {basic}"})
        ).status_code == 204
        assert (await http.post(f"/write?u=x&p={sender.secret}", content=body)).status_code == 204
        refused = await http.post("/write?u=x&p=wrong", content=body)
        assert refused.status_code == 401
        assert refused.json()["code"] == "unauthorized"
        assert (
            await http.post("/write", content=body, headers={"authorization": "Basic ???"})
        ).status_code == 401


async def test_what_cannot_be_read_is_invalid(sender: Sender) -> None:
    assert (await sender.post(b"m,device=D1 power=1", "/write?precision=fortnight")).status_code == 400
    refused = await sender.post(b"plain", "/write", content_encoding="gzip")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")


async def test_an_empty_write_is_no_mistake(sender: Sender) -> None:
    assert (await sender.post(b"\n# nothing\n", "/write")).status_code == 204


async def test_clients_ask_whether_we_are_there(doors: Doors) -> None:
    async with http_client(doors) as http:
        ping = await http.get("/ping")
        assert (ping.status_code, ping.content) == (204, b"")
        assert ping.headers["x-influxdb-version"]
        assert (await http.head("/ping")).status_code == 204
        health = await http.get("/health")
        assert health.status_code == 200
        assert (health.json()["name"], health.json()["status"]) == ("kilowatch", "pass")
