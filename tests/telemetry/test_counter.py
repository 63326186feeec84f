"""Running counters against simulated meters whose true consumption is known.

Where the truth ends: what was used between the last reading of a meter and its removal, or a reset to an
unknown k, is in no reading; the simulation uses nothing there. After a reset to zero, and through a
roll-over, everything used is in the next reading, so the total must be exact.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.telemetry.counter import (
    HARD_LIMIT_W,
    REGISTER_SIZES,
    SHORTEST_US,
    counter_steps,
)
from kilowatch.telemetry.step import CORRECTIONS, Corrections, Source, Steps
from kilowatch.units import MICRO_PER_KWH, MICRO_PER_WH, MICRO_WATT_HOURS

QUARTER_US = 900_000_000
START_US = 1_790_000_000_000_000
RATED_LIMIT_W = 8_000.0
GAP_US = 4 * QUARTER_US

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine fails no test."""


def counter(
    kwh: list[float], limit_w: float = np.nan, step_us: int = QUARTER_US, ts_us: list[int] | None = None
) -> Source:
    """One device's counter, read every `step_us` or at the given times."""
    moments = np.arange(len(kwh)) * step_us if ts_us is None else np.array(ts_us, np.int64)
    return Source(
        device=np.full(len(kwh), 7, np.int32),
        ts_us=(START_US + moments).astype(np.int64),
        value=np.array(kwh, np.float64),
        scale=MICRO_WATT_HOURS["kWh"],
        limit_w=np.full(len(kwh), limit_w),
    )


def total_kwh(steps: Steps) -> float:
    return int(steps.energy_uwh.sum()) / MICRO_PER_KWH


def reasons(corrections: Corrections) -> list[str]:
    return [CORRECTIONS[code] for code in corrections.kind]


@pytest.mark.parametrize("limit_w", [RATED_LIMIT_W, np.nan], ids=["rated", "unrated"])
@pytest.mark.parametrize(
    ("kwh", "expected", "why"),
    [
        ([100, 101, 102, 103], 3, []),
        ([100, 101, 0, 1, 2], 3, ["reset"]),
        ([100, 101, 0.5, 1.5], 2.5, ["reset"]),
        ([500, 501, 60, 61], 2, ["swap"]),
        ([500, 501, 4000, 4001], 2, ["swap"]),
        ([99998, 99999, 0, 1], 3, ["rollover"]),
        ([999998.9, 999999.9, 0, 1], 2.1, ["rollover"]),
        ([4294966.9, 4294967.2, 0.032704, 1], 1.4 - 0.3 + 0.3 - 0.332704 + 0.3, ["rollover"]),
        ([100, 101, 0, 102, 103], 3, ["dip"]),
        ([100, 101, 100.5, 102, 103], 3, ["dip"]),
        ([100, 101, 900, 102, 103], 3, ["spike"]),
        ([100, 101, 101.9, 101.5, 101.8], 1.8, ["spike"]),
        ([100, 0, 100, 0, 100, 0, 101], 1, ["dip", "dip", "dip"]),
        ([100, 101, -1, 102], 2, ["dip"]),
        ([-1, 100, 101], 1, ["negative"]),
        ([0, 5000, 5001], 1, ["swap"]),
    ],
)
def test_each_irregularity_is_booked_and_named(
    kwh: list[float], expected: float, why: list[str], limit_w: float
) -> None:
    steps, corrections = counter_steps(counter(kwh, limit_w), GAP_US)
    if why == ["rollover"] and kwh[0] > 4e6:
        expected = 2**32 / 1000 - kwh[0] + kwh[-1]
    assert total_kwh(steps) == pytest.approx(expected, abs=1e-8)
    assert sorted(reasons(corrections)) == why


@pytest.mark.parametrize("limit_w", [RATED_LIMIT_W, np.nan], ids=["rated", "unrated"])
def test_several_zeros_in_a_row_are_no_consumption(limit_w: float) -> None:
    steps, corrections = counter_steps(counter([5000, 5001, 0, 0, 0, 5002, 5003], limit_w), GAP_US)
    assert total_kwh(steps) == 2
    assert reasons(corrections) == ["reset", "swap"]


def test_a_fall_that_stays_within_a_tenth_is_noise_and_books_nothing() -> None:
    steps, corrections = counter_steps(counter([5.0, 5.1, 4.9, 4.95, 5.05]), GAP_US)
    assert total_kwh(steps) == pytest.approx(0.25)
    assert reasons(corrections) == ["dip"]


def test_a_coarse_counter_of_a_small_device_loses_nothing() -> None:
    steps, corrections = counter_steps(
        counter([7, 7, 7, 8, 8, 8, 9], limit_w=200, step_us=10_000_000), GAP_US
    )
    assert total_kwh(steps) == 2
    assert not len(corrections)


