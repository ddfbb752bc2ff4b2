# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Writes rows in Python as Avro, and an adapter's changes as raw records.

It finishes a value, or gives it up (None): whatever does not fit its schema, or is of another type than the usual one,
goes to the reference (`bus.pipeline.codec`, `bus.pipeline.ingest`), which takes it or says what is wrong with it. So
only what it finishes must agree with the reference, byte for byte; tests/property holds the two against each other.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_CheckExact, PyDict_Size
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact, PyList_GET_SIZE
from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from bus.kafka.native._batches cimport write_number
from bus.pipeline.native._columns cimport (
    BITS,
    DATES,
    DECIMALS,
    FIRST_DAY,
    FLOAT32,
    FLOAT64,
    INT8,
    INT64,
    LARGE_OCTETS,
    LARGE_TEXTS,
    LAST_DAY,
    LOCAL_MOMENTS,
    MOMENTS,
    OCTETS,
    TEXTS,
    TIMES,
    Column,
    Columns,
    has_bit,
    is_null,
    octets_of,
    real_number,
    whole_number,
)
from bus.pipeline.native.avro cimport (
    DECIMAL_ROOM, int128, is_utf8, murmur2, write_decimal, write_digits, write_little, write_utf8,
)

from bus.pipeline.key_moves import key_of
from bus.pipeline.record import Output
from bus.spi import Change, ColumnChanges, Op, RowChanges
from bus.wire import MAX_RECORD_BYTES, SPEC_VERSION_HEADER, BadKeyError, encode_key, key_text

cdef extern from "Python.h":
    bint PyUnicode_CheckExact(object)
    bint PyUnicode_IS_ASCII(object)
    bint PyUnicode_IS_READY(object)
    int PyUnicode_KIND(object)
    void* PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    PyObject* PyDict_GetItemWithError(object, object) except? NULL
    int64_t PyLong_AsLongLongAndOverflow(object, int*) except? -1
    double PyLong_AsDouble(object) except? -1.0

_new = tuple.__new__
_Output, _Change, _RowChanges, _ColumnChanges = Output, Change, RowChanges, ColumnChanges
_CREATE, _UPDATE, _DELETE, _READ = Op.CREATE, Op.UPDATE, Op.DELETE, Op.READ
_SYMBOLS = {op.value: op for op in Op}
_SPEC_VERSION = SPEC_VERSION_HEADER

cdef int64_t MAX_BYTES = MAX_RECORD_BYTES

cdef enum Kind:
    NULL_KIND, BOOLEAN, INT, LONG, FLOAT, DOUBLE, STRING, BYTES, FIXED, ENUM, RECORD, ARRAY, MAP

cdef enum:
    ROOM = 4096            # of a buffer as it begins
    MOST_ROOM = 4_194_304  # what is kept of it after a large record

cdef enum Logical:
    PLAIN, DATE, TIME_MICROS, MOMENT_MICROS, LOCAL_MICROS, DECIMAL, UUID, OTHER_LOGICAL

_LOGICAL = {
    "date": DATE, "time-micros": TIME_MICROS, "timestamp-micros": MOMENT_MICROS,
    "local-timestamp-micros": LOCAL_MICROS, "decimal": DECIMAL, "uuid": UUID,
}

cdef int64_t DAY_MICROS = 86_400_000_000
cdef int MOST_DIGITS = 38  # of 128 bits

cdef int64_t FARTHEST = 1 << 62  # number of a row; there is room behind it

_KINDS = {
    "null": NULL_KIND, "boolean": BOOLEAN, "int": INT, "long": LONG, "float": FLOAT, "double": DOUBLE,
    "string": STRING, "bytes": BYTES, "fixed": FIXED, "enum": ENUM, "record": RECORD, "array": ARRAY, "map": MAP,
}


