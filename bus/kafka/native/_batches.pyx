# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Kafka's record batches (message format 2) without a Python object per record.

Source: Kafka's documentation, "Record Batch" and "Record": https://kafka.apache.org/documentation/#recordbatch.
"""

from collections.abc import Sequence
from typing import NamedTuple

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport _PyBytes_Resize, PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_CLEAR, Py_INCREF, Py_XDECREF, PyObject
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy

from bus.kafka.native.hashing cimport hash_of

import os

import google_crc32c

cdef enum:
    HEAD_BYTES = 61              # of a batch, before its records
    CHECKED_FROM = 21            # what the checksum is about begins here
    RECORD_BYTES = 7             # that a record has at least: six numbers and its attributes
    TRANSACTIONAL = 0x10         # in a batch's attributes
    MORE_IN_BATCH = 5            # bytes that a packed record, with four for its size, may have more there, at most
    MOST_RECORDS = 1 << 20       # of a batch that are taken: compressed, a million more cost its sender nothing

IS_CRC_COMPILED = google_crc32c.implementation == "c"  # else it reads bytes only
cdef uint64_t _SEED = int.from_bytes(os.urandom(8), "little")
cdef int64_t LAST_OFFSET = <int64_t>((<uint64_t>1 << 63) - (<uint64_t>1 << 32))  # and none in its batch is too large


class FetchedRecord(NamedTuple):
    """A record as it was fetched.

    Attributes:
        topic, partition, offset: where it is.
        key, value: None for a null.
        headers: names and values, in their order.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class DamagedBatchError(ValueError):
    """The bytes are not those of a record batch."""


class UnreadableBatchError(DamagedBatchError):
    """They are those that its writer sent, its checksum says; and they are no records."""


cdef inline uint32_t number_at(Bytes p) noexcept nogil:
    return <uint32_t>p[0] << 24 | <uint32_t>p[1] << 16 | <uint32_t>p[2] << 8 | p[3]


cdef inline int64_t long_at(Bytes p) noexcept nogil:
    return <int64_t>(<uint64_t>number_at(p) << 32 | number_at(p + 4))


cdef inline void put_number(uint8_t* p, uint64_t value, int size) noexcept nogil:
    """A number of so many bytes, the highest first."""
    cdef int i
    for i in range(size):
        p[i] = <uint8_t>(value >> 8 * (size - 1 - i))


@cython.final
cdef class _Window:
    """Bytes that somebody else has, for a call that only reads them: to cut them out would be to copy them."""

    cdef Bytes _begin
    cdef Py_ssize_t _size

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, <void*>self._begin, self._size, 1, flags)


cdef uint32_t checksum(Bytes begin, Py_ssize_t size) except? 0:
    """CRC-32C."""
    cdef _Window window = _Window.__new__(_Window)
    window._begin, window._size = begin, size
    return google_crc32c.value(window if IS_CRC_COMPILED else bytes(window))


def check_batch(const uint8_t[::1] batch not None):
    """See that bytes are a batch as it was written.

    Raises:
        DamagedBatchError: its checksum is wrong, or it is no batch.
    """
    cdef Bytes head
    if batch.shape[0] < HEAD_BYTES or batch[16] != 2:
        raise DamagedBatchError("it is no record batch of format 2")
    head = &batch[0]
    if checksum(head + CHECKED_FROM, batch.shape[0] - CHECKED_FROM) != number_at(head + 17):
        raise DamagedBatchError("its checksum is wrong")
    if not 0 <= long_at(head) <= LAST_OFFSET:
        raise DamagedBatchError("its offset, which the checksum is not about, is none")


