# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

ctypedef const uint8_t* Bytes

cdef struct Remembered:
    uint32_t hash
    uint32_t key_size
    uint32_t made_size
    uint8_t* content     # the key, then what was made of it; NULL in a place that is free


@cython.final
cdef class Memo:
    cdef Remembered* _places
    cdef int64_t _room, _count, _bytes

    cdef Bytes find(self, Bytes key, int64_t key_size, int64_t* made_size) noexcept nogil
    cdef int keep(self, Bytes key, int64_t key_size, Bytes made, int64_t made_size) except -1
    cdef int _grow(self) except -1
