"""Structured logs: readable lines on a terminal, JSON elsewhere (one object a line); BUS_LOG=json or text decides.

WARNING: something is wrong, nothing is lost; ERROR: loss, or an operator is needed. No record's value, key or secret
is ever logged: of an error that is not ours, its class and the places that it went through, never its text, which may
quote a row.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import structlog

from bus.errors import BusError, ConfigError

if TYPE_CHECKING:
    from types import TracebackType

PLACES: Final = 8
"""Innermost frames of an error that are told."""

_FORMS: Final = {"json": True, "text": False, "": None}
_SHARED: Final[list[structlog.typing.Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def is_json() -> bool:
    """Whether logs are JSON in this process.

    Raises:
        ConfigError: BUS_LOG says something else.
    """
    asked = os.environ.get("BUS_LOG", "")
    if asked not in _FORMS:
        raise ConfigError(f"{asked!r} is not json or text", where="BUS_LOG")
    told = _FORMS[asked]
    return not sys.stderr.isatty() if told is None else told


def configure(level: str = "INFO") -> None:
    """Set logs up for this process; what libraries log at WARNING and above comes the same way, on standard error.

    Raises:
        ConfigError: BUS_LOG says something else than json or text.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if is_json() else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*_SHARED, error_without_text, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[error_without_text, structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    # aiokafka tells at WARNING and ERROR of every retry; ours says once that a lane or adapter starts again.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.excepthook = _ended


def error_without_text(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """In place of `exc_info`: the error's class and where it came from."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if given is True:
        error = sys.exception()
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["places"] = places(error)
    return event


def places(error: BaseException) -> list[str]:
    """Where an error came from, without any value: file and line of the innermost frames."""
    return [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-PLACES:]]


def tell_end(error: BusError) -> None:
    """The error that a process ends with, as a line of its log."""
    structlog.get_logger().error(
        "ended",
        error=type(error).__name__,
        summary=error.summary,
        detail=error.detail,
        where=error.where,
        fix=error.fix,
    )


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python calls for an error that nobody caught: a fault of ours."""
    structlog.get_logger().critical("ended by a fault", exc_info=(kind, error, trace))


class _StandardError(logging.Handler):
    """Writes to what standard error is now, not to what it was when logs were set up: pytest, for one, changes it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        sys.stderr.write(self.format(record) + "\n")
