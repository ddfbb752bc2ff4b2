"""A compressed batch is unpacked into a bounded amount of memory, or refused."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cramjam
import pytest
from aiokafka import codec

from bus.kafka.decompression import MOST_BYTES, DecompressionError, decompressed

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
COMPRESS: dict[int, Any] = {
    GZIP: codec.gzip_encode,
    SNAPPY: codec.snappy_encode,
    LZ4: codec.lz4_encode,
    ZSTD: codec.zstd_encode,
}


def _unpacked(number: int, content: bytes) -> bytes:
    return decompressed(number, memoryview(content))


@pytest.mark.parametrize("number", sorted(COMPRESS))
@pytest.mark.parametrize("size", [0, 1, 100, 40_000, 5_000_000, MOST_BYTES])
def test_what_was_packed_is_unpacked(number: int, size: int) -> None:
    content = (os.urandom(1000) * (size // 1000 + 1))[:size]
    assert _unpacked(number, COMPRESS[number](content)) == content


def test_snappy_without_blocks_and_gzip_in_parts_are_read_too() -> None:
    """librdkafka sends the one; a gzip file may be of several put together."""
    assert _unpacked(SNAPPY, bytes(cramjam.snappy.compress_raw(b"one" * 9))) == b"one" * 9
    assert _unpacked(GZIP, gzip.compress(b"one") + gzip.compress(b"two")) == b"onetwo"


@pytest.mark.parametrize("number", sorted(COMPRESS))
def test_a_byte_more_than_the_limit_is_too_many(number: int) -> None:
    with pytest.raises(DecompressionError, match=str(MOST_BYTES)):
        _unpacked(number, COMPRESS[number](bytes(MOST_BYTES + 1)))


@pytest.mark.parametrize("number", sorted(COMPRESS))
def test_what_is_cut_off_is_refused(number: int) -> None:
    content = COMPRESS[number](os.urandom(100_000))
    for size in (1, 10, 17, 1000, len(content) - 1):
        if number == SNAPPY and size == 17:
            continue  # its first block is said to be of no bytes, with nothing behind it
        with pytest.raises(DecompressionError):
            _unpacked(number, content[:size])


def test_a_codec_that_is_none_is_refused() -> None:
    for number in (0, 5, 6, 7):
        with pytest.raises(DecompressionError, match="no codec"):
            _unpacked(number, b"")


@pytest.mark.timeout(20)
def test_a_snappy_block_of_a_negative_size_is_no_loop_without_end() -> None:
    """Read as signed, it leads back to itself."""
    head = codec.snappy_encode(b"")
    for size in (b"\xff\xff\xff\xfc", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\0"):
        with pytest.raises(DecompressionError):
            _unpacked(SNAPPY, head + size + b"more")


def test_a_size_that_snappy_only_claims_takes_no_memory() -> None:
    claimed = b"\xff\xff\xff\xff\x0f"  # 4 GiB
    with pytest.raises(DecompressionError):
        _unpacked(SNAPPY, claimed + b"more")
    with pytest.raises(DecompressionError):
        _unpacked(SNAPPY, codec.snappy_encode(b"") + len(claimed).to_bytes(4, "big") + claimed)


def test_threads_do_not_write_into_each_others_room() -> None:
    contents = [bytes([i]) * 3_000_000 for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for number in (LZ4, ZSTD):
            packed = [COMPRESS[number](content) for content in contents]
            assert list(pool.map(lambda each, n=number: _unpacked(n, each), packed * 4)) == contents * 4


BOMBS = f"""
import resource, sys, zlib
import cramjam
from bus.kafka.decompression import DecompressionError, decompressed
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
zeros = bytes(1 << 20)
def streamed(made):  # half a gigabyte of zeros
    for _ in range(512):
        made.compress(zeros)
    return bytes(made.finish())
zstd = streamed(cramjam.zstd.Compressor())
packer = zlib.compressobj(9, zlib.DEFLATED, 31)
gz = b"".join([*(packer.compress(zeros) for _ in range(512)), packer.flush()])
block = bytes(cramjam.snappy.compress_raw(zeros))
snappy = b"\\x82SNAPPY\\0\\0\\0\\0\\1\\0\\0\\0\\1" + (len(block).to_bytes(4, "big") + block) * 512
lz4 = streamed(cramjam.lz4.Compressor())
before = peak()
for number, bomb in ((1, gz), (2, snappy), (3, lz4), (4, zstd)):
    for _ in range(3):
        try:
            decompressed(number, memoryview(bomb))
        except DecompressionError:
            continue
        sys.exit(f"codec {{number}} is unpacked")
print(peak() - before)
sys.exit(peak() - before > 3 * {MOST_BYTES} >> 20)
"""


def test_a_bomb_is_refused_and_takes_no_memory_to_speak_of() -> None:
    """Half a gigabyte of zeros each, in a process of its own, whose peak is looked at."""
    run = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_gzip_that_only_begins_right_is_refused() -> None:
    with pytest.raises(DecompressionError):
        _unpacked(GZIP, zlib.compress(b"not gzip"))
