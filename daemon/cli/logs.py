"""Where log lines go: standard error, one JSON object a line for the journal, or text for a person."""

from __future__ import annotations

import logging
import sys

import structlog

from daemon.settings import Log


def log_to_stderr(settings: Log) -> None:
    """Set up structlog and the libraries' loggers. Tracebacks hold no local variables: they may hold secrets."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.format == "json":
        structlog.configure(
            processors=[
                *shared,
                structlog.processors.ExceptionRenderer(
                    structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
                ),
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
            cache_logger_on_first_use=True,
        )
    else:
        structlog.configure(
            processors=[*shared, _console()],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
            cache_logger_on_first_use=True,
        )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format='{"event":"library","line":%(message)r}')


def _console() -> structlog.types.Processor:
    # The pretty tracebacks of structlog show local variables, which may hold secrets.
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
