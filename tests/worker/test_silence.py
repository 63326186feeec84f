"""The offline detector over time: exact, grouped, quiet after a restart, cleared when data flows."""

import random
import uuid
from collections.abc import Sequence

import numpy as np
import pytest

from kilowatch.alerts.finding import Key
from kilowatch.alerts.store.raising import LivingAlert
from kilowatch.clock import MICROSECONDS
from kilowatch.worker.silence import MOST_SINGLE, Roll, Silence

START_US = 1_780_000_000 * MICROSECONDS
HOME, SITE = uuid.uuid4(), uuid.uuid4()


class House:
    """Devices 1 to n of one site, the clock, and the living alerts as PostgreSQL has them."""

    def __init__(self, devices: int, gateways: Sequence[int] | None = None) -> None:
        width = devices + 1
        self.now_us = START_US
        self.numbers = np.arange(1, width, dtype=np.int32)
        self.roll = Roll(
            np.arange(width) > 0,
            np.array([0, *(gateways or [0] * devices)], np.int64),
            np.zeros(width, np.int64),
            np.full(width, 120 * MICROSECONDS),
            [(HOME, SITE, "high")],
        )
        self.living: dict[Key, int] = {}
        self.ids: set[uuid.UUID] = set()
        self.opened = 0
        self.devices_told: list[int] = []
        self.silence = self.start()

    def start(self, seen: Silence | None = None) -> Silence:
        """A worker that starts now, with what the one before it had written down."""
        width = len(self.roll)
        silence = Silence(self.now_us)
        none = np.zeros(width, np.int64)
        silence.call(self.roll, *((none, none) if seen is None else (seen.last_seen_us, seen.pause_us)))
        silence.restore([LivingAlert(key, since, since) for key, since in self.living.items()], self.now_us)
        return silence

    def restart(self) -> None:
        self.silence = self.start(self.silence)

    def hear(self, *devices: int) -> None:
        self.silence.hear(np.array(devices, np.int32), self.now_us)

    def turn(self) -> None:
        findings, clearings = self.silence.turn(self.now_us)
        for finding in findings:
            if finding.key not in self.living:
                assert finding.alert_id not in self.ids, "an alert that is over opens no second time"
                self.ids.add(finding.alert_id)
                self.opened += 1
                self.living[finding.key] = finding.since_us
                self.devices_told.append(finding.devices)
        for clearing in clearings:
            del self.living[clearing.key]

    def wait(self, seconds: float, step_s: float = 0.25) -> None:
        ends_us = self.now_us + round(seconds * MICROSECONDS)
        while self.now_us < ends_us:
            self.now_us += round(step_s * MICROSECONDS)
            self.turn()

    def chatter(self, every_s: float, times: int, *devices: int) -> None:
        for _ in range(times):
            self.now_us += round(every_s * MICROSECONDS)
            self.hear(*devices)
            self.turn()


