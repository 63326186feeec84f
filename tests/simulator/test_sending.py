"""Sending: bodies hold what was read, the outbox loses nothing within its bound, captures replay it all."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.clock import SystemClock, rfc3339
from kilowatch.period import DAY_US, MINUTE_US, SECOND_US
from kilowatch.simulator.fleet.fleets import make_fleet
from kilowatch.simulator.fleet.grid import Grid
from kilowatch.simulator.fleet.happening import Happening
from kilowatch.simulator.fleet.rows import USUAL, Circumstances, Readings, join
from kilowatch.simulator.sending.capture import BadCapture, CaptureSource, CaptureWriter
from kilowatch.simulator.sending.door import Away, Place, Told, TurnedAway
from kilowatch.simulator.sending.follow import Alone
from kilowatch.simulator.sending.http import HttpSender
from kilowatch.simulator.sending.office import Office
from kilowatch.simulator.sending.outbox import Outbox
from kilowatch.simulator.sending.pace import Pace, first_moment_us
from kilowatch.simulator.sending.parcel import Parcel, make_parcel
from kilowatch.simulator.sending.register import fields_of
from kilowatch.simulator.sending.run import Run, Summary
from kilowatch.simulator.sending.source import FleetSource
from kilowatch.simulator.world.format import Fleet as Wanted

START_US = 1_780_000_000_000_000
WITHIN_S = 10.0
law = settings(max_examples=50, deadline=None)


def readings_of(kind: Any = "home", devices: int = 12) -> tuple[pa.StringArray, Readings]:
    fleet = make_fleet(Wanted(kind=kind, devices=devices), 3)
    source = FleetSource(fleet, START_US, MINUTE_US, 1, 500)
    (cycle,) = source.cycles()
    return source.ids, join(list(cycle.readings))


# --- bodies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["home", "grid", "plant", "microgrid"])
def test_bodies_of_all_forms_hold_the_same_readings(kind: str) -> None:
    ids, readings = readings_of(kind)
    as_json = msgspec.json.decode(make_parcel(ids, readings, "json").body)
    table = pa.ipc.open_stream(make_parcel(ids, readings, "arrow").body).read_all().to_pylist()
    messages = make_parcel(ids, readings, "mqtt").messages
    assert len(as_json) == len(table) == len(messages) == 12
    for told, row, (device, payload) in zip(as_json, table, messages, strict=True):
        assert msgspec.json.decode(payload) == {"ts": told["ts"], "metrics": told["metrics"]}
        assert told["device"] == row.pop("device") == device
        assert told["ts"] == rfc3339(START_US) == rfc3339(round(row.pop("ts").timestamp() * SECOND_US))
        there = {name: value for name, value in row.items() if value is not None}
        assert told["metrics"].keys() == there.keys()
        assert all(value == there[name] for name, value in told["metrics"].items() if name != "state")
        assert told["metrics"].get("state", "on") in ("off", "on", "standby")


@given(places=st.lists(st.integers(0, 99), min_size=1, max_size=30))
def test_an_arrow_body_names_the_right_devices(places: list[int]) -> None:
    ids = pa.array([f"d-{number}" for number in range(100)])
    device = np.array(places, np.int32)
    readings = Readings(device, np.full(len(places), START_US), {"power": device.astype(np.float64)})
    table = pa.ipc.open_stream(make_parcel(ids, readings, "arrow").body).read_all()
    assert table.column("device").to_pylist() == [f"d-{place}" for place in places]
    assert table.column("power").to_pylist() == places


def test_a_device_is_described_by_type_region_feeder_and_power() -> None:
    roster = Grid(9, 1, ["north", "south"], 2).roster
    told = [fields_of(roster, place, "grid") for place in range(9)]
    assert [one["region"] for one in told[:3]] == ["north", "south", "north"]
    assert [one["metadata"]["feeder"] for one in told[:5:2]] == ["feeder-1", "feeder-2", "feeder-1"]
    assert told[0]["id"] == "meter-000000"
    assert all(one["rated_power_w"] >= 14_500 and one["type"] in roster.types for one in told)


# --- the outbox ------------------------------------------------------------------------------------------


class Flaky:
    """A sender whose instance goes away and comes back as it is told."""

    def __init__(self, away: list[bool]) -> None:
        self.away = away
        self.got: list[bytes] = []

    async def send(self, parcel: Parcel) -> Told:
        await asyncio.sleep(0)
        if self.away and self.away.pop(0):
            raise Away(0.0)
        self.got.append(parcel.body)
        return Told(parcel.readings)

    async def close(self) -> None:
        return None


@law
@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=40),
    away=st.lists(st.booleans(), max_size=60),
    senders=st.integers(1, 4),
    bound=st.integers(20, 800),
)
def test_nothing_is_lost_within_the_bound_and_all_is_counted_beyond(
    sizes: list[int], away: list[bool], senders: int, bound: int
) -> None:
    async def play() -> tuple[Outbox, Office, list[bytes]]:
        flaky = Flaky(away)
        outbox = Outbox(bound)
        office = Office(outbox, [flaky] * senders, lambda _: None)
        office.open()
        for number, size in enumerate(sizes):
            assert await outbox.put(Parcel(size, b"%d" % number), asyncio.Event())
            assert outbox.waiting <= bound
        async with asyncio.timeout(WITHIN_S):
            await outbox.wait_until_empty()
        await office.close()
        return outbox, office, flaky.got

    outbox, office, got = asyncio.run(play())
    assert office.account.accepted + outbox.lost == sum(sizes)
    assert len(set(got)) == len(got)
    if sum(sizes) <= bound:
        assert outbox.lost == 0
        assert sorted(got, key=int) == [b"%d" % number for number in range(len(sizes))]


@law
@given(turns=st.lists(st.integers(-5, 5), max_size=60))
def test_who_takes_a_parcel_gets_the_oldest_whoever_gave_one_back(turns: list[int]) -> None:
    async def play() -> None:
        outbox, taken = Outbox(10_000), list[Parcel]()
        for number in range(len(turns)):
            await outbox.put(Parcel(1, b"%d" % number), asyncio.Event())
        waiting = set(range(len(turns)))
        for turn in turns:
            if turn > 0 and taken:
                parcel = taken.pop(turn % len(taken))
                await outbox.give_back(parcel)
                waiting.add(int(parcel.body))
            elif waiting:
                taken.append(await outbox.take())
                assert int(taken[-1].body) == min(waiting)
                waiting.remove(int(taken[-1].body))

    asyncio.run(play())


def test_it_is_said_when_readings_are_given_up_and_how_many() -> None:
    async def play() -> list[str]:
        said: list[str] = []
        went_away = asyncio.Event()

        def say(text: str) -> None:
            said.append(text)
            went_away.set()

        flaky = Flaky([True] * 1000)
        outbox = Outbox(20)
        office = Office(outbox, [flaky], say)
        await outbox.put(Parcel(10, b"0"), asyncio.Event())
        office.open()
        async with asyncio.timeout(WITHIN_S):
            await went_away.wait()
            for number in range(1, 5):
                await outbox.put(Parcel(10, b"%d" % number), asyncio.Event())
            flaky.away.clear()
            await outbox.wait_until_empty()
        await office.close()
        assert flaky.got == [b"3", b"4"]
        return said

    assert asyncio.run(play()) == [
        "The instance is away; up to 20 readings are kept until it is back.",
        "20 readings wait; from now on the oldest are given up.",
        "The instance is back; 20 readings wait, 30 were given up.",
    ]


def test_who_fills_the_outbox_waits_while_the_instance_answers() -> None:
    async def play() -> tuple[bool, bool]:
        outbox, stop = Outbox(10), asyncio.Event()
        assert await outbox.put(Parcel(10), stop)
        putting = asyncio.create_task(outbox.put(Parcel(5), stop))
        await asyncio.sleep(0)
        waited = not putting.done()
        await outbox.settle(await outbox.take())
        return waited, await putting

    assert asyncio.run(play()) == (True, True)


def test_a_run_that_waits_for_room_can_be_stopped() -> None:
    async def play() -> Summary:
        stop = asyncio.Event()

        class Silent(Flaky):
            async def send(self, _: Parcel) -> Told:
                stop.set()
                await asyncio.Event().wait()
                raise AssertionError

        office = Office(Outbox(100), [Silent([])], lambda _: None)
        source = FleetSource(Grid(100, 1), START_US, SECOND_US, None, 50)
        run = Run(source, office, Pace(START_US, START_US, 1.0), SystemClock(), "arrow", stop, Alone())
        async with asyncio.timeout(WITHIN_S):
            hurry = asyncio.Event()
            hurry.set()
            return await run.play(lambda _: None, hurry=hurry)

    total = asyncio.run(play())
    assert total.sent == total.buffered <= 150


# --- answers ---------------------------------------------------------------------------------------------


class Doorman(BaseHTTPRequestHandler):
    """Gives the answers of its server one after another; the last one for ever."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[tuple[int, dict[str, str], Any]]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, told = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        body = json.dumps(told).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def place() -> Iterator[Place]:
    """Where the doorman stands."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Doorman) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Place(f"http://127.0.0.1:{server.server_address[1]}", "o", "kw_x")
        server.shutdown()


async def ask(place: Place | None, answer: tuple[int, dict[str, str], Any]) -> Told:
    Doorman.answers = [answer]
    sender = HttpSender(lambda: place)
    try:
        return await sender.send(Parcel(3, b"[]", "application/json"))
    finally:
        await sender.close()


async def test_refused_readings_are_counted_by_their_reason(place: Place) -> None:
    some = {"accepted": 1, "rejected": [{"index": 0, "code": "too_old"}, {"index": 2, "code": "too_old"}]}
    assert await ask(place, (202, {}, some)) == Told(1, {"too_old": 2})
    none = {"code": "bad_shape", "errors": [{"index": 1, "code": "in_future"}]}
    assert await ask(place, (422, {}, none)) == Told(0, {"in_future": 1, "bad_shape": 2})


@pytest.mark.parametrize(
    ("status", "headers", "wait_s", "is_asked"),
    [(503, {"Retry-After": "7"}, 7.0, True), (429, {}, 1.0, True), (500, {}, 1.0, False)],
)
async def test_who_is_asked_to_come_later_is_told_when(
    place: Place, status: int, headers: dict[str, str], wait_s: float, is_asked: bool
) -> None:
    with pytest.raises(Away) as away:
        await ask(place, (status, headers, {}))
    assert (away.value.wait_s, away.value.is_asked) == (wait_s, is_asked)


async def test_an_instance_that_is_slow_is_not_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kilowatch.simulator.sending.http.WITHIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Place(f"http://127.0.0.1:{silent.getsockname()[1]}", "o", "kw_x")
        with pytest.raises(Away) as slow:
            await ask(place, (202, {}, {}))
    with pytest.raises(Away) as away:
        await ask(place, (202, {}, {}))
    assert (slow.value.is_asked, away.value.is_asked) == (True, False)


async def test_who_is_refused_for_good_goes_away(place: Place) -> None:
    with pytest.raises(TurnedAway, match="401"):
        await ask(place, (401, {}, {"code": "unauthorized"}))
    with pytest.raises(Away):
        await ask(None, (202, {}, {}))


async def test_an_instance_that_asks_to_come_later_is_not_asked_sooner(place: Place) -> None:
    Doorman.answers = [(503, {"Retry-After": "1"}, {}), (202, {}, {"accepted": 3, "rejected": []})]
    said: list[str] = []
    office = Office(Outbox(100), [HttpSender(lambda: place)], said.append)
    began = asyncio.get_running_loop().time()
    office.open()
    await office.outbox.put(Parcel(3, b"[]", "application/json"), asyncio.Event())
    async with asyncio.timeout(WITHIN_S):
        await office.outbox.wait_until_empty()
    await office.close()
    assert asyncio.get_running_loop().time() - began >= 1.0
    assert (office.account.accepted, office.account.asked, office.account.away, said) == (3, 1, 0, [])


# --- time ------------------------------------------------------------------------------------------------


@law
@given(
    speed=st.floats(1.0, 3600.0), cycles=st.integers(1, 1000), interval_us=st.integers(1000, DAY_US),
)  # fmt: skip
def test_a_run_ends_with_now_and_is_never_ahead_of_it(speed: float, cycles: int, interval_us: int) -> None:
    span_us = cycles * interval_us
    first_us = first_moment_us(START_US, speed, span_us)
    pace = Pace(START_US, first_us, speed)
    moments = [first_us + number * interval_us for number in range(cycles + 1)]
    due = [pace.due_us(moment) for moment in moments]
    assert all(at >= moment for at, moment in zip(due, moments, strict=True))
    assert due[0] == START_US
    assert due == sorted(due)
    assert due[-1] == pytest.approx(START_US + span_us / speed, abs=10)
    assert due[-1] == pytest.approx(moments[-1], abs=10)


# --- captures --------------------------------------------------------------------------------------------


def write_capture(path: Path) -> tuple[FleetSource, int]:
    late = Circumstances(faults=(Happening("late", START_US + SECOND_US, START_US + 4 * SECOND_US, 2.0),))
    source = FleetSource(Grid(40, 2), START_US, SECOND_US, 8, 16, lambda: late)
    writer = CaptureWriter(path, source.ids, source.metrics)
    with closing(writer):
        for cycle in source.cycles():
            for readings in cycle.readings:
                writer.write(cycle.moment_us, readings)
    return source, writer.readings


def test_a_capture_replays_what_was_sent_in_the_same_cycles(tmp_path: Path) -> None:
    source, written = write_capture(tmp_path / "a.arrow")
    replayed = CaptureSource(tmp_path / "a.arrow")
    assert (replayed.readings, replayed.ids.to_pylist()) == (written, source.ids.to_pylist())
    assert (replayed.first_us, replayed.last_us) == (START_US, START_US + 7 * SECOND_US)
    for shift_us in (0, DAY_US):
        replayed.shift_us = shift_us
        found = {cycle.moment_us: join(list(cycle.readings)) for cycle in replayed.cycles()}
        sent = {cycle.moment_us: join(list(cycle.readings)) for cycle in source.cycles()}
        assert [moment - shift_us for moment in found] == [
            moment for moment, part in sent.items() if len(part)
        ]
        for moment, part in found.items():
            theirs = sent[moment - shift_us]
            assert np.array_equal(part.device, theirs.device)
            assert np.array_equal(part.ts_us - shift_us, theirs.ts_us)
            for name, column in theirs.columns.items():
                assert np.array_equal(part.columns[name], column, equal_nan=True)


def test_a_capture_that_was_cut_off_is_good_up_to_there(tmp_path: Path) -> None:
    _, written = write_capture(tmp_path / "a.arrow")
    whole = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "b.arrow").write_bytes(whole[: len(whole) * 2 // 3])
    cut = CaptureSource(tmp_path / "b.arrow")
    assert 0 < cut.readings < written
    assert cut.broken
    assert not CaptureSource(tmp_path / "a.arrow").broken


@pytest.mark.parametrize("column", ["sent", "device", "ts", "power"])
def test_a_capture_with_other_types_or_without_names_and_times_is_refused(
    tmp_path: Path, column: str
) -> None:
    write_capture(tmp_path / "a.arrow")
    whole = pa.ipc.open_stream(tmp_path / "a.arrow").read_all()
    place, count = whole.schema.get_field_index(column), whole.num_rows
    changed = [pa.array(["x"] * count)]
    if column != "power":
        changed.append(pa.nulls(count, whole.schema.field(column).type))
    for values in changed:
        other = whole.set_column(place, column, values)
        with pa.ipc.new_stream(tmp_path / "b.arrow", other.schema) as writer:
            writer.write_table(other)
        with pytest.raises(BadCapture):
            CaptureSource(tmp_path / "b.arrow")


def test_what_is_no_capture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    other = pa.table({"x": [1]})
    with pa.OSFile(str(tmp_path / "other"), "wb") as file, pa.ipc.new_stream(file, other.schema) as writer:
        writer.write_table(other)
    for name in ("text", "other"):
        with pytest.raises(BadCapture):
            CaptureSource(tmp_path / name)
    write_capture(tmp_path / "a.arrow")
    with pytest.raises(FileExistsError):
        CaptureWriter(tmp_path / "a.arrow", pa.array(["a"]), ("power",))


def test_a_capture_is_compact(tmp_path: Path) -> None:
    source = FleetSource(Grid(500, 2), START_US, MINUTE_US, 40, 500, lambda: USUAL)
    writer = CaptureWriter(tmp_path / "a.arrow", source.ids, source.metrics)
    with closing(writer):
        for cycle in source.cycles():
            for readings in cycle.readings:
                writer.write(cycle.moment_us, readings)
    assert (tmp_path / "a.arrow").stat().st_size < 24 * writer.readings
