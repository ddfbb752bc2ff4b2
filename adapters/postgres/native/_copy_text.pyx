# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Reads rows of PostgreSQL's COPY in text form into the buffers of Arrow columns.

It reads the texts that the server writes for ordinary values, and no others: a row with any other (`infinity`, a year
before 1 or beyond 9999, `NaN` in a decimal) is null as a whole, and its reader in Python says what it is. Source:
PostgreSQL documentation, "COPY", File Formats, Text Format; Arrow columnar format 1.5.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memchr, memcpy

cdef extern from "Python.h":
    double PyOS_string_to_double(const char*, char**, PyObject*) except? -1.0

cdef extern from *:
    ctypedef int int128 "__int128"

cdef enum Kind:
    TEXT, IDENTIFIER, OCTETS, BOOLEAN, NUMBER, REAL, DATE, TIME, MOMENT, LOCAL_MOMENT, DECIMAL

_KINDS = {
    "text": TEXT, "uuid": IDENTIFIER, "bytes": OCTETS, "boolean": BOOLEAN, "number": NUMBER, "real": REAL,
    "date": DATE, "time": TIME, "moment": MOMENT, "local moment": LOCAL_MOMENT, "decimal": DECIMAL,
}

cdef int64_t DAY_MICROS = 86_400_000_000
cdef int64_t MOST_TEXT = 0x7FFFFFFF  # what 32 bits can point to
cdef int LONGEST_REAL = 40
cdef int MOST_DIGITS = 38

cdef struct Column:
    int kind, scale
    uint8_t* valid       # a bit a row
    uint8_t* fixed       # values, or where texts begin and end
    uint8_t* octets      # of texts
    int64_t used, room


