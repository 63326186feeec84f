"""The errors that a person or a program is meant to read.

Owns the one shape in which anything refuses: a status, a stable code, and a sentence that says what is
wrong, where, and what to do. Every door turns a `Problem` into `application/problem+json` (RFC 9457).
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong thing inside a request: where (`pointer` into the document or `index` of the reading),
    a stable `code`, and a `detail` for people."""

    code: str
    detail: str
    pointer: str | None = None
    index: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fault as it stands in `errors[]`, without the members that do not apply."""
        shown: dict[str, Any] = {"code": self.code, "detail": self.detail}
        if self.pointer is not None:
            shown["pointer"] = self.pointer
        if self.index is not None:
            shown["index"] = self.index
        return shown


@dataclass(slots=True)
class Problem(Exception):
    """A refusal with an HTTP status, a stable code and a sentence; `retry_after_s` when waiting helps."""

    status: int
    code: str
    detail: str
    errors: list[Fault] = field(default_factory=list)
    retry_after_s: int | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


TITLES = {
    400: "Malformed request",
    401: "No valid credentials",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Fails validation",
    429: "Too many requests",
    431: "Head too large",
    503: "Not able now",
}


def problem_document(problem: Problem, request_id: str) -> dict[str, Any]:
    """The RFC 9457 document for a problem; `instance` carries the request's id, which the logs carry too."""
    document: dict[str, Any] = {
        "type": f"urn:kilowatch:problem:{problem.code}",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "instance": f"urn:kilowatch:request:{request_id}",
    }
    if problem.errors:
        document["errors"] = [fault.as_dict() for fault in problem.errors]
    return document


class StartRefused(Exception):
    """The instance cannot start as it is set up; the message says why and what to change."""


class EngineUnavailable(Exception):
    """PostgreSQL, NATS or the lake does not answer now; trying again later may succeed."""
