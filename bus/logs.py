"""Structured logs: readable lines on a terminal, JSON elsewhere.

WARNING: something is wrong, nothing is lost; ERROR: loss, or an operator is needed. No record's value, key or secret
is ever logged.
"""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str = "INFO") -> None:
    """Set logs up for this process; what libraries log at WARNING and above comes the same way, on standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _StandardError()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # aiokafka tells at WARNING and ERROR of every retry; ours says once that a lane or adapter starts again.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class _StandardError(logging.Handler):
    """Writes to what standard error is now, not to what it was when logs were set up: pytest, for one, changes it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        sys.stderr.write(self.format(record) + "\n")
