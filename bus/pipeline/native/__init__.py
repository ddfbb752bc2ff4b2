"""The native data path: mappings and views as programs, run from Avro bytes to Avro bytes by compiled code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from bus.config import CODEC
from bus.pipeline.native.nodes import NotNativeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.pipeline.native.filter_program import FilterProgram
    from bus.pipeline.native.program import Program
    from bus.wire import Header

try:
    from bus.pipeline.native._core import Bodies as Bodies
    from bus.pipeline.native._core import Interpreter as Interpreter
    from bus.pipeline.native._filters import Filters as Filters
except ImportError:  # installed from source where there was no compiler
    Bodies = Filters = Interpreter = None  # type: ignore[assignment,misc]

T = TypeVar("T")

_log = structlog.get_logger()

BY_REFERENCE: Final = {CODEC: "reference"}
"""The environment in which the compiled code is left out, for comparison."""


def is_built() -> bool:
    """Whether the compiled code is there."""
    return Interpreter is not None


def is_used() -> bool:
    """Whether records go through the compiled code."""
    return is_built() and os.environ.get(CODEC) != BY_REFERENCE[CODEC]


def tell_path() -> None:
    """Log which of the two does the records of this process, and what to do where that is the dearer one."""
    if is_used():
        _log.info("data path: compiled")
    elif is_built():
        _log.warning("data path: reference, a record costs ten times the CPU", fix=f"unset {CODEC}: it is built")
    else:
        _log.warning("not compiled: a record costs ten times the CPU", fix="install a C compiler, then shuniu anew")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a program's records go, and what stands in each of them.

    Attributes:
        partitions: of their topic.
        type_header: their `ce_type`.
        id_suffix: what is added to `ce_id`.
        key_of: from a record's key to theirs, where the program does not tell that they are the same; it raises
            whatever it likes for what is none.
        keeps_partition: a record's partition follows from the one it comes from, not from its key.
        id_of: from the `ce_id` that a record would have to what it is shown as; None where it is shown.
    """

    partitions: int
    type_header: Header
    id_suffix: bytes
    key_of: Callable[[bytes], bytes] | None = None
    keeps_partition: bool = False
    id_of: Callable[[bytes], bytes] | None = None


def filters(program: Callable[[], FilterProgram], **told: Any) -> Filters | None:
    """What tries predicates; None where the compiled code is left out, or only the reference can, which is logged.

    Args:
        program: compiles them, or raises NotNativeError.
        told: what the log says of them.
    """
    return _native(lambda: Filters(program()), told)


def interpreter(program: Callable[[], Program], target: Target, **told: Any) -> Interpreter | None:
    """What runs a program; None where the compiled code is left out, or only the reference can do it, which is logged.

    Args:
        program: compiles it, or raises NotNativeError.
        target: where its records go.
        told: what the log says of it.
    """
    return _native(lambda: Interpreter(program(), target), told)


def _native(make: Callable[[], T], told: dict[str, Any]) -> T | None:
    if not is_used():
        return None
    try:
        return make()
    except (NotNativeError, OverflowError) as reason:
        _log.info("done by the reference", reason=str(reason), **told)
        return None
