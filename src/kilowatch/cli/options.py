"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the instance (KILOWATCH_DATA, ./data).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
