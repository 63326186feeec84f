"""A reading's way from the log into the lake, through a real worker on real engines."""

import numpy as np

from kilowatch.clock import to_datetime
from kilowatch.ids import new_id
from kilowatch.observe.metrics import WORKERS_OWN
from kilowatch.postgres.engine import Database
from kilowatch.stream.log import subject_of
from kilowatch.telemetry.dead_letter import NewDeadLetter
from kilowatch.wire.frame import Frame
from kilowatch.worker.letters import write_letters
from tests.worker.house import BASE_US, KEY_NO, SECOND_US, House, Reading, make_organisation, total

STEP_US = 97 * SECOND_US


def day_of(device: str, count: int = 300) -> list[Reading]:
    """Power every 97 seconds for some hours, as a sum of halves so that sums are exact."""
    rng = np.random.default_rng(5)
    power = rng.integers(0, 4000, count) / 2
    return [
        (device, BASE_US + k * STEP_US, {"power": float(power[k]), "voltage": 230.0 + k % 8 / 4})
        for k in range(count)
    ]


def cut(readings: list[Reading], size: int) -> list[list[Reading]]:
    return [readings[start : start + size] for start in range(0, len(readings), size)]


async def test_readings_are_stored_once_with_roll_ups_and_energy(house: House) -> None:
    await house.add(["D1", "D2"], ["power", "voltage"], "Europe/Berlin")
    readings = day_of("D1") + day_of("D2", 200)
    async with house.working():
        for part in cut(readings, 90):
            await house.send(part)
        await house.settled()
        for part in cut(readings[::-1], 130):
            await house.send(part)
        await house.settled()
    assert house.samples() == {
        (device, metric): {ts: values[metric] for name, ts, values in readings if name == device}
        for device in ("D1", "D2")
        for metric in ("power", "voltage")
    }
    assert house.ledger() == {
        "messages": 6 + 4,
        "readings": 2 * 500,
        "accepted": 4 * 500,
        "stored": 2 * 500,
        "replaced": 0,
        "repeats": 2 * 500,
        "dead_letters": 0,
    }
    books = house.books("D1", "power")
    for tier in ("1m", "15m", "1h", "1d"):
        assert sum(row["count"] for row in books[f"power {tier}"]) == 300
        assert total(books, f"power {tier}") == sum(values["power"] for _, _, values in day_of("D1"))
    power = np.array([values["power"] for _, _, values in day_of("D1")])
    truth_wh = float(((power[1:] + power[:-1]) / 2 * STEP_US / 3.6e9).sum())
    for tier in ("15m", "1h", "1d"):
        assert abs(total(books, tier) / 1e6 - truth_wh) < 1e-3
    # Berlin's 29 March begins at 23:00Z the day before.
    assert books["power 1d"][0]["bucket"] == BASE_US - 3600 * SECOND_US


async def test_late_readings_repair_roll_ups_and_energy(house: House) -> None:
    await house.add(["in-order", "shuffled"], ["power", "voltage"], "Europe/Berlin")
    await house.add(["counted", "counted-late"], ["energy"])
    counter = [(BASE_US + k * 1800 * SECOND_US, k % 40 * 1.5) for k in range(200)]
    orderly = day_of("in-order") + [("counted", ts, {"energy": value}) for ts, value in counter]
    late = day_of("shuffled") + [("counted-late", ts, {"energy": value}) for ts, value in counter]
    rng = np.random.default_rng(3)
    parts = cut([late[place] for place in rng.permutation(len(late))], 40)
    async with house.working():
        for part in cut(orderly, 60):
            await house.send(part)
        for part in parts[:6]:
            await house.send(part)
        await house.settled()
    # Another worker, which remembers nothing, goes on.
    async with house.working():
        for part in parts[6:]:
            await house.send(part)
            await house.settled()
    assert house.books("shuffled", "power") == house.books("in-order", "power")
    assert house.books("counted-late", "energy") == house.books("counted", "energy")
    assert total(house.books("counted", "energy"), "1d") > 0


