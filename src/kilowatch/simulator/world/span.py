"""Spans of time as people write them in worlds: `90`, `90s`, `15m`, `6h`, `2d`, `1w`."""

import re
from typing import Any, Final

SPAN: Final = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)\s*([smhdw]?)")
SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read_span(given: Any) -> Any:
    """Seconds from a number or from text with a unit; anything else is returned as it is, to be refused.

    Raises:
        ValueError: if it is text of another form.
    """
    if not isinstance(given, str):
        return given
    matched = SPAN.fullmatch(given.strip())
    if matched is None:
        raise ValueError("a span is a number of seconds, or a number with s, m, h, d or w, such as 6h")
    return float(matched[1]) * SECONDS[matched[2]]


def describe_span(number: dict[str, Any], digits: str) -> dict[str, Any]:
    """The JSON Schema of a span: bounds of the number, and what the digits of the text look like."""
    text = {"type": "string", "pattern": rf"^\s*{digits}\s*[smhdw]?\s*$"}
    return {"anyOf": [{"type": "number", **number}, text]}
