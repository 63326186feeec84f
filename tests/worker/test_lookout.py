"""Rules over readings as they arrive: one raise and one clear, also over cuts, restarts and changes."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.alerts.finding import Finding
from kilowatch.alerts.telling import SECONDS
from kilowatch.clock import rfc3339
from kilowatch.lake.reading import LakeReader
from kilowatch.rules.backtest import Subject, backtest
from kilowatch.rules.derive import Samples
from kilowatch.rules.store import DEFAULTS, archive_rule, update_rule
from kilowatch.sites.store import create_site, update_device
from kilowatch.telemetry.query import Span
from kilowatch.telemetry.store import device_sources
from kilowatch.wire.live import LiveEvent, RegistryChange
from kilowatch.worker.rulebook import Book
from kilowatch.worker.watch_rows import WATCH
from tests.worker.house import BASE_US, NOW_US, SECOND_US, House, until
from tests.worker.watching import START_US, looking, rule_of, seconds, show, tell


async def test_a_value_that_swings_for_an_hour_raises_once_and_clears_once(
    house: House, events: list[LiveEvent]
) -> None:
    await house.add(["D1", "D2"], ["power", "voltage"])
    rule = await rule_of(house, device_id="D1", clear_threshold=80.0)
    swing = [50.0, *([101.0, 99.0, 120.0, 81.0] * 900), 79.0, 81.0]
    async with house.working():
        for begin in range(0, len(swing), 500):
            part = seconds("D1", swing[begin : begin + 500], start_us=START_US + begin * SECOND_US)
            await house.send(part + [("D2", ts_us, {"power": 500.0}) for _, ts_us, _ in part])
        await house.settled()

        async def over() -> bool:
            return any(one.data["status"] == "resolved" for one in events)

        await until(over, "the clear")
    # What opens and ends between two looks is told of once, as it stands then.
    assert [one.data["status"] for one in events] in (["open", "resolved"], ["resolved"])
    assert {one.data["id"] for one in events} == {events[0].data["id"]}
    assert {one.device_no for one in events} == {house.devices["D1"]}
    assert events[0].data["rule_id"] == str(rule.id)
    assert events[0].data["since"] == rfc3339(START_US + SECOND_US)


async def test_rules_hold_within_two_seconds_of_their_change(house: House, events: list[LiveEvent]) -> None:
    await house.add(["D1"], ["power"])
    async with house.working():
        second = iter(range(3600))

        async def send(value: float) -> None:
            await house.send(seconds("D1", [value], start_us=START_US + next(second) * SECOND_US))

        async def told(status: str, value: float, within_s: float = 2.0) -> None:
            async def is_told() -> bool:
                await send(value)
                return bool(events) and events[-1].data["status"] == status

            await until(is_told, f"{status} at {value}", within_s)

        await send(150.0)
        await house.settled()
        rule = await rule_of(house)
        # Without a word: it is found by asking.
        await told("open", 150.0)
        async with house.database.scope(house.organisation.id) as connection:
            await update_rule(connection, rule.id, {"threshold": 200.0})
        await tell(house, "rules")
        await told("resolved", 150.0)
        await told("open", 250.0)
        async with house.database.scope(house.organisation.id) as connection:
            await archive_rule(connection, rule.id)
        await tell(house, "rules")
        await told("resolved", 250.0)
        raised = sum(one.data["status"] == "open" for one in events)
        await send(300.0)
        await house.settled()
        assert sum(one.data["status"] == "open" for one in events) == raised == 2


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from([50.0, 90.0, 110.0, 150.0]), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=6),
    st.data(),
)
def test_cuts_and_repeats_change_nothing(values: list[float], cuts: list[int], data: st.DataObject) -> None:
    """Also where the book is made anew between two frames."""
    rows = np.zeros(2, WATCH)
    rows["series"], rows["device"], rows["metric"], rows["unit"] = [5, 6], [1, 2], 3, 1
    rows["limit"], rows["clear"], rows["for_s"] = 100.0, 80.0, [0, 3]
    rows["rule_low"] = [1, 2]

    def run(edges: list[int]) -> list[tuple[int, bool, int]]:
        book, found = Book.of(rows, {}), []
        for begin, end in itertools.pairwise(edges):
            for series in (5, 6):
                ts_us = np.arange(begin, end) * SECOND_US
                frame = Samples(np.full(end - begin, series, np.int32), ts_us, np.array(values[begin:end]))
                if len(frame):
                    changes = book.groups["value"].look(frame)
                    found += list(
                        zip(
                            changes.watch.tolist(),
                            changes.is_raise.tolist(),
                            changes.ts_us.tolist(),
                            strict=True,
                        )
                    )
            # A book that is made anew on the way goes on where the one before was.
            if data.draw(st.booleans()):
                after = Book.of(rows[::-1], {}, book)
                assert after.take_over(book, np.empty(0, np.int64), 0) == []
                book = after
        return sorted(found)

    whole = [0, len(values)]
    inside = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    assert run(inside) == run(whole)


async def test_what_is_stored_or_long_ago_is_not_looked_at(house: House) -> None:
    await house.add(["D1", "D2"], ["power"])
    await house.learn_series()
    await rule_of(house)
    readings = seconds("D1", [150.0] * 3)
    stored = {house.series["D1", "power"]: readings[2][1]}
    async with looking(house, newest=stored) as (lookout, taken):
        await show(house, lookout, readings + seconds("D2", [150.0], start_us=BASE_US))
        assert taken.told == []
        await show(house, lookout, seconds("D1", [150.0], start_us=START_US + 9 * SECOND_US))
        assert len(taken.raises) == 1


async def test_a_rule_may_be_about_a_site_a_type_or_everything(house: House) -> None:
    await house.add(["D1", "D2", "D3"], ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        site = await create_site(connection, house.organisation.id, kind="plant", name="Works")
        await update_device(connection, "D1", {"site_id": site.id})
        await update_device(connection, "D2", {"type": "kettle"})
    of_site = await rule_of(house, site_id=site.id)
    of_type = await rule_of(house, device_type="kettle")
    of_all = await rule_of(house, severity="critical")
    everybody = [seconds(name, [150.0])[0] for name in ("D1", "D2", "D3")]
    async with looking(house) as (lookout, taken):
        await show(house, lookout, everybody)
        found = {(one.key.rule_id, one.key.device_no, one.severity) for one in taken.raises}
        assert found == {
            (of_site.id, house.devices["D1"], "medium"),
            (of_type.id, house.devices["D2"], "medium"),
            *((of_all.id, house.devices[name], "critical") for name in ("D1", "D2", "D3")),
        }
        assert {one.excess_w for one in taken.raises} == {50.0}
        # A device that is new is under them as soon as word of it came.
        await house.add(["D4"], ["power"])
        lookout.note_change(RegistryChange(str(house.organisation.id), "arrivals"))

        async def known() -> bool:
            return len(lookout.book) == 6

        await until(known, "the new device's watch", 2.0)
        await show(house, lookout, seconds("D4", [150.0]))
        assert taken.raises[-1].key.device_no == house.devices["D4"]
        # A device that goes takes its watches along, and what was raised is over.
        await update_type(house, "D2", "toaster")
        lookout.note_change(RegistryChange(str(house.organisation.id), "devices"))

        async def cleared() -> bool:
            return len(taken.clears) == 1

        await until(cleared, "a clear", 2.0)
        assert taken.clears[0].key.rule_id == of_type.id


async def update_type(house: House, device: str, type_: str) -> None:
    async with house.database.scope(house.organisation.id) as connection:
        await update_device(connection, device, {"type": type_})


async def test_silence_is_told_at_its_time_and_over_with_the_next_reading(house: House) -> None:
    await house.add(["D1", "D2"], ["power", "voltage"])
    silence = {"input": "no_data", "operator": None, "threshold": None, "for_s": 60}
    whole = await rule_of(house, metric=None, device_id="D1", **silence)
    of_power = await rule_of(house, metric="power", device_id="D1", **silence)
    async with looking(house) as (lookout, taken):
        house.clock.advance(30)
        await show(house, lookout, [("D1", START_US, {"voltage": 230.0}), *seconds("D2", [1.0])])
        heard_us = house.clock.now_us()
        house.clock.advance(30.5)

        async def raised() -> bool:
            return len(taken.raises) == 1

        await until(raised, "silence of the power", 2.0)
        assert taken.raises[0].key.rule_id == of_power.id
        assert taken.raises[0].ts_us == heard_us + 30 * SECOND_US
        house.clock.advance(60)

        async def both() -> bool:
            return len(taken.raises) == 2

        await until(both, "silence of the device", 2.0)
        assert taken.raises[1].key.rule_id == whole.id
        assert (taken.raises[1].since_us, taken.raises[1].ts_us) == (heard_us, heard_us + 60 * SECOND_US)
        assert {(one.metric, one.value, one.limit) for one in taken.raises} == {(SECONDS, 60.0, 60.0)}
        # However old what comes is.
        await show(house, lookout, seconds("D1", [1.0], start_us=BASE_US))

        async def cleared() -> bool:
            return len(taken.clears) == 2

        await until(cleared, "two clears", 2.0)
        assert {one.key.rule_id for one in taken.clears} == {whole.id, of_power.id}
    # After a start silence counts from the start; what was raised stays so.
    async with looking(house, known=[taken.raises[0]]) as (_, again):
        house.clock.advance(61)

        async def other() -> bool:
            return len(again.told) == 1

        await until(other, "silence of the device", 2.0)
        assert again.raises[0].key.rule_id == whole.id


async def test_nobody_is_silent_while_we_do_not_listen(house: House) -> None:
    await house.add(["D1", "D2"], ["power"])
    await rule_of(house, device_id="D1", input="no_data", operator=None, threshold=None, for_s=60)
    for is_behind in (True, False):
        async with looking(house, is_behind=is_behind) as (lookout, taken):
            house.clock.advance(3600)
            # With each reading, of whomever, silence is looked at too.
            await show(house, lookout, seconds("D2", [1.0]))
        assert len(taken.raises) == (0 if is_behind else 1)


async def test_rules_that_cannot_be_read_stop_no_reading(
    house: House, monkeypatch: pytest.MonkeyPatch, events: list[LiveEvent]
) -> None:
    await house.add(["D1"], ["power"])
    await rule_of(house)
    with monkeypatch.context() as broken:

        async def fail(*_: object, **__: object) -> None:
            raise ValueError("a fault")

        broken.setattr("kilowatch.worker.lookout.load_watches", fail)
        working = house.working()
        await working.__aenter__()
        await house.send(seconds("D1", [150.0] * 3))
        await house.settled()
    second = iter(range(10, 3600))

    async def told() -> bool:
        await house.send(seconds("D1", [150.0], start_us=START_US + next(second) * SECOND_US))
        return bool(events)

    await until(told, "rules at work", 10.0)
    await working.__aexit__(None, None, None)
    assert events[0].data["status"] == "open"


async def test_rates_and_energy_are_watched(house: House) -> None:
    await house.add(["D1"], ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        await device_sources(connection, [house.devices["D1"]])
    steep = await rule_of(house, input="rate_per_minute", threshold=600.0)
    hungry = await rule_of(house, input="energy_1m", metric=None, threshold=1.5)
    async with looking(house) as (lookout, taken):
        values = [60.0] * 12 + [180.0] * 12 + [60.0] * 13
        await show(house, lookout, seconds("D1", values, every_s=5), cuts=[3, 11, 12, 24, 30])
    (rate, clear_rate, energy, clear_energy) = sorted(
        taken.told, key=lambda one: (one.key.rule_id != steep.id, one.ts_us)
    )
    assert isinstance(rate, Finding)
    assert (rate.metric, rate.value, rate.ts_us - START_US) == ("power/min", 1440.0, 60 * SECOND_US)
    assert (clear_rate.value, clear_rate.ts_us - START_US) == (0.0, 65 * SECOND_US)
    assert energy.key.rule_id == hungry.id
    assert isinstance(energy, Finding)
    assert (energy.metric, energy.limit, energy.excess_w) == ("energy_wh", 1.5, None)
    assert energy.ts_us - START_US == 120 * SECOND_US
    assert clear_energy.ts_us - START_US == 180 * SECOND_US


async def test_a_backtest_finds_what_was_told(house: House) -> None:
    await house.add(["D1"], ["power"])
    rng = np.random.default_rng(4)
    values = (100 + np.cumsum(rng.normal(0, 12, 3000))).round(1).tolist()
    rule = await rule_of(house, for_s=20, clear_threshold=70.0, cooldown_s=90)
    readings = seconds("D1", values)
    async with looking(house) as (lookout, taken):
        await show(house, lookout, readings, cuts=rng.integers(0, 3000, 60).tolist())
    async with house.working():
        await house.send(readings)
        await house.settled()
    subject = Subject(house.series["D1", "power"], "D1", "UTC", "gauge", "W")
    row = {name: getattr(rule, name) for name in DEFAULTS}
    span = Span(START_US, NOW_US, NOW_US, "UTC")
    outcome = backtest(LakeReader(house.place), row, [subject], span)
    assert outcome.raises == len(taken.raises) > 3
    ends = [one.ts_us for one in taken.clears]
    ends += [NOW_US] * (len(taken.raises) - len(ends))
    lasted = sum(end - one.ts_us for one, end in zip(taken.raises, ends, strict=True))
    assert outcome.seconds_raised == pytest.approx(lasted / SECOND_US)


async def test_a_fault_of_the_lookout_stops_no_reading(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.add(["D1"], ["power"])
    await rule_of(house)

    def fail(*_: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("kilowatch.worker.lookout.samples_of", fail)
    async with house.working():
        await house.send(seconds("D1", [150.0] * 3))
        await house.settled()
    assert len(house.samples()["D1", "power"]) == 3
