"""How log lines look: JSON for machines, plain lines for a terminal.

Keeps true that no secret is ever written: values under telling names are masked, and so are API keys and the
passwords of addresses wherever they stand in a line.
"""

import logging
import re
import sys
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"
TELLING_NAME = re.compile(
    r"password|passwd|secret|token|authorization|api_?key|cookie|credential|recovery|\botp\b|totp",
    re.IGNORECASE,
)
CODE = re.compile(r"codes?", re.IGNORECASE)
DIGITS = re.compile(r"\d{6,}|[a-z2-7]{4}(-[a-z2-7]{4}){3}|(?=.*\d)[a-z2-7]{16}")
"""What was mailed, or is of an authenticator app; under the name `code`, where other codes are words."""
API_KEY = re.compile(r"\b(kw[a-z]?)_[A-Za-z0-9_-]{43}")
WEB_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
BEARER = re.compile(r"\b(Bearer|Token|Basic) [A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE)
ADDRESS_PASSWORD = re.compile(r"(\w+://[^\s:/@]*:)[^\s@/]+@")

Level = Literal["debug", "info", "warning", "error"]


def configure_logging(
    level: Level = "info", form: Literal["json", "console"] | None = None, stream: TextIO | None = None
) -> None:
    """Sets up logging for this process, the standard library's included.

    Without `form`, a terminal gets plain lines and anything else gets JSON.
    """
    stream = stream or sys.stderr
    if form is None:
        form = "console" if stream.isatty() else "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks are turned into text before secrets are masked; a console that draws them would show locals.
    last: list[Processor] = [structlog.processors.format_exc_info, mask_secrets]
    if form == "json":
        last.append(structlog.processors.JSONRenderer())
    else:
        plain = structlog.dev.plain_traceback
        last.append(structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("procrastinate", "nats", "asyncio", "alembic", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor: masks secrets by their name and by their look, at any depth."""
    return {name: _masked(value, name) for name, value in event.items()}


def _masked(value: Any, name: str = "") -> Any:
    if name and TELLING_NAME.search(name) and value is not None and not isinstance(value, bool):
        return MASK
    if isinstance(value, (str, int)) and CODE.fullmatch(name) and DIGITS.fullmatch(str(value)):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: _masked(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(inner) for inner in value]
    return value


def mask_text(text: str) -> str:
    """The text without API keys and tokens, and without the passwords of addresses."""
    text = WEB_TOKEN.sub(MASK, API_KEY.sub(rf"\1_{MASK}", text))
    return ADDRESS_PASSWORD.sub(rf"\1{MASK}@", BEARER.sub(rf"\1 {MASK}", text))