cdef int64_t utf8_size(object text) noexcept:
    """Bytes of a text that is not ASCII, in UTF-8."""
    cdef int64_t i, size = PyUnicode_GET_LENGTH(text), more = 0
    cdef int kind = PyUnicode_KIND(text)
    cdef const uint8_t* ones
    cdef const uint16_t* twos
    cdef const uint32_t* fours
    if kind == 1:
        ones = <const uint8_t*>PyUnicode_DATA(text)
        for i in range(size):
            more += ones[i] >> 7
    elif kind == 2:
        twos = <const uint16_t*>PyUnicode_DATA(text)
        for i in range(size):
            more += <int>(twos[i] >= 0x80) + <int>(twos[i] >= 0x800)
    else:
        fours = <const uint32_t*>PyUnicode_DATA(text)
        for i in range(size):
            more += <int>(fours[i] >= 0x80) + <int>(fours[i] >= 0x800) + <int>(fours[i] >= 0x10000)
    return size + more


cdef uint8_t* write_characters(uint8_t* out, object text) noexcept:
    """A text that is not ASCII, in UTF-8; NULL if a character of it has no such form."""
    cdef int64_t i, size = PyUnicode_GET_LENGTH(text)
    cdef int kind = PyUnicode_KIND(text)
    cdef const void* data = PyUnicode_DATA(text)
    cdef uint32_t c
    for i in range(size):
        if kind == 1:
            c = (<const uint8_t*>data)[i]
        elif kind == 2:
            c = (<const uint16_t*>data)[i]
        else:
            c = (<const uint32_t*>data)[i]
        if c < 0x80:
            out[0] = <uint8_t>c
            out += 1
        else:
            out = write_utf8(out, c)
            if out == NULL:
                return NULL
    return out


cdef class Form:
    """A `bus.pipeline.native.shapes.Shape`, laid out for this module."""

    cdef int kind, null_at, logical, precision, scale
    cdef int64_t size
    cdef tuple names, defaults, children
    cdef dict symbols
    cdef object convert, schema

    def __cinit__(self, shape):
        self.kind, self.null_at, self.size = _KINDS[shape.kind], shape.null_at, shape.size
        self.names, self.defaults = shape.names, shape.defaults
        self.children = tuple([Form(child) for child in shape.children])
        self.symbols = dict(shape.symbols)
        self.convert, self.schema = shape.convert, shape.schema
        self.logical = PLAIN if self.convert is None else _LOGICAL.get(self.schema["logicalType"], OTHER_LOGICAL)
        if self.logical == DECIMAL:
            self.precision, self.scale = self.schema["precision"], self.schema.get("scale", 0)
        expected = len(self.names) if self.kind == RECORD else self.kind in (ARRAY, MAP)
        if not len(self.children) == expected or len(self.names) != len(self.defaults):
            raise ValueError("not a shape")