@cython.final
cdef class Sieve:
    """Lets keys through that may be among others, and of the rest one in sixteen: the others' hashes, a bit for each.

    Args:
        count: of the others.
    """

    cdef uint8_t* _bits
    cdef uint32_t _mask

    def __cinit__(self, Py_ssize_t count):
        cdef Py_ssize_t room = 64
        while room < 16 * count:
            room *= 2
        self._mask = <uint32_t>(room - 1)
        self._bits = <uint8_t*>calloc(room // 8, 1)
        if self._bits == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._bits)

    cdef int take(self, keys) except -1:
        cdef uint32_t hash
        cdef bytes key
        for key in keys:
            if key is not None:
                hash = hash_of(_SEED, <Bytes>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)) & self._mask
                self._bits[hash >> 3] |= 1 << (hash & 7)
        return 0

    cdef bint holds(self, Bytes key, int64_t size) noexcept nogil:
        cdef uint32_t hash = hash_of(_SEED, key, size) & self._mask
        return self._bits[hash >> 3] >> (hash & 7) & 1


@cython.final
cdef class Records:
    """Records of one partition, in their order. A record becomes an object when somebody looks at it."""

    def __cinit__(self):
        self._entries = NULL
        self._is_owner = True

    def __dealloc__(self):
        if self._is_owner:
            free(self._entries)

    @staticmethod
    def of_batch(str topic, int partition, batch not None, int64_t first, decompress, *, bint is_checked=False):
        """The records of a batch, from an offset on.

        Args:
            topic, partition: where it was fetched from.
            batch: all of its bytes, or a memoryview of them, which nobody changes: they are not copied.
            first: records before this offset are left out.
            decompress: from a codec's number and bytes to bytes; may raise what it likes, and should when they are
                too many.
            is_checked: by `check_batch`.

        Raises:
            DamagedBatchError: its checksum is wrong, or it is no batch.
            UnreadableBatchError: its checksum is right, and its records are none, or too many.
        """
        cdef const uint8_t[::1] whole = batch
        cdef Bytes head
        cdef Bytes begin
        cdef Bytes end
        cdef int64_t count
        cdef Records made
        if not is_checked:
            check_batch(whole)
        head = &whole[0]
        begin, end = head + HEAD_BYTES, head + whole.shape[0]
        count = number_at(head + 57)
        if count > MOST_RECORDS:
            raise UnreadableBatchError(f"it has more than {MOST_RECORDS} records")
        codec = head[22] & 7
        if codec:
            content = bytes(decompress(codec, memoryview(batch)[HEAD_BYTES:]))
            begin = <Bytes>PyBytes_AS_STRING(content)
            end = begin + PyBytes_GET_SIZE(content)
        else:
            content = batch
        if count > (end - begin) // RECORD_BYTES:
            raise UnreadableBatchError("it has fewer bytes than its records need")
        made = Records.__new__(Records)
        made.topic, made.partition, made._memory = topic, partition, content
        made._entries = <Entry*>malloc(max(1, count) * sizeof(Entry))
        if made._entries == NULL:
            raise MemoryError
        made._count = lay_out(begin, end, head, count, first, made._entries)
        if made._count < 0:
            raise UnreadableBatchError("its records are damaged")
        return made

    @staticmethod
    def of(str topic, int partition, records):
        """Records that are there as objects already, with `offset`, `key`, `value` and `headers`."""
        cdef Packed packed = Packed(topic, partition)
        cdef Records made = Records.__new__(Records)
        cdef list offsets = []
        cdef Py_ssize_t i
        for record in records:
            packed.append(record.key, record.value, record.headers)
            offsets.append(record.offset)
        made._entries = <Entry*>malloc(max(1, packed.count) * sizeof(Entry))
        if made._entries == NULL:
            raise MemoryError
        made.topic, made.partition, made._memory, made._count = topic, partition, packed, packed.count
        packed.lay_out(made._entries)
        for i in range(packed.count):
            made._entries[i].offset = offsets[i]
        return made

    def __len__(self):
        return self._count

    def __getitem__(self, item):
        cdef Py_ssize_t start, stop, step, i
        cdef Records made
        if isinstance(item, slice):
            start, stop, step = item.indices(self._count)
            if step != 1:
                raise ValueError("records are taken one after the other")
            made = Records.__new__(Records)
            made.topic, made.partition, made._memory = self.topic, self.partition, self
            made._entries, made._is_owner, made._count = self._entries + start, False, max(0, stop - start)
            return made
        i = item
        if i < 0:
            i += self._count
        if not 0 <= i < self._count:
            raise IndexError(item)
        return self._made(&self._entries[i])

    def __iter__(self):
        cdef Py_ssize_t i
        for i in range(self._count):
            yield self._made(&self._entries[i])

    def keys(self):
        """Their keys; None for a null."""
        cdef Py_ssize_t i
        cdef list made = []
        for i in range(self._count):
            made.append(text_of(self._entries[i].key, self._entries[i].key_size))
        return made

    def places(self, known, others):
        """The places of those whose key is in one of two collections."""
        cdef Py_ssize_t i
        cdef list made = []
        cdef Entry* entry
        cdef Sieve sieve = None
        if len(known) + len(others) < self._count:  # else it costs more than it saves
            sieve = Sieve(len(known) + len(others))
            sieve.take(known)
            sieve.take(others)
        for i in range(self._count):
            entry = &self._entries[i]
            if sieve is not None and entry.key != NULL and not sieve.holds(entry.key, entry.key_size):
                continue
            key = text_of(entry.key, entry.key_size)
            if key in known or key in others:
                made.append(i)
        return made

    cdef Entry* _at(self, Py_ssize_t i) except NULL:
        if not 0 <= i < self._count:
            raise IndexError(i)
        return &self._entries[i]

    def key(self, Py_ssize_t i):
        """A record's key."""
        cdef Entry* entry = self._at(i)
        return text_of(entry.key, entry.key_size)

    def offset(self, Py_ssize_t i):
        """A record's offset."""
        return self._at(i).offset

    def frame(self, Py_ssize_t i):
        """The first five bytes of a record's value, or as many as there are."""
        cdef Entry* entry = self._at(i)
        return text_of(entry.value, min(5, entry.value_size)) or b""

    def copy_into(self, Py_ssize_t i, Packed packed not None, bytes headers not None, int count, int64_t most):
        """Add a record to others as it is, with more headers behind its own.

        False if it were too large so, or has a header whose name is no UTF-8, at which other clients fail.

        Args:
            i: its place.
            packed: the others.
            headers: see `header_bytes`.
            count: of these.
            most: bytes that it may have.
        """
        cdef Entry* entry = self._at(i)
        cdef Bytes own = entry.headers
        cdef int64_t size = PyBytes_GET_SIZE(headers), owned = 0
        cdef uint8_t* joined
        cdef uint8_t* out
        if entry.key_size + entry.value_size + (entry.end - own) + size > most or not have_names(own, entry.end):
            return False
        read_number(&own, entry.end, &owned)
        joined = <uint8_t*>malloc(10 + (entry.end - own) + size)
        if joined == NULL:
            raise MemoryError
        try:
            out = write_number(joined, owned + count)
            memcpy(out, own, entry.end - own)
            out += entry.end - own
            memcpy(out, PyBytes_AS_STRING(headers), size)
            packed.put(entry.key, entry.key_size, entry.value, entry.value_size, joined, out + size - joined)
        finally:
            free(joined)
        return True

    cdef _made(self, Entry* entry):
        return FetchedRecord(
            self.topic,
            self.partition,
            entry.offset,
            text_of(entry.key, entry.key_size),
            text_of(entry.value, entry.value_size),
            headers_of(entry.headers, entry.end),
        )


