"""The one shape of refusals: every error that leaves the server is `application/problem+json`.

Keeps true: bad input is a 4xx that says what is wrong and where; an engine that is away is a 503 with
Retry-After; a bug is a 500 that says nothing but the request's id, under which the log has the traceback.
"""

from collections.abc import Awaitable, Callable

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from kilowatch.errors import TITLES, EngineUnavailable, Fault, Problem, problem_document

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
REQUEST_ID = "kilowatch.request_id"
"""Where a request's scope has its id."""

CODES = {
    400: "malformed",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}

log = structlog.get_logger()


def request_id_of(request: Request) -> str:
    """The id that the entrance gave this request."""
    return str(request.scope.get(REQUEST_ID, ""))


def problem_response(problem: Problem, request_id: str) -> Response:
    """The HTTP answer for a problem."""
    headers = {}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(problem_document(problem, request_id)),
        problem.status,
        headers,
        media_type=PROBLEM_TYPE,
    )


def unavailable(error: EngineUnavailable) -> Problem:
    """The problem to tell when an engine is away; its own words stay in the log."""
    log.warning("engine.unavailable", reason=str(error))
    return Problem(
        503,
        "unavailable",
        "A part that this needs does not answer now; nothing was changed. Try again in a moment.",
        retry_after_s=RETRY_AFTER_S,
    )


def add_problem_handlers(app: FastAPI, identify: Callable[[Request], Awaitable[None]]) -> None:
    """Turns everything that routes raise into problem documents. `identify` refuses whoever has to show
    credentials and has none: a body that is no JSON is found before a route's guard is asked."""

    async def refuse(request: Request, error: Exception) -> Response:
        if isinstance(error, RequestValidationError) and _is_malformed(error):
            try:
                await identify(request)
            except (Problem, EngineUnavailable) as refusal:
                error = refusal
        return problem_response(find_problem(error), request_id_of(request))

    for kind in (Problem, EngineUnavailable, RequestValidationError):
        app.add_exception_handler(kind, refuse)
    app.add_exception_handler(HTTPException, _refuse_plain)


def find_problem(error: Exception) -> Problem:
    """The problem that tells an expected error."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, EngineUnavailable):
        return unavailable(error)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    raise error


async def _refuse_plain(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    detail = {
        404: f"There is nothing at {request.url.path}.",
        405: f"{request.url.path} does not take {request.method}.",
    }.get(status, str(error.detail) or TITLES.get(status, "Error"))
    response = problem_response(Problem(status, CODES.get(status, "error"), detail), request_id_of(request))
    response.headers.update(error.headers or {})
    return response


def _is_malformed(error: RequestValidationError) -> bool:
    return any(fault["type"] == "json_invalid" for fault in error.errors())


def _invalid(error: RequestValidationError) -> Problem:
    faults = [_fault(fault) for fault in error.errors()]
    if _is_malformed(error):
        return Problem(400, "malformed", "The body is not JSON.", faults)
    return Problem(422, "invalid", "The request fails validation; `errors` says where and why.", faults)


def _fault(fault: dict[str, object]) -> Fault:
    place = fault.get("loc")
    parts = list(place) if isinstance(place, tuple) else []
    return Fault(
        str(fault["type"]), str(fault["msg"]), pointer="/" + "/".join(_escape(part) for part in parts)
    )


def _escape(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