cdef class Writer:
    """A buffer, and how values are written into it. One value at a time: `_is_busy` while there is one."""

    cdef uint8_t* _out
    cdef int64_t _room, _used
    cdef bint _is_busy

    def __cinit__(self, *_, **__):
        self._room = ROOM
        self._out = <uint8_t*>malloc(ROOM)
        if self._out == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._out)

    cdef bint _begin(self) noexcept:
        """Take the buffer; False if it is in use: by another thread, or by a value that made us write another one."""
        if self._is_busy:
            return False
        self._is_busy = True
        self._used = 0
        return True

    cdef void _end(self) noexcept:
        cdef uint8_t* smaller
        if self._room > MOST_ROOM:
            smaller = <uint8_t*>realloc(self._out, ROOM)
            if smaller != NULL:
                self._out, self._room = smaller, ROOM
        self._is_busy = False

    cdef int _reserve(self, int64_t more) except -1:
        cdef int64_t room = self._room
        cdef uint8_t* larger
        if self._used + more <= room:
            return 0
        while self._used + more > room:
            room *= 2
        larger = <uint8_t*>realloc(self._out, room)
        if larger == NULL:
            raise MemoryError
        self._out, self._room = larger, room
        return 0

    cdef bytes _taken(self, int64_t start):
        return PyBytes_FromStringAndSize(<const char*>self._out + start, self._used - start)

    cdef int _put(self, const void* data, int64_t size) except -1:
        self._reserve(size)
        if size > 0:  # a producer of columns may have none to point to
            memcpy(self._out + self._used, data, size)
        self._used += size
        return 0

    cdef int _put_byte(self, uint8_t byte) except -1:
        self._reserve(1)
        self._out[self._used] = byte
        self._used += 1
        return 0

    cdef int _put_number(self, int64_t value) except -1:
        self._reserve(10)
        self._used = write_number(self._out + self._used, value) - self._out
        return 0

    cdef bint _put_text(self, object value, bint with_size) except -1:
        """A text in UTF-8, behind its size if wanted."""
        cdef int64_t size
        cdef uint8_t* end
        cdef bint is_ascii
        if not PyUnicode_CheckExact(value) or not PyUnicode_IS_READY(value):
            return False
        is_ascii = PyUnicode_IS_ASCII(value)
        size = PyUnicode_GET_LENGTH(value) if is_ascii else utf8_size(value)
        self._reserve(size + 10)
        if with_size:
            self._used = write_number(self._out + self._used, size) - self._out
        if is_ascii:
            memcpy(self._out + self._used, PyUnicode_DATA(value), size)
        else:
            end = write_characters(self._out + self._used, value)
            if end == NULL:
                return False
        self._used += size
        return True

    cdef bint _write(self, Form form, object value) except -1:
        """A value in its schema's form; False gives it up."""
        if form.null_at >= 0:
            if value is None:
                self._put_byte(2 * form.null_at)
                return True
            self._put_byte(2 * (1 - form.null_at))
        if form.convert is not None:
            value = form.convert(value, form.schema)
        return self._write_value(form, form.kind, value)

    cdef bint _write_value(self, Form form, int kind, object value) except -1:
        if kind == STRING:
            return self._put_text(value, True)
        if kind == INT or kind == LONG:
            return self._write_number(value, kind == INT)
        if kind == RECORD:
            return self._write_record(form, value)
        if kind == ENUM:
            return self._write_symbol(form, value)
        if kind == BOOLEAN:
            if value is not True and value is not False:
                return False
            self._put_byte(value is True)
            return True
        if kind == DOUBLE or kind == FLOAT:
            return self._write_real(value, kind == FLOAT)
        if kind == BYTES or kind == FIXED:
            return self._write_bytes(form, value)
        if kind == ARRAY:
            return self._write_array(<Form>form.children[0], value)
        if kind == MAP:
            return self._write_map(<Form>form.children[0], value)
        return value is None

    cdef bint _write_number(self, object value, bint is_int) except -1:
        cdef int overflow = 0
        cdef int64_t number
        if not PyLong_CheckExact(value):
            return False
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow or (is_int and not -2147483648 <= number <= 2147483647):
            return False
        self._put_number(number)
        return True

    cdef bint _write_real(self, object value, bint is_float) except -1:
        """As `struct.pack` does; the reference has infinities and what is too large for four bytes."""
        if PyFloat_CheckExact(value):
            return self._write_double(PyFloat_AS_DOUBLE(value), is_float)
        return PyLong_CheckExact(value) and self._write_double(PyLong_AsDouble(value), is_float)

    cdef bint _write_double(self, double number, bint is_float) except -1:
        cdef float half
        cdef uint64_t bits = 0
        cdef uint32_t half_bits = 0
        self._reserve(8)
        if is_float:
            half = <float>number
            if not isfinite(half):
                return False
            memcpy(&half_bits, &half, 4)
            bits = half_bits
        else:
            memcpy(&bits, &number, 8)
        self._used = write_little(self._out + self._used, bits, 4 if is_float else 8) - self._out
        return True

    cdef bint _write_bytes(self, Form form, object value) except -1:
        cdef int64_t size
        if not PyBytes_CheckExact(value):
            return False
        size = PyBytes_GET_SIZE(value)
        if form.kind == BYTES:
            self._put_number(size)
        elif size != form.size:
            return False
        self._put(PyBytes_AS_STRING(value), size)
        return True

    cdef bint _write_symbol(self, Form form, object value) except -1:
        cdef PyObject* found = PyDict_GetItemWithError(form.symbols, value)
        if found == NULL:
            return False
        self._put_number(<object>found)
        return True

    cdef bint _write_record(self, Form form, object value) except -1:
        cdef PyObject* found
        cdef Py_ssize_t i
        cdef object inside
        if not PyDict_CheckExact(value):
            return False
        for i in range(len(form.names)):
            found = PyDict_GetItemWithError(value, form.names[i])
            if found != NULL:
                inside = <object>found
            elif <tuple>form.defaults[i]:
                inside = (<tuple>form.defaults[i])[0]
            else:
                return False
            if not self._write(<Form>form.children[i], inside):
                return False
        return True

    cdef bint _write_array(self, Form form, object value) except -1:
        if not PyList_CheckExact(value):
            return False
        if PyList_GET_SIZE(value):
            self._put_number(PyList_GET_SIZE(value))
            for item in <list>value:
                if not self._write(form, item):
                    return False
        self._put_byte(0)
        return True

    cdef bint _write_map(self, Form form, object value) except -1:
        if not PyDict_CheckExact(value):
            return False
        if PyDict_Size(value):
            self._put_number(PyDict_Size(value))
            for key, item in (<dict>value).items():
                if not self._put_text(key, True) or not self._write(form, item):
                    return False
        self._put_byte(0)
        return True

    cdef bint _write_cell(self, Form form, const Column* column, int64_t row) except -1:
        """A value of a column in its schema's form, as the reference writes what Python has for it."""
        if is_null(column, row):
            if form.null_at < 0:
                return False
            self._put_byte(2 * form.null_at)
            return True
        if form.null_at >= 0:
            self._put_byte(2 * (1 - form.null_at))
        if column.kind == TEXTS or column.kind == LARGE_TEXTS:
            return self._write_text_cell(form, column, row)
        if INT8 <= column.kind <= INT64:
            return self._write_number_cell(form, whole_number(column, row))
        if column.kind == DECIMALS:
            return self._write_decimal_cell(form, column, row)
        if DATES <= column.kind <= LOCAL_MOMENTS:
            return self._write_time_cell(form, column.kind, whole_number(column, row))
        if column.kind == BITS:
            if form.kind != BOOLEAN or form.logical != PLAIN:
                return False
            self._put_byte(has_bit(column.fixed, column.offset + row))
            return True
        if column.kind == FLOAT32 or column.kind == FLOAT64:
            if (form.kind != FLOAT and form.kind != DOUBLE) or form.logical != PLAIN:
                return False
            return self._write_double(real_number(column, row), form.kind == FLOAT)
        return (column.kind == OCTETS or column.kind == LARGE_OCTETS) and self._write_octets_cell(form, column, row)

    cdef bint _write_text_cell(self, Form form, const Column* column, int64_t row) except -1:
        cdef int64_t size = 0
        cdef bint is_ascii = False, is_plain = False
        cdef const uint8_t* octets = octets_of(column, row, &size)
        cdef PyObject* found
        if size < 0 or not is_utf8(octets, octets + size, &is_ascii, &is_plain):
            return False
        if form.kind == STRING and (form.logical == PLAIN or form.logical == UUID):
            self._put_number(size)
            self._put(octets, size)
            return True
        if form.kind != ENUM or form.logical != PLAIN:
            return False
        found = PyDict_GetItemWithError(form.symbols, octets[:size].decode())
        if found == NULL:
            return False
        self._put_number(<object>found)
        return True

    cdef bint _write_number_cell(self, Form form, int64_t number) except -1:
        if form.logical != PLAIN or (form.kind != INT and form.kind != LONG):
            return False
        if form.kind == INT and not -2147483648 <= number <= 2147483647:
            return False
        self._put_number(number)
        return True

    cdef bint _write_time_cell(self, Form form, int kind, int64_t number) except -1:
        """Days or microseconds, of a kind that its schema has too."""
        cdef int moment = MOMENT_MICROS if kind == MOMENTS else LOCAL_MICROS
        if kind == DATES:
            if form.kind != INT or form.logical != DATE or not FIRST_DAY <= number <= LAST_DAY:
                return False
        elif kind == TIMES:
            if form.kind != LONG or form.logical != TIME_MICROS or not 0 <= number < DAY_MICROS:
                return False
        elif form.kind != LONG or form.logical != moment:
            return False
        elif not FIRST_DAY * DAY_MICROS <= number < (LAST_DAY + 1) * DAY_MICROS:
            return False
        self._put_number(number)
        return True

    cdef bint _write_decimal_cell(self, Form form, const Column* column, int64_t row) except -1:
        cdef int128 number, limit = 1
        cdef uint8_t[DECIMAL_ROOM] octets
        cdef int i, size
        if form.kind != BYTES or form.logical != DECIMAL or form.scale != column.scale:
            return False
        memcpy(&number, column.fixed + 16 * (column.offset + row), 16)
        for i in range(min(form.precision, MOST_DIGITS)):
            limit *= 10
        if number <= -limit or number >= limit:
            return False
        size = write_decimal(octets, number)
        self._put_number(size)
        self._put(octets, size)
        return True

    cdef bint _write_octets_cell(self, Form form, const Column* column, int64_t row) except -1:
        cdef int64_t size = 0
        cdef const uint8_t* octets = octets_of(column, row, &size)
        if size < 0 or form.logical != PLAIN or (form.kind != BYTES and not (form.kind == FIXED and form.size == size)):
            return False
        if form.kind == BYTES:
            self._put_number(size)
        self._put(octets, size)
        return True


