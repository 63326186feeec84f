"""The bench's readings: every one new, every body what it claims to be."""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from kilowatch.cli.bench.load import Form, Shape, Share, Singles, Templates, metric_names
from kilowatch.clock import rfc3339, to_us

START_US = 1_795_219_200_000_000
SHAPE = Shape("json", 100, 4, 50, 4, START_US, 10_000)

Reading = tuple[str, int, tuple[float, ...]]


def readings_of(form: Form, body: bytes) -> list[Reading]:
    """Device, time and values of each reading, by a decoder that knows nothing of ours."""
    match form:
        case "json":
            return [_of_json(reading) for reading in json.loads(body)]
        case "ndjson":
            return [_of_json(json.loads(line)) for line in body.splitlines()]
        case "influx":
            return [_of_line(line.decode()) for line in body.splitlines()]
        case _:
            with pa.ipc.open_stream(body) as reader:
                table = reader.read_all()
            columns = [table[name].to_pylist() for name in metric_names(table.num_columns - 2)]
            times = table["ts"].cast(pa.int64()).to_pylist()
            values = list(zip(*columns, strict=True))
            return list(zip(table["device"].to_pylist(), times, values, strict=True))


def _of_json(reading: dict[str, object]) -> Reading:
    metrics = reading["metrics"]
    assert isinstance(metrics, dict)
    return str(reading["device"]), to_us(datetime.fromisoformat(str(reading["ts"]))), tuple(metrics.values())


def _of_line(line: str) -> Reading:
    head, fields, stamp = line.split(" ")
    values = tuple(float(field.partition("=")[2]) for field in fields.split(","))
    return head.partition("device=")[2], int(stamp) // 1000, values


@pytest.mark.parametrize("form", ["json", "ndjson", "influx", "arrow"])
@pytest.mark.parametrize("batch", [7, 50, 60, 1000])
def test_every_reading_is_new_and_in_order(form: Form, batch: int) -> None:
    shape = replace(SHAPE, form=form, batch=batch)
    templates, times = Templates(shape), defaultdict[str, list[int]](list)
    for number in range(shape.connections):
        share = Share(shape, number)
        for _ in range(3 * shape.parts):
            template = templates.take(share)
            found = readings_of(form, bytes(template.body))
            assert len(found) == shape.rows
            for device, ts_us, values in found:
                assert len(values) == shape.metrics
                times[device].append(ts_us)
            templates.give_back(template)
    assert len(times) == shape.used_devices
    for moments in times.values():
        assert moments == [START_US + place * shape.every_us for place in range(3 * shape.rounds)]


def test_a_body_in_flight_is_not_written_over() -> None:
    templates, share = Templates(SHAPE), Share(SHAPE, 0)
    first = templates.take(share)
    before = bytes(first.body)
    for _ in range(20):
        templates.give_back(templates.take(share))
    assert bytes(first.body) == before


def test_values_follow_each_other_at_random() -> None:
    shape = replace(SHAPE, form="influx", batch=100)
    templates, share, follows = Templates(shape), Share(shape, 0), defaultdict[float, set[float]](set)
    last: dict[str, float] = {}
    for _ in range(30):
        template = templates.take(share)
        for device, _, values in readings_of("influx", bytes(template.body)):
            if device in last:
                follows[last[device]].add(values[0])
            last[device] = values[0]
        templates.give_back(template)
    assert np.mean([len(nexts) for nexts in follows.values()]) > 2


def test_single_readings_take_turns_over_the_devices() -> None:
    singles = Singles(SHAPE, 1, with_device=True)
    taken = [_of_json(json.loads(singles.take()[1])) for _ in range(60)]
    assert [device for device, _, _ in taken[:25]] == Share(SHAPE, 1).names
    assert [ts_us - START_US for _, ts_us, _ in taken[::25]] == [0, 10_000, 20_000]
    device, ts_us = singles.newest
    assert (device, ts_us) == taken[-1][:2]
    alone = json.loads(Singles(SHAPE, 1, with_device=False).take()[1])
    assert alone["ts"] == rfc3339(START_US).replace("Z", ".000Z")
    assert "device" not in alone
