"""Where log lines go: standard error, one JSON object a line for the journal, or text for a person."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from daemon.settings import Log

FRAMES_MAX = 20


def log_to_stderr(settings: Log) -> None:
    """Set up structlog and the libraries' loggers. Tracebacks hold no local variables: they may hold secrets."""
    is_json = settings.format == "json"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_for_the_journal() if is_json else _for_a_person()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level.upper()]),
        logger_factory=_to_stderr,
        # A daemon keeps its loggers; a command is short, and its stderr may be another one at the next call.
        cache_logger_on_first_use=is_json,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format='{"event":"library","line":%(message)r}')


def _to_stderr(*_names: Any) -> structlog.PrintLogger:
    return structlog.PrintLogger(sys.stderr)


def _for_the_journal() -> list[Any]:
    bare = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=FRAMES_MAX)
    return [structlog.processors.ExceptionRenderer(bare), structlog.processors.JSONRenderer()]


def _for_a_person() -> list[Any]:
    # The pretty tracebacks of structlog would show local variables.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
