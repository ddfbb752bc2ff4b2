"""Compressed record batches, unpacked into no more memory than a worker can spare.

A broker takes batches of a megabyte, as they are compressed; of zeros a megabyte holds gigabytes. aiokafka's own
functions unpack whatever they are given, and one of them (snappy in blocks) reads a negative size for ever.
"""

from __future__ import annotations

import mmap
import threading
import zlib
from typing import TYPE_CHECKING, Final

import cramjam

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of a batch, once it is unpacked. A batch of the largest record that a broker takes by default has 1 MB."""

_KEPT_BYTES: Final = 4 * 1024 * 1024
_GZIP_WRAPPED: Final = 16 + zlib.MAX_WBITS
_XERIAL: Final = b"\x82SNAPPY\0\0\0\0\1\0\0\0\1"
"""Begins snappy in blocks, as Java's producers write it, each behind its size in four bytes."""


class DecompressionError(ValueError):
    """Compressed bytes are damaged, or too many once they are unpacked."""


class _Room:
    """Where it is unpacked: memory that is the process's only once it is written to."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, MOST_BYTES)
        self._lock = threading.Lock()

    def unpacked(self, into: Callable[[memoryview, mmap.mmap], int], content: memoryview) -> bytes:
        with self._lock:
            try:
                size = into(content, self._memory)
                return self._memory[:size]
            finally:
                self._memory.madvise(mmap.MADV_DONTNEED, _KEPT_BYTES, MOST_BYTES - _KEPT_BYTES)


_room: Final = _Room()


def decompressed(codec: int, content: memoryview) -> bytes:
    """The records of a batch, of the codec that has this number in its attributes.

    Raises:
        DecompressionError: there is no such codec, the bytes are not its, or there are more than `MOST_BYTES`.
    """
    try:
        return _CODECS[codec](content)
    except KeyError:
        raise DecompressionError(f"there is no codec {codec}") from None
    except (cramjam.DecompressionError, zlib.error) as error:
        raise DecompressionError(f"{error}, or more than {MOST_BYTES} bytes") from None


def _gzip(content: memoryview) -> bytes:
    made, left, member = list[bytes](), MOST_BYTES, bytes(content)
    while member:  # mostly one
        reader = zlib.decompressobj(_GZIP_WRAPPED)
        made.append(reader.decompress(member, left + 1))
        left -= len(made[-1])
        if not reader.eof or left < 0:
            raise DecompressionError(f"cut off, or more than {MOST_BYTES} bytes")
        member = reader.unused_data
    return b"".join(made)


def _snappy(content: memoryview) -> bytes:
    if bytes(content[:16]) != _XERIAL:
        return _snappy_block(content, MOST_BYTES)
    made, left, place = list[bytes](), MOST_BYTES, len(_XERIAL)
    while place < len(content):
        start = place + 4
        place = start + int.from_bytes(content[place:start], "big")
        made.append(_snappy_block(content[start:place], left))
        left -= len(made[-1])
    return b"".join(made)


def _snappy_block(content: memoryview, most: int) -> bytes:
    """It says itself first how long it is."""
    if cramjam.snappy.decompress_raw_len(content) > most:
        raise DecompressionError(f"more than {MOST_BYTES} bytes")
    return bytes(cramjam.snappy.decompress_raw(content))


def _lz4(content: memoryview) -> bytes:
    return _room.unpacked(cramjam.lz4.decompress_into, content)


def _zstd(content: memoryview) -> bytes:
    return _room.unpacked(cramjam.zstd.decompress_into, content)


_CODECS: Final[dict[int, Callable[[memoryview], bytes]]] = {1: _gzip, 2: _snappy, 3: _lz4, 4: _zstd}