def figure(name: str, **labels: str) -> float:
    return WORKERS_OWN.get_sample_value(f"kilowatch_{name}", labels) or 0.0


async def test_another_value_for_a_moment_becomes_a_dead_letter(house: House) -> None:
    names = ("samples_stored_total", "samples_repeated_total", "commit_seconds_count")
    before = [figure(name) for name in names]
    letters_before = figure("dead_letters_total", code="conflict")
    await house.add(["D1"], ["power", "voltage"])
    async with house.working():
        await house.send([("D1", BASE_US, {"power": 5.0, "voltage": 230.0})])
        await house.settled()
        await house.send([("D1", BASE_US, {"power": 6.0, "voltage": 230.0})])
        await house.settled()
    assert house.samples()["D1", "power"] == {BASE_US: 5.0}
    (letter,) = await house.letters()
    assert (letter.code, letter.device, letter.door) == ("conflict", "D1", "http")
    assert letter.payload == {"device": "D1", "ts": "2026-03-29T00:00:00Z", "metrics": {"power": 6.0}}
    ledger = house.ledger()
    assert (ledger["stored"], ledger["repeats"], ledger["dead_letters"]) == (2, 1, 1)
    counted = [figure(name) - count for name, count in zip(names, before, strict=True)]
    assert counted == [2, 1, 2]
    assert figure("dead_letters_total", code="conflict") == letters_before + 1


async def test_a_letter_is_counted_once_however_often_it_is_written(house: House) -> None:
    await house.add(["D1"], ["power"])
    letters = [
        NewDeadLetter(
            house.organisation.id, device, "http", "too_old", "why", {}, to_datetime(BASE_US), f"{new_id()}"
        )
        for device in ("D1", "D1", "gone")
    ]
    before = figure("dead_letters_total", code="too_old")
    database = Database(house.worker_url)
    for _ in range(2):
        await write_letters(database, iter(letters))
    await database.close()
    assert len(await house.letters()) == 2
    assert figure("dead_letters_total", code="too_old") == before + 2


async def test_a_replaced_value_repairs_everything(house: House) -> None:
    await house.add(["right", "wrong"], ["power", "voltage"], "Europe/Berlin")
    wrong = [
        (
            device,
            ts,
            {**values, "power": values["power"] + 1000.0} if ts in (BASE_US + 100 * STEP_US,) else values,
        )
        for device, ts, values in day_of("wrong")
    ]
    async with house.working():
        for part in (*cut(day_of("right"), 150), *cut(wrong, 150)):
            await house.send(part)
        await house.settled()
        assert house.books("wrong", "power") != house.books("right", "power")
        await house.send([day_of("wrong")[100]], "replace")
        await house.settled()
    assert house.samples()["wrong", "power"] == {ts: values["power"] for _, ts, values in day_of("wrong")}
    assert house.books("wrong", "power") == house.books("right", "power")
    assert house.ledger()["replaced"] == 1
    assert await house.letters() == []


