# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Finds the predicates that hold for a record, by the fields that they read as they are encoded.

As `bus.pipeline.predicate_index`, which is the specification: tests/property holds the two against each other. It never
reads beyond the bytes that it was given.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memcmp, memcpy

from bus.kafka.native._batches cimport Bytes, read_number
from bus.pipeline.native.parsing cimport digits_of, integer_of

cdef enum Kind:
    TEXT, NUMBER, ENUM, BOOLEAN, DECIMAL, FLOAT, DOUBLE

cdef enum Operation:
    IN, PREFIX, RANGE, ALL, ANY, NOT

cdef enum:
    FEW_TRIED = 64           # are tried in less time than what became of them is remembered, and found
    MOST_REMEMBERED = 65_000 # contents, of MOST_BYTES with what became of them: 30 MB
    MOST_BYTES = 256

_KINDS = {
    "text": TEXT, "number": NUMBER, "enum": ENUM, "boolean": BOOLEAN, "decimal": DECIMAL, "float": FLOAT,
    "double": DOUBLE,
}
_OPERATIONS = {"in": IN, "prefix": PREFIX, "range": RANGE, "all": ALL, "any": ANY, "not": NOT}

cdef struct Value:
    int64_t number       # of a text, its bytes
    double real
    Bytes text
    bint is_null

cdef struct Field:
    int kind
    int null_at          # the branch that is null, of a union of null and this; -1 without a union
    int digits           # of a decimal, at most

cdef struct Test:
    int operation
    int field
    int first, count     # its values in `_values`, or its parts in `_parts`
    bint has_low, has_high

cdef struct Candidate:
    int position
    int test             # in `_tests`; -1 where being found proves it

cdef struct Span:
    int first, count     # in `_candidates`

cdef struct Filed:
    int field
    int64_t prefix       # bytes of the text that are looked for; 0 for the whole value
    int first, count     # in `_values`, and the same in `_spans`


cdef inline int order(int kind, Value* one, Value* other) noexcept nogil:
    """Below, at or above 0 as one is below, at or above the other; a text by code points, which is by bytes in UTF-8.

    What is not a number is above all, so that it is in no list; see `Filters._holds` for ranges.
    """
    cdef int found
    if kind == TEXT:
        found = memcmp(one.text, other.text, min(one.number, other.number))
        return found if found else (one.number > other.number) - (one.number < other.number)
    if kind == FLOAT or kind == DOUBLE:
        return -1 if one.real < other.real else 0 if one.real == other.real else 1
    return (one.number > other.number) - (one.number < other.number)


cdef int by_position(const void* one, const void* other) noexcept nogil:
    return (<const int*>one)[0] - (<const int*>other)[0]


cdef double real_of(Bytes p, int size) noexcept nogil:
    """An IEEE 754 number, its lowest byte first, on any machine."""
    cdef uint64_t bits = 0
    cdef uint32_t half
    cdef double whole
    cdef float short_one
    cdef int i
    for i in range(size):
        bits |= <uint64_t>p[i] << (8 * i)
    if size == 8:
        memcpy(&whole, &bits, 8)
        return whole
    half = <uint32_t>bits
    memcpy(&short_one, &half, 4)
    return short_one


