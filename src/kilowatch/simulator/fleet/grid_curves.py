"""The curves that the meters of a grid share, by quarter hours: load, solar power, and registers under them.

Each meter follows one curve of its region (household, household with a car, commercial; without, with a small
or a large solar plant) at its own scale, a while later than others. Keeps true: a register is the exact
integral of its curve, counted from `ANCHOR_US` on, so it only grows; and curves are made in blocks of 32 days
whose borders are fixed, so a window alone is the same to the bit as that window of a longer span.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.period import DAY_US, QUARTER_US
from kilowatch.simulator.fleet.rows import USUAL, Circumstances
from kilowatch.simulator.fleet.weather import sky_over, sun, temperature
from kilowatch.simulator.home.moments import Floats, Int64s, Moments

ANCHOR_US = 1_577_836_800_000_000
"""2020-01-01T00:00Z, when all meters were set to zero."""
BLOCK_DAYS = 32
BLOCK_QUARTERS = BLOCK_DAYS * 96
BLOCK_US = BLOCK_DAYS * DAY_US
QUARTER_H = 0.25

HOUSEHOLD, WITH_CAR, COMMERCIAL = range(3)
KINDS = 3
NO_KIT, SMALL_KIT, LARGE_KIT = range(3)
KIT_PEAK = np.array([[0.0, 8.0, 14.0], [0.0, 8.0, 14.0], [0.0, 2.5, 5.0]])
"""Peak power of a solar plant, as a multiple of its owner's mean load."""

HOME_DAY = np.array([
    .52, .45, .42, .41, .42, .50, .78, 1.10, 1.12, .98, .93, .96,
    1.08, 1.02, .92, .90, .98, 1.28, 1.68, 1.86, 1.74, 1.42, 1.05, .72,
])  # fmt: skip
HOME_WEEKEND = np.array([
    .62, .54, .48, .45, .44, .47, .58, .82, 1.14, 1.34, 1.38, 1.40,
    1.46, 1.32, 1.18, 1.12, 1.16, 1.36, 1.66, 1.76, 1.64, 1.38, 1.08, .80,
])  # fmt: skip
WORK_DAY = np.array([
    .45, .44, .44, .44, .47, .58, .85, 1.25, 1.62, 1.72, 1.74, 1.74,
    1.64, 1.68, 1.70, 1.66, 1.54, 1.28, .98, .80, .66, .56, .50, .46,
])  # fmt: skip
CHARGING_DAY = np.array([
    .55, .35, .20, .10, .05, .02, .02, .03, .05, .06, .08, .10,
    .12, .14, .18, .30, .62, 1.10, 1.50, 1.65, 1.60, 1.40, 1.10, .80,
])  # fmt: skip
"""Shapes of days by the hour, about one in the mean; of charging, as a part of the owner's mean load."""
SUNDAY_AT_WORK = 0.42
HEATS_BELOW_C, PER_C_COLD, COOLS_ABOVE_C, PER_C_HOT = 15.0, 0.022, 22.0, 0.045

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
    """The curves of some blocks in a row, each with one column for each quarter hour and one more at the end.

    load: by region and kind; sun: by region; taken, given: Wh on the registers by region, kind and kit, per
    watt of mean load; taken_w, given_w: what they grow by, at the beginning and the end of each quarter.
    """

    begins_us: int
    load: Curve
    sun: Curve
    taken: Curve
    taken_w: tuple[Curve, Curve]
    given: Curve
    given_w: tuple[Curve, Curve]


