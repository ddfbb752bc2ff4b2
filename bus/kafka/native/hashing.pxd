# cython: language_level=3
"""A hash of bytes, for tables in memory: fast, and with a seed that nobody outside can know."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline uint64_t eight(const uint8_t* p) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, p, 8)
    return word


cdef inline uint32_t hash_of(uint64_t seed, const uint8_t* key, int64_t size) noexcept nogil:
    """Eight bytes at a time, the last of which may be taken twice.

    Args:
        seed: random, so that nobody can send keys that all fall together.
        key, size: the bytes.
    """
    cdef uint64_t mix = 0x9E3779B97F4A7C15ULL
    cdef uint64_t h = seed ^ <uint64_t>size, word = 0
    cdef const uint8_t* end = key + size
    if size < 8:
        memcpy(&word, key, size)
    else:
        while end - key > 8:
            h = (h ^ eight(key)) * mix
            h ^= h >> 32
            key += 8
        word = eight(end - 8)
    h = (h ^ word) * mix
    h = (h ^ h >> 32) * mix  # so that the last bytes of a key, too, reach those bits that say its place
    return <uint32_t>(h >> 32)