Sequence.register(Records)


cdef inline text_of(Bytes start, int64_t size):
    return None if start == NULL else PyBytes_FromStringAndSize(<const char*>start, size)


cdef tuple headers_of(Bytes p, Bytes end):
    """Headers that `lay_out` has been over, so that they are whole."""
    cdef int64_t count = 0, size = 0
    cdef list made = []
    read_number(&p, end, &count)
    while count > 0:
        read_number(&p, end, &size)
        name = PyBytes_FromStringAndSize(<const char*>p, size).decode("utf-8", "replace")
        p += size
        read_number(&p, end, &size)
        if size < 0:
            made.append((name, None))
        else:
            made.append((name, PyBytes_FromStringAndSize(<const char*>p, size)))
            p += size
        count -= 1
    return tuple(made)


cdef bint have_names(Bytes p, Bytes end) except -1:
    """Whether the names of headers are UTF-8, likewise."""
    cdef int64_t count = 0, size = 0, i
    read_number(&p, end, &count)
    while count > 0:
        read_number(&p, end, &size)
        for i in range(size):
            if p[i] > 127:
                try:
                    PyBytes_FromStringAndSize(<const char*>p, size).decode()
                except UnicodeDecodeError:
                    return False
                break
        p += size
        read_number(&p, end, &size)
        p += max(size, 0)
        count -= 1
    return True


