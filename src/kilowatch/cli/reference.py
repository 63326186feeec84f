"""The pages of `docs/reference` that are written from the code: settings, commands, figures, roles, and the
JSON Schema of worlds.

Keeps true that a page says what the code says and nothing else, the same text for the same code on every
machine; so a test can compare the committed page with this one.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from prometheus_client import Counter, Gauge, Histogram
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from kilowatch.accounts.rights import RIGHTS, ROLES
from kilowatch.cli.options import Page
from kilowatch.ingest.documented import PATHS
from kilowatch.observe import metrics
from kilowatch.server.app import build_document
from kilowatch.settings import Settings
from kilowatch.simulator.world.schema import write_schema

MIB = 1024 * 1024
KINDS: dict[type, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    Decimal: "number",
    Path: "folder",
    str: "text",
}
BOUNDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
SUFFIXES = {"counter": "_total"}
"""What Prometheus adds to the name of such a figure."""


def file_of(page: Page) -> str:
    """The file of docs/reference that holds a page."""
    return "world.schema.json" if page == "world" else f"{page}.md"


def write_page(page: Page, app: typer.Typer) -> str:
    """The page as it is committed."""
    if page == "world":
        return write_schema()
    writers = {"settings": _settings, "cli": lambda: _commands(app), "metrics": _metrics, "roles": _roles}
    written = f"<!-- Written by `kw reference {page} > docs/reference/{file_of(page)}`; not to be edited. -->"
    return "\n".join([written, "", *writers[page]()]) + "\n"


# --- settings --------------------------------------------------------------------------------------------


def _settings() -> Iterator[str]:
    prefix = Settings.model_config.get("env_prefix", "")
    yield "# Settings"
    yield ""
    yield "Environment variables, read when a process starts. Options of a command win over them. A wrong"
    yield "value stops the start and is named. `kw settings` shows what holds now."
    yield ""
    yield "| variable | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in Settings.model_fields.items():
        cells = (_code(f"{prefix}{name}".upper()), _kind(field), _default(name, field.default))
        yield _row(*cells, field.description or "")


def _kind(field: FieldInfo) -> str:
    """Which values a setting takes."""
    annotation: Any = field.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(_code(choice) for choice in get_args(annotation))
    kinds = set(get_args(annotation) or [annotation])
    if SecretStr in kinds:
        return "address, never shown"
    kind = next(text for of, text in KINDS.items() if of in kinds)
    bounds = [
        f"{word} {getattr(bound, name):,}"
        for name, word in BOUNDS.items()
        for bound in field.metadata
        if hasattr(bound, name)
    ]
    return " ".join([kind, *bounds])


def _default(name: str, value: object) -> str:
    if value is None or value == ():
        return ""
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{_code(value)} ({value // MIB:,} MiB)"
    return _code(str(value).lower() if isinstance(value, bool) else value)


# --- commands --------------------------------------------------------------------------------------------


def _commands(app: typer.Typer) -> Iterator[str]:
    root: Any = typer.main.get_command(app)
    yield "# Commands"
    yield ""
    yield root.help
    yield "Exit code 1 means that a command could not do its work, and one message on standard error says"
    yield "why, or that what it looked at is not as it must be; 2 means a wrong option. Each has `--help`."
    for name, command in root.commands.items():
        yield from _command(f"kw {name}", command)


def _command(path: str, command: Any) -> Iterator[str]:
    """A command, or a group and all of its commands."""
    members = getattr(command, "commands", {})
    yield ""
    yield f"{'###' if path.count(' ') > 1 else '##'} `{path}`"
    yield ""
    yield command.help
    context = command.make_context(path, [], resilient_parsing=True)
    options = [one for one in command.get_params(context) if one.name != "help"]
    if options and not members:
        yield ""
        yield "| option | meaning |"
        yield "|---|---|"
        for option in options:
            yield _row(*_option(option, context))
    for name, member in members.items():
        yield from _command(f"{path} {name}", member)


def _option(option: Any, context: Any) -> tuple[str, str]:
    record: tuple[str, str] = option.get_help_record(context)
    return _code(record[0]), record[1].replace("  [", " [")


# --- figures ---------------------------------------------------------------------------------------------


def _metrics() -> Iterator[str]:
    yield "# Figures"
    yield ""
    yield "What `GET /metrics` tells Prometheus: the figures of the process that answers. A histogram has the"
    yield "usual `_bucket`, `_sum` and `_count`; a figure with labels appears with its first value."
    yield ""
    yield "| name | kind | labels | meaning |"
    yield "|---|---|---|---|"
    for figure in vars(metrics).values():
        if isinstance(figure, (Counter, Gauge, Histogram)):
            family = next(iter(figure.describe()))
            labels = ", ".join(_code(label) for label in figure._labelnames)
            name = _code(f"{family.name}{SUFFIXES.get(family.type, '')}")
            yield _row(name, family.type, labels, family.documentation)


# --- roles -----------------------------------------------------------------------------------------------


def _roles() -> Iterator[str]:
    asking = _operations_by_right()
    yield "# Roles"
    yield ""
    yield "What people of each role may do in their organisation, and the scope with which an API key may; an"
    yield "empty cell is a refusal. Whose sites, devices and readings are seen at all is decided in the"
    yield "database ([how](../concepts/walls.md)): a customer may read readings, and sees those of what is"
    yield "assigned to them. An operator invites, changes and removes only members of a role below their own;"
    yield "everybody may leave. Readings are sent with API keys of the scope `ingest` only."
    yield ""
    yield _row("right", *ROLES, "API key", "operations")
    yield "|---|" + ":-:|" * len(ROLES) + "---|---|"
    for right in RIGHTS.values():
        name = f"{right.resource}:{right.verb}"
        may = ("yes" if role in right.roles else "" for role in ROLES)
        live = ["WS /live"] if name == "live:read" else []
        operations = ", ".join(map(_code, live + asking.get(name, [])))
        yield _row(_code(name), *may, _code(right.scope) if right.scope else "", operations)


def _operations_by_right() -> dict[str, list[str]]:
    """Right -> the operations of the OpenAPI document that ask for it."""
    document = json.loads(build_document(PATHS))
    found: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "x-right" in operation:
                shown = f"{method.upper()} {path.removeprefix('/api/v1')}"
                found.setdefault(operation["x-right"], []).append(shown)
    return found


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _code(value: object) -> str:
    return f"`{value}`"
