"""When readings arrive: on time, late, in another order, or more than once. Pure.

Keeps true: faults of the way from a device lose nothing. What is held back comes after its delay, after the
end of the fault too; so over a time that reaches beyond the longest delay everything has arrived.
"""

from collections.abc import Iterator

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.engine.chance import as_share
from kilowatch.simulator.fleet.faults import DEFAULTS, report, strikes
from kilowatch.simulator.fleet.happening import NEVER_US, Happening
from kilowatch.simulator.fleet.rows import CHUNK_ROWS, Circumstances, Fleet, Int32s, Readings, chunks
from kilowatch.simulator.home.moments import Int64s, counted

MOST_STEPS = 720
"""Nothing is held back for more steps than these."""


def arriving(
    fleet: Fleet, moment_us: int, step_us: int, around: Circumstances, rows: int = CHUNK_ROWS
) -> Iterator[Readings]:
    """What arrives at a moment of a fleet that reports every `step_us`, in chunks."""
    ways = [one for one in around.faults if one.kind in ("late", "out_of_order", "repeated")]
    devices = len(fleet.roster)
    if not ways:
        for device, ts_us in chunks(devices, np.array([moment_us], np.int64), rows):
            yield report(fleet, device, ts_us, around)
        return
    for back in _delays(ways, moment_us, step_us):
        then = np.array([moment_us - back * step_us], np.int64)
        for device, ts_us in chunks(devices, then, rows):
            mine = _delay(ways, fleet, device, ts_us, step_us) == back
            if mine.any():
                told = report(fleet, device[mine], ts_us[mine], around)
                yield told
                yield from _again(ways, fleet, told)


def _again(ways: list[Happening], fleet: Fleet, told: Readings) -> Iterator[Readings]:
    for what in ways:
        if what.kind == "repeated":
            twice = strikes(what, fleet.roster, told.device, told.ts_us)
            if twice.any():
                again = told.take(twice)
                for _ in range(round(what.value or DEFAULTS["repeated"])):
                    yield again


def _delays(ways: list[Happening], moment_us: int, step_us: int) -> list[int]:
    """The delays, in steps, that something that arrives now may have had."""
    found = {0}
    for what in ways:
        most = _steps(what, step_us)
        if what.kind == "repeated" or moment_us < what.begins_us:
            continue
        if what.ends_us != NEVER_US and moment_us - most * step_us >= what.ends_us:
            continue
        found |= {most} if what.kind == "late" else set(range(most + 1))
    return sorted(found)


def _delay(
    ways: list[Happening], fleet: Fleet, device: Int32s, ts_us: Int64s, step_us: int
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """By how many steps each reading comes late: the first fault that strikes it decides."""
    delay = np.zeros(len(ts_us), np.int64)
    free = np.ones(len(ts_us), np.bool_)
    for what in ways:
        if what.kind == "repeated":
            continue
        hit = np.flatnonzero(free & strikes(what, fleet.roster, device, ts_us))
        steps = _steps(what, step_us)
        if what.kind == "late":
            delay[hit] = steps
        else:
            spread = as_share(counted(fleet.roster.seed[device[hit]], "out of order", ts_us[hit]))
            delay[hit] = np.floor(spread * (steps + 1)).astype(np.int64)
        free[hit] = False
    return delay


def _steps(what: Happening, step_us: int) -> int:
    seconds = what.value or DEFAULTS[what.kind]
    return int(min(MOST_STEPS, -(-round(seconds * SECOND_US) // step_us)))