class Curves:
    """The curves of a grid's regions."""

    def __init__(self, regions: tuple[tuple[str, str], ...], seed: int) -> None:
        self._regions = regions
        self._seed = seed
        self._starts: list[tuple[Curve, Curve]] = []
        self._kept: dict[int, tuple[Curve, Curve]] = {}
        self._span: tuple[tuple[int, int], Circumstances, Span] | None = None

    def span(self, first_us: int, last_us: int, around: Circumstances) -> Span:
        """The curves over all moments from the first to the last.

        Raises:
            ValueError: if the first is before all meters were set.
        """
        if first_us < ANCHOR_US:
            raise ValueError("the meters of a grid begin in 2020")
        numbers = (first_us - ANCHOR_US) // BLOCK_US, (last_us - ANCHOR_US) // BLOCK_US
        around = USUAL if around.since_us is None else around
        if self._span is None or self._span[0] != numbers or self._span[1] is not around:
            self._span = numbers, around, self._make_span(*numbers, around)
        return self._span[2]

    def _make_span(self, first: int, last: int, around: Circumstances) -> Span:
        began = None if around.since_us is None else max(0, (around.since_us - ANCHOR_US) // BLOCK_US)
        usual_until = first if began is None else min(first, began)
        starts = self._usual_start(usual_until)
        blocks: list[list[Curve]] = []
        for number in range(usual_until, last + 1):
            load, shine = self._block(number)
            is_usual = began is None or number < began
            net = _net(load, shine, None if is_usual else self._ratios(number, around))
            taken, given = _register(starts[0], net, 1.0), _register(starts[1], net, -1.0)
            starts = _last(taken[0]), _last(given[0])
            if number >= first:
                blocks.append([load, shine, *taken, *given])
        joined = [np.concatenate([_inner(b[i]) for b in blocks], axis=1) for i in range(len(blocks[0]))]
        load, shine, taken_, taken_0, taken_1, given_, given_0, given_1 = map(np.ascontiguousarray, joined)
        return Span(
            ANCHOR_US + first * BLOCK_US, load, shine, taken_, (taken_0, taken_1), given_, (given_0, given_1)
        )

    def _usual_start(self, number: int) -> tuple[Curve, Curve]:
        """Where the registers stand when a block begins, if all was as usual."""
        if not self._starts:
            zero = np.zeros(len(self._regions) * KINDS * KIT_PEAK.shape[1])
            self._starts.append((zero, zero))
        while len(self._starts) <= number:
            taken, given = self._starts[-1]
            net = _net(*self._block(len(self._starts) - 1), None)
            self._starts.append((_last(_register(taken, net, 1.0)[0]), _last(_register(given, net, -1.0)[0])))
        return self._starts[number]

    def _block(self, number: int) -> tuple[Curve, Curve]:
        """Load and sun of a block."""
        if number not in self._kept:
            while len(self._kept) > 3:
                self._kept.pop(next(iter(self._kept)))
            loads, suns = [], []
            for region, zone in self._regions:
                at = sky_over(f"{region}/{self._seed}", zone, _quarters(number))
                loads += _loads(at)
                suns.append(sun(at))
            self._kept[number] = np.array(loads), np.array(suns)
        return self._kept[number]

    def _ratios(self, number: int, around: Circumstances) -> tuple[Curve, Curve, Curve]:
        """How far load, charging and sun are from usual, by region, at the beginning of each quarter."""
        ts_us = _quarters(number)[:-1]
        load, cars, solar = (
            [np.broadcast_to(around.ratios(f"grid.{region}.{what}", ts_us), ts_us.shape)
             for region, _ in self._regions]
            for what in ("load", "cars", "solar")
        )  # fmt: skip
        return np.array(load), np.array(cars), np.array(solar)


def _quarters(number: int) -> Int64s:
    return ANCHOR_US + number * BLOCK_US + np.arange(BLOCK_QUARTERS + 1, dtype=np.int64) * QUARTER_US


def _inner(curve: Curve) -> Curve:
    """A block's columns without the one that belongs to the next block."""
    return curve[:, :BLOCK_QUARTERS]


def _last(register: Curve) -> Curve:
    """Where a register stands at the end of a block, as a copy: a view would keep the whole block."""
    return register[:, -1].copy()


def _loads(at: Moments) -> list[Floats]:
    """The loads of a region by kind, as parts of their mean."""
    outside = temperature(at)
    cold, hot = np.maximum(HEATS_BELOW_C - outside, 0.0), np.maximum(outside - COOLS_ABOVE_C, 0.0)
    weather = 0.86 + PER_C_COLD * cold + PER_C_HOT * hot
    mood = 0.94 + 0.12 * at.drift("mood", 6 * 3600.0)
    home = np.where(at.is_weekend, _shape(HOME_WEEKEND, at.hour), _shape(HOME_DAY, at.hour)) * mood * weather
    work = _shape(WORK_DAY, at.hour) * np.where(at.is_weekend, SUNDAY_AT_WORK, 1.12) * mood
    work = work * (0.9 + 0.5 * PER_C_COLD * cold + PER_C_HOT * hot)
    return [home, home + _shape(CHARGING_DAY, at.hour), work]


def _shape(hours: Floats, hour: Floats) -> Floats:
    """A day's shape at any hour, straight between full hours."""
    whole = np.floor(hour)
    part = hour - whole
    index = whole.astype(np.int64) % 24
    value: Floats = hours[index] * (1.0 - part) + hours[(index + 1) % 24] * part
    return value


def _net(load: Curve, shine: Curve, ratios: tuple[Curve, Curve, Curve] | None) -> tuple[Curve, Curve]:
    """Load less solar power by region, kind and kit, at the beginning and the end of each quarter; what
    differs from the usual is held for a quarter."""
    regions, columns = shine.shape
    loads = load.reshape(regions, KINDS, 1, columns)
    suns = shine[:, None, None, :] * KIT_PEAK[None, :, :, None]
    ends = []
    for cut in (slice(0, -1), slice(1, None)):
        here_load, here_sun = loads[..., cut], suns[..., cut]
        if ratios is not None:
            usual, (by_load, by_cars, by_sun) = here_load, (one[:, None, :] for one in ratios)
            here_load, here_sun = usual * by_load[:, None], here_sun * by_sun[:, None]
            charge = usual[:, WITH_CAR] - usual[:, HOUSEHOLD]
            here_load[:, WITH_CAR] += charge * (by_cars - by_load)
        ends.append((here_load - here_sun).reshape(-1, columns - 1))
    return ends[0], ends[1]


def _register(start: Curve, net: tuple[Curve, Curve], sign: float) -> tuple[Curve, Curve, Curve]:
    """A register at the beginning of each quarter and at the end, and what it grows by at both ends."""
    begins, ends = np.maximum(sign * net[0], 0.0), np.maximum(sign * net[1], 0.0)
    steps = np.concatenate([start[:, None], 0.5 * QUARTER_H * (begins + ends)], axis=1)
    return np.cumsum(steps, axis=1), begins, ends