@cython.final
cdef class Filters:
    """Predicates, ready to be tried. Not for two threads at once: there is one buffer.

    Args:
        program: a `bus.pipeline.native.filter_program.FilterProgram`.

    What became of records for which many are tried is remembered: it repeats where filters read a district or a date.
    """

    cdef int _tried      # for the last record: not only found
    cdef Field* _fields
    cdef Value* _read
    cdef int _field_count
    cdef Value* _values
    cdef Test* _tests
    cdef int* _parts
    cdef Filed* _filed
    cdef int _filed_count
    cdef Span* _spans
    cdef Candidate* _candidates
    cdef Span _rest
    cdef int* _found
    cdef list _texts     # whose bytes `_values` names
    cdef dict _remembered

    def __cinit__(self, program):
        lists = _Lists()
        filed = [
            (each.field, each.prefix, lists.take_values(each.values), len(each.values),
             [lists.take_candidates(some) for some in each.candidates])
            for each in program.filed
        ]
        rest = lists.take_candidates(program.rest)
        self._remembered = {}
        self._texts = [value for value in lists.values if isinstance(value, bytes)]
        self._field_count, self._filed_count = len(program.fields), len(filed)
        self._fields = <Field*>room(self._field_count, sizeof(Field))
        self._read = <Value*>room(self._field_count, sizeof(Value))
        self._values = <Value*>room(len(lists.values), sizeof(Value))
        self._spans = <Span*>room(len(lists.values), sizeof(Span))
        self._tests = <Test*>room(len(lists.tests), sizeof(Test))
        self._parts = <int*>room(len(lists.parts), sizeof(int))
        self._filed = <Filed*>room(self._filed_count, sizeof(Filed))
        self._candidates = <Candidate*>room(len(lists.candidates), sizeof(Candidate))
        self._found = <int*>room(len(lists.candidates), sizeof(int))
        for i, field in enumerate(program.fields):
            self._fields[i] = Field(_KINDS[field.kind], field.null_at, field.digits)
        for i, value in enumerate(lists.values):
            self._put_value(i, value)
        for i, (operation, place, first, count, has_low, has_high) in enumerate(lists.tests):
            self._tests[i] = Test(operation, place, first, count, has_low, has_high)
        for i, part in enumerate(lists.parts):
            self._parts[i] = part
        for i, (position, test) in enumerate(lists.candidates):
            self._candidates[i].position, self._candidates[i].test = position, test
        for i, (place, prefix, first, count, spans) in enumerate(filed):
            self._filed[i] = Filed(place, prefix, first, count)
            for j, (span_first, span_count) in enumerate(spans):
                self._spans[first + j].first, self._spans[first + j].count = span_first, span_count
        self._rest.first, self._rest.count = rest

    def __dealloc__(self):
        free(self._fields)
        free(self._read)
        free(self._values)
        free(self._spans)
        free(self._tests)
        free(self._parts)
        free(self._filed)
        free(self._candidates)
        free(self._found)

    cdef int _put_value(self, int i, value) except -1:
        if isinstance(value, bytes):
            self._values[i].text = <Bytes>PyBytes_AS_STRING(value)
            self._values[i].number = PyBytes_GET_SIZE(value)
        elif isinstance(value, float):
            self._values[i].real = value
        else:
            self._values[i].number = value
        return 0

    def hits(self, list contents not None, by_reference):
        """For each record the positions of the predicates that hold, ascending.

        Args:
            contents: of each, its encoded fields, one behind the other; None for one that could not be read.
            by_reference: tells it of the record at a place, where only the reference can.
        """
        cdef Py_ssize_t place
        cdef list made = []
        cdef dict known = self._remembered
        if len(known) > MOST_REMEMBERED:
            known.clear()
        for place, content in enumerate(contents):
            hits = known.get(content) if known else None
            if hits is None and content is not None:
                hits = self._hits(content)
                if self._tried > FEW_TRIED and len(content) + 8 * len(hits) <= MOST_BYTES:
                    known[content] = hits
            made.append(by_reference(place) if hits is None else hits)
        return made

    def holds(self, bytes content not None):
        """Whether any of the predicates does.

        Args:
            content: the encoded fields, one behind the other; if it is something else, none does.
        """
        cdef Bytes p = <Bytes>PyBytes_AS_STRING(content)
        return self._take(p, p + PyBytes_GET_SIZE(content)) and self._find() > 0

    cdef _hits(self, bytes content):
        """None if these are not the fields."""
        cdef Bytes p = <Bytes>PyBytes_AS_STRING(content)
        cdef int i, found
        self._tried = 0
        if not self._take(p, p + PyBytes_GET_SIZE(content)):
            return None
        found = self._find()
        return tuple([self._found[i] for i in range(found)]) if found else ()

    cdef bint _take(self, Bytes p, Bytes end) noexcept nogil:
        """Read the fields; False if they are damaged."""
        cdef int i, size
        cdef int64_t branch
        cdef Field* field
        cdef Value* value
        for i in range(self._field_count):
            field, value = &self._fields[i], &self._read[i]
            value.is_null = False
            if field.null_at >= 0:
                if not read_number(&p, end, &branch) or not 0 <= branch <= 1:
                    return False
                if branch == field.null_at:
                    value.is_null = True
                    continue
            if field.kind == BOOLEAN:
                if p >= end:
                    return False
                value.number = p[0]
                p += 1
            elif field.kind == FLOAT or field.kind == DOUBLE:
                size = 4 if field.kind == FLOAT else 8
                if end - p < size:
                    return False
                value.real = real_of(p, size)
                p += size
            else:
                if not read_number(&p, end, &value.number):
                    return False
                if field.kind == TEXT:
                    if not 0 <= value.number <= end - p:
                        return False
                    value.text = p
                    p += value.number
                elif field.kind == DECIMAL:
                    size = <int>value.number
                    if not 0 < value.number <= min(8, end - p) or not self._is_decimal(value, p, size, field.digits):
                        return False
                    p += size
        return p == end

    cdef bint _is_decimal(self, Value* value, Bytes p, int size, int digits) noexcept nogil:
        """Read a decimal without its point; False for one of more digits, which the reference rounds."""
        value.number = integer_of(p, size)
        return digits_of(value.number) <= digits

    cdef int _find(self) noexcept nogil:
        """How many hold; their positions stand in `_found`."""
        cdef int i, place, count = 0, kept = 0
        cdef Filed* filed
        cdef Value* value
        cdef Value begun
        for i in range(self._filed_count):
            filed = &self._filed[i]
            value = &self._read[filed.field]
            if value.is_null:
                continue
            if filed.prefix:
                if value.number < filed.prefix:
                    continue
                begun.text, begun.number = value.text, filed.prefix
                value = &begun
            place = self._place_of(self._fields[filed.field].kind, value, filed.first, filed.count)
            if place >= 0:
                count = self._add(self._spans[place], count)
        count = self._add(self._rest, count)
        if count < 2:
            return count
        qsort(self._found, count, sizeof(int), by_position)
        for i in range(count):
            if i == 0 or self._found[i] != self._found[i - 1]:
                self._found[kept] = self._found[i]
                kept += 1
        return kept

    cdef int _place_of(self, int kind, Value* value, int first, int count) noexcept nogil:
        """Where a value stands among these, which are ascending; -1 if it does not."""
        cdef int low = first, high = first + count, middle, found
        while low < high:
            middle = (low + high) >> 1
            found = order(kind, value, &self._values[middle])
            if found == 0:
                return middle
            if found < 0:
                high = middle
            else:
                low = middle + 1
        return -1

    cdef int _add(self, Span span, int count) noexcept nogil:
        """Add those of these that hold to `_found`, of which there are so many; how many there are then."""
        cdef int i
        cdef Candidate* candidate
        for i in range(span.first, span.first + span.count):
            candidate = &self._candidates[i]
            if candidate.test >= 0:
                self._tried += 1
                if not self._holds(&self._tests[candidate.test]):
                    continue
            self._found[count] = candidate.position
            count += 1
        return count

    cdef bint _holds(self, Test* test) noexcept nogil:
        cdef int i, kind
        cdef Value* value
        cdef Value* wanted
        if test.operation == NOT:
            return not self._holds(&self._tests[self._parts[test.first]])
        if test.operation == ALL or test.operation == ANY:
            for i in range(test.first, test.first + test.count):
                if self._holds(&self._tests[self._parts[i]]) == (test.operation == ANY):
                    return test.operation == ANY
            return test.operation == ALL
        value, kind = &self._read[test.field], self._fields[test.field].kind
        if value.is_null or (kind >= FLOAT and value.real != value.real):  # what is not a number is in no order
            return False
        if test.operation == IN:
            return self._place_of(kind, value, test.first, test.count) >= 0
        wanted = &self._values[test.first]
        if test.operation == PREFIX:
            return value.number >= wanted.number and not memcmp(value.text, wanted.text, wanted.number)
        if test.has_low:
            if order(kind, value, wanted) < 0:
                return False
            wanted += 1
        return not test.has_high or order(kind, value, wanted) <= 0


cdef void* room(Py_ssize_t count, size_t size) except NULL:
    cdef void* made = calloc(count + 1, size)
    if made == NULL:
        raise MemoryError
    return made


class _Lists:
    """The parts of a program, each kind in a list, by whose places they refer to each other."""

    def __init__(self):
        self.values, self.tests, self.parts, self.candidates = [], [], [], []

    def take_values(self, values):
        """Where they begin."""
        self.values += values
        return len(self.values) - len(values)

    def take_candidates(self, candidates):
        """Where they begin, and how many they are."""
        taken = [(each.position, -1 if each.test is None else self._take_test(each.test)) for each in candidates]
        self.candidates += taken
        return len(self.candidates) - len(taken), len(taken)

    def _take_test(self, test):
        """Its place."""
        operation = _OPERATIONS[test.operation]
        if operation >= ALL:
            places = [self._take_test(part) for part in test.parts]
            first, count = len(self.parts), len(places)
            self.parts += places
        else:
            first, count = self.take_values(test.values), len(test.values)
        self.tests.append((operation, test.field, first, count, test.has_low, test.has_high))
        return len(self.tests) - 1
