"""From frames to rows of the lake: sort, judge, roll up, book energy, keep the ledger.

Keeps true that everything a batch changes (samples, roll-ups, energy, corrections, ledger) leaves here as one
set of tables for one transaction. Computes in columns; all that it asks are the look-ups handed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.clock import MICROSECONDS
from kilowatch.lake.layout import CORRECTIONS, LEDGER, ROLLUPS, SAMPLES
from kilowatch.period import Resolution, local_buckets_by_zone
from kilowatch.telemetry.energy import Delta
from kilowatch.telemetry.resample import Partials, coarsen, wide_partials
from kilowatch.telemetry.step import CORRECTIONS as CORRECTION_NAMES
from kilowatch.telemetry.step import Corrections
from kilowatch.wire.frame import Frame
from kilowatch.worker.books import Books
from kilowatch.worker.forgotten import FindGaps, Proof
from kilowatch.worker.ledger import Outcome, Span, ledger_table, timestamps, values_per_row
from kilowatch.worker.registry import Registry
from kilowatch.worker.repeats import NEVER, Contested, FindStored, Known, Readings, judge, sort_readings

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
MINUTE_US = 60 * MICROSECONDS
DAY_US = 86_400 * MICROSECONDS


@dataclass(slots=True)
class Settled:
    """What a batch brings to the lake: rows per table, what is taken back, and what nobody may lose.

    readings, contested: for the dead letters and for repairing replaced values; newest: (series, ts_us) to
    move the watermarks to once this is committed; relied_on: the days (series_no, start_us, end_us) that must
    still be whole then.
    """

    tables: dict[str, pa.Table]
    readings: Readings
    contested: Contested
    newest_series: Int32s
    newest_us: Int64s
    withdrawn: list[Corrections]
    relied_on: pa.Table


@dataclass(frozen=True, slots=True)
class LookUps:
    """What is asked of the lake."""

    find_stored: FindStored
    find_gaps: FindGaps


class Settlement:
    """The state that settling keeps between batches: watermarks and the energy books."""

    def __init__(self, registry: Registry, books: Books, look_ups: LookUps, partitions: int) -> None:
        self.registry = registry
        self._partitions = partitions
        self._books = books
        self._look_ups = look_ups
        self.newest_us = np.full(1, NEVER, np.int64)

    def settle(self, batch: Frame, spans: Sequence[Span], now_us: int) -> Settled:
        """Settles the readings of a batch, given in the log's order with metric slots as column numbers.

        Every device and series must be known to the registry; readings of a series that does not exist (its
        device is gone) are counted as dead letters. `now_us` is when this happens.
        """
        readings = sort_readings(batch.device, batch.ts_us, batch.key, batch.metrics)
        accepted = values_per_row(readings)
        self._find_series(readings)
        proof = Proof(self.registry, self._look_ups.find_gaps, now_us)
        kept_from_us = self._kept_from(now_us)
        known = Known(self.newest_us, kept_from_us, self._look_ups.find_stored, proof.find_lost)
        orphans = accepted - values_per_row(readings)
        contested = judge(readings, known, replace=batch.on_conflict == "replace")
        deltas = self._books.book(readings, self.newest_us)
        minutes = wide_partials(
            readings.device,
            readings.ts_us,
            readings.columns,
            readings.series,
            readings.ts_us // MINUTE_US * MINUTE_US,
        )
        tables = {SAMPLES.name: samples_table(readings)}
        tables |= self._rollup_tables(minutes, deltas)
        counts = Outcome(accepted, orphans, contested)
        tables[LEDGER.name] = ledger_table(readings, counts, spans, self._partitions, now_us)
        tables[CORRECTIONS.name] = self._corrections_table([delta.added for delta in deltas])
        withdrawn = [delta.removed for delta in deltas if len(delta.removed)]
        newest = minutes.series, minutes.last_us
        return Settled(tables, readings, contested, *newest, withdrawn, proof.relied_on)

    def committed(self, settled: Settled) -> None:
        """Moves the watermarks past what is now in the lake."""
        np.maximum.at(self.newest_us, settled.newest_series, settled.newest_us)

    def make_room(self) -> None:
        """Grows the watermarks to the highest series number that the registry knows."""
        more = self.registry.highest_series + 1 - len(self.newest_us)
        if more > 0:
            self.newest_us = np.concatenate([self.newest_us, np.full(more + 1024, NEVER, np.int64)])

    def _kept_from(self, now_us: int) -> Int64s:
        return now_us - self.registry.retention_days.astype(np.int64) * DAY_US

    def _find_series(self, readings: Readings) -> None:
        """Series numbers per column; values without a series are struck out."""
        for slot in list(readings.columns):
            series = self.registry.series[slot][readings.device]
            if not series.all():
                readings.columns[slot] = np.where(series == 0, np.nan, readings.columns[slot])
            readings.series[slot] = series
        self.make_room()

    def _rollup_tables(self, minutes: Partials, deltas: list[Delta]) -> dict[str, pa.Table]:
        quarters = coarsen(minutes, minutes.bucket_us // (15 * MINUTE_US) * (15 * MINUTE_US))
        energy = Partials.concat(self._energy_partials(delta) for delta in deltas)
        tables = {"rollups_1m": rollup_table(minutes)}
        quarters = Partials.concat([quarters, energy])
        tables["rollups_15m"] = rollup_table(quarters)
        hours = self._coarsened(quarters, "1h")
        tables["rollups_1h"] = rollup_table(hours)
        tables["rollups_1d"] = rollup_table(self._coarsened(hours, "1d"))
        return tables

    def _coarsened(self, partials: Partials, resolution: Resolution) -> Partials:
        zone = self.registry.zone_of_series[partials.series]
        buckets = local_buckets_by_zone(partials.bucket_us, zone, self.registry.zones, resolution)
        return coarsen(partials, buckets)

    def _energy_partials(self, delta: Delta) -> Partials:
        pieces = delta.pieces
        count = len(pieces)
        nothing = np.full(count, np.nan)
        return Partials(
            series=self.registry.energy_series[pieces.device],
            bucket_us=pieces.bucket_us,
            count=np.ones(count, np.int64),
            sum=pieces.energy_uwh.astype(np.float64),
            min=nothing,
            max=nothing,
            first=nothing,
            first_us=pieces.bucket_us,
            last=nothing,
            last_us=pieces.bucket_us,
            covered_us=pieces.covered_us,
        )

    def _corrections_table(self, added: list[Corrections]) -> pa.Table:
        if not added:
            return CORRECTIONS.schema.empty_table()
        corrections = Corrections.concat(added)
        names = pa.array(CORRECTION_NAMES)
        return pa.table(
            [
                self.registry.energy_series[corrections.device],
                timestamps(corrections.at_us),
                names.take(pa.array(corrections.kind)),
                corrections.before,
                corrections.after,
                corrections.energy_uwh,
            ],
            schema=CORRECTIONS.schema,
        )


def samples_table(readings: Readings) -> pa.Table:
    """The values that are to be stored, one row each, metric by metric."""
    series, ts_us, value = [], [], []
    for slot, column in readings.columns.items():
        present = ~np.isnan(column)
        if present.all():
            series.append(readings.series[slot])
            ts_us.append(readings.ts_us)
            value.append(column)
        elif present.any():
            series.append(readings.series[slot][present])
            ts_us.append(readings.ts_us[present])
            value.append(column[present])
    if not series:
        return SAMPLES.schema.empty_table()
    return pa.table(
        [np.concatenate(series), timestamps(np.concatenate(ts_us)), np.concatenate(value)],
        schema=SAMPLES.schema,
    )


def rollup_table(partials: Partials) -> pa.Table:
    """Partial roll-ups as rows of a tier."""
    return pa.table(
        [
            partials.series,
            timestamps(partials.bucket_us),
            partials.count,
            partials.sum,
            partials.min,
            partials.max,
            partials.first,
            timestamps(partials.first_us),
            partials.last,
            timestamps(partials.last_us),
            partials.covered_us,
        ],
        schema=ROLLUPS["1m"].schema,
    )