cdef class Encoder(Writer):
    """Writes records of one schema.

    Args:
        shape: of the record.
        head: what stands before it.
    """

    cdef Form _form
    cdef bytes _head

    def __cinit__(self, shape, bytes head not None):
        self._form, self._head = Form(shape), head

    def encode(self, record):
        """The record behind the head; None gives it up."""
        if not self._begin():
            return None
        try:
            self._put(PyBytes_AS_STRING(self._head), PyBytes_GET_SIZE(self._head))
            return self._taken(0) if self._write(self._form, record) else None
        except Exception:  # the reference meets it again, and says what it is
            return None
        finally:
            self._end()


cdef class Told:
    """What the changes of a batch have in common, as it stands in each of their records.

    Args:
        unit, transaction, time: see `bus.spi.Batch`.
        time_header: the records' `ce_time`.
    """

    cdef bytes unit, transaction, time
    cdef tuple time_header

    def __cinit__(self, str unit not None, transaction, time, tuple time_header not None):
        cdef uint8_t[10] number
        if not PyLong_CheckExact(time):
            raise TypeError
        self.unit = unit.encode()
        self.time = PyBytes_FromStringAndSize(<char*>number, write_number(number, time) - number)
        self.time_header = time_header
        if transaction is None:
            self.transaction = b"\0"
        else:
            named = (<str?>transaction).encode()
            self.transaction = b"\2" + PyBytes_FromStringAndSize(
                <char*>number, write_number(number, PyBytes_GET_SIZE(named)) - number
            ) + named


