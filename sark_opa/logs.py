"""Logs: one canonical line a request, never a prompt.

The line is an event named `request` whose fields are collected while the request is answered
(https://www.structlog.org/en/stable/logging-best-practices.html). Values of callers reach it only as ids.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import msgspec
import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def _encode(event: Any, **_: Any) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)


def configure(level: Literal["debug", "info", "warning", "error"], form: Literal["json", "console"]) -> None:
    """Set structlog up for this process; to standard error, so that standard output stays a program's own.

    Args:
        level: least severe line that is written.
        form: `json` writes one object a line, `console` a line for people.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        shared += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_encode)]
        factory: Any = structlog.BytesLoggerFactory(sys.stderr.buffer)
    else:
        # Not structlog's own choice of traceback, which shows local variables: prompts and tokens among them.
        plain = structlog.dev.plain_traceback
        shared += [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
        factory = _print_logger
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=form == "json",
    )


def _print_logger(*_: Any) -> structlog.PrintLogger:
    # The stream of the moment: whoever runs a command inside another program may put one of its own in place.
    return structlog.PrintLogger(sys.stderr)


def get_logger(name: str) -> Any:
    """A logger whose lines carry `logger_name=name`; `logger` is a word structlog keeps to itself."""
    return structlog.get_logger(logger_name=name)
