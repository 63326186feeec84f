"""The span of time that a question is about, from the text of its parameters. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from kilowatch.clock import to_us
from kilowatch.errors import Fault, Problem
from kilowatch.telemetry.query import Span

DEFAULT_SPAN: Final = timedelta(days=1)
EARLIEST_US: Final = 0
LATEST_US: Final = to_us(datetime(2200, 1, 1, tzinfo=UTC))
EPOCH_MS: Final = re.compile(r"-?[0-9]{1,15}")
LOST_PLUS: Final = re.compile(r" (?=[0-9]{2}:?[0-9]{2}$)")


def read_span(start: str | None, end: str | None, now_us: int, zone: str, part: str = "/query") -> Span:
    """`[start, end)`; without an end until now, without a start the 24 hours before the end. `part` is of the
    request, and has the two.

    Raises:
        Problem: 422 with all that is wrong.
    """
    faults: list[Fault] = []
    end_us = now_us if end is None else read_moment(end, f"{part}/end", faults)
    default_us = end_us - DEFAULT_SPAN // timedelta(microseconds=1)
    start_us = max(default_us, EARLIEST_US) if start is None else read_moment(start, f"{part}/start", faults)
    if not faults and start_us >= end_us:
        faults.append(Fault("empty_span", "start must lie before end.", pointer=f"{part}/start"))
    if faults:
        raise Problem(422, "bad_span", "The span of time is none; see `errors`.", faults)
    return Span(start_us, end_us, now_us, zone)


def read_moment(text: str, place: str, faults: list[Fault]) -> int:
    """Epoch microseconds of RFC 3339 or epoch milliseconds; `place` is where it stands in the request."""
    name = place.rpartition("/")[2]
    try:
        moment_us = _parse(text)
    except (ValueError, OverflowError):
        detail = f"{name} is a time like 2026-11-20T12:00:00Z, or milliseconds since 1970."
        faults.append(Fault("bad_timestamp", detail, pointer=place))
        return 0
    if not EARLIEST_US <= moment_us <= LATEST_US:
        detail = f"{name} must lie between 1970 and 2200."
        faults.append(Fault("bad_timestamp", detail, pointer=place))
    return moment_us


def _parse(text: str) -> int:
    if EPOCH_MS.fullmatch(text):
        return int(text) * 1000
    # An unescaped plus in a query arrives as a blank.
    return to_us(datetime.fromisoformat(LOST_PLUS.sub("+", text)))
