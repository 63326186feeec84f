"""The documents' blocks of commands, and where they stand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])

FENCE = re.compile(r"^ *```(\w*)$")
NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
PROMPT = "$ "


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of commands. not_run: why it is not run, where it is marked so."""

    document: Path
    line: int
    script: str
    not_run: str | None

    @property
    def where(self) -> str:
        """File and line of its first command."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def find_blocks(document: Path) -> Iterator[Block]:
    """The blocks of a document that are marked as `sh`, `bash` or `console`.

    A console shows what is typed after `$ ` and what is answered; only the first is its script.
    """
    lines = document.read_text(encoding="utf-8").splitlines()
    begin, language = 0, None
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence is None:
            continue
        if language is None:
            begin, language = number, fence[1]
            continue
        content = lines[begin : number - 1]
        if language == "console":
            content = [one.removeprefix(PROMPT) for one in content if one.startswith(PROMPT)]
        if language in ("sh", "bash", "console"):
            mark = NOT_RUN.match(lines[begin - 2]) if begin > 1 else None
            yield Block(document, begin + 1, "\n".join(content), mark[1] if mark else None)
        language = None
