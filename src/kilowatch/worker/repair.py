"""Taking back: values that were replaced, and corrections that no longer hold.

Keeps true that after a replacement every roll-up over the moment is what the samples now say. Runs inside
the transaction of the batch that brought the replacement.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.lake.layout import TIERS
from kilowatch.lake.repairing import roll_up_again, withdraw
from kilowatch.lake.writing import Change
from kilowatch.period import Resolution
from kilowatch.telemetry.step import CORRECTIONS as CORRECTION_NAMES
from kilowatch.worker.forgotten import bucket_spans
from kilowatch.worker.registry import Registry
from kilowatch.worker.repeats import REPLACED
from kilowatch.worker.settle import Settled

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Repair:
    """What a batch takes back: stored samples by (series_no, ts_us), buckets per tier, corrections; and the
    days of which nothing may have been forgotten since it was judged."""

    samples: pa.Table
    buckets: dict[str, pa.Table]
    corrections: pa.Table
    relied_on: pa.Table

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to take back, or to make sure of."""
        return bool(self.samples.num_rows or self.corrections.num_rows or self.relied_on.num_rows)

    def withdraw(self) -> Change:
        """The change that comes before the batch's own rows."""
        return lambda connection: withdraw(connection, self.samples, self.corrections, self.relied_on)

    def roll_up_again(self) -> Change:
        """The change that comes after them."""
        return lambda connection: roll_up_again(connection, self.buckets)


def plan_repair(settled: Settled, registry: Registry) -> Repair:
    """What the batch takes back; nothing for the batches that only add."""
    contested, readings = settled.contested, settled.readings
    chosen = contested.verdict == REPLACED
    row, slot = contested.row[chosen], contested.slot[chosen]
    series = np.zeros(len(row), np.int32)
    for one in np.unique(slot):
        series[slot == one] = readings.series[int(one)][row[slot == one]]
    ts_us = readings.ts_us[row]
    zone = registry.zone[readings.device[row]]
    buckets = {tier: touched_buckets(series, ts_us, zone, registry.zones, tier) for tier in TIERS}
    return Repair(
        pa.table({"series_no": series, "ts_us": ts_us}),
        buckets,
        withdrawn_table(settled, registry),
        settled.relied_on,
    )


def touched_buckets(
    series: npt.NDArray[np.int32],
    ts_us: Int64s,
    zone: npt.NDArray[np.int16],
    zones: list[str],
    tier: Resolution,
) -> pa.Table:
    """The buckets of a tier that hold the given moments: (series_no, start_us, end_us), each once."""
    start, end = bucket_spans(ts_us, zone, zones, tier)
    table = pa.table({"series_no": series, "start_us": start, "end_us": end})
    return table.group_by(["series_no", "start_us", "end_us"]).aggregate([])


def withdrawn_table(settled: Settled, registry: Registry) -> pa.Table:
    """The corrections that no longer hold: (series_no, ts_us, kind)."""
    parts = [
        pa.table(
            {
                "series_no": registry.energy_series[gone.device],
                "ts_us": gone.at_us,
                "kind": pa.array(CORRECTION_NAMES).take(pa.array(gone.kind)),
            }
        )
        for gone in settled.withdrawn
    ]
    empty = pa.schema([("series_no", pa.int32()), ("ts_us", pa.int64()), ("kind", pa.string())]).empty_table()
    return pa.concat_tables([empty, *parts])
