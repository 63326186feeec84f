"""A command: what a device is told to do, what is wrong with one, and how it is told. Pure.

Keeps true that what is stored can be sent: a name that fits into a log line, and arguments that are a JSON
object of bounded size. The standard names say what they mean; any other name is the device's own affair.
"""

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from kilowatch.control.lifecycle import Status
from kilowatch.errors import Fault
from kilowatch.ids import DEVICE_ID
from kilowatch.sites.device import DEVICE_STATES
from kilowatch.sites.site import is_object, matches
from kilowatch.wire.live import LiveEvent

COMMAND_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
ARGUMENTS_MAX_BYTES = 8 * 1024
ARGUMENTS_MAX_DEPTH = 16
NUMBER_MAX = 10**18
EXPIRES_MAX_S = 7 * 86_400
EXPIRES_S = 300
RETRY_FIRST_S = 1
RETRY_MAX_S = 30
"""The pause before a command is sent again begins with the first and doubles up to the last."""
DETAIL_MAX = 1000
ANSWER_MAX_BYTES = 16 * 1024
KEPT_DAYS = 90
"""So long what has ended can be looked at, and its Idempotency-Key is known."""
TOPIC = "commands"
SWITCHING = ("set_state", "toggle")
"""Names of commands that switch a device; its state follows when it has done so."""


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A command to be stored. actor, user_id: who asks for it, as in the audit log."""

    id: uuid.UUID
    device: str
    name: str
    arguments: dict[str, Any]
    created_at: datetime
    expires_in_s: int
    idempotency_key: str | None
    actor: str
    user_id: uuid.UUID | None

    @property
    def expires_at(self) -> datetime:
        """From when on it is not sent any more."""
        return self.created_at + timedelta(seconds=self.expires_in_s)


@dataclass(frozen=True, slots=True)
class Command:
    """A stored command. device: the device's id; no: its place among all commands, growing; detail: what the
    device said; tries: how often it was sent."""

    organisation_id: uuid.UUID
    id: uuid.UUID
    no: int
    device_no: int
    device: str
    name: str
    arguments: dict[str, Any]
    status: Status
    detail: str | None
    actor: str
    user_id: uuid.UUID | None
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    tries: int

    def document(self) -> dict[str, Any]:
        """What is told of it."""
        return {
            "id": str(self.id),
            "device": self.device,
            "name": self.name,
            "arguments": self.arguments,
            "status": self.status,
            "detail": self.detail,
            "requested_by": self.actor,
            "tries": self.tries,
            "created_at": _shown(self.created_at),
            "expires_at": _shown(self.expires_at),
            "ended_at": None if self.ended_at is None else _shown(self.ended_at),
        }

    def message(self) -> bytes:
        """What the device receives."""
        told = {"id": str(self.id), "name": self.name, "arguments": self.arguments}
        return msgspec.json.encode(told | {"expires_at": _shown(self.expires_at)})

    def event(self, now_us: int) -> LiveEvent:
        """What those who listen to commands are told."""
        return LiveEvent(str(self.organisation_id), TOPIC, now_us, "command", self.document(), self.device_no)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device says of a command. organisation: its slug."""

    organisation: str
    device: str
    id: uuid.UUID
    ok: bool
    detail: str | None


class _Said(msgspec.Struct):
    id: uuid.UUID
    ok: bool
    detail: Any = None


_SAID = msgspec.json.Decoder(_Said)


def read_answer(organisation: str, device: str, payload: bytes) -> Answer | None:
    """The answer in a message of a device; None where it is none."""
    if len(payload) > ANSWER_MAX_BYTES or not DEVICE_ID.fullmatch(device):
        return None
    try:
        said = _SAID.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    detail = said.detail
    if detail is not None and not isinstance(detail, str):
        detail = msgspec.json.encode(detail).decode()
    if detail is not None:
        detail = detail.replace("\x00", "")[:DETAIL_MAX]
    return Answer(organisation, device, said.id, said.ok, detail)


def command_faults(name: str, arguments: Mapping[str, Any], expires_in_s: int) -> list[Fault]:
    """Everything that is wrong with a command."""
    faults = []
    if not matches(COMMAND_NAME, name):
        detail = "name has 1 to 64 of A-Z, a-z, 0-9, '_', '.' and '-', such as set_state."
        faults.append(Fault("bad_name", detail, pointer="/name"))
    if not 1 <= expires_in_s <= EXPIRES_MAX_S:
        detail = f"expires_in_s is 1 to {EXPIRES_MAX_S} seconds."
        faults.append(Fault("bad_expiry", detail, pointer="/expires_in_s"))
    if not is_object(arguments, ARGUMENTS_MAX_BYTES, ARGUMENTS_MAX_DEPTH) or not _numbers_fit(arguments):
        detail = (
            f"arguments is a JSON object of at most {ARGUMENTS_MAX_BYTES} bytes without NUL characters,"
            f" nested at most {ARGUMENTS_MAX_DEPTH} deep, with numbers below {NUMBER_MAX}."
        )
        return [*faults, Fault("bad_arguments", detail, pointer="/arguments")]
    return faults + _standard_faults(name, arguments)


def _standard_faults(name: str, arguments: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the arguments of a standard name."""
    if name == "set_power":
        if _is_number(arguments.get("power_w")):
            return _unknown(arguments, ("power_w",))
        return [Fault("bad_power", "set_power needs power_w, in watts.", pointer="/arguments/power_w")]
    if name not in SWITCHING:
        return []
    if (name == "toggle" and "state" not in arguments) or arguments.get("state") in DEVICE_STATES:
        return _unknown(arguments, ("state",))
    detail = f"{name} takes state: {', '.join(DEVICE_STATES)}."
    return [Fault("bad_state", detail, pointer="/arguments/state")]


def _unknown(arguments: Mapping[str, Any], known: Sequence[str]) -> list[Fault]:
    return [
        Fault("unknown_field", f"Only {', '.join(known)} is understood.", pointer=f"/arguments/{name[:64]}")
        for name in arguments
        if name not in known
    ]


def _numbers_fit(value: object) -> bool:
    """Whether no number is so large that PostgreSQL would give it back as a whole one without bounds."""
    if isinstance(value, dict | list):
        return all(map(_numbers_fit, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or -NUMBER_MAX <= value <= NUMBER_MAX


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _shown(moment: datetime) -> str:
    """As the API shows times."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