def test_heavy_industry_without_a_rating_is_believed_when_a_neighbour_agrees() -> None:
    steps, corrections = counter_steps(counter([0.0, 0.1, 1250.3, 2500.7, 3750.2, 3750.3]), GAP_US)
    assert total_kwh(steps) == pytest.approx(3750.3)
    assert not len(corrections)


def test_a_long_gap_is_measured_but_its_course_is_estimated() -> None:
    source = counter([10, 11, 13, 14], ts_us=[0, QUARTER_US, 100 * QUARTER_US, 101 * QUARTER_US])
    steps, corrections = counter_steps(source, GAP_US)
    assert steps.estimated.tolist() == [False, True, False]
    assert total_kwh(steps) == 4
    assert reasons(corrections) == ["gap"]
    assert corrections.energy_uwh.tolist() == [2 * MICRO_PER_KWH]


def test_the_step_around_an_outlier_is_estimated() -> None:
    steps, corrections = counter_steps(counter([10, 11, 0, 13]), GAP_US)
    assert steps.estimated.tolist() == [False, True]
    assert (corrections.before.tolist(), corrections.after.tolist()) == ([11.0], [0.0])
    assert corrections.at_us.tolist() == [START_US + 2 * QUARTER_US]


def test_the_newest_reading_is_taken_until_the_next_one_contradicts_it() -> None:
    first, _ = counter_steps(counter([10, 11, 12, 14]), GAP_US)
    then, why = counter_steps(counter([10, 11, 12, 14, 13]), GAP_US)
    assert (total_kwh(first), total_kwh(then), reasons(why)) == (4, 3, ["spike"])


def test_devices_do_not_touch_each_other() -> None:
    one, other = counter([10, 11, 0, 12]), counter([3, 4, 5, 0.5])
    both = Source(
        np.repeat(np.array([1, 2], np.int32), 4),
        np.concatenate([one.ts_us, other.ts_us]),
        np.concatenate([one.value, other.value]),
        MICRO_WATT_HOURS["kWh"],
    )
    steps, corrections = counter_steps(both, GAP_US)
    assert int(steps.energy_uwh[steps.device == 1].sum()) == 2 * MICRO_PER_KWH
    assert int(steps.energy_uwh[steps.device == 2].sum()) == int(2.5 * MICRO_PER_KWH)
    assert sorted(reasons(corrections)) == ["dip", "reset"]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_readings_have_no_step(count: int) -> None:
    steps, corrections = counter_steps(counter([5.0] * count), GAP_US)
    assert (len(steps), len(corrections)) == (0, 0)


@dataclass
class Meter:
    """A simulated meter in whole Wh, what it shows, what was truly used, and what should be noted."""

    shown_wh: list[int]
    used_wh: int = 0
    expected: list[str] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.shown_wh[-1]

    def use(self, *amounts_wh: int) -> None:
        for amount in amounts_wh:
            self.shown_wh.append(self.last + amount)
            self.used_wh += amount

    def show(self, wh: int) -> None:
        self.shown_wh.append(wh)


MOST_WH = 1_900
BELIEVED_WH = 2_000
"""A reading interval of a 4 kW device uses at most 1,000 Wh, twice of that is believed."""
FAR_WH = 60_000
amounts = st.integers(0, MOST_WH)
quiet = st.lists(amounts, min_size=4, max_size=8)
register = st.sampled_from(["reset", "reset to k", "rollover 5", "rollover 6.1", "swap up", "swap down"])
glitch = st.sampled_from(["low", "high"])


def _happen(data: st.DataObject, meter: Meter, event: str, least: int) -> None:
    # Far from every register size unless a roll-over is meant, and high enough to fall from.
    if event == "reset":
        amount = data.draw(amounts)
        meter.show(amount)
        meter.used_wh += amount
        meter.expected.append("reset")
    elif event in ("reset to k", "swap down"):
        low, high = FAR_WH, meter.last * 8 // 10
        meter.show(data.draw(st.integers(low, high)))
        meter.expected.append("swap")
    elif event == "swap up":
        meter.show(meter.last + data.draw(st.integers(FAR_WH, 10**9)))
        meter.expected.append("swap")
    elif event == "low":
        before, amount = meter.last, data.draw(amounts)
        meter.show(data.draw(st.integers(0, before - least)))
        meter.show(before + amount)
        meter.used_wh += amount
        meter.expected.append("dip")
    elif event == "high":
        before, amount = meter.last, data.draw(amounts)
        # Too much to be believed, yet so little that the next use reaches it: any eye takes that for a swap.
        seeming = st.integers(2 * MOST_WH, 10**9)
        if least <= BELIEVED_WH - amount:
            seeming |= st.integers(least, BELIEVED_WH - amount)
        meter.show(before + amount + data.draw(seeming))
        meter.show(before + amount)
        meter.used_wh += amount
        meter.expected.append("spike")
    else:
        raise AssertionError(event)


