"""What `kw up` shows: a spinner while it starts, the address when ready, a line when something happens."""

import time
from pathlib import Path
from typing import TextIO

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
CLEAR_LINE = "\r\x1b[2K"
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


class Screen:
    """Writes to a terminal, or plain lines to anything else."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._terminal = out.isatty()
        self._spins = self._terminal and (out.encoding or "").lower().startswith("utf")
        self._step: str | None = None
        self._turn = 0
        self._started = time.monotonic()

    def step(self, what: str) -> None:
        """What is going on from now on."""
        self._step = what
        if not self._terminal:
            self._write(f"{what} ...\n")
        self.turn()

    def turn(self) -> None:
        """Moves the spinner."""
        if self._step is not None and self._spins:
            self._turn += 1
            self._write(f"{CLEAR_LINE}{FRAMES[self._turn // 3 % len(FRAMES)]} {self._step}")

    def say(self, line: str) -> None:
        """One line that stays."""
        self.clear()
        self._write(line + "\n")

    def ready(self, url: str, data: Path, mqtt_port: int | None) -> None:
        """Where to go, now that everything runs."""
        seconds = time.monotonic() - self._started
        bold, plain = (BOLD, PLAIN) if self._terminal else ("", "")
        self.say(f"Kilowatch is ready after {seconds:.1f} s: {bold}{url}{plain}")
        if mqtt_port:
            self._write(f"  MQTT   127.0.0.1:{mqtt_port} (a device's login: kw device token)\n")
        self._write(f"  data   {data}\n  logs   {data / 'log'}\n  Ctrl-C stops everything.\n")

    def clear(self) -> None:
        """Ends the running step."""
        self._step = None
        if self._spins:
            self._write(CLEAR_LINE)

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            self._spins = False  # the terminal is gone; the instance goes on
