"""A home to try among what surrounds it: a world's streams and faults, and what people set its devices to.
Pure.

Keeps true: what somebody switched off draws nothing, whatever happens; outside of all faults, with all
streams as usual, every device tells to the bit what it tells by itself (`household`). What a fault has
drawing never passes for use, nor use for rest: who draws on standby rests meanwhile, and who is walked past
is on."""

import numpy as np

from kilowatch.period import SECOND_US
from kilowatch.simulator.fleet.faults import DEFAULTS, DRAWS, WALK_W, strikes
from kilowatch.simulator.fleet.faults import report as report_with_faults
from kilowatch.simulator.fleet.happening import Happening
from kilowatch.simulator.fleet.rows import Circumstances, Draft, Int32s, Readings, Roster, rounded
from kilowatch.simulator.home.household import APPLIANCES, OFF, ON, STANDBY, Codes, report
from kilowatch.simulator.home.moments import Floats, Int64s, Mask, Moments, counted, moments_at, seed_of
from kilowatch.wire.simulation import ROLES, STATES, PlayedHome


class DemoHome:
    """The devices of one home to try, by their place in it."""

    metrics: tuple[str, ...] = ("power", "state", "outdoor_temperature")
    own_faults: frozenset[str] = frozenset(DRAWS)

    def __init__(self, home: PlayedHome) -> None:
        self._home = home
        count = len(home.devices)
        zeros = np.zeros(count, np.int16)
        kind = np.array([ROLES.index(one.role) for one in home.devices], np.int16)
        rated_w = np.array([APPLIANCES[one.role].rated_w for one in home.devices])
        seeds = counted(np.full(count, seed_of(home.site_id), np.uint64), "faults", kind.astype(np.int64))
        ids = tuple(one.id for one in home.devices)
        self.roster = Roster("demo", ("homes",), ROLES, zeros, zeros, kind, rated_w, seeds, ids)

    def tell(self, ts_us: Int64s, around: Circumstances) -> Readings:
        """Every device at each of these moments, one device after the other; the silent ones are left out."""
        count = len(self._home.devices)
        device = np.repeat(np.arange(count, dtype=np.int32), len(ts_us))
        return report_with_faults(self, device, np.tile(ts_us, count), around)

    def measure(self, device: Int32s, ts_us: Int64s, around: Circumstances) -> dict[str, Floats]:
        """Power in W, the state by its index, degrees outside."""
        draft = Draft(len(ts_us))
        if not len(ts_us):
            return draft.columns
        at = moments_at([self._home.site_id], [self._home.time_zone], ts_us)
        drawn_w, rests = self._drawn(device, ts_us, around.faults)
        for place, one in enumerate(self._home.devices):
            rows = np.flatnonzero(device == place)
            if not len(rows):
                continue
            here = Moments(at.seed[rows], at.ts_us[rows], at.local_us[rows], at.southern[rows])
            set_to: Codes = np.full(len(rows), STATES.index(one.state), np.int8)
            resting = rests[rows] & (set_to == ON)
            told = report(one.role, here, np.where(resting, np.int8(STANDBY), set_to), around)
            drawn = np.where(set_to == OFF, 0.0, drawn_w[rows])
            if drawn.any() or resting.any():
                used = (drawn > 0.0) & (set_to == ON) & ~resting
                told["power"] = rounded(told["power"] + drawn, 1)
                told["state"] = np.where(
                    resting, APPLIANCES[one.role].resting, np.where(used, ON, told["state"])
                ).astype(np.float64)
            draft.put(rows, told)
        return draft.columns

    def _drawn(self, device: Int32s, ts_us: Int64s, faults: tuple[Happening, ...]) -> tuple[Floats, Mask]:
        """Watts that faults have devices draw beside all else, and which of these are on standby
        meanwhile."""
        drawn_w, rests = np.zeros(len(ts_us)), np.zeros(len(ts_us), np.bool_)
        for what in faults:
            if what.kind not in DRAWS:
                continue
            rows = np.flatnonzero(strikes(what, self.roster, device, ts_us))
            if not len(rows):
                continue
            value = what.value or DEFAULTS[what.kind]
            if what.kind == "walk":
                turns = self._is_passed(what, value, device[rows], ts_us[rows])
                watts = np.maximum(0.5 * self.roster.rated_w[device[rows]], WALK_W) * turns
                drawn_w[rows] += watts
            else:
                drawn_w[rows] += value
                rests[rows] |= what.kind == "standby_draw"
        return drawn_w, rests

    def _is_passed(self, what: Happening, value: float, device: Int32s, ts_us: Int64s) -> Mask:
        """Whether who walks through the home is at a device: at one after the other, and then again."""
        turn = what.lasted_us(ts_us) // max(1, round(value * SECOND_US))
        passed: Mask = turn % len(self.roster) == device
        return passed
