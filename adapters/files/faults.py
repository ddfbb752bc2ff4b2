"""What can be wrong with a dump. None of it stops the adapter: other datasets, and a better dump, go on."""

from __future__ import annotations

from bus.errors import BusError, SourceUnavailableError


class DumpRefusedError(BusError):
    """The dump is refused; nothing of it was published."""


class DumpHeldError(BusError):
    """The dump waits for a person's word; nothing of it was published."""


class DumpChangedError(BusError):
    """The dump was written to while it was read; it is read again once it stays as it is."""


class EngineError(BusError):
    """The engine that compares dumps could not do that."""


class StoppedError(BusError):
    """The adapter is closing."""


class StateTakenError(SourceUnavailableError):
    """The adapter runs in another process already."""


def no_room(where: object, error: BaseException) -> SourceUnavailableError:
    """The adapter's own disk or memory does not suffice: what passes once somebody makes room."""
    return SourceUnavailableError(
        f"the adapter's state could not be written ({getattr(error, 'strerror', None) or type(error).__name__});"
        " nothing is lost, the dump waits",
        where=str(where),
        fix="make room on that disk (three times the dump's size), then it goes on by itself",
    )


def no_memory(where: object) -> SourceUnavailableError:
    """The engine may not take as much memory as it needs, nor spill it to disk."""
    return SourceUnavailableError(
        "the engine needs more memory than it may take; nothing is lost, the dump waits",
        where=str(where),
        fix="raise memory_limit_mb of the adapter and start it anew",
    )
