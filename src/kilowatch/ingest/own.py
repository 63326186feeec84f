"""What a device may send with its token: readings of its own.

Keeps true that a reading which names another device is rejected by itself, in the same words whether there is
such a device or not. Who sends with an API key pays one comparison.
"""

from collections.abc import Sequence

import numpy as np

from kilowatch.accounts.identity import Caller
from kilowatch.ingest.accept import blame, reject
from kilowatch.ingest.batch import Batch, Limits
from kilowatch.ingest.decode_json import Plain
from kilowatch.ingest.directory import Known
from kilowatch.ingest.forms import Decode


def may_send(caller: Caller, plain: Sequence[Plain]) -> bool:
    """Whether all these readings are the caller's own, where the caller is a device."""
    return caller.device is None or all(reading.device == caller.device for reading in plain)


def decode_for(caller: Caller, decode: Decode) -> Decode:
    """How to read a body of this caller: of a device, its own readings are left."""
    if caller.device is None:
        return decode
    device, device_no = caller.device, caller.device_no

    def decode_own(body: bytes, limits: Limits, known: Known) -> Batch:
        return keep_own(decode(body, limits, known), known, device, device_no)

    return decode_own


def keep_own(batch: Batch, known: Known, device: str, device_no: int) -> Batch:
    """The readings of this device; those of others become rejects, whether there is such a device or not."""
    own = batch.device == device_no
    if device in batch.names:
        own |= batch.device == ~batch.names.index(device)
    others = np.flatnonzero(~own)
    if not len(others):
        return batch
    detail = f"this token is the device {device}'s, which sends its own readings only"
    return reject(batch, known, blame(others, "unknown_device", detail))
