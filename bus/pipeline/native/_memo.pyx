# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What was made of bytes, to be found again by them, without an object for either."""

cimport cython
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy

from bus.kafka.native.hashing cimport hash_of

import os

cdef enum:
    MOST = 65_000            # contents remembered: all dates of 170 years; their places take 3 MB
    MOST_BYTES = 4_000_000   # of all keys and what was made of them, with what malloc adds to each
    OVERHEAD = 24            # of that, for a key and what was made of it
    LARGEST = 128            # bytes of a key, or of what was made; what is longer does not repeat

cdef uint64_t _SEED = int.from_bytes(os.urandom(8), "little")  # so that nobody can send keys that all fall together

@cython.final
cdef class Memo:
    """A hash table with open addressing, which forgets nothing, and takes in nothing any more when it is full: with 7 MB."""

    def __cinit__(self):
        self._room = 64
        self._places = <Remembered*>calloc(self._room, sizeof(Remembered))
        if self._places == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef int64_t i
        if self._places != NULL:
            for i in range(self._room):
                free(self._places[i].content)
            free(self._places)

    def __len__(self):
        return self._count

    cdef Bytes find(self, Bytes key, int64_t key_size, int64_t* made_size) noexcept nogil:
        """What was made of a key; NULL if that is not known."""
        cdef uint32_t hash
        cdef int64_t i
        cdef Remembered* place
        if key_size > LARGEST:
            return NULL
        hash = hash_of(_SEED, key, key_size)
        i = hash & (self._room - 1)
        while True:
            place = &self._places[i]
            if place.content == NULL:
                return NULL
            if place.hash == hash and place.key_size == key_size and memcmp(place.content, key, key_size) == 0:
                made_size[0] = place.made_size
                return place.content + key_size
            i = (i + 1) & (self._room - 1)

    cdef int keep(self, Bytes key, int64_t key_size, Bytes made, int64_t made_size) except -1:
        """Remember what was made of a key that is not known."""
        cdef uint32_t hash
        cdef uint8_t* content
        cdef int64_t i
        cdef int64_t size = key_size + made_size + OVERHEAD
        if self._count >= MOST or key_size > LARGEST or made_size > LARGEST or self._bytes + size > MOST_BYTES:
            return 0
        if 2 * (self._count + 1) > self._room:
            self._grow()
        content = <uint8_t*>malloc(key_size + made_size + 1)
        if content == NULL:
            raise MemoryError
        memcpy(content, key, key_size)
        memcpy(content + key_size, made, made_size)
        hash = hash_of(_SEED, key, key_size)
        i = hash & (self._room - 1)
        while self._places[i].content != NULL:
            i = (i + 1) & (self._room - 1)
        self._places[i] = Remembered(hash, <uint32_t>key_size, <uint32_t>made_size, content)
        self._count += 1
        self._bytes += size
        return 0

    cdef int _grow(self) except -1:
        cdef int64_t i, j, room = 2 * self._room
        cdef Remembered* places = <Remembered*>calloc(room, sizeof(Remembered))
        if places == NULL:
            raise MemoryError
        for i in range(self._room):
            if self._places[i].content != NULL:
                j = self._places[i].hash & (room - 1)
                while places[j].content != NULL:
                    j = (j + 1) & (room - 1)
                places[j] = self._places[i]
        free(self._places)
        self._places, self._room = places, room
        return 0
