"""Backtests: how often a rule would have raised an alert over stored history, and for how long.

Keeps true: history goes through the very functions that look at readings as they arrive (`derive`, `watch`),
so a backtest says what would have been told, but for what only the clock of that time knew: silence is
measured between the readings' own times. Functions block on the lake: run them in a thread.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kilowatch import period
from kilowatch.clock import MICROSECONDS, to_datetime
from kilowatch.errors import Fault, Problem
from kilowatch.rules.derive import KINDS, Derivation, Samples, find_silences, scale_of
from kilowatch.rules.rule import ENERGY_INPUTS
from kilowatch.rules.watch import OPERATORS, States, Watches, evaluate
from kilowatch.telemetry.query import Lake, Span

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LONGEST_DAYS: Final = 366
MOST_SERIES: Final = 1000
MOST_SAMPLES: Final = 10_000_000
PIECE_SAMPLES: Final = 1_000_000
MOST_SPANS: Final = 500


@dataclass(frozen=True, slots=True)
class Subject:
    """A series that the rule looks at, of a device in a time zone; kind and unit are its metric's."""

    series_no: int
    device: str
    time_zone: str
    kind: str
    unit: str


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """How often a device would have raised the rule, and for how many seconds."""

    device: str
    raises: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RaisedSpan:
    """From when until when the rule would have been raised for a device."""

    device: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WorstDay:
    """The day on which the rule would have been raised longest; its date is that of the devices' site."""

    date: date
    raises: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule would have done: devices that raised it, most often first."""

    raises: int
    seconds_raised: float
    devices: list[DeviceShare]
    worst_day: WorstDay | None
    samples: int
    """How many readings were looked at."""
    spans: list[RaisedSpan]
    """When, the newest first, at most `MOST_SPANS` of them."""


@dataclass(frozen=True, slots=True)
class Raised:
    """Times for which the rule was raised: places of subjects, from and until."""

    subject: Ints
    from_us: Ints
    until_us: Ints


def check_span(span: Span) -> None:
    """Refuses a span over which no backtest goes.

    Raises:
        Problem: 422 `span_too_long`.
    """
    if span.end_us - span.start_us > LONGEST_DAYS * period.DAY_US:
        detail = f"A backtest goes over at most {LONGEST_DAYS} days."
        raise Problem(422, "span_too_long", detail, [Fault("span_too_long", detail, pointer="/body/start")])


def backtest(lake: Lake, rule: Mapping[str, Any], subjects: Sequence[Subject], span: Span) -> Outcome:
    """What the rule of these fields (see `rule_faults`) would have done in the past part of the span.

    Raises:
        Problem: 422 `too_many_points`.
    """
    if len(subjects) > MOST_SERIES:
        raise _too_many(f"more than {MOST_SERIES} series")
    if rule["input"] in ENERGY_INPUTS:
        subjects = [one for one in subjects if scale_of(one.kind, one.unit) is not None]
    if not subjects:
        return Outcome(0, 0.0, [], None, 0, [])
    end_us = max(span.start_us, span.past_end_us)
    pieces = _read(lake, [one.series_no for one in subjects], span.start_us, end_us)
    looked_at = [0]
    if rule["input"] == "no_data":
        raised = _silences(pieces, rule, subjects, span.start_us, end_us, looked_at)
    else:
        raised = _breaches(pieces, rule, subjects, end_us, looked_at)
    return _sum_up(raised, subjects, span.start_us, end_us, looked_at[0])


def _read(lake: Lake, series: list[int], start_us: int, end_us: int) -> Iterator[Samples]:
    """The samples of the series piece by piece, a day or less at once."""
    days = lake.rollups("1d", series, start_us - period.DAY_US, end_us)
    count = int(np.asarray(days["count"]).sum()) if days.num_rows else 0
    if count > MOST_SAMPLES:
        raise _too_many(f"{count:,} readings")
    width_us = min(period.DAY_US, (end_us - start_us) * PIECE_SAMPLES // max(count, PIECE_SAMPLES))
    for begin_us in range(start_us, end_us, max(width_us, 1)):
        table = lake.samples(series, begin_us, min(begin_us + width_us, end_us))
        yield Samples(
            table["series_no"].to_numpy().astype(np.int32),
            table["ts"].to_numpy().astype(np.int64),
            table["value"].to_numpy().astype(np.float64),
        )


def _breaches(
    pieces: Iterator[Samples],
    rule: Mapping[str, Any],
    subjects: Sequence[Subject],
    end_us: int,
    looked_at: list[int],
) -> Raised:
    watches, derivation = _watches(rule, subjects), _derivation(rule, subjects)
    states = States.of(len(watches))
    found = []
    for piece in pieces:
        looked_at[0] += len(piece)
        values = derivation.add(piece)
        if len(values):
            found.append(evaluate(watches, states, values.series, values.ts_us, values.value))
    none = np.empty(0, np.int64)
    watch = np.concatenate([none, *(one.watch for one in found)])
    is_raise = np.concatenate([np.empty(0, np.bool_), *(one.is_raise for one in found)])
    ts_us = np.concatenate([none, *(one.ts_us for one in found)])
    order = np.argsort(watch, kind="stable")
    watch, is_raise, ts_us = watch[order], is_raise[order], ts_us[order]
    # A raise is followed by its clearing, unless it lasts.
    rows = np.flatnonzero(is_raise)
    after = np.minimum(rows + 1, max(len(watch) - 1, 0))
    over = (rows + 1 < len(watch)) & (watch[after] == watch[rows]) & ~is_raise[after]
    return Raised(watch[rows], ts_us[rows], np.where(over, ts_us[after], end_us))


def _watches(rule: Mapping[str, Any], subjects: Sequence[Subject]) -> Watches:
    count = len(subjects)
    limit = float(rule["threshold"])
    clear = limit if rule["clear_threshold"] is None else float(rule["clear_threshold"])
    return Watches(
        np.array([one.series_no for one in subjects], np.int32),
        np.full(count, OPERATORS.index(rule["operator"]), np.int8),
        np.full(count, limit),
        np.full(count, clear),
        np.full(count, rule["for_s"] * MICROSECONDS, np.int64),
        np.full(count, rule["cooldown_s"] * MICROSECONDS, np.int64),
    )


def _derivation(rule: Mapping[str, Any], subjects: Sequence[Subject]) -> Derivation:
    return Derivation(
        rule["input"],
        np.array([one.series_no for one in subjects], np.int32),
        np.array([KINDS.index(one.kind) if one.kind in KINDS else 0 for one in subjects], np.int8),
        np.array([scale_of(one.kind, one.unit) or 0.0 for one in subjects]),
    )


def _silences(
    pieces: Iterator[Samples],
    rule: Mapping[str, Any],
    subjects: Sequence[Subject],
    start_us: int,
    end_us: int,
    looked_at: list[int],
) -> Raised:
    """Silence of each device, in all of the series given; it is listened to from the start of the span."""
    series = np.array([one.series_no for one in subjects], np.int32)
    names = {name: place for place, name in enumerate(dict.fromkeys(one.device for one in subjects))}
    of_series = np.array([names[one.device] for one in subjects], np.int32)
    first_of = np.array([int(np.argmax(of_series == place)) for place in names.values()], np.int64)
    newest_us = np.full(len(names), start_us, np.int64)
    spans = []
    for_us = rule["for_s"] * MICROSECONDS
    everybody = np.arange(len(names), dtype=np.int32)
    for piece in pieces:
        looked_at[0] += len(piece)
        device = of_series[np.searchsorted(series, piece.series)]
        heard = Samples.sorted(
            np.concatenate([everybody, device]),
            np.concatenate([newest_us, piece.ts_us]),
            np.zeros(len(everybody) + len(piece)),
        )
        found = find_silences(heard, for_us, end_us)
        spans += list(_rows(found.subject, found.since_us, found.until_us, found.is_over))
        last = np.append(np.flatnonzero(np.diff(heard.series)), len(heard) - 1)
        newest_us[heard.series[last]] = heard.ts_us[last]
    lasting = np.flatnonzero(end_us - newest_us > for_us)
    spans += [(place, newest_us[place], end_us) for place in lasting.tolist()]
    raised: list[tuple[int, int, int]] = []
    allowed_us: dict[int, int] = {}
    for place, since_us, until_us in sorted(spans):
        at_us = max(int(since_us) + for_us, allowed_us.get(place, start_us))
        if at_us < until_us:
            raised.append((int(first_of[place]), at_us, int(until_us)))
            allowed_us[place] = at_us + rule["cooldown_s"] * MICROSECONDS
    columns = np.array(raised, np.int64).reshape(-1, 3)
    return Raised(columns[:, 0], columns[:, 1], columns[:, 2])


def _rows(*columns: npt.NDArray[Any]) -> Iterator[tuple[int, int, int]]:
    for place, since_us, until_us, is_over in zip(*(column.tolist() for column in columns), strict=True):
        if is_over:
            yield place, since_us, until_us


def _sum_up(raised: Raised, subjects: Sequence[Subject], start_us: int, end_us: int, samples: int) -> Outcome:
    seconds = (raised.until_us - raised.from_us) / MICROSECONDS
    raises_of = np.bincount(raised.subject, minlength=len(subjects))
    seconds_of = np.bincount(raised.subject, seconds, minlength=len(subjects))
    shares: dict[str, DeviceShare] = {}
    for place in np.flatnonzero(raises_of).tolist():
        name = subjects[place].device
        before = shares.get(name, DeviceShare(name, 0, 0.0))
        shares[name] = DeviceShare(
            name, before.raises + int(raises_of[place]), before.seconds + float(seconds_of[place])
        )
    devices = sorted(shares.values(), key=lambda one: (-one.raises, -one.seconds, one.device))
    worst = _worst_day(raised, subjects, start_us, end_us)
    spans = _newest_spans(raised, subjects)
    return Outcome(len(raised.subject), float(seconds.sum()), devices, worst, samples, spans)


def _newest_spans(raised: Raised, subjects: Sequence[Subject]) -> list[RaisedSpan]:
    newest = np.argsort(-raised.from_us, kind="stable")[:MOST_SPANS].tolist()
    return [
        RaisedSpan(
            subjects[int(raised.subject[row])].device,
            to_datetime(int(raised.from_us[row])),
            to_datetime(int(raised.until_us[row])),
        )
        for row in newest
    ]


def _worst_day(raised: Raised, subjects: Sequence[Subject], start_us: int, end_us: int) -> WorstDay | None:
    if not len(raised.subject):
        return None
    days: dict[date, tuple[int, float]] = {}
    zones = np.array([one.time_zone for one in subjects])[raised.subject]
    for zone in np.unique(zones).tolist():
        mine = zones == zone
        begins, ends = raised.from_us[mine], raised.until_us[mine]
        edges = period.bucket_range(start_us, end_us, zone, "1d")
        raises = np.histogram(begins, np.append(edges[:-1], max(int(edges[-1]), end_us) + 1))[0]
        until = _seconds_until(begins, ends, edges, start_us)
        for place, day in enumerate(edges[:-1].tolist()):
            named = to_datetime(day).astimezone(period.time_zone(zone)).date()
            before = days.get(named, (0, 0.0))
            days[named] = before[0] + int(raises[place]), before[1] + float(until[place + 1] - until[place])
    named, (count, seconds) = max(days.items(), key=lambda one: (one[1][1], one[1][0], -one[0].toordinal()))
    return WorstDay(named, count, seconds)


def _seconds_until(begins: Ints, ends: Ints, moments_us: Ints, start_us: int) -> Floats:
    """For each moment how many seconds the spans have lasted before it, together."""

    def since(edges: Ints) -> Floats:
        at = np.sort(edges - start_us) / MICROSECONDS
        count = np.searchsorted(at, (moments_us - start_us) / MICROSECONDS)
        total = np.append(0.0, np.cumsum(at))[count]
        answer: Floats = count * ((moments_us - start_us) / MICROSECONDS) - total
        return answer

    return since(begins) - since(ends)


def _too_many(what: str) -> Problem:
    detail = f"This would look at {what}. Ask for a shorter span, or for a rule on fewer devices."
    return Problem(422, "too_many_points", detail)
