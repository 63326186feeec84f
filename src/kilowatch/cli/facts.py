"""`kw settings`: every setting with its variable, value, default and sentence; secrets are masked."""

import json
from typing import Any

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from kilowatch.settings import Settings

MASK = "***"


def list_settings(settings: Settings) -> list[dict[str, Any]]:
    """One entry per setting, in the order of the settings."""
    prefix = Settings.model_config.get("env_prefix", "")
    return [
        {
            "name": f"{prefix}{name}".upper(),
            "value": _shown(getattr(settings, name)),
            "default": _shown(field.default),
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]


def show_settings(settings: Settings, as_json: bool) -> None:
    """Prints the settings."""
    facts = list_settings(settings)
    console = Console()
    if as_json:
        console.print_json(json.dumps(facts))
        return
    table = Table("variable", "value", "default", "meaning", box=None, pad_edge=False)
    for fact in facts:
        changed = fact["value"] != fact["default"]
        value = "" if fact["value"] is None else str(fact["value"])
        default = "" if fact["default"] is None else str(fact["default"])
        table.add_row(
            fact["name"], f"[bold]{value}[/bold]" if changed else value, default, fact["description"]
        )
    console.print(table)


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ",".join(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