cdef bytes header_of(Bytes p, Bytes end, bytes name):
    """The value of the last header of a name that a record has, likewise; None if there is none."""
    cdef int64_t count = 0, size = 0
    cdef bint is_it
    cdef bytes found = None
    read_number(&p, end, &count)
    while count > 0:
        read_number(&p, end, &size)
        is_it = size == PyBytes_GET_SIZE(name) and memcmp(p, PyBytes_AS_STRING(name), size) == 0
        p += size
        read_number(&p, end, &size)
        if is_it:
            found = None if size < 0 else PyBytes_FromStringAndSize(<const char*>p, size)
        p += max(size, 0)
        count -= 1
    return found


cdef bint read_bytes(Bytes* place, Bytes end, Bytes* found, int64_t* size) noexcept nogil:
    """Bytes with their number before them; -1 of them are a null."""
    if not read_number(place, end, size) or size[0] < -1 or size[0] > end - place[0]:
        return False
    if size[0] < 0:
        found[0] = NULL
        size[0] = 0
    else:
        found[0] = place[0]
        place[0] += size[0]
    return True


cdef bint read_content(Bytes* place, Bytes end, Entry* entry) noexcept nogil:
    """Key, value and headers of a record, which must be all that there is up to the end."""
    cdef int64_t count, size
    cdef Bytes part
    if not read_bytes(place, end, &entry.key, &entry.key_size):
        return False
    if not read_bytes(place, end, &entry.value, &entry.value_size):
        return False
    entry.headers, entry.end = place[0], end
    if not read_number(place, end, &count) or count < 0 or count > end - place[0]:
        return False
    while count > 0:
        if not read_bytes(place, end, &part, &size) or part == NULL or not read_bytes(place, end, &part, &size):
            return False
        count -= 1
    return place[0] == end


cdef Py_ssize_t lay_out(Bytes p, Bytes end, Bytes head, int64_t count, int64_t first, Entry* entries) noexcept nogil:
    """Find the records of a batch, from an offset on; how many there are, or -1 if they are damaged."""
    cdef int64_t base = long_at(head), size, delta, step, last = number_at(head + 23), before = -1
    cdef Py_ssize_t found = 0
    cdef Bytes stop
    while count > 0:
        if not read_number(&p, end, &size) or size < 1 or size > end - p:
            return -1
        stop = p + size
        p += 1
        if not read_number(&p, stop, &delta) or not read_number(&p, stop, &step) or not before < step <= last:
            return -1
        if not read_content(&p, stop, &entries[found]):
            return -1
        before = step
        if base + step >= first:
            entries[found].offset = base + step
            found += 1
        count -= 1
    return found if p == end else -1


def header_bytes(headers):
    """Headers (names and values) as they stand in a record, behind their number."""
    cdef bytearray told = bytearray()
    cdef uint8_t[10] number
    for name, content in headers:
        for part in (name.encode(), content):
            told += number[: write_number(number, -1 if part is None else len(part)) - number]
            told += part or b""
    return bytes(told)


