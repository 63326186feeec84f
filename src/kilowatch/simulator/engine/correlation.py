"""Which events moved which streams: found from values and from what everybody expects of events. Pure.

Keeps true: nothing of what events really do is used; and an event is called a cause only if the streams that
it was expected to move did so, in the direction and at the time that were expected, beyond chance.

What was to be expected of each stream, and what the windows of all events that may move it did, are learnt in
turns, for each spoils the other. An event is then judged by all of its streams together. Streams of which
nothing was expected may have followed causes with a delay; as there are many more ways in which they could,
they must stand out further. Overlapping events share what they cannot be told apart by.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.period import DAY_US, HOUR_US
from kilowatch.simulator.engine.chance import Floats, Mask
from kilowatch.simulator.engine.events import Expectation
from kilowatch.simulator.engine.expected import Onlooker
from kilowatch.simulator.engine.moments import Moments
from kilowatch.simulator.engine.response import Response, Stray, echoes, onset, windows

ROUNDS, ROUNDS_OF_FOLLOWERS, ROUNDS_OF_ECHOES = 4, 3, 2
LATER_H = (0, 2, 4, 8, 16, 24)
"""How much later than expected a stream may follow of which nothing was expected."""
LONG_US, ENOUGH_US = 2 * DAY_US, 7 * DAY_US
"""From longer windows than the one no levels are learnt, where as much as the other is left beside them."""
CLEAR = 3.0
"""So many standard deviations, of all its streams together, make an event a cause."""
SHOWN, SHARE = 1.6, 0.5
"""And so many each, in at least this share of its streams."""
LEAST, MOST = -4.0, 7.0
"""What one stream can say for an event, in standard deviations."""
CLEAR_ECHO, LEAST_ECHO = 5.0, 0.05
"""Standard deviations and relative change of a stream of which nothing was expected, or the contrary."""
STEEP = 1.5


@dataclass(frozen=True, slots=True)
class Moved:
    """change: relative to what was to be expected, such as 0.2 for 20 % more; deviations: how clear that is,
    in standard deviations; score: the same from 0 to 1, from 0.5 on it is said to have moved; onset_us: the
    beginning of the interval in which it began; is_expected: whether it was expected of the event."""

    event: str
    stream: str
    change: float
    deviations: float
    score: float
    onset_us: int
    is_expected: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one event. score: 0 to 1, from 0.5 on it is a cause; below, a red herring, as far as can be seen.
    moved: all streams that were expected, and those that followed a cause, the clearest first."""

    event: str
    score: float
    is_cause: bool
    moved: tuple[Moved, ...]


@dataclass(frozen=True)
class Correlation:
    """All verdicts, by the id of the event, in the order in which the events were given."""

    verdicts: dict[str, Verdict]

    def moved_by(self, event: str) -> tuple[Moved, ...]:
        """The streams that an event moved, the clearest first; none of a red herring."""
        verdict = self.verdicts[event]
        return tuple(one for one in verdict.moved if one.score >= 0.5) if verdict.is_cause else ()

    def movers_of(self, stream: str) -> tuple[Moved, ...]:
        """What events did to a stream, the clearest first."""
        moved = [one for event in self.verdicts for one in self.moved_by(event) if one.stream == stream]
        return tuple(sorted(moved, key=lambda one: -abs(one.deviations)))


def correlate(
    names: Sequence[str], moments: Moments, value: Floats, zone: str, events: Sequence[Expectation]
) -> Correlation:
    """The verdicts on events from the values of streams, of shape (streams, count), on a grid in a zone."""
    if moments.count == 0 or not events:
        return Correlation({one.event: Verdict(one.event, 0.0, False, ()) for one in events})
    return Correlation(_Onlooking(names, moments, value, zone, events).verdicts())


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """That an event may have moved a stream: its place among the events, how much of each interval lies in
    the time at which it may, shape (count,), and when that is over."""

    place: int
    inside: Floats
    ends_us: int
    is_expected: bool


