"""Options that several places share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the instance (KILOWATCH_DATA, ./data).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Page = Literal["settings", "cli", "metrics", "roles", "world"]
"""The pages of docs/reference that `kw reference` writes."""
