"""Structured log. Secrets never get here: the `Secret` type does not print itself."""

import logging
import sys
from typing import Any

import structlog

from mailstead.telemetry import last_lines


def configure(level: str = "info", log_format: str = "auto") -> None:
    """Set up the log of the process: to standard error, as JSON lines or for a console."""
    as_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if as_console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last_lines.keep,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def get(room: str) -> Any:
    """Give the logger of a room."""
    return structlog.get_logger(room=room)