class _Onlooking:
    """One set of values, and what is found in it."""

    def __init__(
        self, names: Sequence[str], moments: Moments, value: Floats, zone: str, events: Sequence[Expectation]
    ) -> None:
        self.names, self.moments, self.value, self.events = names, moments, value, events
        self.onlooker = Onlooker(moments, value, zone, self._aside())
        spans = [(one.begins_us, one.ends_us) for one in events]
        self.inside = np.stack([windows(moments, spans, hours * HOUR_US) for hours in LATER_H])
        self.entries = [self._expected(name) for name in names]
        self.responses = [Response(self._windows(entries)) for entries in self.entries]
        self.usual = self.onlooker.learn(np.ones_like(value), rounds=2)
        self.strays: list[Stray] = []

    def _aside(self) -> Mask | None:
        """What lies in windows so long that they would be taken for what is usual, unless little else is
        left."""
        aside = np.zeros(self.value.shape, np.bool_)
        for row, name in enumerate(self.names):
            spans = [one.spans[name] for one in self.events if name in one.directions]
            long = [span for span in spans if span[1] - span[0] > LONG_US]
            inside = windows(self.moments, long).any(axis=0)
            if (self.moments.count - np.count_nonzero(inside)) * self.moments.step_us >= ENOUGH_US:
                aside[row] = inside
        return aside if aside.any() else None

    def _expected(self, name: str) -> list[_Entry]:
        """The events of which it is expected that they move a stream, as far as they can be seen."""
        places = [place for place, one in enumerate(self.events) if name in one.directions]
        spans = [self.events[place].spans[name] for place in places]
        inside = windows(self.moments, spans)
        rows = zip(places, inside, spans, strict=True)
        return [_Entry(place, row, span[1], True) for place, row, span in rows if row.any()]

    def _windows(self, entries: Sequence[_Entry]) -> Floats:
        rows = [one.inside for one in entries]
        return np.stack(rows) if rows else np.zeros((0, self.moments.count))

    def verdicts(self) -> dict[str, Verdict]:
        """First from what was expected only; then what comes of it by chains is fitted along with it for the
        causes, and then whatever else followed them."""
        self._fit(ROUNDS)
        scores = self._scores()
        for candidates, least, rounds in (
            (self._followers, CLEAR, ROUNDS_OF_FOLLOWERS),
            (self._echoes, CLEAR_ECHO, ROUNDS_OF_ECHOES),
        ):
            causes = [place for place, one in enumerate(self.events) if scores[one.event] >= 0.5]
            before = [list(entries) for entries in self.entries]
            for row in range(len(self.names)):
                self._drop_echoes(row, frozenset(causes))
                self._add_echoes(row, candidates(row, self._kinds(row, causes)), least)
            if self.entries != before:
                self._fit(rounds)
                scores = self._scores()
        moved: dict[str, list[Moved]] = {one.event: [] for one in self.events}
        for row, entries in enumerate(self.entries):
            for number, entry in enumerate(entries):
                event = self.events[entry.place].event
                if entry.is_expected or scores[event] >= 0.5:
                    moved[event].append(self._moved(row, number, entry))
        for several in moved.values():
            several.sort(key=lambda one: -abs(one.deviations))
        return {
            event: Verdict(event, scores[event], scores[event] >= 0.5, tuple(several))
            for event, several in moved.items()
        }

    def _fit(self, rounds: int) -> None:
        """Learns what was to be expected and what windows did in turns."""
        factor = np.ones_like(self.value)
        for _ in range(rounds):
            self._improve()
            for row, response in enumerate(self.responses):
                factor[row] = response.factor
            self.usual = self.onlooker.learn(factor)
        self._improve()
        self.strays = [
            Stray.of(self.moments, self.value[row], self.usual.value[row], self.usual.spread[row])
            for row in range(len(self.names))
        ]

    def _improve(self) -> None:
        for row, response in enumerate(self.responses):
            response.improve(self.value[row], self.usual.value[row], self.usual.spread[row])

    def _scores(self) -> dict[str, float]:
        """The score of each event from the streams that it was expected to move."""
        signed: list[list[float]] = [[] for _ in self.events]
        for row, entries in enumerate(self.entries):
            response, stray = self.responses[row], self.strays[row]
            for number, entry in enumerate(entries):
                if entry.is_expected:
                    deviations = float(response.deviations[number]) / stray.inflation
                    direction = self.events[entry.place].directions[self.names[row]]
                    signed[entry.place].append(deviations * direction if direction else abs(deviations))
        return {one.event: _judged(signed[place]) for place, one in enumerate(self.events)}

    def _drop_echoes(self, row: int, causes: frozenset[int]) -> None:
        """Lets a stream follow no longer what was no cause in the end."""
        kept = [one.is_expected or one.place in causes for one in self.entries[row]]
        if not all(kept):
            self.entries[row] = [one for one, stays in zip(self.entries[row], kept, strict=True) if stays]
            self.responses[row] = self.responses[row].only(np.array(kept))

    def _kinds(self, row: int, causes: Sequence[int]) -> list[list[int]]:
        """The causes from which a stream is not expected to move, those of one kind together: so what they
        have in common is told from what happened beside one of them."""
        expected = {one.place for one in self.entries[row]}
        kinds: dict[str, list[int]] = {}
        for place in causes:
            if place not in expected:
                kinds.setdefault(self.events[place].kind, []).append(place)
        return list(kinds.values())

    def _followers(self, row: int, kinds: Sequence[Sequence[int]]) -> list[list[_Entry]]:
        """When a stream may have followed by chains from those that causes were expected to move."""
        found = []
        for places in kinds:
            own = [place for place in places if self.names[row] in self.events[place].follows]
            spans = [self.events[place].follows[self.names[row]] for place in own]
            if own:
                inside = windows(self.moments, spans)
                ends = [last for _, last in spans]
                found.append([_Entry(*one, False) for one in zip(own, inside, ends, strict=True)])
        return found

    def _echoes(self, _row: int, kinds: Sequence[Sequence[int]]) -> list[list[_Entry]]:
        """When any stream may have followed causes, in whatever way."""
        ends_us = [one.ends_us for one in self.events]
        return [
            [
                _Entry(place, self.inside[later, place], ends_us[place] + hours * HOUR_US, False)
                for place in places
            ]
            for places in kinds
            for later, hours in enumerate(LATER_H)
        ]

    def _add_echoes(self, row: int, candidates: Sequence[list[_Entry]], least: float) -> None:
        """Lets a stream follow causes from which it was not expected, where that explains what is left."""
        if not candidates:
            return
        columns = np.stack([np.sum([one.inside for one in entries], axis=0) for entries in candidates])
        expected = {one.place for one in self.entries[row]}
        more: list[_Entry] = []
        for column, change in echoes(self.strays[row], columns, least):
            entries = candidates[column]
            if abs(change) >= LEAST_ECHO and not expected & {one.place for one in entries}:
                expected.update(one.place for one in entries)
                more += entries
        if more:
            self.entries[row] = [*self.entries[row], *more]
            self.responses[row] = self.responses[row].with_more(self._windows(more))

    def _moved(self, row: int, number: int, entry: _Entry) -> Moved:
        event, response, stray = self.events[entry.place], self.responses[row], self.strays[row]
        change = float(response.change[number])
        deviations = float(response.deviations[number]) / stray.inflation
        back = stray.with_back(change, entry.inside)
        sign = 1 if change >= 0.0 else -1
        began = onset(self.moments, back, stray.weight, (event.at_us, entry.ends_us), sign)
        turned = event.directions.get(self.names[row], 0) == -sign
        score = _score(abs(deviations) - (CLEAR_ECHO if turned else CLEAR))
        return Moved(
            event.event, self.names[row], math.expm1(change), deviations, score, began, entry.is_expected
        )


def _judged(signed: Sequence[float]) -> float:
    """The score of an event from the deviations of its streams in the expected direction, added by the rule
    of Stouffer (1949); below 0.5 if too few of them show it."""
    if not signed:
        return 0.0
    together = float(np.clip(signed, LEAST, MOST).sum()) / math.sqrt(len(signed))
    score = _score(together - CLEAR)
    return score if float((np.array(signed) > SHOWN).mean()) >= SHARE else min(score, 0.49)


def _score(beyond: float) -> float:
    """0 to 1, 0.5 at the limit, of standard deviations beyond it."""
    return 1.0 / (1.0 + math.exp(-STEEP * max(min(beyond, 20.0), -20.0)))
