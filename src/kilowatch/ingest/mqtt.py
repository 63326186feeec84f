"""Takes in what devices publish over MQTT.

Keeps true that a message leaves the inbox only when each of its readings is on disk in the log or stored as a
dead letter, whatever its bytes are; and that a message which comes again changes nothing, because its
readings keep the time at which it first came. Messages are taken in the order of their arrival, a bounded
number at a time.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from kilowatch.accounts.identity import Caller
from kilowatch.accounts.store.device_tokens import ensure_counting_key
from kilowatch.accounts.store.organisations import find_organisation
from kilowatch.clock import Clock, to_us
from kilowatch.errors import EngineUnavailable, Problem
from kilowatch.ids import DEVICE_ID
from kilowatch.ingest.accept import Terms
from kilowatch.ingest.batch import Batch, Reject, storable
from kilowatch.ingest.decode_json import Plain, decode_json, plain_readings
from kilowatch.ingest.directory import Known
from kilowatch.ingest.gather import Parcel
from kilowatch.ingest.intake import Intake
from kilowatch.ingest.pressure import POSTGRES
from kilowatch.stream.mqtt import InboxBatch, InboxMessage, MqttInbox

TERMS: Terms = ("mqtt", "reject")
KEY_NAME = "mqtt"
FETCH_S = 1.0
RETRY_S = 0.5
IN_WORK = 3
"""Fetches that are worked on at the same time: one is decoded while others wait for the disk."""
CALLER_FOR_US = 5_000_000
"""How long it is remembered as whom an organisation's devices send, in microseconds."""
CALLERS_MOST = 10_000

