"""Detectors of energy: high, zero and negative quarters, in any cut, through a restart; and profiles, all on
the real lake."""

import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.alerts.finding import Finding, Key
from kilowatch.alerts.store.alerts import Wanted, list_alerts
from kilowatch.alerts.store.detectors import set_detector
from kilowatch.alerts.store.raising import LivingAlert
from kilowatch.lake.writing import LakeWriter
from kilowatch.period import HOUR_US, MINUTE_US, QUARTER_US
from kilowatch.postgres.engine import Database
from kilowatch.sites.store import set_state, update_device
from kilowatch.telemetry.metric import ENERGY_METRIC
from kilowatch.telemetry.store import define_metrics, ensure_series
from kilowatch.worker.alarms import Alarms, in_order
from kilowatch.worker.ground import make_ground
from kilowatch.worker.patrol import Patrol
from kilowatch.worker.quarters import Energies, QuarterDetectors
from kilowatch.worker.store.watching import GroundRows
from tests.server.test_readings import measured
from tests.worker.house import NOW_US, House

START_US = NOW_US // QUARTER_US * QUARTER_US
KWH = 1e9
ORGANISATION, SITE = uuid.uuid4(), uuid.uuid4()
DAY = 96


def watching(types: dict[int, str], off: tuple[int, ...] = ()) -> QuarterDetectors:
    """Detectors of these devices, as they are by default."""
    count = len(types)
    rows = GroundRows(
        {
            "device": list(types), "site": [0] * count, "type": list(types.values()), "room": [""] * count,
            "idle_w": [float("nan")] * count, "is_off": [number in off for number in types],
            "is_watched": [True] * count, "gateway": [0] * count, "energy_series": list(types),
        },
        [(ORGANISATION, SITE, "Europe/Berlin", "home")],
        {},
    )  # fmt: skip
    detectors = QuarterDetectors()
    detectors.change(make_ground(rows, [], NOW_US), NOW_US)
    return detectors


def energies(kwh: dict[int, list[float]], first: int = 0, covered: float = 1.0) -> Energies:
    """A quarter after the other, from the `first` on; NaN is a quarter of which nothing is known."""
    rows = [
        (device, START_US + (first + place) * QUARTER_US, value * KWH)
        for device, values in sorted(kwh.items())
        for place, value in enumerate(values)
        if value == value
    ]
    device, start, value = (np.array(column) for column in zip(*rows, strict=True))
    known = np.full(len(device), round(covered * QUARTER_US))
    return Energies(device.astype(np.int64), start.astype(np.int64), value.astype(np.float64), known)


def after(quarters: int) -> int:
    """When so many quarters are over and settled."""
    return START_US + quarters * QUARTER_US + MINUTE_US


def test_a_high_quarter_is_told_and_the_next_usual_one_clears_it() -> None:
    detectors = watching({1: "meter", 2: "meter"})
    found = energies({1: [99.9, 100.1, 101.0, 50.0], 2: [1.0] * 4})
    (finding,), (clearing,) = detectors.look(found, after(4))
    assert finding.key == clearing.key == Key(ORGANISATION, "high_consumption", 1)
    assert (finding.since_us, finding.ts_us) == (START_US + QUARTER_US, START_US + 2 * QUARTER_US)
    assert (finding.value, finding.limit) == (100.1, 100.0)
    assert finding.excess_w == pytest.approx(400.0)  # 0.1 kWh in a quarter-hour
    assert clearing.ts_us == START_US + 4 * QUARTER_US
    assert detectors.look(found, after(4)) == ([], [])


def test_a_quarter_is_looked_at_once_it_is_settled_and_known() -> None:
    detectors = watching({1: "meter"})
    half = energies({1: [200.0]}, covered=0.5)
    assert detectors.look(half, START_US + QUARTER_US + MINUTE_US - 1) == ([], [])
    assert detectors.look(half, after(1)) == ([], [])
    (finding,), _ = detectors.look(half, START_US + 2 * QUARTER_US)
    assert finding.value == 200.0


def test_counting_backwards_is_told_of_consumers_only() -> None:
    detectors = watching({1: "meter", 2: "solar"})
    findings, clearings = detectors.look(energies({1: [1.0, -0.5, 0.5], 2: [-5.0] * 3}), after(3))
    assert [(one.key.kind, one.key.device_no, one.value) for one in findings] == [
        ("negative_consumption", 1, -0.5)
    ]
    assert [one.key.device_no for one in clearings] == [1]


