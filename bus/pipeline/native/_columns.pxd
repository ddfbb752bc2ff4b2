# cython: language_level=3
"""Columns as Arrow lays them out in memory, read in place (Arrow C data interface and columnar format, 1.5)."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t


cdef struct ArrowSchema:
    const char* format
    const char* name
    const char* metadata
    int64_t flags
    int64_t n_children
    ArrowSchema** children
    ArrowSchema* dictionary
    void (*release)(ArrowSchema*) noexcept
    void* private_data

cdef struct ArrowArray:
    int64_t length
    int64_t null_count
    int64_t offset
    int64_t n_buffers
    int64_t n_children
    const void** buffers
    ArrowArray** children
    ArrowArray* dictionary
    void (*release)(ArrowArray*) noexcept
    void* private_data

cdef enum ColumnKind:
    UNKNOWN_COLUMN, NULLS, BITS, INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, TEXTS, LARGE_TEXTS, OCTETS, LARGE_OCTETS
    DATES, TIMES, MOMENTS, LOCAL_MOMENTS, DECIMALS

cdef enum:
    FIRST_DAY = -719_162  # since 1970, that Python's dates hold, which the reference makes of them: 0001-01-01
    LAST_DAY = 2_932_896  # 9999-12-31

cdef struct Column:
    int kind
    int scale              # of decimals
    int64_t offset         # where its row 0 stands in its buffers
    const uint8_t* valid   # a bit a row; NULL: none is null
    const uint8_t* fixed   # values, or where they begin and end
    const uint8_t* octets  # of texts and bytes


cdef inline bint has_bit(const uint8_t* bits, int64_t place) noexcept nogil:
    return bits[place >> 3] >> (place & 7) & 1


cdef inline bint is_null(const Column* column, int64_t row) noexcept nogil:
    return column.kind == NULLS or (column.valid != NULL and not has_bit(column.valid, column.offset + row))


cdef inline int64_t whole_number(const Column* column, int64_t row) noexcept nogil:
    """A value of a column whose values are whole numbers of up to eight bytes."""
    cdef int64_t place = column.offset + row
    if column.kind == INT8:
        return (<const int8_t*>column.fixed)[place]
    if column.kind == INT16:
        return (<const int16_t*>column.fixed)[place]
    if column.kind == INT32 or column.kind == DATES:
        return (<const int32_t*>column.fixed)[place]
    return (<const int64_t*>column.fixed)[place]


cdef inline double real_number(const Column* column, int64_t row) noexcept nogil:
    if column.kind == FLOAT32:
        return (<const float*>column.fixed)[column.offset + row]
    return (<const double*>column.fixed)[column.offset + row]


cdef inline const uint8_t* octets_of(const Column* column, int64_t row, int64_t* size) noexcept nogil:
    """A text or bytes."""
    cdef int64_t begin, end, place = column.offset + row
    if column.kind == TEXTS or column.kind == OCTETS:
        begin, end = (<const int32_t*>column.fixed)[place], (<const int32_t*>column.fixed)[place + 1]
    else:
        begin, end = (<const int64_t*>column.fixed)[place], (<const int64_t*>column.fixed)[place + 1]
    size[0] = end - begin
    return column.octets + begin


cdef class Columns:
    cdef object _schema, _array  # capsules, which keep what is read here
    cdef Column* at
    cdef Py_ssize_t width
    cdef int64_t length, _offset
    cdef const uint8_t* _valid
    cdef void _lay_out(self, Column* column, const ArrowSchema* schema, const ArrowArray* array) noexcept
    cdef bint has_row(self, int64_t row) noexcept
    cdef object value(self, Py_ssize_t place, int64_t row)