CLOCKS_DIFFER_US = 10_000_000
"""By how much the MQTT server's clock and PostgreSQL's may differ."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sending:
    """As whom an organisation's devices send; caller: None where there is no such organisation. What came
    in before `since_us` was for another one, which had this slug before and is deleted."""

    read_us: int
    caller: Caller | None = None
    since_us: int = 0


class MqttDoor:
    """The loop that empties the inbox. `start` it once; `stop` ends it after what is in work."""

    def __init__(self, inbox: MqttInbox, intake: Intake, clock: Clock) -> None:
        self._inbox = inbox
        self._intake = intake
        self._clock = clock
        self._callers: dict[str, Sending] = {}
        self._asking = asyncio.Lock()
        self._loop: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self) -> None:
        """Begins to take messages in."""
        self._loop = asyncio.create_task(self._run(), name="mqtt door")

    async def stop(self) -> None:
        """Takes no more messages, ends what is in work and closes the inbox."""
        self._stopping.set()
        if self._loop is not None:
            await self._loop
        await self._inbox.close()

    async def _run(self) -> None:
        in_work: set[asyncio.Task[None]] = set()
        while not self._stopping.is_set():
            batch = await self._fetch()
            if batch is None:
                continue
            if batch.messages:
                in_work.add(asyncio.create_task(self._take_until_done(batch)))
            else:
                self._inbox.acknowledge(batch)
            if len(in_work) >= IN_WORK:
                _, in_work = await asyncio.wait(in_work, return_when=asyncio.FIRST_COMPLETED)
        if in_work:
            await asyncio.wait(in_work)

    async def _fetch(self) -> InboxBatch | None:
        """The next messages, or None when there are none or they must wait where they are."""
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            if self._intake.pressure.refusal is not None:
                await asyncio.wait((stopped,), timeout=RETRY_S)
                return None
            fetching = asyncio.create_task(self._inbox.fetch(FETCH_S))
            await asyncio.wait((stopped, fetching), return_when=asyncio.FIRST_COMPLETED)
            if not fetching.done():
                fetching.cancel()
                await asyncio.gather(fetching, return_exceptions=True)
                return None
            return fetching.result()
        except EngineUnavailable as error:
            _log.info("mqtt_inbox_away", detail=str(error))
            await asyncio.wait((stopped,), timeout=RETRY_S)
            return None
        finally:
            stopped.cancel()

    async def _take_until_done(self, batch: InboxBatch) -> None:
        """Tries until everything is stored. At the end of the process it is left to whoever comes next."""
        messages: Sequence[InboxMessage] = batch.messages
        while messages:
            try:
                messages = await self._take(messages)
            except EngineUnavailable as error:
                self._intake.pressure.note(error, POSTGRES)
            except Problem as problem:
                _log.info("mqtt_waits", code=problem.code)
            except Exception:
                _log.exception("mqtt_messages_failed", messages=len(messages))
            if messages and await self._stopped_within(RETRY_S):
                return
        self._inbox.acknowledge(batch)

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

    async def _take(self, messages: Sequence[InboxMessage]) -> list[InboxMessage]:
        """Takes messages in; returns those to be tried again.

        Raises:
            Problem, EngineUnavailable: if none was tried.
        """
        parcels: list[Parcel] = []
        mine: list[InboxMessage] = []
        for message in messages:
            sending = await self._sending(message.organisation)
            caller = sending.caller
            if caller is not None and message.stored_us >= sending.since_us:
                known = await self._intake.get_known(caller.organisation_id)
                parcels.append(self._parcel(message, caller, known))
                mine.append(message)
        if not parcels:
            return []
        left = len(parcels)
        all_told = asyncio.Event()

        def told(_parcel: Parcel) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                all_told.set()

        for parcel in parcels:
            parcel.told = told
        await self._intake.take_parcels(TERMS, parcels)
        await all_told.wait()
        again = []
        for message, parcel in zip(mine, parcels, strict=True):
            error = parcel.error
            if isinstance(error, Problem | EngineUnavailable):
                again.append(message)
            elif error is not None:
                await self._give_up(message, parcel, error)
        return again

    def _parcel(self, message: InboxMessage, caller: Caller, known: Known) -> Parcel:
        source = f"mqtt-{message.stored_us}-{message.sequence}" if message.sequence else None
        plain = plain_readings(message.payload)
        if plain and _claim(plain, message):
            return Parcel(caller, None, plain, source=source)
        return Parcel(caller, None, (), self._decode(message, known), source=source)

    def _decode(self, message: InboxMessage, known: Known) -> Batch:
        """The readings of a message that is not plain; of one that cannot be read, one reject."""
        limits = self._intake.limits()
        try:
            return decode_json(
                message.payload,
                replace(limits, now_us=message.stored_us),
                known.devices,
                device=message.device,
            )
        except Problem as problem:
            return _unreadable(message, problem.detail)

    async def _give_up(self, message: InboxMessage, parcel: Parcel, error: BaseException) -> None:
        """A message that a fault of ours keeps out of the log becomes a dead letter, and blocks nobody. No
        fault is it where the organisation was deleted meanwhile: the message is nobody's any more."""
        self._callers.pop(message.organisation, None)
        if (await self._sending(message.organisation)).caller is None:
            return
        _log.error("mqtt_message_failed", source=parcel.source, exc_info=error)
        known = await self._intake.get_known(parcel.caller.organisation_id)
        batch = _unreadable(message, f"the message could not be taken in: {type(error).__name__}")
        await self._intake.take_batch(parcel.caller, batch, known, TERMS, mark=parcel.source)

    async def _sending(self, slug: str) -> Sending:
        """As whom the devices of an organisation send."""
        found = self._callers.get(slug)
        if found is not None and self._clock.now_us() - found.read_us <= CALLER_FOR_US:
            return found
        # One at a time, so that an organisation's first messages make one key and not several.
        async with self._asking:
            found = self._callers.get(slug)
            now_us = self._clock.now_us()
            if found is None or now_us - found.read_us > CALLER_FOR_US:
                if len(self._callers) > CALLERS_MOST:
                    self._callers.clear()
                found = self._callers[slug] = await self._read_sending(slug, now_us)
                if found.caller is None:
                    _log.warning("mqtt_unknown_organisation", organisation=slug[:80])
            return found

    async def _read_sending(self, slug: str, now_us: int) -> Sending:
        async with self._intake.database.unscoped() as connection:
            organisation = await find_organisation(connection, slug)
        if organisation is None:
            return Sending(now_us)
        async with self._intake.database.scope(organisation.id) as connection:
            key = await ensure_counting_key(connection, organisation.id, KEY_NAME)
        caller = Caller(organisation.id, slug, key.key_no, frozenset(key.scopes), key.auto_register)
        return Sending(now_us, caller, to_us(organisation.created_at) - CLOCKS_DIFFER_US)


def _claim(plain: Sequence[Plain], message: InboxMessage) -> bool:
    """Gives readings the device of their topic, and those without a time the time of the message; False
    where a reading names another device."""
    for reading in plain:
        if reading.device not in ("", message.device):
            return False
        reading.device = message.device
        if reading.ts is None:
            reading.ts = message.stored_us / 1000
    return True


def _unreadable(message: InboxMessage, detail: str) -> Batch:
    device = message.device if DEVICE_ID.fullmatch(message.device) else None
    payload = storable(message.payload.decode("utf-8", "replace"))
    one = Reject(0, "bad_shape", detail, device, payload)
    return Batch(np.empty(0, np.int32), [], np.empty(0, np.int64), {}, np.empty(0, np.int32), [], [one])
