"""Record batches in compiled code; not there where the installation found no compiler."""

from __future__ import annotations

try:
    from bus.kafka.native._batches import (
        BatchBuilder,
        DamagedBatchError,
        Packed,
        Packing,
        Records,
        Room,
        UnreadableBatchError,
        check_batch,
        header_bytes,
    )
except ImportError:  # installed from source where there was no compiler
    IS_BUILT = False
    BatchBuilder = DamagedBatchError = Packed = Packing = Records = Room = None  # type: ignore[assignment,misc]
    UnreadableBatchError = check_batch = header_bytes = None  # type: ignore[assignment,misc]
else:
    IS_BUILT = True

__all__ = [
    "IS_BUILT",
    "BatchBuilder",
    "DamagedBatchError",
    "Packed",
    "Packing",
    "Records",
    "Room",
    "UnreadableBatchError",
    "check_batch",
    "header_bytes",
]
