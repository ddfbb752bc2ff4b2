"""The native data path: mappings and views as programs, run from Avro bytes to Avro bytes by compiled code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.wire import Header

    Convert = Callable[[bytes, bytes], bytes | None]

try:
    from bus.pipeline.native._core import Interpreter as Interpreter
except ImportError:  # installed from source where there was no compiler
    Interpreter = None  # type: ignore[assignment,misc]

BY_REFERENCE: Final = {"BUS_CODEC": "reference"}
"""The environment in which the compiled code is left out, for comparison."""


def is_built() -> bool:
    """Whether the compiled code is there."""
    return Interpreter is not None


def is_used() -> bool:
    """Whether records go through the compiled code."""
    return is_built() and not BY_REFERENCE.items() <= os.environ.items()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a program's records go, and what stands in each of them.

    Attributes:
        topic: their topic.
        partitions: of that topic.
        type_header: their `ce_type`.
        id_suffix: what is added to `ce_id`.
        key_of: from the raw record's key to theirs, where it is not the same; None if it is none.
    """

    topic: str
    partitions: int
    type_header: Header
    id_suffix: bytes
    key_of: Callable[[bytes], bytes | None]
