# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What the compiled code shares: numbers as they are written, records fetched, records to be sent."""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

ctypedef const uint8_t* Bytes


cdef inline bint read_number(Bytes* place, Bytes end, int64_t* value) noexcept nogil:
    """A zig-zag number of up to ten bytes, as in Avro and in Kafka's records."""
    cdef Bytes p = place[0]
    cdef uint64_t found = 0
    cdef uint8_t byte
    cdef int shift = 0
    if p < end and p[0] < 0x80:  # as most are
        value[0] = (p[0] >> 1) ^ -<int64_t>(p[0] & 1)
        place[0] = p + 1
        return True
    while p < end:
        byte = p[0]
        p += 1
        if shift == 63 and byte > 1:
            return False
        found |= (<uint64_t>(byte & 0x7F)) << shift
        if byte < 0x80:
            value[0] = <int64_t>(found >> 1) ^ -<int64_t>(found & 1)
            place[0] = p
            return True
        shift += 7
        if shift > 63:
            return False
    return False


cdef inline uint8_t* write_number(uint8_t* out, int64_t value) noexcept nogil:
    cdef uint64_t left = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    while left > 0x7F:
        out[0] = <uint8_t>(left & 0x7F | 0x80)
        out += 1
        left >>= 7
    out[0] = <uint8_t>left
    return out + 1


cdef inline int number_size(int64_t value) noexcept nogil:
    """Bytes that `write_number` writes."""
    cdef uint64_t left = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    cdef int size = 1
    while left > 0x7F:
        left >>= 7
        size += 1
    return size


cdef struct Entry:       # a record that was fetched
    int64_t offset
    Bytes key            # NULL for a null
    int64_t key_size
    Bytes value          # NULL for a null
    int64_t value_size
    Bytes headers        # their number, then each
    Bytes end


@cython.final
cdef class Records:
    cdef object _memory  # what keeps the bytes alive
    cdef Entry* _entries
    cdef bint _is_owner
    cdef Py_ssize_t _count
    cdef readonly str topic
    cdef readonly int partition

    cdef Entry* _at(self, Py_ssize_t i) except NULL
    cdef _made(self, Entry* entry)


@cython.final
cdef class Packed:
    cdef readonly str topic
    cdef readonly int partition
    cdef readonly Py_ssize_t count
    cdef uint8_t* _bytes
    cdef int64_t _used, _room

    cdef int put(
        self, Bytes key, int64_t key_size, Bytes value, int64_t value_size, Bytes headers, int64_t headers_size
    ) except -1
    cdef lay_out(self, Entry* entries)


@cython.final
cdef class Packing:
    cdef readonly str topic
    cdef list _parts

    cdef Packed _part(self, int partition)
    cdef int put(
        self, int partition, Bytes key, int64_t key_size, Bytes value, int64_t value_size, Bytes headers, int64_t size
    ) except -1
