# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Takes over what exports an Arrow struct array (Arrow PyCapsule interface), a column for each of its fields.

The producer answers for its buffers: the interface tells the size of none. What is checked is everything that it does
tell, and a column of a type that is not known here is left to whoever reads the same rows otherwise.
"""

cimport cython
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport atoi, calloc, free
from libc.string cimport strchr, strcmp, strncmp

import datetime as dt

cdef enum:
    DAY_ONE = 719_163  # ordinal of 1970-01-01

_SIMPLE = {
    b"n": (NULLS, 0), b"b": (BITS, 2), b"c": (INT8, 2), b"s": (INT16, 2), b"i": (INT32, 2), b"l": (INT64, 2),
    b"f": (FLOAT32, 2), b"g": (FLOAT64, 2), b"u": (TEXTS, 3), b"U": (LARGE_TEXTS, 3), b"z": (OCTETS, 3),
    b"Z": (LARGE_OCTETS, 3), b"tdD": (DATES, 2), b"ttu": (TIMES, 2),
}


@cython.final
cdef class Columns:
    """The columns of a struct array.

    Args:
        source: what exports it.

    Raises:
        ValueError: it is none, or was given away before.
    """

    def __cinit__(self, source):
        cdef const ArrowSchema* schema
        cdef const ArrowArray* array
        cdef Py_ssize_t i
        self._schema, self._array = source.__arrow_c_array__()
        schema = <const ArrowSchema*>PyCapsule_GetPointer(self._schema, "arrow_schema")
        array = <const ArrowArray*>PyCapsule_GetPointer(self._array, "arrow_array")
        if schema.release == NULL or array.release == NULL or strcmp(schema.format, "+s") != 0:
            raise ValueError("not a struct array")
        if schema.n_children != array.n_children or array.n_buffers != 1 or array.length < 0 or array.offset < 0:
            raise ValueError("a struct array that contradicts itself")
        self.width, self.length, self._offset = array.n_children, array.length, array.offset
        self._valid = <const uint8_t*>array.buffers[0] if array.null_count != 0 else NULL
        self.at = <Column*>calloc(max(self.width, 1), sizeof(Column))
        if self.at == NULL:
            raise MemoryError
        for i in range(self.width):
            if array.children[i].length < self._offset + self.length or array.children[i].offset < 0:
                raise ValueError("a column that is too short")
            self._lay_out(&self.at[i], schema.children[i], array.children[i])
            self.at[i].offset = self._offset + array.children[i].offset

    def __dealloc__(self):
        free(self.at)

    cdef void _lay_out(self, Column* column, const ArrowSchema* schema, const ArrowArray* array) noexcept:
        """What a column is; UNKNOWN_COLUMN where nobody here can read it."""
        cdef const char* comma
        kind, buffers = _SIMPLE.get(<bytes>schema.format, (UNKNOWN_COLUMN, 2))
        if schema.dictionary != NULL:
            kind = UNKNOWN_COLUMN
        elif strncmp(schema.format, "tsu:", 4) == 0:
            kind = MOMENTS if schema.format[4] else LOCAL_MOMENTS
        elif strncmp(schema.format, "d:", 2) == 0:
            comma = strchr(schema.format, b",")
            if comma != NULL and strchr(comma + 1, b",") == NULL:  # a third number is a size other than 128 bits
                kind, column.scale = DECIMALS, atoi(comma + 1)
        if kind == NULLS or array.n_buffers != buffers:
            column.kind = NULLS if kind == NULLS else UNKNOWN_COLUMN
            return
        column.kind = kind
        column.valid = <const uint8_t*>array.buffers[0] if array.null_count != 0 else NULL
        column.fixed = <const uint8_t*>array.buffers[1]
        if buffers == 3:
            column.octets = <const uint8_t*>array.buffers[2]

    cdef bint has_row(self, int64_t row) noexcept:
        """Whether the row is there and told by its columns: one that the struct has as null is not."""
        return 0 <= row < self.length and (self._valid == NULL or has_bit(self._valid, self._offset + row))

    cdef object value(self, Py_ssize_t place, int64_t row):
        """A value as Python has it, of those that may stand in a key; it raises ValueError for the others."""
        cdef const Column* column = &self.at[place]
        cdef const uint8_t* octets
        cdef int64_t size = 0
        if is_null(column, row):
            return None
        if column.kind == TEXTS or column.kind == LARGE_TEXTS:
            octets = octets_of(column, row, &size)
            return PyUnicode_DecodeUTF8(<const char*>octets, size, NULL) if size > 0 else ""
        if INT8 <= column.kind <= INT64:
            return whole_number(column, row)
        if column.kind == BITS:
            return has_bit(column.fixed, column.offset + row)
        if column.kind == DATES and FIRST_DAY <= whole_number(column, row) <= LAST_DAY:
            return dt.date.fromordinal(whole_number(column, row) + DAY_ONE)
        raise ValueError("not a value that a key has")
