"""What the doors answer, in bytes.

Keeps true that every answer carries its request's id, its own length and the headers of `wire.headers`, and
that a refusal has the one shape of `errors.problem_document` (for Influx clients with the members that they
read as well).
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import msgspec

from kilowatch.errors import Fault, Problem, problem_document
from kilowatch.ingest.batch import Reject
from kilowatch.ingest.body import Receive
from kilowatch.ingest.gather import Parcel
from kilowatch.wire.headers import NO_STORE, SECURITY_HEADERS

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON_TYPE: Header = (b"content-type", b"application/json")
PROBLEM_TYPE: Header = (b"content-type", b"application/problem+json")
INFLUX_VERSION: Header = (b"x-influxdb-version", b"2.7.0")
INFLUX_BUILD: Header = (b"x-influxdb-build", b"OSS")
REJECTED_SHOWN = 10_000
"""Most rejected readings that one answer lists; all of them are kept as dead letters."""

INFLUX_CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    413: "request too large",
    422: "unprocessable entity",
    429: "too many requests",
    503: "unavailable",
}


class Answer:
    """Status, headers and body of a response, without the request's id."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        self.status = status
        self.headers = [*headers, NO_STORE, *SECURITY_HEADERS]
        if status != 204:
            self.headers.append((b"content-length", str(len(body)).encode()))
        self.body = body

    async def send(self, send: Send, request_id: bytes) -> None:
        """Sends the answer to the request `request_id`."""
        headers = [*self.headers, (b"x-request-id", request_id)]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


ACCEPTED_ONE = Answer(202, [JSON_TYPE], b'{"accepted":1,"rejected":[]}')


def accepted_answer(accepted: int, rejects: Sequence[Reject]) -> Answer:
    """202 with what was accepted and what was not."""
    if accepted == 1 and not rejects:
        return ACCEPTED_ONE
    return Answer(202, [JSON_TYPE], msgspec.json.encode(accounted(accepted, rejects)))


def accounted(accepted: int, rejects: Sequence[Reject]) -> dict[str, Any]:
    """The account of a request: how many readings were accepted, and which were not."""
    rejected = [
        {"index": reject.index, "code": reject.code, "detail": reject.detail}
        for reject in rejects[:REJECTED_SHOWN]
    ]
    account: dict[str, Any] = {"accepted": accepted, "rejected": rejected}
    if len(rejects) > REJECTED_SHOWN:
        account["rejected_total"] = len(rejects)
    return account


def nothing_accepted(rejects: Sequence[Reject]) -> Problem:
    """422: there were readings, and none of them is good. Its code is theirs when they share one."""
    codes = {reject.code for reject in rejects}
    code = codes.pop() if len(codes) == 1 else "nothing_accepted"
    faults = [Fault(reject.code, reject.detail, index=reject.index) for reject in rejects[:REJECTED_SHOWN]]
    if len(rejects) == 1:
        detail = rejects[0].detail
    else:
        detail = f"none of {len(rejects)} readings is good; the first: {rejects[0].detail}"
    return Problem(422, code, detail, faults)


def parcel_answer(parcel: Parcel) -> Answer:
    """The account of a parcel that was taken.

    Raises:
        Problem: 422 when none of its readings was.
    """
    if not parcel.rejects:
        return ACCEPTED_ONE if parcel.count == 1 else accepted_answer(parcel.count, ())
    if len(parcel.rejects) == parcel.count:
        raise nothing_accepted(parcel.rejects)
    return accepted_answer(parcel.count - len(parcel.rejects), parcel.rejects)


def problem_answer(problem: Problem, request_id: bytes) -> Answer:
    """A refusal as `application/problem+json`."""
    document = problem_document(problem, request_id.decode("ascii"))
    return Answer(problem.status, [PROBLEM_TYPE, *_hints(problem)], msgspec.json.encode(document))


def influx_problem_answer(problem: Problem, request_id: bytes, rejects: Sequence[Reject] = ()) -> Answer:
    """A refusal as Influx clients read it: `code` and `message` (version 2), `error` (version 1)."""
    document = problem_document(problem, request_id.decode("ascii"))
    code = INFLUX_CODES.get(problem.status, "internal error")
    document |= {"code": code, "message": problem.detail, "error": problem.detail, "reason": problem.code}
    if rejects:
        document |= accounted(0, rejects)
    return Answer(problem.status, [JSON_TYPE, *_hints(problem)], msgspec.json.encode(document))


def influx_answer(accepted: int, rejects: Sequence[Reject], request_id: bytes) -> Answer:
    """204 when all is accepted; else 400 as Influx answers a partial write, with our list of the rejected."""
    if not rejects:
        return INFLUX_DONE
    first = rejects[0]
    place = "" if first.detail.startswith("line ") else f"line {first.index + 1}: "
    detail = f"partial write: {place}{first.detail} dropped={len(rejects)}"
    answer = problem_document(Problem(400, first.code, detail), request_id.decode("ascii"))
    answer |= {"code": "invalid", "message": detail, "error": detail, "reason": first.code}
    answer |= accounted(accepted, rejects)
    return Answer(400, [JSON_TYPE, INFLUX_VERSION], msgspec.json.encode(answer))


def _hints(problem: Problem) -> list[Header]:
    hints: list[Header] = []
    if problem.retry_after_s is not None:
        hints.append((b"retry-after", str(problem.retry_after_s).encode()))
    if problem.status == 401:
        hints.append((b"www-authenticate", b'Bearer realm="kilowatch"'))
    return hints


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Says yes to the server's start and stop, which `start` and `stop` are called for elsewhere."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


INFLUX_DONE = Answer(204, [INFLUX_VERSION], b"")
PONG = Answer(204, [INFLUX_VERSION, INFLUX_BUILD], b"")