@pytest.mark.parametrize(("every_s", "patience_s"), [(10, 120), (60, 180), (900, 2700)])
def test_silence_is_told_at_its_very_second(every_s: int, patience_s: int) -> None:
    house = House(2)
    house.chatter(every_s, 20, 1, 2)
    for _ in range(int(patience_s // 0.25)):
        house.now_us += 250_000
        house.hear(2)
        house.turn()
    assert house.opened == 0
    house.wait(1)
    assert list(house.living) == [Key(HOME, "offline", 1)]
    house.hear(1)
    house.wait(0.25)
    assert house.living == {}


def test_a_device_that_reports_once_an_hour_is_not_silent_in_between_after_a_restart() -> None:
    house = House(1)
    house.chatter(3600, 3, 1)
    house.wait(1800, 30)
    house.restart()
    house.wait(1799, 30)
    house.hear(1)
    house.wait(3600, 30)
    assert house.opened == 0


def test_a_restart_with_5000_devices_tells_nobody() -> None:
    house = House(5000)
    house.chatter(10, 4, *range(1, 5001))
    house.wait(3600, 600)
    opened, living = house.opened, dict(house.living)
    assert (opened, house.devices_told) == (1, [5000])
    house.restart()
    house.wait(7200, 300)
    assert (house.opened, house.living) == (opened, living)
    house.hear(*range(1, 5001))
    house.turn()
    assert house.living == {}


def test_after_a_start_nobody_is_silent_before_their_patience_is_over() -> None:
    house = House(5000)
    house.chatter(10, 4, *range(1, 5001))
    house.now_us += 86_400 * MICROSECONDS  # the instance was off for a day
    house.restart()
    house.turn()
    house.wait(119, 1)
    assert house.opened == 0


def test_a_gateway_with_500_silent_children_is_one_alert_with_a_count() -> None:
    house = House(601, gateways=[1] * 501 + [0] * 100)
    for _ in range(30):
        for place in range(1, 502, 50):  # they do not all report at the same moment
            house.now_us += MICROSECONDS
            house.hear(*range(place, min(place + 50, 502)), *range(502, 602))
            house.turn()
    for _ in range(200):
        house.now_us += MICROSECONDS
        house.hear(*range(502, 602))
        house.turn()
    assert list(house.living) == [Key(HOME, "offline", 1)]
    assert house.opened == 1
    assert house.devices_told[0] >= 450
    house.hear(*range(1, 502))
    house.turn()
    assert house.living == {}


def test_what_is_left_of_a_group_is_told_by_its_own_name() -> None:
    house = House(10, gateways=[1] * 10)
    house.chatter(10, 5, *range(1, 11))
    house.wait(200, 1)
    assert list(house.living) == [Key(HOME, "offline", 1)]
    house.hear(*range(1, 10))
    house.turn()
    assert list(house.living) == [Key(HOME, "offline", 10)]


def test_a_silence_that_was_told_as_a_groups_is_told_as_its_own_again() -> None:
    house = House(4, gateways=[4, 4, 4, 4])
    house.chatter(10, 5, 1, 2, 3, 4)
    for _ in range(30):
        house.chatter(10, 1, 2, 3, 4)
    alone, together = Key(HOME, "offline", 1), Key(HOME, "offline", 4)
    assert list(house.living) == [alone]
    for _ in range(2):
        # An outage counts as a pause, but no patience is longer than a day.
        for _ in range(90):
            house.chatter(1000, 1, 4)
        assert list(house.living) == [together]
        house.hear(3)
        house.turn()
        assert set(house.living) == {alone, Key(HOME, "offline", 2)}


def test_a_device_that_is_watched_again_while_it_is_silent_is_told_of() -> None:
    house = House(2)
    house.chatter(10, 5, 1, 2)
    for _ in range(30):
        house.chatter(10, 1, 2)
    for is_watched in (False, True):
        some = house.roll.is_watched.copy()
        some[1] = is_watched
        roll = Roll(some, house.roll.gateway, house.roll.site, house.roll.least_us, house.roll.sites)
        house.silence.call(roll, np.zeros(3, np.int64), np.zeros(3, np.int64))
        house.chatter(10, 1, 2)
        assert list(house.living) == ([Key(HOME, "offline", 1)] if is_watched else [])


def test_a_gateway_that_another_worker_watches_is_told_of_all_the_same() -> None:
    house = House(3, gateways=[9, 9, 9])
    house.chatter(10, 5, 1, 2, 3)
    house.wait(200, 1)
    assert list(house.living) == [Key(HOME, "offline", 9)]
    house.hear(1, 2, 3)
    house.turn()
    assert house.living == {}


def test_our_own_pause_is_not_a_pause_of_the_devices() -> None:
    house = House(2)
    house.chatter(10, 20, 1, 2)
    house.now_us += 36_000 * MICROSECONDS  # the instance was off
    house.restart()
    house.chatter(10, 5, 1, 2)
    for _ in range(13):
        house.chatter(10, 1, 2)
    assert list(house.living) == [Key(HOME, "offline", 1)]


def test_a_pause_of_our_own_is_nobodys_silence() -> None:
    house = House(20)
    house.chatter(10, 5, *range(1, 21))
    for _ in range(20):
        house.chatter(10, 1, *range(2, 21))
    assert list(house.living) == [Key(HOME, "offline", 1)]
    house.now_us += 3600 * MICROSECONDS
    house.silence.listen(house.now_us)
    house.wait(50, 1)
    assert list(house.living) == [Key(HOME, "offline", 1)]
    house.hear(1)
    house.wait(100, 1)
    assert set(house.living) == {Key(HOME, "offline", site_id=SITE)}


def test_single_devices_of_a_large_site_are_not_the_site() -> None:
    house = House(20)
    house.chatter(10, 5, *range(1, 21))
    for _ in range(30):
        house.chatter(10, 1, *range(4, 21))
    assert set(house.living) == {Key(HOME, "offline", device) for device in (1, 2, 3)}


def test_a_thousand_silent_devices_are_the_site_however_many_it_has() -> None:
    devices = 5 * MOST_SINGLE
    for quiet, told in ((MOST_SINGLE - 1, MOST_SINGLE - 1), (MOST_SINGLE, 1)):
        house = House(devices)
        house.chatter(10, 5, *range(1, devices + 1))
        house.chatter(10, 30, *range(quiet + 1, devices + 1))
        assert len(house.living) == told
    assert set(house.living) == {Key(HOME, "offline", site_id=SITE)}


def test_a_device_that_is_taken_from_the_roll_is_cleared() -> None:
    house = House(2)
    house.chatter(10, 5, 1, 2)
    for _ in range(30):
        house.chatter(10, 1, 2)
    assert list(house.living) == [Key(HOME, "offline", 1)]
    off = house.roll.is_watched.copy()
    off[1] = False
    roll = Roll(off, house.roll.gateway, house.roll.site, house.roll.least_us, house.roll.sites)
    house.silence.call(roll, np.zeros(3, np.int64), np.zeros(3, np.int64))
    house.turn()
    assert house.living == {}


def test_ten_thousand_interleavings_end_cleared_when_data_flows() -> None:
    chance = random.Random(11)
    silent = 0
    for _ in range(10_000):
        devices = chance.randint(1, 6)
        gateways = [chance.choice([0, 0, 1, 1, 2]) for _ in range(devices)]
        house = House(devices, [gate if gate <= devices else 0 for gate in gateways])
        for _ in range(chance.randint(1, 8)):
            match chance.randrange(5):
                case 0 | 1:
                    house.hear(*chance.sample(range(1, devices + 1), chance.randint(1, devices)))
                case 2 | 3:
                    house.now_us += chance.choice([1, 10, 119, 120, 121, 600, 5000]) * MICROSECONDS
                case _:
                    house.restart()
            if chance.random() < 0.8:
                house.turn()
        silent += bool(house.living)
        house.hear(*range(1, devices + 1))
        house.turn()
        assert house.living == {}
    assert silent > 1000, "the law was hardly tried"