def test_a_day_of_nothing_is_told_but_not_of_what_is_off_or_unknown() -> None:
    detectors = watching({1: "meter", 2: "meter", 3: "meter", 4: "solar"}, off=(2,))
    day = [0.0] * (DAY - 1)
    quarters = {number: [1.0, *day] for number in (1, 2, 4)} | {3: [1.0, *[float("nan")] * (DAY - 1)]}
    assert detectors.look(energies(quarters), after(DAY)) == ([], [])
    (finding,), clearings = detectors.look(
        energies({number: [0.0] for number in (1, 2, 4)}, DAY), after(DAY + 1)
    )
    assert (finding.key, clearings) == (Key(ORGANISATION, "zero_consumption", 1), [])
    assert (finding.since_us, finding.value, finding.limit) == (START_US + QUARTER_US, 0.0, None)
    _, (clearing,) = detectors.look(energies({1: [0.001]}, DAY + 1), after(DAY + 2))
    assert clearing.key == finding.key


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 150.0, -2.0, 0.0]), min_size=1, max_size=40),
    st.lists(st.integers(1, 40), max_size=6),
)
def test_cuts_looks_back_and_restarts_change_nothing(values: list[float], cuts: list[int]) -> None:
    whole = watching({1: "meter"})
    findings, clearings = whole.look(energies({1: values}), after(len(values)))
    kept = {one.alert_id for one in findings}
    living: dict[Key, int] = {}
    for item in in_order(findings, clearings):
        if isinstance(item, Finding):
            living[item.key] = item.since_us
        else:
            living.pop(item.key, None)
    pieces = watching({1: "meter"})
    told = set()
    for cut in [*sorted(one for one in cuts if one < len(values)), len(values)]:
        # Each look goes back over what was looked at before.
        found, _ = pieces.look(energies({1: values[:cut]}), after(cut))
        told |= {one.alert_id for one in found}
    assert told == kept
    anew = watching({1: "meter"})
    anew.restore([LivingAlert(key, since, since) for key, since in living.items()])
    found, _ = anew.look(energies({1: values}), after(len(values)))
    assert {one.alert_id for one in found} <= kept


def test_what_lives_at_a_restart_is_not_ended_by_what_was_before_it() -> None:
    values = [1.0, 150.0, 150.0]
    (finding,), _ = watching({1: "meter"}).look(energies({1: values}), after(3))
    anew = watching({1: "meter"})
    anew.restore([LivingAlert(finding.key, finding.since_us, finding.ts_us)])
    assert anew.look(energies({1: values}), after(3)) == ([], [])
    _, (clearing,) = anew.look(energies({1: [*values, 1.0]}), after(4))
    assert clearing.key == finding.key


@pytest.fixture
async def patrol(house: House) -> AsyncIterator[Patrol]:
    """The detectors of a house whose meters M1, M2 have series of energy; nothing runs by itself."""
    await house.add(["M1", "M2"], ["power"])
    async with house.database.scope(house.organisation.id) as connection:
        energy = (await define_metrics(connection, house.organisation.id, [ENERGY_METRIC]))["energy_wh"]
        numbers = list(house.devices.values())
        await ensure_series(connection, numbers, [energy.metric_no] * len(numbers))
    await house.learn_series()
    database = Database(house.worker_url)
    alarms = Alarms(database, house.client, house.clock, Decimal("0.30"))
    yield Patrol(database, house.client, house.reader, house.clock, alarms, [0], 1)
    await database.close()


def store_energy(house: House, device: str, start_us: int, kwh: Any) -> None:
    """Quarters of energy in the lake, from a time on."""
    writer = LakeWriter(house.place)
    quarters = start_us + np.arange(len(kwh)) * QUARTER_US
    writer.commit(measured(house.series[device, "energy_wh"], quarters, np.asarray(kwh) * KWH))
    writer.close()


async def kinds(house: House, status: str) -> list[tuple[str, str | None]]:
    async with house.database.scope(house.organisation.id) as connection:
        found = (await list_alerts(connection, Wanted(status=status))).items
    return sorted((one.kind, one.device) for one in found)