async def test_bytes_that_are_no_frame_are_kept_aside(house: House) -> None:
    await house.add(["D1"], ["power"])
    good = house.frame([("D1", BASE_US, {"power": 5.0})]).encode()
    broken = [b"garbage", b"", good[: len(good) // 2], good[:-9], good[:8] + b"\xff" * 64 + good[72:]]
    async with house.working():
        for data in (*broken, good):
            await house.log.publish_frame(0, data)
        await house.settled()
    assert house.samples() == {("D1", "power"): {BASE_US: 5.0}}
    kept = (await house.client.request_json("$JS.API.STREAM.INFO.POISON", {}))["state"]
    assert kept["messages"] == len(broken)
    assert house.ledger()["messages"] == len(broken) + 1


async def test_what_cannot_be_settled_becomes_dead_letters(house: House) -> None:
    await house.add(["D1", "D2"], ["power"])
    async with house.working():
        await house.send([("D1", BASE_US, {"power": 5.0})])
        await house.send([("D1", (1 << 63) - 5, {"power": 6.0}), ("D2", -(1 << 62), {"power": np.inf})])
        await house.send([("D2", BASE_US, {"power": 7.0})])
        await house.settled()
        await house.send([("D2", BASE_US + 1, {"power": 8.0})])
        await house.settled()
    assert house.samples() == {
        ("D1", "power"): {BASE_US: 5.0},
        ("D2", "power"): {BASE_US: 7.0, BASE_US + 1: 8.0},
    }
    letters = await house.letters()
    assert sorted((one.device, one.code) for one in letters) == [("D1", "poison"), ("D2", "poison")]
    ledger = house.ledger()
    assert (ledger["messages"], ledger["stored"], ledger["dead_letters"]) == (4, 3, 2)


async def test_devices_that_never_were_cost_nothing(house: House) -> None:
    await house.add(["D1"], ["power"])
    frame = house.frame([("D1", BASE_US + k, {"power": 5.0}) for k in range(4)])
    frame.device = np.array([house.devices["D1"], 2_000_000_000, -5, 999_999], np.int32)
    frame.metrics[2_000_000_000] = np.array([np.nan, np.nan, np.nan, 1.0])
    async with house.working():
        await house.log.publish_frame(0, frame.encode())
        await house.settled()
    assert house.samples() == {("D1", "power"): {BASE_US: 5.0}}
    ledger = house.ledger()
    assert (ledger["readings"], ledger["accepted"], ledger["dead_letters"]) == (4, 5, 4)


async def test_organisations_share_a_frame(house: House) -> None:
    other = House(
        house.postgres,
        house.nats,
        house.place,
        house.worker_url,
        house.database,
        house.client,
        await make_organisation(house.database),
        house.settings,
    )
    await house.add(["D1"], ["power"])
    await other.add(["D1", "D2"], ["power"])
    mine = house.frame([("D1", BASE_US, {"power": 1.0})])
    theirs = other.frame([("D1", BASE_US, {"power": 2.0}), ("D2", BASE_US, {"power": 3.0})])
    async with house.working():
        await house.log.publish_frame(0, Frame.concat([mine, theirs]).encode())
        await house.settled()
        await other.settled()
    found = {(row["series_no"], row["value"]) for row in house.rows("SELECT * FROM lake.samples")}
    assert found == {
        (house.series["D1", "power"], 1.0),
        (other.series["D1", "power"], 2.0),
        (other.series["D2", "power"], 3.0),
    }


async def test_a_log_made_anew_starts_anew(house: House) -> None:
    await house.add(["D1"], ["power"])
    async with house.working():
        for k in range(3):
            await house.send([("D1", BASE_US + k, {"power": 5.0})])
        await house.settled()
    await house.client.request_json("$JS.API.STREAM.DELETE.READINGS", {})
    await house.log.ensure(max_bytes=1 << 24)
    async with house.working():
        assert await house.send([("D1", BASE_US + 9, {"power": 5.0}), ("D1", BASE_US, {"power": 6.0})]) == 1
        await house.settled()
    assert list(house.samples()["D1", "power"]) == [BASE_US, BASE_US + 1, BASE_US + 2, BASE_US + 9]
    assert [letter.code for letter in await house.letters()] == ["conflict"]


async def test_live_values_go_out_as_they_arrive(house: House) -> None:
    await house.add(["D1"], ["power"])
    seen: list[Frame] = []
    listening = await house.client.subscribe("live.values", lambda _, data: seen.append(Frame.decode(data)))
    async with house.working():
        await house.send([("D1", BASE_US + k, {"power": float(k)}) for k in range(5)])
        await house.settled()
    await listening.stop()
    assert [frame.metrics[house.metrics["power"]].tolist() for frame in seen] == [[4.0]]
    assert seen[0].key.tolist() == [KEY_NO]
    assert subject_of(0) == "readings.0"
