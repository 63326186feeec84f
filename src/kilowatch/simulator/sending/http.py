"""Sending over HTTP: one body after another to `POST /api/v1/readings`.

Keeps true: a body without an answer is sent again as it was, which the instance takes for the repeat that it
is; what the instance refuses reading by reading is counted by its reason.
"""

from collections import Counter

import httpx
import msgspec

from kilowatch.simulator.sending.door import PATIENCE_S, Away, Find, Place, Told, TurnedAway
from kilowatch.simulator.sending.parcel import Parcel

PATH = "/api/v1/readings"
WITHIN_S = 30.0
WAITS_MOST_S = 60.0


class _Refusal(msgspec.Struct):
    code: str = "refused"


class _Answer(msgspec.Struct):
    accepted: int
    rejected: list[_Refusal]


class _Problem(msgspec.Struct):
    code: str = "refused"
    errors: list[_Refusal] = []


_ANSWER, _PROBLEM = msgspec.json.Decoder(_Answer), msgspec.json.Decoder(_Problem)


class HttpSender:
    """A connection that stays open, and goes where the instance is."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._http = httpx.AsyncClient(timeout=WITHIN_S, trust_env=False)

    async def send(self, parcel: Parcel) -> Told:
        """See `Sender`."""
        place = self._find()
        if place is None:
            raise Away
        headers = {"Authorization": f"Bearer {place.key}", "Content-Type": parcel.media}
        try:
            answer = await self._http.post(f"{place.url}{PATH}", content=parcel.body, headers=headers)
        except httpx.ReadTimeout as error:
            # It is there and has much to do; what waits is not given up for that.
            raise Away(is_asked=True) from error
        except httpx.TransportError as error:
            raise Away from error
        return read_answer(answer, parcel, place)

    async def close(self) -> None:
        """Ends the connection."""
        await self._http.aclose()


def read_answer(answer: httpx.Response, parcel: Parcel, place: Place) -> Told:
    """What an answer says of a parcel.

    Raises:
        Away, TurnedAway: see `Sender`.
    """
    status = answer.status_code
    if status == 202:
        told = _ANSWER.decode(answer.content)
        return Told(told.accepted, dict(Counter(one.code for one in told.rejected)))
    if status == 429 or status >= 500:
        raise Away(wait_of(answer), is_asked=status in (429, 503))
    if status == 422:
        problem = _PROBLEM.decode(answer.content)
        codes = Counter(one.code for one in problem.errors[: parcel.readings])
        codes[problem.code] += parcel.readings - codes.total()
        return Told(0, dict(+codes))
    raise TurnedAway(f"{place.url} answered {status}: {answer.text[:300]}")


def wait_of(answer: httpx.Response) -> float:
    """How long the instance asks to wait."""
    asked = answer.headers.get("Retry-After", "")
    return min(float(asked), WAITS_MOST_S) if asked.isdigit() else PATIENCE_S
