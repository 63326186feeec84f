"""Silence by the clock: what a slow look says, in any interleaving of readings, time and reloads."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.worker.no_data import NoData
from kilowatch.worker.watch_rows import WATCH, WatchRows

SECOND_US = 1_000_000
DEVICES = (3, 7, 9)
COOLDOWN_S = 40


def watches(for_s: int) -> WatchRows:
    """Of each device as a whole, and of one series of each."""
    rows = np.zeros(2 * len(DEVICES), WATCH)
    rows["device"] = [*DEVICES, *DEVICES]
    rows["series"] = [0, 0, 0, 30, 70, 90]
    rows["rule_low"] = [1, 1, 1, 2, 2, 2]
    rows["for_s"], rows["cooldown_s"] = for_s, [0, 0, 0, COOLDOWN_S, COOLDOWN_S, COOLDOWN_S]
    return rows


@dataclass
class Slow:
    """One watch, as a person would follow it; seconds."""

    cooldown: int
    heard: int = 0
    since: int = -1
    raised: int = -(10**9)
    is_raised: bool = False

    def turn(self, now: int, for_s: int) -> str:
        told = ""
        if self.is_raised and self.heard > self.since:
            self.is_raised, told = False, "cleared"
        if not self.is_raised and now - self.heard > for_s and now >= self.raised + self.cooldown:
            self.raised = max(self.heard + for_s, self.raised + self.cooldown)
            self.is_raised, self.since, told = True, self.heard, told + "raised"
        return told


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 50)),
        st.tuples(st.just("device"), st.sampled_from(DEVICES)),
        st.tuples(st.just("series"), st.sampled_from((30, 70, 90))),
        st.tuples(st.just("reload"), st.sampled_from((10, 20))),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=300)
@given(STEPS)
def test_silence_is_what_a_slow_look_says(steps: list[tuple[str, int]]) -> None:
    silence, for_s, now = NoData.of(watches(10)), 10, 0
    silence.listen(0)
    slow = [Slow(int(row["cooldown_s"])) for row in silence.rows]
    keys = [(int(row["device"]), int(row["series"])) for row in silence.rows]
    for step, number in steps:
        if step == "pass":
            now += number
        elif step == "reload":
            after, for_s = NoData.of(watches(number)[::-1]), number
            gone, _ = after.take_over(silence, now * SECOND_US)
            assert len(gone) == 0
            silence = after
            order = [keys.index((int(row["device"]), int(row["series"]))) for row in silence.rows]
            slow, keys = [slow[place] for place in order], [keys[place] for place in order]
        else:
            numbers = np.array([number, number, 12_345], np.int32)
            (silence.hear_devices if step == "device" else silence.hear_series)(numbers, now * SECOND_US)
            for one, (device, series) in zip(slow, keys, strict=True):
                if (device if step == "device" and series == 0 else series) == number:
                    one.heard = max(one.heard, now)
        turn = silence.turn(now * SECOND_US)
        told = [one.turn(now, for_s) for one in slow]
        assert turn.raised.tolist() == [place for place, word in enumerate(told) if "raised" in word]
        assert turn.cleared.tolist() == [place for place, word in enumerate(told) if "cleared" in word]
        for place in turn.raised.tolist():
            assert silence.raised_us[place] == slow[place].raised * SECOND_US
    # Whatever was before, data ends it.
    now += 1
    silence.hear_devices(np.array(DEVICES, np.int32), now * SECOND_US)
    silence.hear_series(np.array([30, 70, 90], np.int32), now * SECOND_US)
    silence.turn(now * SECOND_US)
    assert not silence.is_raised.any()


def test_who_is_gone_while_silent_is_told() -> None:
    before = NoData.of(watches(10))
    before.listen(0)
    before.turn(11 * SECOND_US)
    after = NoData.of(watches(10)[:2])
    gone, since_us = after.take_over(before, 12 * SECOND_US)
    assert gone["device"].tolist() == [9, 3, 7, 9]
    assert since_us.tolist() == [0, 0, 0, 0]
    assert len(after.turn(12 * SECOND_US)) == 0


def test_a_pause_of_our_own_is_nobodys_silence() -> None:
    silence = NoData.of(watches(10))
    silence.listen(0)
    silence.listen(60 * SECOND_US)
    assert len(silence.turn(61 * SECOND_US)) == 0
    assert len(silence.turn(71 * SECOND_US)) == 6
