"""COPY's text form in compiled code; not there where the installation found no compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Buffers = tuple[bytes, list[list[bytes | None]]]

try:
    from adapters.postgres.native._copy_text import buffers
except ImportError:  # installed from source where there was no compiler
    buffers: Callable[..., Buffers] | None = None  # type: ignore[no-redef]

__all__ = ["buffers"]
