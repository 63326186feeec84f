"""The feed without sockets: merging, dropping, cursors and bounds of one client. Time is given."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.errors import Problem
from kilowatch.server.live.audience import Audience
from kilowatch.server.live.client import Feed, LiveClient, Outgoing, Pace
from kilowatch.server.live.directory import DeviceEntry, Directory, MetricEntry, Viewer
from kilowatch.server.live.ring import Ring
from kilowatch.server.live.streams import Streams
from kilowatch.server.live.topics import parse_topics
from kilowatch.wire.frame import Frame
from kilowatch.wire.live import LiveEvent, newest_per_series

DIRECTORY = Directory.of(
    Viewer("org"),
    [DeviceEntry(1, "A", "S1", "north"), DeviceEntry(2, "B", "S1", "south"), DeviceEntry(3, "C", "S2", None)],
    [MetricEntry(10, "power"), MetricEntry(11, "voltage"), MetricEntry(12, "mode", ("off", "on"))],
)


def frame(*rows: tuple[int, int, dict[int, float]]) -> Frame:
    """Rows of (device number, time, metric number -> value)."""
    numbers = sorted({number for _, _, values in rows for number in values})
    return Frame(
        np.array([row[0] for row in rows], dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.zeros(len(rows), dtype=np.int32),
        {number: np.array([row[2].get(number, np.nan) for row in rows]) for number in numbers},
    )


def push(feed: Feed, client: LiveClient, now_s: float, told: Frame, *events: LiveEvent) -> None:
    """One tick, as the hub makes it."""
    tick = feed.ring.add(now_s, newest_per_series(told), events)
    feed.newest.record(tick.frame, tick.seq)
    feed.streams.record(tick.events)
    if client.audience is not None and client.audience.concerns(tick):
        client.stir()
    else:
        client.pass_over(tick)


def joined(feed: Feed, *topics: str, pace: Pace | None = None) -> LiveClient:
    client = LiveClient(feed, pace or Pace(), last_sent_s=0.0)
    audience = Audience(DIRECTORY, parse_topics(topics))
    client.join(audience, audience, None, reset=False)
    return client


def documents(taken: list[Outgoing]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(outgoing.text) for outgoing in taken]


def powers(taken: list[Outgoing]) -> list[tuple[str, float]]:
    return [
        (message["topic"], message["data"]["metrics"].get("power"))
        for document in documents(taken)
        for message in document.get("messages", [])
    ]


def test_the_first_batch_leaves_at_once_and_the_next_after_100_ms() -> None:
    feed = Feed()
    client = joined(feed, "devices.A")
    push(feed, client, 5.0, frame((1, 1, {10: 1.0})))
    assert client.wait_s(5.0) == 0.0
    assert powers(client.take(5.0)) == [("devices.A", 1.0)]
    push(feed, client, 5.01, frame((1, 2, {10: 2.0})))
    assert client.wait_s(5.01) == pytest.approx(0.09)
    assert client.take(5.05) == []
    assert powers(client.take(5.1)) == [("devices.A", 2.0)]


def test_a_reader_in_time_is_told_every_tick() -> None:
    feed = Feed()
    client = joined(feed, "devices.A")
    for step in range(5):
        push(feed, client, 5.0 + step / 100, frame((1, step, {10: float(step)})))
    assert [value for _, value in powers(client.take(5.1))] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_late_reader_is_told_the_newest_value_of_each_series() -> None:
    feed = Feed()
    client = joined(feed, "*")
    for step in range(50):
        push(
            feed, client, 5.0 + step / 10, frame((1, step, {10: float(step)}), (2, step, {10: -float(step)}))
        )
    push(feed, client, 10.0, frame((1, 100, {11: 230.0})))
    taken = client.take(10.5)
    (batch,) = documents(taken)
    shown = [(message["data"]["device"], message["data"]["metrics"]) for message in batch["messages"]]
    assert shown == [("A", {"power": 49.0}), ("A", {"voltage": 230.0}), ("B", {"power": -49.0})]
    assert batch["cursor"] == feed.ring.cursor(51)


def test_too_many_messages_of_one_flush_are_merged() -> None:
    feed = Feed()
    client = joined(feed, "*", pace=Pace(most_messages=10))
    for step in range(11):
        push(feed, client, 5.0 + step / 1000, frame((1, step, {10: float(step)})))
    assert powers(client.take(5.1)) == [("devices.A", 10.0)]


def test_events_beyond_the_bound_are_dropped_and_told() -> None:
    feed = Feed()
    client = joined(feed, "alerts", pace=Pace(most_events=2))
    for second in range(5):
        event = LiveEvent("org", "alerts", second * 1_000_000, "alert", {"n": second})
        push(feed, client, 5.0 + second / 1000, frame(), event)
    lagged, batch = documents(client.take(5.1))
    assert lagged == {"type": "lagged", "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:02Z"}
    assert [message["data"]["n"] for message in batch["messages"]] == [3, 4]


def stream_event(topic: str, ts_us: int, owner: str = "org") -> LiveEvent:
    return LiveEvent(owner, topic, ts_us, "stream", {"at": ts_us})


def test_what_the_simulator_knows_of_streams_replaces_what_was_heard_before() -> None:
    streams = Streams()
    heard = [stream_event("old.world", 1), stream_event("a", 5), stream_event("b", 30)]
    streams.record([*heard, stream_event("a", 2, "other")])
    streams.renew("org", [stream_event("c", 20), stream_event("a", 10), stream_event("b", 9)])
    assert {(one.organisation, one.topic): one.ts_us for one in streams} == {
        ("other", "a"): 2, ("org", "b"): 30, ("org", "a"): 10, ("org", "c"): 20,
    }  # fmt: skip
    streams.renew("org", [])
    assert [(one.organisation, one.topic) for one in streams] == [("other", "a")]


@pytest.mark.parametrize(
    ("pattern", "hears"),
    [("*", True), ("s*", True), ("streams.a", True), ("frequency.low", True), ("anomalies", True),
     ("a*", True), ("sites.*", False), ("devices.x", False), ("alerts", False)],
)  # fmt: skip
def test_topics_know_whether_they_hear_streams(pattern: str, hears: bool) -> None:
    assert parse_topics([pattern]).hears_streams is hears


def test_events_that_the_ring_let_go_are_told_as_lagged() -> None:
    feed = Feed(Ring(keep_s=60.0))
    client = joined(feed, "alerts")
    push(feed, client, 0.0, frame(), LiveEvent("org", "alerts", 7_000_000, "alert"))
    push(feed, client, 1.0, frame(), LiveEvent("other", "alerts", 8_000_000, "alert"))
    push(feed, client, 100.0, frame(), LiveEvent("org", "alerts", 99_000_000, "alert"))
    lagged, batch = documents(client.take(100.0))
    assert (lagged["from"], lagged["to"]) == ("1970-01-01T00:00:07Z", "1970-01-01T00:00:07Z")
    assert len(batch["messages"]) == 1


def test_a_large_flush_leaves_in_several_batches_whose_cursor_never_runs_ahead() -> None:
    feed = Feed()
    client = joined(feed, "*", pace=Pace(batch_bytes=300))
    push(feed, client, 5.0, frame((1, 1, {10: 1.0}), (2, 1, {10: 2.0}), (3, 1, {10: 3.0})))
    push(feed, client, 5.0, frame((1, 2, {10: 4.0})))
    first, second = client.take(5.0), client.take(5.1)
    assert powers(first) == [("devices.A", 1.0), ("devices.B", 2.0)]
    assert first[0].cursor == feed.ring.cursor(0)
    assert powers(second) == [("devices.C", 3.0), ("devices.A", 4.0)]
    assert second[0].cursor == feed.ring.cursor(2)


def stream(name: str, value: float, organisation: str = "org", at_s: float = 5.0) -> LiveEvent:
    data = {"stream": name, "value": value}
    also = ("frequency.high", "anomalies") if value > 9 else ("frequency.high",)
    return LiveEvent(organisation, f"streams.{name}", round(at_s * 1e6), "stream", data, also=also)


def told_of(taken: list[Outgoing]) -> list[tuple[str, str, float]]:
    return [
        (message["type"], message["topic"], message["data"]["value"])
        for document in documents(taken)
        for message in document.get("messages", [])
    ]


@pytest.mark.parametrize(
    ("topics", "heard"),
    [
        (["streams.a.*"], [1.0]),
        (["frequency.high"], [1.0, 10.0]),
        (["anomalies"], [10.0]),
        (["frequency.low"], []),
        (["streams.a.x", "frequency.high", "anomalies", "*"], [1.0, 10.0]),
    ],
)
def test_a_stream_is_told_once_to_whoever_has_one_of_its_topics(
    topics: list[str], heard: list[float]
) -> None:
    feed = Feed()
    client = joined(feed, *topics)
    push(feed, client, 5.0, frame(), stream("a.x", 1.0), stream("b.x", 10.0), stream("a.x", 2.0, "other"))
    assert [value for _, _, value in told_of(client.take(5.0))] == heard


def test_who_joins_is_told_the_newest_of_each_stream() -> None:
    feed = Feed()
    first = joined(feed, "*")
    events = [stream("a.x", 1.0), stream("a.y", 2.0), stream("a.x", 3.0), stream("a.x", 4.0, "other")]
    push(feed, first, 5.0, frame(), *events)
    late = joined(feed, "streams.*")
    assert told_of(late.take(6.0)) == [("latest", "streams.a.y", 2.0), ("latest", "streams.a.x", 3.0)]
    late.restart()
    (reset, batch) = documents(late.take(7.0))
    assert (reset["type"], len(batch["messages"])) == ("reset", 2)
    push(feed, first, 9000.0, frame(), stream("a.y", 5.0, at_s=9000.0))
    assert told_of(joined(feed, "streams.*").take(9000.0)) == [("latest", "streams.a.y", 5.0)]


def test_what_does_not_concern_a_client_keeps_its_cursor_young() -> None:
    feed = Feed()
    client = joined(feed, "devices.A")
    for second in range(200):
        push(feed, client, float(second), frame((2, second, {10: 1.0})))
    (ping,) = documents(client.take(200.0))
    assert ping == {"type": "ping", "cursor": feed.ring.cursor(200)}
    assert feed.ring.find_place(str(ping["cursor"]), 260.0) == 200


def test_a_reading_is_told_once_for_each_family_of_topics() -> None:
    feed = Feed()
    client = joined(feed, "*", "devices.A", "sites.S1", "regions.n*")
    push(feed, client, 5.0, frame((1, 1, {10: 1.0}), (3, 1, {10: 3.0})))
    assert [topic for topic, _ in powers(client.take(5.0))] == [
        "devices.A",
        "sites.S1",
        "regions.north",
        "devices.C",
    ]


def test_a_withdrawn_device_is_not_told_even_when_it_waits_in_the_outbox() -> None:
    feed = Feed()
    client = joined(feed, "*", pace=Pace(batch_bytes=10))
    push(feed, client, 5.0, frame((1, 1, {10: 1.0}), (2, 1, {10: 2.0})))
    assert powers(client.take(5.0)) == [("devices.A", 1.0)]
    assert client.audience is not None
    client.audience.learn(
        Directory.of(Viewer("org"), [DIRECTORY.devices[1]], list(DIRECTORY.metrics.values()))
    )
    client.rewind()
    assert powers(client.take(5.2)) == [("devices.A", 1.0)]
    assert client.take(5.4) == []


def test_a_value_that_comes_late_does_not_replace_a_newer_one() -> None:
    feed = Feed()
    client = joined(feed, "devices.A")
    push(feed, client, 5.0, frame((1, 100, {10: 100.0})))
    push(feed, client, 5.0, frame((1, 50, {10: 50.0})))
    assert [value for _, value in powers(client.take(5.0))] == [100.0, 50.0]
    late = joined(feed, "devices.A")
    assert [value for _, value in powers(late.take(9.0))] == [100.0]


def test_the_ring_is_bounded_by_bytes_and_still_knows_which_cursors_are_young() -> None:
    ring = Ring(keep_bytes=1000)
    for second in range(100):
        ring.add(float(second), frame((1, second, {10: 1.0}), (2, second, {10: 1.0})), ())
    assert len(ring.held_after(0)) < 25
    assert ring.find_place(ring.cursor(50), 100.0) == 50
    assert ring.find_place(ring.cursor(10), 100.0) is None
    assert ring.find_place(ring.cursor(100), 1e6) == 100
    assert ring.find_place(ring.cursor(101), 100.0) is None


OF_THE_CONTRACT = [
    *("devices.A", "devices.*", "devices.meter-*", "sites.S", "regions.north", "streams.x.*", "*", "dev*"),
    *("frequency.high", "alerts", "anomalies", "commands", "notifications", "tariffs"),
]


@pytest.mark.parametrize("topic", OF_THE_CONTRACT)
def test_a_topic_of_the_contract_is_taken(topic: str) -> None:
    assert len(parse_topics([topic])) == 1


@pytest.mark.parametrize(
    "topic", ["", "devices", "devices.", "alert", "a.b", "**", "*.D1", "frequency.huge", "sites.\x00", "x*"]
)
def test_anything_else_is_refused(topic: str) -> None:
    with pytest.raises(Problem, match="bad_topic"):
        parse_topics([topic])


def test_a_thousand_topics_are_enough() -> None:
    with pytest.raises(Problem, match="too_many_topics"):
        parse_topics(f"devices.D{number}" for number in range(1001))


rows = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 5),
        st.dictionaries(st.sampled_from([10, 11]), st.just(0.0), min_size=1),
    ),
    min_size=1,
    max_size=30,
)


@given(rows)
def test_thinning_keeps_the_newest_value_of_every_series(
    found: list[tuple[int, int, dict[int, float]]],
) -> None:
    numbered = [(d, ts, dict.fromkeys(v, float(place))) for place, (d, ts, v) in enumerate(found)]
    newest: dict[tuple[int, int], tuple[int, float]] = {}
    for device, ts, values in numbered:
        for number, value in values.items():
            if (device, number) not in newest or ts >= newest[device, number][0]:
                newest[device, number] = (ts, value)
    thinned = newest_per_series(frame(*numbered))
    kept: dict[tuple[int, int], tuple[int, float]] = {}
    for place, device in enumerate(thinned.device.tolist()):
        for number, column in thinned.metrics.items():
            if not np.isnan(column[place]):
                kept[device, number] = (int(thinned.ts_us[place]), float(column[place]))
    assert kept == newest