cdef class ChangeEncoder(Writer):
    """Makes the raw records of one dataset's changes.

    Args:
        shape: of its rows.
        head: the frame of its envelopes.
        dataset: see `bus.pipeline.ingest.RawDataset`.
        topic: of its raw records.
        type_header: their `ce_type`.
        source_header: their `ce_source`.
    """

    cdef Form _row
    cdef bytes _head
    cdef str _topic
    cdef uint32_t _partitions
    cdef tuple _key, _type_header, _source_header
    cdef tuple _fields, _places, _key_places  # where values stand in tuples of these fields; -1 is nowhere
    cdef object _told_by                      # whose columns are laid out
    cdef Columns _columns

    def __cinit__(
        self,
        shape,
        bytes head not None,
        dataset,
        str topic not None,
        tuple type_header not None,
        tuple source_header not None,
    ):
        self._row, self._head = Form(shape), head
        self._topic, self._partitions, self._key = topic, dataset.partitions, dataset.key
        self._type_header, self._source_header = type_header, source_header
        if self._partitions == 0 or self._row.kind != RECORD:
            raise ValueError("a topic has a partition at least, and a row is a record")

    def record(self, Told told not None, change, bytes key not None, bint released, bint last):
        """The record of a change under a key; None gives it up.

        Args:
            told: of its batch.
            change: a `bus.spi.Change`.
            key: of the record.
            released: see `bus.pipeline.key_moves.KeyedChange`.
            last: it is the last one of its unit.
        """
        if not self._begin():
            return None
        try:
            return self._record(told, change.row, change.op, change.before, change.after, key, released, last)
        except Exception:  # the reference meets it again, and says what it is
            return None
        finally:
            self._end()

    cdef object _plain(self, Told told, object change):
        """The record of a change that does not touch the key; None gives it up."""
        cdef object op = change.op, before = change.before, after = change.after
        cdef bytes key
        if not self._begin():
            return None
        try:
            if op is _DELETE:
                key = self._key_of(before)
            else:
                if op is _UPDATE and before and not self._is_same_key(before, after):
                    return None
                key = self._key_of(after)
            if key is None:
                return None
            return self._record(told, change.row, op, before, after, key, False, False)
        except Exception:  # the reference meets it again, and says what it is
            return None
        finally:
            self._end()

    cdef object _plain_told(self, Told told, tuple values, object op, int64_t row, int64_t number):
        """The record of a change that does not touch the key; None gives it up.

        Args:
            told: of its batch.
            values: that tell it; None: a row of the columns does.
            op: see `bus.spi.RowChanges`.
            row: of the columns.
            number: of the change in its unit.
        """
        if not self._begin():
            return None
        try:
            return self._of_told(told, values, op, row, number)
        except Exception:  # the reference meets it again, and says what it is
            return None
        finally:
            self._end()

    cdef object _of_told(self, Told told, tuple values, object op, int64_t row, int64_t number):
        cdef Py_ssize_t width = len(self._fields), before = -1, after = 0
        cdef bytes key
        if op is _DELETE:
            return None
        if values is None:
            if not self._columns.has_row(row):
                return None
        elif len(values) != (width if op is not None else 2 * width + 1):
            return None
        if op is None:
            op = _SYMBOLS.get(self._value_at(values, 0, row))
            if op is None:
                return None
            before, after = 1 if op is not _CREATE else -1, width + 1
        if op is _UPDATE and before > 0 and not self._is_same_key_at(values, before, after, row):
            return None
        key = self._key_at(values, before if op is _DELETE else after, row)
        if key is None or not self._put_op(op):
            return None
        if not self._put_told(values, before, row):
            return None
        if not self._put_told(values, -1 if op is _DELETE else after, row):
            return None
        return self._finished(told, number, key, False, False)

    cdef object _value_at(self, tuple values, Py_ssize_t place, int64_t row):
        return self._columns.value(place, row) if values is None else values[place]

    cdef bint _put_told(self, tuple values, Py_ssize_t start, int64_t row) except -1:
        """A row whose values stand in a tuple, or in the columns, from a place on; there is none at -1."""
        cdef Form form = self._row
        cdef Form inside
        cdef Py_ssize_t i, place
        cdef bint is_put
        if start < 0:
            self._put_byte(0)
            return True
        self._put_byte(2)
        for i in range(len(form.names)):
            place, inside = self._places[i], form.children[i]
            if place < 0:
                is_put = len(<tuple>form.defaults[i]) and self._write(inside, (<tuple>form.defaults[i])[0])
            elif values is None:
                is_put = self._write_cell(inside, &self._columns.at[start + place], row)
            else:
                is_put = self._write(inside, values[start + place])
            if not is_put:
                return False
        return True

    cdef bint _is_same_key_at(self, tuple values, Py_ssize_t before, Py_ssize_t after, int64_t row) except -1:
        cdef Py_ssize_t place
        for place in self._key_places:
            if place < 0:
                return False
            if not self._is_same(self._value_at(values, before + place, row), self._value_at(values, after + place, row)):
                return False
        return True

    cdef bytes _key_at(self, tuple values, Py_ssize_t start, int64_t row):
        """The key of a row whose values stand from a place on; None gives the change up."""
        cdef Py_ssize_t place
        if len(self._key_places) == 1:
            place = self._key_places[0]
            return self._key_of_value(self._value_at(values, start + place, row)) if place >= 0 else None
        named = zip(self._key, self._key_places)
        return self._key_of({name: self._value_at(values, start + place, row) for name, place in named if place >= 0})

    cdef bint _lay_out_columns(self, object changes) except -1:
        """From now on cells stand in the columns of these changes; False if they may not."""
        cdef Py_ssize_t width = len(changes.fields)
        if not self._lay_out(changes.fields):
            return False
        if changes is not self._told_by:
            self._let_go()
            columns = Columns(changes.columns)
            if columns.width != (width if changes.op is not None else 2 * width + 1):
                return False
            self._told_by, self._columns = changes, columns
        return True

    cdef void _let_go(self) noexcept:
        """The columns are not needed any more."""
        self._told_by = self._columns = None

    cdef bint _lay_out(self, tuple fields) except -1:
        """From now on values stand in tuples of these fields; False if they may not."""
        if self._is_busy or self._row.convert is not None:
            return False
        if fields is not self._fields:
            places = {name: place for place, name in enumerate(fields)}
            self._places = tuple([places.get(name, -1) for name in self._row.names])
            self._key_places = tuple([places.get(name, -1) for name in self._key])
            self._fields = fields
        return True

    cdef object _record(
        self, Told told, object row, object op, object before, object after, bytes key, bint released, bint last
    ):
        cdef int64_t number
        cdef int overflow = 0
        if not PyLong_CheckExact(row):
            return None
        number = PyLong_AsLongLongAndOverflow(row, &overflow)
        if overflow or not self._put_op(op) or not self._put_row(before) or not self._put_row(after):
            return None
        return self._finished(told, number, key, released, last)

    cdef bint _put_op(self, object op) except -1:
        """The beginning of an envelope."""
        self._used = 0
        self._put(PyBytes_AS_STRING(self._head), PyBytes_GET_SIZE(self._head))
        if op is _CREATE:
            self._put_byte(0)
        elif op is _UPDATE:
            self._put_byte(2)
        elif op is _DELETE:
            self._put_byte(4)
        elif op is _READ:
            self._put_byte(6)
        else:
            return False
        return True

    cdef object _finished(self, Told told, int64_t number, bytes key, bint released, bint last):
        """The record, once its rows stand in the envelope."""
        cdef int64_t start, size
        cdef uint32_t partition
        cdef bytes value
        # The position is written behind room for its size, and taken for the id before what follows it.
        start = self._used + 10
        self._reserve(10 + PyBytes_GET_SIZE(told.unit) + 22)
        self._used = start
        self._put(PyBytes_AS_STRING(told.unit), PyBytes_GET_SIZE(told.unit))
        self._out[self._used] = 47
        self._used = write_digits(self._out + self._used + 1, number) - self._out
        size = self._used - start
        self._out[self._used] = 100  # d, which only the id has
        name = PyBytes_FromStringAndSize(<const char*>self._out + start, size + released)
        self._used = write_number(self._out + start - 10, size) - self._out
        self._put(PyBytes_AS_STRING(name), size)
        self._put(PyBytes_AS_STRING(told.transaction), PyBytes_GET_SIZE(told.transaction))
        self._put_byte(last)
        self._put(PyBytes_AS_STRING(told.time), PyBytes_GET_SIZE(told.time))
        if self._used + PyBytes_GET_SIZE(key) > MAX_BYTES:
            return None
        value = self._taken(0)
        partition = (murmur2(<const uint8_t*>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)) & 0x7FFFFFFF)
        headers = [_SPEC_VERSION, ("ce_id", name), self._type_header, self._source_header, told.time_header]
        return _new(_Output, (self._topic, partition % self._partitions, key, value, headers))

    cdef bint _put_row(self, object row) except -1:
        if row is None:
            self._put_byte(0)
            return True
        self._put_byte(2)
        return self._write(self._row, row)

    cdef bint _is_same_key(self, object before, object after) except -1:
        """Whether two rows have the same key; False also where only the reference can tell."""
        if not PyDict_CheckExact(before) or not PyDict_CheckExact(after):
            return False
        for name in self._key:
            if not self._is_same((<dict>before).get(name), (<dict>after).get(name)):
                return False
        return True

    cdef bint _is_same(self, object old, object new) except -1:
        """Whether two values have the same text in a key; False also where only the reference can tell."""
        if PyUnicode_CheckExact(old):
            return PyUnicode_CheckExact(new) and old == new
        return PyLong_CheckExact(old) and PyLong_CheckExact(new) and old == new

    cdef bytes _key_of(self, object row):
        """The key of a row, as `bus.pipeline.key_moves.key_of` makes it; None gives the change up."""
        if not PyDict_CheckExact(row):
            return None
        if len(self._key) == 1:
            return self._key_of_value((<dict>row).get(self._key[0]))
        try:
            return key_of(row, self._key)
        except BadKeyError:
            return None

    cdef bytes _key_of_value(self, object value):
        """The key that is one value."""
        self._used = 0
        if PyUnicode_CheckExact(value):
            return self._taken(0) if self._put_text(value, False) else None
        if PyLong_CheckExact(value) and self._put_digits(value):
            return self._taken(0)
        try:
            return encode_key([key_text(value)])
        except BadKeyError:
            return None

    cdef bint _put_digits(self, object value) except -1:
        cdef int overflow = 0
        cdef int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow:
            return False
        self._reserve(20)
        self._used = write_digits(self._out + self._used, number) - self._out
        return True