async def test_energy_in_the_lake_is_watched_by_the_limits_of_its_type(house: House, patrol: Patrol) -> None:
    async with house.database.scope(house.organisation.id) as connection:
        await update_device(connection, "M1", {"type": "industrial"})
        limits = {"limits": {"limit_kwh": 50, "by_type": {"industrial": 500}}}
        await set_detector(connection, house.organisation.id, None, "high_consumption", limits)
        await set_detector(
            connection, house.organisation.id, None, "zero_consumption", {"limits": {"for_s": 3600}}
        )
    await patrol.begin()
    start_us = START_US - HOUR_US
    store_energy(house, "M1", start_us, [400.0, 400.0, 400.0, 400.0])
    store_energy(house, "M2", start_us, [60.0, 60.0, 60.0, 60.0])
    house.clock.advance((after(0) - NOW_US) / 1e6)
    await patrol.look_at_quarters()
    assert await kinds(house, "open") == [("high_consumption", "M2")]
    store_energy(house, "M1", START_US, [501.0] * 4)
    store_energy(house, "M2", START_US, [0.0] * 4)
    house.clock.advance(3600)
    await patrol.look_at_quarters()
    assert await kinds(house, "open") == [("high_consumption", "M1"), ("zero_consumption", "M2")]
    assert await kinds(house, "resolved") == [("high_consumption", "M2")]
    async with house.database.scope(house.organisation.id) as connection:
        await set_state(connection, "M2", "off")
        await set_detector(connection, house.organisation.id, None, "high_consumption", {"is_on": False})
    await patrol.load()
    assert await kinds(house, "open") == [("zero_consumption", "M2")]


async def test_profiles_are_learnt_from_four_weeks_and_are_there_after_a_restart(
    house: House, patrol: Patrol
) -> None:
    await patrol.begin()
    days = 14
    start_us = (START_US - days * DAY * QUARTER_US) // (24 * HOUR_US) * 24 * HOUR_US
    hour = np.arange(days * DAY) // 4 % 24
    power_w = np.where(hour < 6, 100.0, 400.0)
    store_energy(house, "M1", start_us, power_w / 4000)
    store_energy(house, "M2", start_us, [0.1] * 8)  # too little to say anything
    await patrol.learn()
    again = Patrol(patrol.database, house.client, house.reader, house.clock, patrol.alarms, [0], 1)
    await again.begin()
    for one in (patrol, again):
        profile = one.samples.profile
        assert profile.row[house.devices["M2"]] == -1
        median = profile.median_w[profile.row[house.devices["M1"]]]
        assert median == pytest.approx(np.where(np.arange(24) < 6, 100.0, 400.0))
    # 400 W usual; the spread is at least a twentieth of that: six of it are 120 W.
    day_us = START_US // (24 * HOUR_US) * 24 * HOUR_US
    noon = np.array(
        [
            day_us + 12 * HOUR_US,
            day_us + 12 * HOUR_US + 299 * 1_000_000,
            day_us + 12 * HOUR_US + 300 * 1_000_000,
        ]
    )
    device = np.full(3, house.devices["M1"], np.int64)
    findings, _ = again.samples.look(device[:2], noon[:2], np.array([521.0, 521.0]))
    assert findings == []
    (finding,), _ = again.samples.look(device[2:], noon[2:], np.array([521.0]))
    assert (finding.key.kind, finding.since_us) == ("spike", noon[0])
    assert finding.limit == pytest.approx(520.0)


async def test_the_profile_of_a_new_device_is_learnt_at_once(
    house: House, patrol: Patrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    await patrol.begin()
    days, number = 4, house.devices["M1"]
    start_us = (START_US - days * DAY * QUARTER_US) // (24 * HOUR_US) * 24 * HOUR_US
    store_energy(house, "M1", start_us, np.full(days * DAY, 0.1))
    patrol.note_new([number])
    await patrol.learn_new()
    assert number >= len(patrol.samples.profile.row) or patrol.samples.profile.row[number] == -1, "too soon"
    monkeypatch.setattr("kilowatch.worker.patrol.NEW_S", 0.0)
    other = Patrol(patrol.database, house.client, house.reader, house.clock, patrol.alarms, [0], 1)
    await other.begin()
    other.note_new([number, house.devices["M2"]])
    await other.learn_new()
    profile = other.samples.profile
    assert profile.median_w[profile.row[number]] == pytest.approx(np.full(24, 400.0))
    assert profile.row[house.devices["M2"]] == -1
    store_energy(house, "M2", start_us, np.full(days * DAY, 0.1))
    other.note_new([house.devices["M2"]])
    await other.learn_new()
    assert other.samples.profile.row[house.devices["M2"]] == -1, "what is not new waits for all others"