cdef class Room:
    """Bytes that are still to be written, by whoever takes their buffer; `bytes` of it are the same, not a copy.

    Nobody writes to it once its bytes were taken.

    Args:
        size: how many.
    """

    cdef bytes _content

    def __cinit__(self, Py_ssize_t size):
        self._content = PyBytes_FromStringAndSize(NULL, size)

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, PyBytes_AS_STRING(self._content), PyBytes_GET_SIZE(self._content), 0, flags)

    def __bytes__(self):
        return self._content


@cython.final
cdef class Packed:
    """Records to be sent to one partition, ready but for their places in a batch.

    Each stands as its size in four bytes, and then as in a batch, from its key on.

    Args:
        topic, partition: where they go.
    """

    def __cinit__(self, str topic, int partition):
        self.topic, self.partition = topic, partition
        self._room = 1024
        self._bytes = <uint8_t*>malloc(self._room)
        if self._bytes == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._bytes)

    def __len__(self):
        return self.count

    @property
    def size(self):
        """Bytes that they take."""
        return self._used

    def release(self):
        """Let go of the bytes: they are in a batch now. How many records there were is still known."""
        free(self._bytes)
        self._bytes = NULL
        self._used = self._room = 0

    def append(self, bytes key, bytes value, headers):
        """Add a record: its key and its value, or None, and its headers: names and values."""
        cdef uint8_t[10] number
        cdef bytes held = number[: write_number(number, len(headers)) - number]
        held += header_bytes(headers)
        self.put(
            <Bytes>NULL if key is None else <Bytes>PyBytes_AS_STRING(key),
            0 if key is None else PyBytes_GET_SIZE(key),
            <Bytes>NULL if value is None else <Bytes>PyBytes_AS_STRING(value),
            0 if value is None else PyBytes_GET_SIZE(value),
            <Bytes>PyBytes_AS_STRING(held),
            PyBytes_GET_SIZE(held),
        )

    cdef int put(
        self, Bytes key, int64_t key_size, Bytes value, int64_t value_size, Bytes headers, int64_t headers_size
    ) except -1:
        cdef int64_t most = 4 + 20 + key_size + value_size + headers_size
        cdef int64_t room = self._room
        cdef uint8_t* out
        cdef uint32_t size
        if self._bytes == NULL:
            raise ValueError("they are in a batch already")
        if self._used + most > room:
            while self._used + most > room:
                room *= 2
            out = <uint8_t*>realloc(self._bytes, room)
            if out == NULL:
                raise MemoryError
            self._bytes, self._room = out, room
        out = self._bytes + self._used + 4
        out = write_bytes(write_bytes(out, key, key_size), value, value_size)
        memcpy(out, headers, headers_size)
        out += headers_size
        size = <uint32_t>(out - self._bytes - self._used - 4)
        memcpy(self._bytes + self._used, &size, 4)
        self._used = out - self._bytes
        self.count += 1
        return 0

    def header_values(self, bytes name not None):
        """How often each value of a header stands in the records; the last of those that a record has.

        Raises:
            ValueError: the records are in a batch already.
        """
        cdef Entry* entries
        cdef Py_ssize_t i
        cdef dict found = {}
        if self._bytes == NULL and self.count:
            raise ValueError("they are in a batch already")
        entries = <Entry*>malloc(max(1, self.count) * sizeof(Entry))
        if entries == NULL:
            raise MemoryError
        try:
            self.lay_out(entries)
            for i in range(self.count):
                value = header_of(entries[i].headers, entries[i].end, name)
                if value is not None:
                    found[value] = found.get(value, 0) + 1
        finally:
            free(entries)
        return found

    cdef lay_out(self, Entry* entries):
        """Its records, whose bytes stay its own."""
        cdef Bytes p = self._bytes
        cdef Bytes stop
        cdef uint32_t size
        cdef Py_ssize_t i
        for i in range(self.count):
            memcpy(&size, p, 4)
            p += 4
            stop = p + size
            read_content(&p, stop, &entries[i])

    def __iter__(self):
        """Each record's key, value and headers."""
        cdef Entry entry
        cdef Bytes p
        cdef uint32_t size
        cdef Py_ssize_t i
        cdef int64_t place = 0
        for i in range(self.count):
            if self._bytes == NULL:
                raise ValueError("they are in a batch already")
            p = self._bytes + place
            memcpy(&size, p, 4)
            place += 4 + size
            p += 4
            read_content(&p, self._bytes + place, &entry)
            yield (
                text_of(entry.key, entry.key_size),
                text_of(entry.value, entry.value_size),
                list(headers_of(entry.headers, entry.end)),
            )


