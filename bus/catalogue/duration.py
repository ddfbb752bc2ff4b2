"""Durations as people write them: `30s`, `5m`, `12h`, `7d`."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

_MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

PATTERN = r"^[1-9][0-9]{0,5}[smhd]$"
Duration = Annotated[str, StringConstraints(pattern=PATTERN)]


def milliseconds(duration: str) -> int:
    """The duration in milliseconds; it has the form of `Duration`."""
    return int(duration[:-1]) * _MILLISECONDS[duration[-1]]