def records(
    dict encoders not None,
    Told told not None,
    changes,
    Py_ssize_t place,
    Py_ssize_t end,
    int64_t done,
    list made not None,
):
    """See `bus.pipeline.native.encoding.records`."""
    cdef ChangeEncoder encoder
    cdef object record
    if type(changes) is _RowChanges or type(changes) is _ColumnChanges:
        encoder = encoders.get(changes.dataset)
        return place if encoder is None else _of_told(encoder, told, changes, place, end, done, made)
    if type(changes) is not list:
        return place
    while 0 <= place < end and place < len(changes):
        change = changes[place]
        if type(change) is not _Change:
            break
        dataset = change.dataset
        encoder = encoders.get(dataset)
        if encoder is None:
            break
        if change.row > done:
            record = encoder._plain(told, change)
            if record is None:
                break
            made.append(record)
        elif made:
            break
        place += 1
    return place


cdef Py_ssize_t _of_told(
    ChangeEncoder encoder, Told told, object changes, Py_ssize_t place, Py_ssize_t end, int64_t done, list made
) except -1:
    """The same, of changes that are told by tuples of values, or by columns."""
    cdef object op = changes.op, record
    cdef list values = None
    cdef Py_ssize_t count
    cdef int64_t first
    cdef int overflow = 0
    if type(changes.fields) is not tuple or type(changes.first) is not int:
        return place
    if type(changes) is _RowChanges:
        if type(changes.values) is not list:
            return place
        values = changes.values
    elif op is _UPDATE or op is _DELETE:
        return place
    count, first = len(changes), PyLong_AsLongLongAndOverflow(changes.first, &overflow)
    if overflow or not -FARTHEST < first < FARTHEST:
        return place
    try:
        if not (encoder._lay_out(changes.fields) if values is not None else encoder._lay_out_columns(changes)):
            return place
    except Exception:  # not columns, or of nothing known here
        return place
    if place >= 0 and first + place <= done:
        place = min(end, count, done - first + 1)
    while 0 <= place < end and place < count:
        if values is not None and type(values[place]) is not tuple:
            break
        record = encoder._plain_told(told, None if values is None else values[place], op, place, first + place)
        if record is None:
            break
        made.append(record)
        place += 1
    if values is None and place >= count:
        encoder._let_go()
    return place