cdef class Rows:
    """The buffers of so many rows."""

    cdef Column* _columns
    cdef uint8_t* _valid
    cdef Py_ssize_t _width, _count

    def __cinit__(self, kinds, Py_ssize_t count):
        cdef Py_ssize_t i
        cdef Column* column
        self._width, self._count = len(kinds), count
        self._columns = <Column*>calloc(self._width + 1, sizeof(Column))
        self._valid = <uint8_t*>calloc((count + 7) // 8 + 1, 1)
        if self._columns == NULL or self._valid == NULL:
            raise MemoryError
        for i in range(self._width):
            column = &self._columns[i]
            column.kind, column.scale = _KINDS[kinds[i][0]], kinds[i][1]
            column.valid = <uint8_t*>calloc((count + 7) // 8 + 1, 1)
            column.fixed = <uint8_t*>calloc(count + 1, 16 if column.kind == DECIMAL else 8)
            if column.valid == NULL or column.fixed == NULL:
                raise MemoryError

    def __dealloc__(self):
        cdef Py_ssize_t i
        if self._columns != NULL:
            for i in range(self._width):
                free(self._columns[i].valid)
                free(self._columns[i].fixed)
                free(self._columns[i].octets)
        free(self._columns)
        free(self._valid)

    cdef int read(self, Py_ssize_t row, const uint8_t* at, Py_ssize_t size) except -1:
        """Take a row in; what is not read stays null."""
        cdef const uint8_t* end = at + size - 1  # the line's end
        cdef const uint8_t* next_one
        cdef Py_ssize_t i
        cdef bint is_read = size > 0 and end[0] == 10
        for i in range(self._width):
            if is_read:
                next_one = <const uint8_t*>memchr(at, 9, end - at)
                if next_one == NULL:
                    next_one = end
                is_read = (next_one == end) == (i == self._width - 1)
                if is_read:
                    is_read = self._read_value(&self._columns[i], row, at, next_one)
                at = next_one + 1
            self._end_text(&self._columns[i], row)
        if is_read:
            self._valid[row >> 3] |= 1 << (row & 7)
        return 0

    cdef void _end_text(self, Column* column, Py_ssize_t row) noexcept:
        if column.kind <= OCTETS:
            (<int32_t*>column.fixed)[row + 1] = <int32_t>column.used

    cdef bint _read_value(self, Column* column, Py_ssize_t row, const uint8_t* at, const uint8_t* end) except -1:
        """Take a value in; False: it is not for us."""
        cdef int64_t number = 0
        cdef bint is_read
        if end - at == 2 and at[0] == 92 and at[1] == 78:  # \N
            return True
        if column.kind <= OCTETS:
            is_read = self._read_octets(column, at, end)
        elif column.kind == DECIMAL:
            is_read = read_decimal(at, end, column.scale, <uint8_t*>column.fixed + 16 * row)
        elif column.kind == REAL:
            is_read = read_real(at, end, <double*>column.fixed + row)
        elif column.kind == BOOLEAN:
            is_read = end - at == 1 and (at[0] == 116 or at[0] == 102)
            if is_read and at[0] == 116:
                column.fixed[row >> 3] |= 1 << (row & 7)
        else:
            is_read = read_number(column.kind, at, end, &number)
            if column.kind == DATE:
                (<int32_t*>column.fixed)[row] = <int32_t>number
            else:
                (<int64_t*>column.fixed)[row] = number
        if is_read:
            column.valid[row >> 3] |= 1 << (row & 7)
        return is_read

    cdef bint _read_octets(self, Column* column, const uint8_t* at, const uint8_t* end) except -1:
        """A text, with what is escaped in it as it was; a uuid as the server writes it; bytes in hexadecimal form."""
        cdef uint8_t* out
        cdef int64_t size = end - at, room = column.room or 1024
        cdef uint8_t c
        if column.used + size > MOST_TEXT:
            return False
        while room < column.used + size:
            room *= 2
        if room > column.room:
            out = <uint8_t*>realloc(column.octets, room)
            if out == NULL:
                raise MemoryError
            column.octets, column.room = out, room
        out = column.octets + column.used
        if column.kind == IDENTIFIER:
            if not is_uuid(at, size):
                return False
            memcpy(out, at, size)
        elif column.kind == OCTETS:
            size = read_hexadecimal(at, end, out)
            if size < 0:
                return False
        elif size and memchr(at, 92, size) != NULL:
            size = 0
            while at < end:
                c = at[0]
                at += 1
                if c == 92 and at < end:
                    c = unescaped(at[0])
                    if c == 0:
                        return False
                    at += 1
                out[size] = c
                size += 1
        else:
            memcpy(out, at, size)
        column.used += size
        return True

    cdef tuple taken(self):
        """What was read: validity of the rows, then the buffers of each column."""
        return self._bits(self._valid), [self._buffers(&self._columns[i]) for i in range(self._width)]

    cdef bytes _bits(self, const uint8_t* bits):
        return PyBytes_FromStringAndSize(<const char*>bits, (self._count + 7) // 8)

    cdef list _buffers(self, Column* column):
        cdef int64_t size
        if column.kind == BOOLEAN:
            return [self._bits(column.valid), self._bits(column.fixed)]
        if column.kind <= OCTETS:
            size = 4 * (self._count + 1)
        else:
            size = self._count * (4 if column.kind == DATE else 16 if column.kind == DECIMAL else 8)
        fixed = PyBytes_FromStringAndSize(<const char*>column.fixed, size)
        if column.kind <= OCTETS:
            return [self._bits(column.valid), fixed, PyBytes_FromStringAndSize(<const char*>column.octets, column.used)]
        return [self._bits(column.valid), fixed]


cdef uint8_t unescaped(uint8_t letter) noexcept nogil:
    """What stands behind a backslash; 0 for what the server does not write."""
    if letter == 92:
        return 92
    if letter == 98:
        return 8
    if letter == 102:
        return 12
    if letter == 110:
        return 10
    if letter == 114:
        return 13
    if letter == 116:
        return 9
    return 11 if letter == 118 else 0


cdef bint is_uuid(const uint8_t* at, int64_t size) noexcept nogil:
    cdef int64_t i
    if size != 36:
        return False
    for i in range(36):
        if i == 8 or i == 13 or i == 18 or i == 23:
            if at[i] != 45:
                return False
        elif not (48 <= at[i] <= 57 or 97 <= at[i] <= 102):
            return False
    return True


cdef int nibble(uint8_t c) noexcept nogil:
    if 48 <= c <= 57:
        return c - 48
    return c - 87 if 97 <= c <= 102 else -1


cdef int64_t read_hexadecimal(const uint8_t* at, const uint8_t* end, uint8_t* out) noexcept nogil:
    r"""What stands as `\\x` and two digits a byte; how many bytes, or -1."""
    cdef int64_t size = 0
    if end - at < 3 or at[0] != 92 or at[1] != 92 or at[2] != 120 or (end - at) % 2 == 0:
        return -1
    at += 3
    while at < end:
        if nibble(at[0]) < 0 or nibble(at[1]) < 0:
            return -1
        out[size] = <uint8_t>(nibble(at[0]) << 4 | nibble(at[1]))
        size += 1
        at += 2
    return size


cdef bint read_whole(const uint8_t* at, const uint8_t* end, int64_t* number) noexcept nogil:
    """A number of eighteen digits at most, with its sign; longer ones are rare, and left alone."""
    cdef bint is_negative = at < end and at[0] == 45
    cdef int64_t found = 0
    at += is_negative
    if not 1 <= end - at <= 18:
        return False
    while at < end:
        if not 48 <= at[0] <= 57:
            return False
        found = 10 * found + at[0] - 48
        at += 1
    number[0] = -found if is_negative else found
    return True


cdef int two_digits(const uint8_t* at) noexcept nogil:
    """A number of two digits; -1 if there are none."""
    if not (48 <= at[0] <= 57 and 48 <= at[1] <= 57):
        return -1
    return 10 * (at[0] - 48) + at[1] - 48


cdef int days_of(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef bint read_date(const uint8_t* at, const uint8_t* end, int64_t* days) noexcept nogil:
    """Days since 1970 of `YYYY-MM-DD`."""
    cdef int century, year, month, day
    cdef int64_t era, shifted, of_era
    if end - at != 10 or at[4] != 45 or at[7] != 45:
        return False
    century, year, month, day = two_digits(at), two_digits(at + 2), two_digits(at + 5), two_digits(at + 8)
    if century < 0 or year < 0 or not 1 <= month <= 12:
        return False
    year += 100 * century
    if year < 1 or not 1 <= day <= days_of(year, month):
        return False
    # Years that begin in March have their odd day at the end; 400 of them are always as long.
    shifted = year - (1 if month <= 2 else 0)
    era = shifted // 400
    of_era = shifted - 400 * era
    days[0] = (
        146_097 * era + 365 * of_era + of_era // 4 - of_era // 100
        + (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1 - 719_468
    )
    return True


cdef bint read_time(const uint8_t* at, const uint8_t* end, int64_t* micros) noexcept nogil:
    """Microseconds since midnight of `HH:MM:SS`, with or without a fraction."""
    cdef int hours, minutes, seconds, digits = 0
    cdef int64_t fraction = 0
    if end - at < 8 or at[2] != 58 or at[5] != 58:
        return False
    hours, minutes, seconds = two_digits(at), two_digits(at + 3), two_digits(at + 6)
    if not 0 <= hours <= 23 or not 0 <= minutes <= 59 or not 0 <= seconds <= 59:
        return False
    at += 8
    if at < end:
        if at[0] != 46 or not 2 <= end - at <= 7:
            return False
        at += 1
        while at < end:
            if not 48 <= at[0] <= 57:
                return False
            fraction = 10 * fraction + at[0] - 48
            digits += 1
            at += 1
        while digits < 6:
            fraction *= 10
            digits += 1
    micros[0] = ((hours * 60 + minutes) * 60 + seconds) * <int64_t>1_000_000 + fraction
    return True


cdef bint read_number(int kind, const uint8_t* at, const uint8_t* end, int64_t* number) noexcept nogil:
    cdef int64_t days, micros
    if kind == NUMBER:
        return read_whole(at, end, number)
    if kind == DATE:
        return read_date(at, end, number)
    if kind == TIME:
        return read_time(at, end, number)
    if kind == MOMENT:  # the session's zone is UTC
        end -= 3
        if end - at < 0 or end[0] != 43 or end[1] != 48 or end[2] != 48:
            return False
    if end - at < 12 or at[10] != 32 or not read_date(at, at + 10, &days) or not read_time(at + 11, end, &micros):
        return False
    number[0] = days * DAY_MICROS + micros
    return True


cdef bint read_real(const uint8_t* at, const uint8_t* end, double* number) except -1:
    """As Python reads it."""
    cdef char[64] text
    cdef char* stopped = NULL
    cdef Py_ssize_t size = end - at
    if not 0 < size <= LONGEST_REAL:
        return False
    memcpy(text, at, size)
    text[size] = 0
    try:
        number[0] = PyOS_string_to_double(text, &stopped, NULL)
    except ValueError:
        return False
    return stopped == <char*>text + size


cdef bint read_decimal(const uint8_t* at, const uint8_t* end, int scale, uint8_t* out) noexcept nogil:
    """A decimal with just as many digits behind its point as its type has, as 128 bits, the lowest byte first."""
    cdef bint is_negative = at < end and at[0] == 45
    cdef int128 found = 0
    cdef int digits = 0, behind = -1
    at += is_negative
    while at < end:
        if at[0] == 46 and behind < 0 and digits:
            behind = 0
        elif 48 <= at[0] <= 57 and digits < MOST_DIGITS:
            found = 10 * found + (at[0] - 48)
            digits += 1
            behind += behind >= 0
        else:
            return False
        at += 1
    if not digits or (behind if behind >= 0 else 0) != scale or behind == 0:
        return False
    if is_negative:
        found = -found
    memcpy(out, &found, 16)
    return True


def buffers(kinds not None, messages not None):
    """The buffers of rows.

    Args:
        kinds: of the columns: text, uuid, bytes, boolean, number, real, date, time, moment, local moment or decimal;
            and the scale of a decimal.
        messages: a row each, as COPY sends it.

    Returns:
        A bit for each row that was read, then a list for each column: a bit for each value that is not null, the
        values (for texts and bytes where they begin and end, in 32 bits), and for texts and bytes all of them. Numbers
        and moments (microseconds since 1970) have 64 bits, dates (days since 1970) 32, decimals 128, booleans one.
    """
    cdef Rows rows = Rows(kinds, len(messages))
    cdef Py_buffer view
    cdef Py_ssize_t row = 0
    for message in messages:
        PyObject_GetBuffer(message, &view, PyBUF_SIMPLE)
        try:
            rows.read(row, <const uint8_t*>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        row += 1
    return rows.taken()
