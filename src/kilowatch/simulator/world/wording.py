"""What a refusal of the format says to the person who wrote the world.

Keeps true: every sentence names the member and says what to write instead.
"""

from typing import Any, Final

from pydantic_core import ErrorDetails

from kilowatch.simulator.world.format import MONTH_DAY, NAME, PATTERN, WORD
from kilowatch.simulator.world.mistake import Place, name_place, suggest
from kilowatch.simulator.world.outline import members_of

PATTERNS: Final = {
    NAME: "words of a-z, 0-9 and _ with dots between them, beginning with a letter",
    WORD: "a word of a-z, 0-9, _ and -, beginning with a letter",
    PATTERN: "the name of a stream, or the beginning of names and a `*` at its end",
    MONTH_DAY: "a month and a day, such as 05-01",
}
SENTENCES: Final = {
    "greater_than": "must be above {gt:g}, not {input}",
    "greater_than_equal": "must be at least {ge:g}, not {input}",
    "less_than": "must be below {lt:g}, not {input}",
    "less_than_equal": "must be at most {le:g}, not {input}",
    "literal_error": "must be one of {expected}, not {input}",
    "float_type": "must be a number, not {input}",
    "finite_number": "must be a number that is not infinite",
    "int_type": "must be a whole number, not {input}",
    "bool_type": "must be true or false, not {input}",
    "string_type": "must be text; put {input} in quotes",
    "string_too_long": "must have at most {max_length} characters",
    "dict_type": "must have members of its own, in lines `name: value` below it",
    "list_type": "must be a list, in lines that begin with `- ` or in brackets",
    "model_type": "must have members of its own, in lines `name: value` below it",
    "value_error": "must be right: {error}",
    "too_long": "must have at most {max_length} entries, not {actual_length}",
}


def word(error: ErrorDetails) -> tuple[Place, str]:
    """Where the mistake stands, and what it is."""
    place: Place = tuple(step for step in error["loc"] if step != "[key]")
    kind, context = error["type"], {"input": _show(error["input"]), **error.get("ctx", {})}
    if kind == "missing":
        return place, f"`{name_place(place)}` is missing; add it"
    if kind == "extra_forbidden":
        advice = suggest(str(place[-1]), members_of(place[:-1]))
        return place, f"`{name_place(place)}` is not known here; {advice}"
    if kind == "too_short":
        return place, _few(place, context)
    if kind == "string_pattern_mismatch":
        wanted = PATTERNS.get(context["pattern"], f"text of the form {context['pattern']}")
        return place, f"`{name_place(place)}` must be {wanted}, not {context['input']}"
    sentence = SENTENCES.get(kind)
    says = sentence.format(**context) if sentence else f"must be right: {error['msg']}"
    return place, f"`{name_place(place)}` {says}"


def _few(place: Place, context: dict[str, Any]) -> str:
    if context["actual_length"] == 0:
        return f"there are no {place[-1]}; write at least {context['min_length']}"
    return f"`{name_place(place)}` must have at least {context['min_length']} entries"


def _show(given: Any) -> str:
    match given:
        case dict():
            return "something with members"
        case list():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return str(given).lower()
    return repr(given)
