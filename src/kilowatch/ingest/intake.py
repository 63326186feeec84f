"""Takes decoded readings in: registry, dead letters, log.

Keeps true the law of the doors: what returns as accepted is on disk in the log, what returns as rejected is
stored as a dead letter, and when either cannot be had the sender gets a 503. Dead letters are stored first,
so that a sender who repeats a request after a fault repeats letters rather than readings.
"""

import asyncio
import hashlib
import time
import uuid
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain

import numpy as np
import structlog

from kilowatch.accounts.identity import Caller
from kilowatch.clock import Clock
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.ingest.accept import Accepted, Terms, frame_of, judge, pieces_of, register, resolve
from kilowatch.ingest.batch import Batch, Int32s, Limits, Reject, Rows
from kilowatch.ingest.dead import keep_rejects
from kilowatch.ingest.decode_json import batch_of_plain
from kilowatch.ingest.directory import Directory, Known
from kilowatch.ingest.gather import Parcel
from kilowatch.ingest.pressure import LOG, POSTGRES, Pressure
from kilowatch.observe import metrics
from kilowatch.postgres.engine import Database
from kilowatch.settings import Settings
from kilowatch.stream.log import Log
from kilowatch.wire.frame import Frame

PUBLISHES = 32
"""Most messages on their way to the log at the same time."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """The account of some readings: so many are in the log, these are dead letters."""

    accepted: int
    rejects: Sequence[Reject]


@dataclass(slots=True)
class _Share:
    """Parcels of one organisation, and their readings as one batch; key: the sender's key number of each
    reading sent; starts: the place of each parcel's first."""

    caller: Caller
    parcels: list[Parcel]
    batch: Batch
    key: Int32s
    starts: list[int]