@patient
@given(
    data=st.data(),
    events=st.lists(glitch, max_size=4),
    ending=register,
    rated=st.booleans(),
    # A glitch no larger than ordinary use may pass for its neighbour's opposite: same energy, other name.
    least=st.sampled_from([1, 2 * MOST_WH]),
)
def test_total_error_is_zero_whatever_happens_to_the_meter(
    data: st.DataObject, events: list[str], ending: str, rated: bool, least: int
) -> None:
    size, display = {"rollover 5": (10**8, 1000), "rollover 6.1": (10**9, 100)}.get(ending, (0, 1))
    meter = Meter([size - 70_000 if size else data.draw(st.integers(200_000, 700_000))])
    meter.use(*data.draw(quiet))
    for event in events:
        _happen(data, meter, event, least)
        meter.use(*data.draw(quiet))
    if size:
        while meter.last < size:
            meter.use(data.draw(st.integers(1_000, MOST_WH)))
        meter.expected.append("rollover")
    else:
        _happen(data, meter, ending, least)
    meter.use(*data.draw(quiet))
    shown = [wh // display * display for wh in meter.shown_wh]
    used = meter.used_wh
    if size:
        used, shown = shown[-1] - shown[0], [wh % size for wh in shown]
    steps, corrections = counter_steps(
        counter([wh / 1000 for wh in shown], RATED_LIMIT_W if rated else np.nan), GAP_US
    )
    assert (steps.energy_uwh >= 0).all()
    assert int(steps.energy_uwh.sum()) == used * MICRO_PER_WH
    if display == 1 and least > 1:
        assert sorted(reasons(corrections)) == sorted(meter.expected)


any_kwh = st.one_of(
    st.integers(-2, 12).map(float),
    st.sampled_from([99.0, 100.0, 101.0, 102.5, 5000.0, 99998.0, 99999.0, 999999.9, 1e9, 1e300, -1e300]),
    st.floats(0, 2e9),
)
any_span = st.sampled_from([1, 1_000_000, 60_000_000, QUARTER_US, 4_000_000_000, 90_000_000_000])


@patient
@given(st.lists(st.tuples(any_span, any_kwh), min_size=2, max_size=25), st.sampled_from([np.nan, 500.0, 1e6]))
def test_whatever_a_counter_shows_energy_is_never_negative_nor_giant(
    rows: list[tuple[int, float]], limit_w: float
) -> None:
    source = counter([kwh for _, kwh in rows], limit_w, ts_us=np.cumsum([span for span, _ in rows]).tolist())
    steps, corrections = counter_steps(source, GAP_US)
    bound_w = HARD_LIMIT_W if np.isnan(limit_w) else limit_w
    believable = bound_w * np.maximum(steps.end_us - steps.start_us, SHORTEST_US) / 3600 + MICRO_PER_KWH
    assert (steps.energy_uwh >= 0).all()
    assert (steps.energy_uwh <= believable + 1).all()
    assert (steps.start_us < steps.end_us).all()
    assert (steps.start_us[1:] >= steps.end_us[:-1]).all()
    assert np.isin(corrections.at_us, source.ts_us[1:]).all()
    outliers = [
        at for at, kind in zip(corrections.at_us, reasons(corrections), strict=True) if kind == "spike"
    ]
    assert source.ts_us[-1] not in outliers


@patient
@given(st.lists(st.integers(0, 2_000_000), min_size=2, max_size=40))
def test_an_untroubled_counter_telescopes_to_the_last_unit(amounts_uwh: list[int]) -> None:
    kwh = [1234.5 + amount / MICRO_PER_KWH for amount in np.cumsum(amounts_uwh)]
    steps, corrections = counter_steps(counter(kwh), GAP_US)
    ends = [int(np.rint(value * MICRO_PER_KWH)) for value in (kwh[0], kwh[-1])]
    assert int(steps.energy_uwh.sum()) == ends[1] - ends[0]
    assert not len(corrections)


def test_register_sizes_are_in_order_and_start_at_a_thousand_kilowatt_hours() -> None:
    sizes = REGISTER_SIZES.tolist()
    assert sizes[0] == 1000 * MICRO_PER_KWH
    assert all(low < high for low, high in pairwise(sizes))
    assert 2**32 * MICRO_PER_WH in sizes