@cython.final
cdef class Packing:
    """Records to be sent to one topic, by partition.

    Args:
        topic, partitions: where they go.
    """

    def __cinit__(self, str topic, int partitions):
        self.topic = topic
        self._parts = [None] * partitions

    def add(self, int partition, bytes key, bytes value, headers):
        """Add a record; see `Packed.append`."""
        self._part(partition).append(key, value, headers)

    cdef int put(
        self, int partition, Bytes key, int64_t key_size, Bytes value, int64_t value_size, Bytes headers, int64_t size
    ) except -1:
        return self._part(partition).put(key, key_size, value, value_size, headers, size)

    cdef Packed _part(self, int partition):
        if not 0 <= partition < len(self._parts):
            raise IndexError(partition)
        part = self._parts[partition]
        if part is None:
            part = self._parts[partition] = Packed(self.topic, partition)
        return part

    def packed(self):
        """What was added, by partition."""
        return [part for part in self._parts if part is not None]


cdef inline uint8_t* write_bytes(uint8_t* out, Bytes content, int64_t size) noexcept nogil:
    if content == NULL:
        return write_number(out, -1)
    out = write_number(out, size)
    memcpy(out, content, size)
    return out + size


@cython.final
cdef class BatchBuilder:
    """A record batch that is made of records as they are; for `AIOKafkaProducer.send_batch`.

    Args:
        max_bytes: that it takes, unless its first record is larger.
        timestamp: of its records, milliseconds since 1970.
        is_transactional: whether it belongs to a transaction.
        codec: number of its compression; 0 for none.
        compress: from a codec's number and bytes to bytes.
    """

    cdef PyObject* _content          # bytes that are still being written, and nobody else has
    cdef uint8_t* _bytes             # of it
    cdef int64_t _used, _room, _max_bytes, _timestamp
    cdef Py_ssize_t _count
    cdef int _attributes
    cdef int64_t _producer, _epoch, _sequence
    cdef object _compress, _built

    def __cinit__(self, int64_t max_bytes, int64_t timestamp, bint is_transactional, int codec=0, compress=None):
        self._max_bytes, self._timestamp = max_bytes, timestamp
        self._attributes = codec | (TRANSACTIONAL if is_transactional else 0)
        self._producer = self._epoch = self._sequence = -1
        self._compress = compress
        self._used = HEAD_BYTES
        self._resize(HEAD_BYTES)

    def __dealloc__(self):
        Py_XDECREF(self._content)

    def extend(self, Packed packed not None, int64_t place=0):
        """Take in records, from a place among their bytes on; the place up to which they were taken.

        Raises:
            ValueError: the batch was sent, or no record begins at that place.
        """
        cdef uint32_t size
        cdef int64_t whole, more
        cdef uint8_t* out
        if self._bytes == NULL:
            raise ValueError("the batch was sent")
        if packed._bytes == NULL:
            raise ValueError("they are in a batch already")
        while place != packed._used:
            if not 0 <= place <= packed._used - 4:
                raise ValueError(place)
            memcpy(&size, packed._bytes + place, 4)
            if size > packed._used - place - 4:
                raise ValueError(place)
            whole = 2 + number_size(self._count) + size
            more = number_size(whole) + whole
            if self._count and self._used + more > self._max_bytes:
                break
            self._reserve(more)
            out = write_number(self._bytes + self._used, whole)
            out[0], out[1] = 0, 0  # no attributes; no time after the batch's
            out = write_number(out + 2, self._count)
            memcpy(out, packed._bytes + place + 4, size)
            self._used = out + size - self._bytes
            self._count += 1
            place += 4 + size
        return place

    def make_room(self, list parts not None, int64_t place=0):
        """Make room at once for as many records as it will take of these, the first part's from a place on.

        What grows bit by bit is copied each time, and leaves holes behind it.

        Raises:
            ValueError: the batch was sent.
        """
        cdef Packed part
        cdef int64_t room = self._used - place
        if self._bytes == NULL:
            raise ValueError("the batch was sent")
        for part in parts:
            room += part._used + MORE_IN_BATCH * part.count
        self._reserve(min(room, self._max_bytes) - self._used)

    cdef int _reserve(self, int64_t more) except -1:
        if self._used + more > self._room:
            self._resize(self._used + max(more, self._room // 8))
        return 0

    cdef int _resize(self, int64_t room) except -1:
        """Make room for so many bytes; those that were written stay."""
        cdef bytes content
        self._bytes = NULL                                       # should there be no memory
        if self._content == NULL:
            content = PyBytes_FromStringAndSize(NULL, room)
            Py_INCREF(content)
            self._content = <PyObject*>content
        else:
            _PyBytes_Resize(&self._content, room)
        self._bytes, self._room = <uint8_t*>PyBytes_AS_STRING(<bytes>self._content), room
        return 0

    @property
    def room(self):
        """Bytes that it has room for, those that there are included."""
        return self._room

    def record_count(self):
        """How many records there are."""
        return self._count

    def size(self):
        """Bytes so far."""
        return self._used

    def closed(self):
        """Nobody else adds to it: aiokafka need not wait for more."""
        return True

    def close(self):
        """It is closed."""

    def _set_producer_state(self, producer_id, producer_epoch, base_sequence):
        self._producer, self._epoch, self._sequence = producer_id, producer_epoch, base_sequence

    def _build(self):
        """All of its bytes, the same each time."""
        if self._built is None:
            self._built = self._made()
        return self._built

    cdef bytes _made(self):
        cdef bytes made = None
        cdef uint8_t* head
        if self._attributes & 7:
            made = self._compressed()
        if made is None:
            self._resize(self._used)
            made = <bytes>self._content
        Py_CLEAR(self._content)
        self._bytes = NULL
        head = <uint8_t*>PyBytes_AS_STRING(made)
        put_number(head, 0, 8)                                   # base offset: the broker's
        put_number(head + 8, PyBytes_GET_SIZE(made) - 12, 4)     # length of what follows
        put_number(head + 12, <uint64_t>-1, 4)                   # leader's epoch: the broker's
        head[16] = 2                                             # format
        put_number(head + 21, self._attributes, 2)
        put_number(head + 23, self._count - 1, 4)                # last offset's delta
        put_number(head + 27, self._timestamp, 8)                # first
        put_number(head + 35, self._timestamp, 8)                # and largest
        put_number(head + 43, self._producer, 8)
        put_number(head + 51, self._epoch, 2)
        put_number(head + 53, self._sequence, 4)
        put_number(head + 57, self._count, 4)
        put_number(head + 17, checksum(head + CHECKED_FROM, PyBytes_GET_SIZE(made) - CHECKED_FROM), 4)
        return made

    cdef bytes _compressed(self):
        """The batch with its records compressed; None if that were larger than the broker need take."""
        cdef bytes records = self._bytes[HEAD_BYTES : self._used]
        compressed = self._compress(self._attributes & 7, records)
        if len(compressed) < len(records):
            return self._bytes[:HEAD_BYTES] + compressed
        self._attributes &= ~7
        return None