class Intake:
    """Where all doors lead."""

    def __init__(
        self,
        log: Log,
        database: Database,
        directory: Directory,
        pressure: Pressure,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self.database = database
        self.directory = directory
        self.pressure = pressure
        self.clock = clock
        self._log = log
        self._settings = settings
        self._publishing = asyncio.Semaphore(PUBLISHES)
        self._slow: set[asyncio.Task[None]] = set()

    def limits(self) -> Limits:
        """What is taken at this moment."""
        settings = self._settings
        return Limits.around(
            self.clock.now_us(),
            too_old_days=settings.too_old_days,
            in_future_s=settings.in_future_s,
            max_metrics=settings.reading_max_metrics,
        )

    async def get_known(self, organisation_id: uuid.UUID) -> Known:
        """The copy of an organisation's registry.

        Raises:
            Problem: 503 when PostgreSQL does not answer.
        """
        try:
            return await self.directory.get(organisation_id)
        except EngineUnavailable as error:
            raise self.pressure.note(error, POSTGRES) from error

    async def take_batch(
        self,
        caller: Caller,
        batch: Batch,
        known: Known,
        terms: Terms,
        *,
        mark: str | None = None,
        keep: bool = True,
    ) -> Taken:
        """Takes the readings of one request. `mark` names the request, so that repeating it stores nothing
        twice; without `keep` the rejects are not stored.

        Raises:
            Problem: 503 when an engine does not answer.
        """
        began, received_us = time.perf_counter(), self.clock.now_us()
        try:
            batch, accepted = await self._accept(caller, judge(batch, known), known)
            if keep:
                sources = [None if mark is None else f"{mark}-{one.index}" for one in batch.rejects]
                await keep_rejects(
                    self.database, known.organisation_id, batch.rejects, terms[0], received_us, sources
                )
        except EngineUnavailable as error:
            raise self.pressure.note(error, POSTGRES) from error
        key = np.full(len(accepted), caller.key_no, np.int32)
        await self._publish(frame_of(accepted, key, terms, received_us), accepted.index, mark)
        _count(terms, len(accepted), batch.rejects, began)
        await self.pressure.brake.hold()
        return Taken(len(accepted), batch.rejects)

    async def take_parcels(self, terms: Terms, parcels: list[Parcel]) -> None:
        """Takes the readings of many small requests; settles or fails every parcel.

        What needs PostgreSQL goes its own way, so that one sender's new device or bad reading does not keep
        the others waiting.
        """
        began, limits = time.perf_counter(), self.limits()
        frames: list[Frame] = []
        ready: list[Parcel] = []
        shares = _by_organisation(parcels)
        while shares:
            mine = shares.pop()
            try:
                frame = self._quick_frame(mine, terms, limits)
            except Exception as error:
                _log.exception("gathered_readings_failed", parcels=len(mine))
                # One parcel that a fault of ours meets must not take its neighbours with it.
                shares += [] if len(mine) == 1 else [[parcel] for parcel in mine]
                _fail(mine if len(mine) == 1 else [], error)
                continue
            if frame is not None:
                frames.append(frame)
                ready.extend(mine)
        if not ready:
            return
        frame = Frame.concat(frames)
        try:
            await self._publish(frame)
        except Exception as error:
            _fail(ready, error)
            return
        _count(terms, len(frame), (), began)
        for parcel in ready:
            parcel.settle()

    def _quick_frame(self, parcels: list[Parcel], terms: Terms, limits: Limits) -> Frame | None:
        """The readings of one organisation as a frame; None when they went their own way."""
        known = self.directory.peek(parcels[0].caller.organisation_id)
        share = None if known is None else _share_of(parcels, limits, known)
        if known is not None and share is not None and not share.batch.rejects:
            accepted = resolve(share.batch, known)
            if accepted is not None:
                return frame_of(accepted, share.key[accepted.index], terms, limits.now_us)
        self._go_slow(parcels, share, terms, limits)
        return None

    async def drain(self) -> None:
        """Returns once everything that went its own way has arrived."""
        while self._slow:
            await asyncio.wait(self._slow)

    def _go_slow(self, parcels: list[Parcel], share: _Share | None, terms: Terms, limits: Limits) -> None:
        task = asyncio.create_task(self._take_slowly(parcels, share, terms, limits))
        self._slow.add(task)
        task.add_done_callback(self._slow.discard)

    async def _take_slowly(
        self, parcels: list[Parcel], share: _Share | None, terms: Terms, limits: Limits
    ) -> None:
        try:
            known = await self.get_known(parcels[0].caller.organisation_id)
            share = share or _share_of(parcels, limits, known)
            rejects = await self._take_share(share, known, terms, limits.now_us)
        except Problem as problem:
            _fail(parcels, problem)
        except Exception as error:
            _log.exception("gathered_readings_failed", parcels=len(parcels))
            _fail(parcels, error)
        else:
            for place, parcel in enumerate(share.parcels):
                parcel.settle([own for at, own in rejects if at == place] if rejects else ())

    async def _take_share(
        self, share: _Share, known: Known, terms: Terms, received_us: int
    ) -> list[tuple[int, Reject]]:
        """Takes the readings in; returns the rejects, each with the place of its parcel."""
        began = time.perf_counter()
        try:
            batch, accepted = await self._accept(share.caller, share.batch, known)
            told = [_own_reject(share, one) for one in batch.rejects]
            sources = [_source(share.parcels[place], own) for place, own in told]
            await keep_rejects(
                self.database, known.organisation_id, batch.rejects, terms[0], received_us, sources
            )
        except EngineUnavailable as error:
            raise self.pressure.note(error, POSTGRES) from error
        await self._publish(frame_of(accepted, share.key[accepted.index], terms, received_us))
        _count(terms, len(accepted), batch.rejects, began)
        return told

    async def _accept(self, caller: Caller, batch: Batch, known: Known) -> tuple[Batch, Accepted]:
        accepted = resolve(batch, known)
        if accepted is not None:
            return batch, accepted
        return await register(batch, known, self.directory, auto_register=caller.auto_register)

    async def _publish(self, frame: Frame, index: Int32s | None = None, mark: str | None = None) -> None:
        """Returns once the whole frame is on disk in the log.

        Raises:
            Problem: 503 when the log does not take it; parts of it may be there then.
        """
        pieces = pieces_of(frame, self._settings.partitions)
        sends = [
            self._send(partition, piece, _message_id(mark, partition, index, rows))
            for partition, piece, rows in pieces
        ]
        try:
            if len(sends) == 1:
                await sends[0]
            else:
                # All are waited for, so that nothing of this request is still under way when it is answered.
                outcomes = await asyncio.gather(*sends, return_exceptions=True)
                for outcome in outcomes:
                    if isinstance(outcome, BaseException):
                        raise outcome
        except EngineUnavailable as error:
            raise self.pressure.note(error, LOG) from error

    async def _send(self, partition: int, piece: Frame, message_id: str | None) -> None:
        async with self._publishing:
            await self._log.publish_frame(partition, piece.encode(), message_id)


def _count(terms: Terms, accepted: int, rejects: Sequence[Reject], began: float) -> None:
    """Counts readings that are in the log or among the dead letters now."""
    codes = (reject.code for reject in rejects)
    metrics.count_readings(terms[0], accepted, codes, time.perf_counter() - began)


def _by_organisation(parcels: list[Parcel]) -> list[list[Parcel]]:
    """Parcels of plain readings together that one registry and one right to register serve; every other
    parcel by itself."""
    together: dict[tuple[uuid.UUID, bool], list[Parcel]] = {}
    alone: list[list[Parcel]] = []
    for parcel in parcels:
        if parcel.batch is None:
            caller = parcel.caller
            together.setdefault((caller.organisation_id, caller.auto_register), []).append(parcel)
        else:
            alone.append([parcel])
    return [*together.values(), *alone]


def _fail(parcels: Sequence[Parcel], error: Exception) -> None:
    for parcel in parcels:
        parcel.fail(error)


def _share_of(parcels: list[Parcel], limits: Limits, known: Known) -> _Share:
    counts = [parcel.count for parcel in parcels]
    starts = [0, *accumulate(counts)][:-1]
    keys = np.fromiter((parcel.caller.key_no for parcel in parcels), np.int32, len(parcels))
    batch = parcels[0].batch
    if batch is None:
        readings = list(chain.from_iterable([parcel.readings for parcel in parcels]))
        batch = batch_of_plain(readings, limits, known.devices)
    return _Share(parcels[0].caller, parcels, judge(batch, known), np.repeat(keys, counts), starts)


def _own_reject(share: _Share, one: Reject) -> tuple[int, Reject]:
    """The place of a reject's parcel, and the reject counted from the parcel's own first reading."""
    place = bisect_right(share.starts, one.index) - 1
    return place, replace(one, index=one.index - share.starts[place])


def _source(parcel: Parcel, own: Reject) -> str | None:
    return None if parcel.source is None else f"{parcel.source}-{own.index}"


def _message_id(mark: str | None, partition: int, index: Int32s | None, rows: Rows) -> str | None:
    """The same for the same readings of the same request, so that the log drops a repeated message. Which
    readings it carries is part of it, because a repetition may accept more than the first time did."""
    if mark is None or index is None:
        return None
    which = hashlib.sha256(index[rows].tobytes()).hexdigest()[:16]
    return f"{mark}-{partition}-{which}"
