"""Shuniu (枢纽): an event-driven data-exchange bus for government data."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "subscribe"]


def __getattr__(name: str) -> Any:
    """`bus.subscribe`, imported when it is asked for, so that the command line need not load Kafka's clients."""
    if name == "subscribe":
        from bus.subscriber import subscribe  # noqa: PLC0415  see above

        return subscribe
    raise AttributeError(f"module 'bus' has no attribute {name!r}")
