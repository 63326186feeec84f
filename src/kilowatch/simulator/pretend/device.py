"""A pretend device: what it does when it is told something, and how it answers. No I/O.

Keeps true what every device should: a command that comes again is not done again, because the ids of those
that were done are kept with their answers. In which manner it answers shows how a house bears bad devices.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

Manner = Literal["prompt", "slow", "refusing", "silent", "forgetful"]
"""prompt: answers at once; slow: after `slow_s`; refusing: does nothing and says so; silent: does it and
never answers; forgetful: does it, and its first answers to each command get lost."""

SLOW_S = 1.0
LOST_ANSWERS = 2


class _Told(msgspec.Struct):
    id: str
    name: str
    arguments: dict[str, Any] = {}


_TOLD = msgspec.json.Decoder(_Told)


@dataclass(slots=True)
class PretendDevice:
    """lost_answers: how many answers to each command a forgetful one loses; done: ids of the commands that
    were done, in their order; state, power_w: what it was set to."""

    manner: Manner = "prompt"
    slow_s: float = SLOW_S
    lost_answers: int = LOST_ANSWERS
    state: str = "on"
    power_w: float | None = None
    done: list[str] = field(default_factory=list)
    _answers: dict[str, bytes] = field(default_factory=dict)
    _lost: dict[str, int] = field(default_factory=dict)

    def hear(self, message: bytes) -> bytes | None:
        """Does what it is told, unless it did so before; its answer, None where none is sent."""
        try:
            told = _TOLD.decode(message)
        except msgspec.MsgspecError:
            return None
        if told.id not in self._answers:
            self._answers[told.id] = self._answer(told)
        if self.manner == "silent":
            return None
        if self.manner == "forgetful" and self._lost.get(told.id, 0) < self.lost_answers:
            self._lost[told.id] = self._lost.get(told.id, 0) + 1
            return None
        return self._answers[told.id]

    @property
    def pause_s(self) -> float:
        """How long it takes to answer."""
        return self.slow_s if self.manner == "slow" else 0.0

    def _answer(self, told: _Told) -> bytes:
        if self.manner == "refusing":
            return msgspec.json.encode({"id": told.id, "ok": False, "detail": "I would rather not."})
        self.done.append(told.id)
        if told.name in ("set_state", "toggle"):
            self.state = told.arguments.get("state") or ("off" if self.state == "on" else "on")
            detail = f"I am {self.state} now."
        elif told.name == "set_power":
            self.power_w = told.arguments.get("power_w")
            detail = f"I am held at {self.power_w} W now."
        else:
            detail = f"I did {told.name}."
        return msgspec.json.encode({"id": told.id, "ok": True, "detail": detail})
