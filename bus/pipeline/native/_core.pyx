# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Runs a `Program` from Avro bytes to Avro bytes, without a Python object per field.

It finishes a record, or gives it up untouched (None): whatever is damaged, would be rejected, or is not known here
goes to the reference, which has the one implementation of everything unusual. So only what it finishes must agree with
the reference, byte for byte; tests/property holds the two against each other. It never reads beyond the bytes that it
was given: every read is checked against their end.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.conversion cimport PyOS_string_to_double
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from bus.kafka.native._batches cimport Bytes, Entry, Packing, Records, read_number, write_number
from bus.pipeline.native._memo cimport Memo
from bus.pipeline.native.avro cimport DECIMAL_ROOM, is_utf8, murmur2, write_decimal, write_digits, write_little
from bus.pipeline.native.parsing cimport (
    DAY, FRACTION, HOUR, LITERAL, MINUTE, MONTH, MOST_DIGITS, SECOND, YEAR, Clock, Part, Plain, days_from, digits_of,
    integer_of, is_time_of_day, moment_of, number_of, power_of_ten, read_form, read_iso, read_plain,
)

from bus.catalogue.view import MOST_FILLED as MOST_MASK_FILLED
from bus.pipeline.native._filters import Filters
from bus.pipeline.reject import Reject
from bus.wire import MAX_RECORD_BYTES, SPEC_VERSION_HEADER

cdef int64_t MAX_BYTES = MAX_RECORD_BYTES
cdef int64_t MOST_FILLED = MOST_MASK_FILLED

cdef enum Kind:
    NULL_KIND, BOOLEAN, NUMBER, TEXT, BYTES, FIXED, ENUM, UUID, RECORD, ARRAY, MAP

cdef enum Role:
    OP, BEFORE, AFTER, OTHER

cdef enum Operation:
    CONSTANT, COPY, CLEAN, MASK, PSEUDONYM, INTEGER, DECIMAL, REAL, DATE, MOMENT, DIGITS, RESCALE, ZONED, CALL

cdef enum Check:
    NO_CHECK, CITIZEN_ID, CREDIT_CODE

_KINDS = {
    "null": NULL_KIND, "boolean": BOOLEAN, "number": NUMBER, "text": TEXT, "bytes": BYTES, "fixed": FIXED,
    "enum": ENUM, "uuid": UUID, "record": RECORD, "array": ARRAY, "map": MAP,
}
_ROLES = {"op": OP, "before": BEFORE, "after": AFTER}
_OPERATIONS = {
    "constant": CONSTANT, "copy": COPY, "clean": CLEAN, "mask": MASK, "pseudonym": PSEUDONYM, "integer": INTEGER,
    "decimal": DECIMAL, "real": REAL, "date": DATE, "moment": MOMENT, "digits": DIGITS, "rescale": RESCALE,
    "zoned": ZONED, "call": CALL,
}
_TOKENS = {
    "": LITERAL, "year": YEAR, "month": MONTH, "day": DAY, "hour": HOUR, "minute": MINUTE, "second": SECOND,
    "fraction": FRACTION,
}
_CHECKS = {"": NO_CHECK, "gb11643": CITIZEN_ID, "gb32100": CREDIT_CODE}

cdef struct Node:
    int kind
    int null_at          # the branch that is null, of a union of null and this; -1 without a union
    int first, children  # of a record, array or map: its nodes in `_children`
    int64_t least, most  # of a number; a fixed's size, an enum's symbols: `most`

cdef struct Slot:
    Bytes start          # of the whole field, its branch included
    Bytes end
    Bytes text           # what is inside: a text's or bytes' content, any other value's encoding
    int64_t size         # of that
    int64_t number
    bint is_null
    bint is_ascii        # of a text
    bint is_plain        # of a text: see `is_utf8`

cdef struct Item:        # so many characters of a class
    uint8_t allowed[16]
    int least, most

cdef struct Instruction:
    int operation
    int slot
    int steps            # of a text: bits of `_STEPS`
    int check
    int rank             # of those that a record breaks, the one with the lowest is told
    int64_t shortest, longest, pattern_longest, least, most
    int64_t keep_start, keep_end, hidden  # of a mask; `hidden` 0 hides as many characters as there were
    int first_way, ways  # of a pattern: its alternatives in `_ways`
    int thousands, point # of a number in a text; -1 for none
    int source_scale, source_precision, scale, whole  # of decimals; `whole`: digits before the point at most
    int first_form, forms  # of a moment: its formats in `_forms`; none for ISO 8601
    int offset, unit     # of a moment: minutes where it states none, microseconds of its number
    Bytes present        # what stands before a value, or is all of a constant; NULL gives the record up
    Bytes absent         # what is written where there is none; NULL gives the record up
    int64_t present_size, absent_size

cdef struct Way:
    int first, items

cdef enum:
    NFKC = 1
    TRIM = 2
    UPPER = 4
    LOWER = 8

_STEPS = {"nfkc": NFKC, "trim": TRIM, "upper": UPPER, "lower": LOWER}

cdef enum Tidied:        # what a text is after its steps
    REFUSED, TIDY, FOR_REFERENCE

cdef enum Finding:       # what a record is
    GIVEN_UP, FINISHED, DELETED


cdef inline bint is_space(uint8_t c) noexcept nogil:
    """What `str.strip` takes for white space, of ASCII."""
    return c == 0x20 or 0x09 <= c <= 0x0D or 0x1C <= c <= 0x1F


cdef inline bint is_settled(uint32_t c) noexcept nogil:
    """Characters that NFKC, `strip`, `upper` and `lower` leave as they are, whatever stands beside them.

    Ideographs, and the punctuation of Chinese texts that has no compatibility form.
    """
    return (
        0x4E00 <= c <= 0x9FFF or 0x3400 <= c <= 0x4DBF or 0x3001 <= c <= 0x3002 or 0x3008 <= c <= 0x3011
        or 0x2018 <= c <= 0x2019 or 0x201C <= c <= 0x201D or c == 0x2014
    )


cdef int days_of(Bytes p) noexcept nogil:
    """Eight digits as days since 1970; the smallest number of all if they are no date."""
    return days_from(number_of(p, 4), number_of(p + 4, 2), number_of(p + 6, 2))


cdef int[17] _ID_WEIGHTS
_ID_WEIGHTS[:] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]


cdef bint is_citizen_id(Bytes p, int64_t size) noexcept nogil:
    """GB 11643-1999; see `bus.pipeline.mapping.check_digits`."""
    cdef int i, total = 0
    if size != 18:
        return False
    for i in range(17):
        if not 48 <= p[i] <= 57:
            return False
        total += (p[i] - 48) * _ID_WEIGHTS[i]
    if p[17] == 88:  # X
        total += 10
    elif 48 <= p[17] <= 57:
        total += p[17] - 48
    else:
        return False
    return total % 11 == 1 and days_of(p + 6) != -2147483648


cdef signed char[256] _CREDIT_VALUES
memset(_CREDIT_VALUES, -1, 256)
for _place, _character in enumerate(bytearray(b"0123456789ABCDEFGHJKLMNPQRTUWXY")):
    _CREDIT_VALUES[<uint8_t>_character] = <signed char>_place


cdef bint is_credit_code(Bytes p, int64_t size) noexcept nogil:
    """GB 32100-2015; see `bus.pipeline.mapping.check_digits`."""
    cdef int i, total = 0, weight = 1
    if size != 18:
        return False
    for i in range(2, 8):
        if not 48 <= p[i] <= 57:
            return False
    for i in range(17):
        if _CREDIT_VALUES[p[i]] < 0:
            return False
        total += _CREDIT_VALUES[p[i]] * weight
        weight = weight * 3 % 31
    return _CREDIT_VALUES[p[17]] == (31 - total % 31) % 31


cdef bint is_uuid(Bytes p, int64_t size) noexcept nogil:
    """The usual 36 characters; the reference knows the other forms."""
    cdef int i
    if size != 36:
        return False
    for i in range(36):
        if i == 8 or i == 13 or i == 18 or i == 23:
            if p[i] != 45:
                return False
        elif not (48 <= p[i] <= 57 or 97 <= p[i] <= 102 or 65 <= p[i] <= 70):
            return False
    return True


cdef inline void move(uint8_t* out, Bytes p, int64_t size) noexcept nogil:
    """As `memmove`, which is a call that costs more than it does where there are few bytes, as in most fields."""
    cdef uint64_t first, last
    cdef uint32_t head, tail
    if size > 16:
        memmove(out, p, size)
    elif size >= 8:
        memcpy(&first, p, 8)
        memcpy(&last, p + size - 8, 8)
        memcpy(out, &first, 8)
        memcpy(out + size - 8, &last, 8)
    elif size >= 4:
        memcpy(&head, p, 4)
        memcpy(&tail, p + size - 4, 4)
        memcpy(out, &head, 4)
        memcpy(out + size - 4, &tail, 4)
    elif size == 1:
        out[0] = p[0]
    elif size > 0:
        memmove(out, p, size)


cdef uint8_t* cleaned(Bytes p, Bytes end, uint8_t* out, int steps) noexcept nogil:
    """A text through `nfkc`, `upper` and `lower`, character by character; NULL if there is one that needs the reference."""
    cdef uint32_t c
    while p < end:
        c = p[0]
        if c >= 0x80:
            if c == 0xC2 and p[1] == 0xB7:  # the middle dot of names
                out[0], out[1] = 0xC2, 0xB7
                out += 2
                p += 2
                continue
            if c & 0xF0 != 0xE0:
                return NULL
            c = (c & 0x0F) << 12 | (p[1] & 0x3F) << 6 | (p[2] & 0x3F)
            if is_settled(c):
                out[0], out[1], out[2] = p[0], p[1], p[2]
                out += 3
                p += 3
                continue
            p += 2
            if not steps & NFKC:
                return NULL
            if 0xFF01 <= c <= 0xFF5E:  # full-width ASCII
                c -= 0xFEE0
            elif c == 0x3000:  # the ideographic space
                c = 0x20
            else:
                return NULL
        p += 1
        if steps & LOWER and 0x41 <= c <= 0x5A:
            c += 0x20
        elif steps & UPPER and 0x61 <= c <= 0x7A:
            c -= 0x20
        out[0] = <uint8_t>c
        out += 1
    return out


cdef int64_t length_of(Bytes p, Bytes end, bint is_ascii) noexcept nogil:
    """Characters of a text."""
    cdef int64_t count = 0
    if is_ascii:
        return end - p
    while p < end:
        if p[0] & 0xC0 != 0x80:
            count += 1
        p += 1
    return count


cdef int64_t place_of(Bytes p, int64_t size, int64_t character) noexcept nogil:
    """Where a text's character begins, in bytes."""
    cdef int64_t place = 0
    while place < size:
        if p[place] & 0xC0 != 0x80:
            if character == 0:
                break
            character -= 1
        place += 1
    return place


cdef bint matches(Item* items, int count, Bytes p, Bytes end) noexcept nogil:
    """Whether so many items take the whole text: the longest first, then shorter ones."""
    cdef int taken = 0
    if count == 0:
        return p == end
    while taken < items.most and p + taken < end:
        if p[taken] > 127 or not items.allowed[p[taken] >> 3] & 1 << (p[taken] & 7):
            break
        taken += 1
    while taken >= items.least:
        if matches(items + 1, count - 1, p + taken, end):
            return True
        taken -= 1
    return False


cdef inline int read_branch(Node* node, Bytes* place, Bytes end) noexcept nogil:
    """Which branch of a union of null and another type follows: 0 the null, 1 the other, -1 neither."""
    cdef uint8_t branch
    if place[0] >= end:
        return -1
    branch = place[0][0]
    place[0] += 1
    if branch == 2 * node.null_at:
        return 0
    return 1 if branch == 2 * (1 - node.null_at) else -1


cdef inline Bytes content(Bytes p, Bytes end, int64_t* size) noexcept nogil:
    """Where a header's value begins, and its size; 0 for a null. The headers are known to be whole."""
    read_number(&p, end, size)
    size[0] = max(0, size[0])
    return p


cdef inline uint8_t* append(uint8_t* out, const char* given, int64_t size) noexcept nogil:
    if size:
        memcpy(out, given, size)
    return out + size


cdef bytes number(int64_t value):
    cdef uint8_t[10] out
    return out[: write_number(out, value) - out]


cdef bytes counted(bytes given):
    """Bytes with their number before them."""
    return number(len(given)) + given


cdef bytes header(tuple given):
    """A header: its name and its value."""
    return counted(given[0].encode()) + counted(given[1])


cdef struct Extent:
    int64_t place, size


@cython.final
cdef class Bodies:
    """What was made of some records, without frames: programs that are the same but for the frame make it once.

    Args:
        count: of the records.
    """

    cdef Extent* _extents        # of each record; no size where nothing was made yet
    cdef Py_ssize_t _count
    cdef uint8_t* _bytes
    cdef int64_t _room, _used

    def __cinit__(self, Py_ssize_t count):
        self._count = count
        self._room = 4096
        self._extents = <Extent*>calloc(count + 1, sizeof(Extent))
        self._bytes = <uint8_t*>malloc(self._room)
        if not (self._extents and self._bytes):
            raise MemoryError

    def __dealloc__(self):
        free(self._extents)
        free(self._bytes)

    cdef int keep(self, Py_ssize_t record, Bytes body, int64_t size) except -1:
        cdef int64_t room = self._room
        cdef uint8_t* larger
        while self._used + size > room:
            room *= 2
        if room > self._room:
            larger = <uint8_t*>realloc(self._bytes, room)
            if larger == NULL:
                raise MemoryError
            self._bytes, self._room = larger, room
        memcpy(self._bytes + self._used, body, size)
        self._extents[record].place, self._extents[record].size = self._used, size
        self._used += size
        return 0


@cython.final
cdef class Interpreter:
    """A program, ready to run. Not for two threads at once: it has one buffer.

    Args:
        program: a `bus.pipeline.native.program.Program`.
        target: a `bus.pipeline.native.Target`, where its records go; None for `convert` alone.

    Attributes:
        program: as given.
        alike: the caller's, to find those that make the same.
        broken: the reference's verdict on the record that was looked at last; None if it is fine, or if the reference
            has to look at it.
    """

    cdef readonly object program
    cdef public object alike
    cdef readonly object broken
    cdef Node* _nodes
    cdef int* _children
    cdef Slot* _slots
    cdef int _row_first, _row_fields
    cdef bint _slots_are_empty   # there was no row
    cdef int* _roles
    cdef int* _envelope
    cdef int _envelope_fields
    cdef Instruction* _instructions
    cdef int _instruction_count
    cdef Way* _ways
    cdef Item* _items
    cdef Way* _forms
    cdef Part* _form_parts
    cdef int64_t* _spans         # where each field of the output begins; one more for the end
    cdef int* _target_null_at
    cdef int _delete, _ops, _key_slot
    cdef list _key_instructions
    cdef object _scope
    cdef tuple _scope_slots
    cdef int _birth_id, _birth_date, _sex_id, _sex
    cdef bytes _head
    cdef bytes _frame
    cdef list _texts, _calls, _memos, _call_slots, _fills
    cdef uint8_t* _out
    cdef int64_t _room, _used
    cdef object _key_of, _id_of
    cdef uint32_t _partitions
    cdef bint _keeps_partition
    cdef bytes _told_first, _told_then, _id_suffix  # of the headers: what stands before the id, and after it
    cdef uint8_t* _told
    cdef int64_t _told_room

    def __cinit__(self, program, target=None):
        self.program = program
        self._room = 4096
        self._out = <uint8_t*>malloc(self._room)
        self._told_room = 1024
        self._told = <uint8_t*>malloc(self._told_room)
        if target is not None:
            self._partitions, self._keeps_partition = target.partitions, target.keeps_partition
            self._key_of, self._id_of, self._id_suffix = target.key_of, target.id_of, target.id_suffix
            self._told_first = number(5) + header(SPEC_VERSION_HEADER) + counted(b"ce_id")
            self._told_then = header(target.type_header) + counted(b"ce_source")
        self._head, self._frame = program.head, program.frame
        self._delete, self._ops, self._key_slot = program.delete, program.ops, program.key_slot
        self._key_instructions = list(program.key_instructions)
        self._scope = None if program.scope is None else Filters(program.scope)
        self._scope_slots = program.scope_slots
        self._birth_id, self._birth_date = program.birth_rule
        self._sex_id, self._sex = program.sex_rule
        self._lay_out_nodes(program)
        self._lay_out_instructions(program)
        if not (self._out and self._told):
            raise MemoryError

    def __dealloc__(self):
        free(self._nodes)
        free(self._children)
        free(self._slots)
        free(self._roles)
        free(self._envelope)
        free(self._instructions)
        free(self._ways)
        free(self._forms)
        free(self._form_parts)
        free(self._items)
        free(self._spans)
        free(self._target_null_at)
        free(self._out)
        free(self._told)

    cdef _lay_out_nodes(self, program):
        flat, children = [], []
        envelope = [(role, _flatten(node, flat, children)) for role, node in program.envelope]
        row = _flatten(program.row, flat, children)
        self._nodes = <Node*>malloc(max(1, len(flat)) * sizeof(Node))
        self._children = <int*>malloc(max(1, len(children)) * sizeof(int))
        self._roles = <int*>malloc(max(1, len(envelope)) * sizeof(int))
        self._envelope = <int*>malloc(max(1, len(envelope)) * sizeof(int))
        if not (self._nodes and self._children and self._roles and self._envelope):
            raise MemoryError
        for i, (kind, null_at, first, count, least, most) in enumerate(flat):
            self._nodes[i] = Node(_KINDS[kind], null_at, first, count, least, most)
        for i, child in enumerate(children):
            self._children[i] = child
        self._envelope_fields = len(envelope)
        for i, (role, node) in enumerate(envelope):
            self._roles[i] = _ROLES.get(role, OTHER)
            self._envelope[i] = node
        self._row_first, self._row_fields = self._nodes[row].first, self._nodes[row].children
        self._slots = <Slot*>malloc(max(1, self._row_fields) * sizeof(Slot))
        if not self._slots:
            raise MemoryError
        memset(self._slots, 0, max(1, self._row_fields) * sizeof(Slot))

    cdef _lay_out_instructions(self, program):
        cdef Instruction* made
        cdef int count = len(program.instructions)
        ways, items, forms, parts = [], [], [], []
        self._instruction_count = count
        self._instructions = <Instruction*>malloc(max(1, count) * sizeof(Instruction))
        self._spans = <int64_t*>malloc((count + 1) * sizeof(int64_t))
        self._target_null_at = <int*>malloc(max(1, count) * sizeof(int))
        if not (self._instructions and self._spans and self._target_null_at):
            raise MemoryError
        memset(self._instructions, 0, max(1, count) * sizeof(Instruction))
        self._texts = []
        self._calls, self._memos, self._call_slots, self._fills = [], [], [], []
        for i, each in enumerate(program.instructions):
            made = &self._instructions[i]
            self._target_null_at[i] = each.target_null_at
            self._texts += (each.present, each.absent)
            made.present, made.present_size = NULL, 0
            made.absent, made.absent_size = NULL, 0
            if each.present is not None:
                made.present, made.present_size = <Bytes>PyBytes_AS_STRING(each.present), len(each.present)
            if each.absent is not None:
                made.absent, made.absent_size = <Bytes>PyBytes_AS_STRING(each.absent), len(each.absent)
            self._calls.append(each.call)
            self._memos.append(Memo() if each.memo else None)
            self._call_slots.append(each.slots)
            self._fills.append(each.fill)
            made.operation = _OPERATIONS[each.operation]
            made.slot = each.slots[0] if each.slots else 0
            made.least, made.most = each.least, each.most
            made.steps = sum(_STEPS[step] for step in set(each.steps))
            made.check = _CHECKS[each.check]
            made.rank = each.rank
            made.shortest, made.longest = each.shortest, each.longest
            made.pattern_longest = each.pattern_longest
            made.keep_start, made.keep_end, made.hidden = each.keep_start, each.keep_end, each.hidden
            made.thousands, made.point = each.thousands, each.point
            made.source_scale, made.source_precision = each.source_scale, each.source_precision
            made.scale, made.whole = each.scale, each.whole
            made.offset, made.unit = each.offset, each.unit
            made.first_form, made.forms = len(forms), len(each.forms)
            for form in each.forms:
                forms.append((len(parts), len(form)))
                parts += form
            made.first_way, made.ways = len(ways), len(each.pattern)
            for way in each.pattern:
                ways.append((len(items), len(way)))
                items += way
        self._ways = <Way*>malloc(max(1, len(ways)) * sizeof(Way))
        self._items = <Item*>malloc(max(1, len(items)) * sizeof(Item))
        self._forms = <Way*>malloc(max(1, len(forms)) * sizeof(Way))
        self._form_parts = <Part*>malloc(max(1, len(parts)) * sizeof(Part))
        if not (self._ways and self._items and self._forms and self._form_parts):
            raise MemoryError
        for i, (first, length) in enumerate(forms):
            self._forms[i] = Way(first, length)
        for i, (token, least, most) in enumerate(parts):
            self._form_parts[i] = Part(_TOKENS[token], least, most)
        for i, (first, length) in enumerate(ways):
            self._ways[i] = Way(first, length)
        for i, (allowed, least, most) in enumerate(items):
            memset(&self._items[i], 0, sizeof(Item))
            for code in allowed:
                self._items[i].allowed[code >> 3] |= 1 << (code & 7)
            self._items[i].least, self._items[i].most = least, most

    def take(
        self, Records records, Py_ssize_t place, Py_ssize_t stop, Packing made, Bodies bodies=None, dict rejects=None
    ):
        """Finish records, one after the other; the place of the first that it gives up, or where it was to stop.

        Args:
            records: of one partition.
            place, stop: of the first of them, and of the first that is not to be taken any more.
            made: where what becomes of them is added.
            bodies: of the records, shared by programs that are the same but for the frame; None for a program alone.
            rejects: where the verdict on a record that is known to be rejected is added, by its place, and the record
                passed over; None gives it up.
        """
        if not 0 <= place <= stop <= records._count or (bodies is not None and bodies._count != records._count):
            raise IndexError(place)
        while place < stop:
            if not self._take(records, place, made, bodies):
                if rejects is None or self.broken is None:
                    break
                rejects[place] = self.broken
            place += 1
        return place

    def take_some(self, Records records, list places, Py_ssize_t first, Packing made, Bodies bodies=None):
        """As `take`, of records at these places, from the first of them on that is said; how many of them are done.

        A place below 0 is given up.
        """
        cdef Py_ssize_t i = first, place
        if bodies is not None and bodies._count != records._count:
            raise IndexError(first)
        while i < len(places):
            place = places[i]
            if not 0 <= place < records._count or not self._take(records, place, made, bodies):
                break
            i += 1
        return i

    cdef bint _take(self, Records records, Py_ssize_t place, Packing made, Bodies bodies) except -1:
        """Finish a record; False gives it up."""
        cdef Entry* entry = &records._entries[place]
        cdef int finding = DELETED
        self.broken = None
        if bodies is not None and bodies._extents[place].size:
            self._used = 5
            self._write(bodies._bytes + bodies._extents[place].place, bodies._extents[place].size)
            memcpy(self._out, PyBytes_AS_STRING(self._frame), 5)
            finding = FINISHED
        elif entry.value != NULL or self._envelope_fields != 0 or entry.key == NULL:
            finding = self._find(entry.key, entry.key_size, entry.value, entry.value_size)
            if bodies is not None and finding == FINISHED:
                bodies.keep(place, self._out + 5, self._used - 5)
        return finding != GIVEN_UP and self._put(entry, finding == FINISHED, records.partition, made)

    cdef bint _put(self, Entry* entry, bint is_there, int partition, Packing made) except -1:
        """Add what a record became: its value, or a tombstone; False gives it up."""
        cdef Bytes key = entry.key
        cdef int64_t key_size = entry.key_size, size = self._used if is_there else 0, told
        cdef bytes other
        if self._key_of is not None and self._key_slot < 0:
            try:
                other = self._key_of(PyBytes_FromStringAndSize(<const char*>key, key_size))
            except Exception:  # the reference meets it again, and says what it is
                return False
            key, key_size = <Bytes>PyBytes_AS_STRING(other), PyBytes_GET_SIZE(other)
        told = self._tell(entry.headers, entry.end)
        if key_size + size + told > MAX_BYTES:
            return False
        if not self._keeps_partition:
            partition = murmur2(key, key_size) & 0x7FFFFFFF
        made.put(
            partition % self._partitions, key, key_size, self._out if is_there else NULL, size, self._told, told
        )
        return True

    cdef int64_t _tell(self, Bytes p, Bytes end) except -1:
        """Write the headers, as `bus.wire.derived_headers`; how many bytes they have."""
        cdef int64_t count = 0, size = 0, id_size = 0, source_size = 0, time_size = 0
        cdef int64_t suffix_size = PyBytes_GET_SIZE(self._id_suffix), room
        cdef bytes shown
        cdef Bytes name
        cdef Bytes number = NULL
        cdef Bytes source = NULL
        cdef Bytes time = NULL
        cdef uint8_t* out
        read_number(&p, end, &count)
        while count > 0:
            read_number(&p, end, &size)
            name = p
            p += size
            if size == 5 and memcmp(name, b"ce_id", 5) == 0:
                number = p = content(p, end, &id_size)
                p += id_size
            elif size == 9 and memcmp(name, b"ce_source", 9) == 0:
                source = p = content(p, end, &source_size)
                p += source_size
            elif size == 7 and memcmp(name, b"ce_time", 7) == 0:
                time = p = content(p, end, &time_size)
                p += time_size
            else:
                p = content(p, end, &size)
                p += size
            count -= 1
        if self._id_of is not None:
            shown = self._id_of(PyBytes_FromStringAndSize(<const char*>number, id_size) + self._id_suffix)
            number, id_size, suffix_size = <Bytes>PyBytes_AS_STRING(shown), PyBytes_GET_SIZE(shown), 0
        room = PyBytes_GET_SIZE(self._told_first) + PyBytes_GET_SIZE(self._told_then)
        room += id_size + suffix_size + source_size + time_size + 64
        if room > self._told_room:
            out = <uint8_t*>realloc(self._told, room)
            if out == NULL:
                raise MemoryError
            self._told, self._told_room = out, room
        out = append(self._told, PyBytes_AS_STRING(self._told_first), PyBytes_GET_SIZE(self._told_first))
        out = append(write_number(out, id_size + suffix_size), <const char*>number, id_size)
        out = append(out, PyBytes_AS_STRING(self._id_suffix), suffix_size)
        out = append(out, PyBytes_AS_STRING(self._told_then), PyBytes_GET_SIZE(self._told_then))
        out = append(write_number(out, source_size), <const char*>source, source_size)
        out = append(write_number(out, 7), b"ce_time", 7)
        out = append(write_number(out, time_size), <const char*>time, time_size)
        return out - self._told

    def fields(self, Records records, tuple names):
        """For each record some of its fields, as they are encoded; None where it is not this writer's, or damaged.

        Args:
            records: of one partition.
            names: the fields' places in the writer's record.
        """
        cdef Py_ssize_t i
        cdef Entry* entry
        cdef list made = []
        for i in range(records._count):
            entry = &records._entries[i]
            if entry.value == NULL or entry.value_size < 5 or memcmp(entry.value, PyBytes_AS_STRING(self._head), 5):
                made.append(None)
            elif self._read_change(entry.value + 5, entry.value + entry.value_size) == GIVEN_UP:
                made.append(None)
            else:
                made.append(self._taken(names))
        return made

    cpdef bytes convert(self, bytes key, bytes value):
        """The framed value that is made of a framed value, or None: it is the reference's, or a deletion.

        Args:
            key: of the record; looked at by programs with a key's field.
            value: of the record.
        """
        self.broken = None
        if key is None or value is None:
            return None
        if FINISHED != self._find(
            <Bytes>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), <Bytes>PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
        ):
            return None
        return PyBytes_FromStringAndSize(<char*>self._out, self._used)

    cdef int _find(self, Bytes key, int64_t key_size, Bytes value, int64_t value_size) except -1:
        """What a record is; what is made of it stands in `_out`."""
        cdef Bytes p = value
        cdef int i, finding, rank = 0
        if key == NULL or value == NULL or value_size < 5 or memcmp(p, PyBytes_AS_STRING(self._head), 5) != 0:
            return GIVEN_UP
        finding = self._read_change(p + 5, p + value_size)
        if finding == DELETED:
            return DELETED if self._is_published(key, key_size) else GIVEN_UP
        if finding == GIVEN_UP:
            return GIVEN_UP
        if self._key_slot >= 0 and not self._is_key(key, key_size):
            return GIVEN_UP
        memcpy(self._out, PyBytes_AS_STRING(self._frame), 5)
        self._used = 5
        for i in range(self._instruction_count):
            self._spans[i] = self._used
            if self.broken is not None and self._instructions[i].rank > rank:
                continue
            if not self._run(i):
                self.broken = self._verdict(i)
                if self.broken is None:
                    return GIVEN_UP
                rank = self._instructions[i].rank
        if self.broken is not None:
            return GIVEN_UP
        self._spans[self._instruction_count] = self._used
        return FINISHED if self._agrees() and self._is_in_scope() else GIVEN_UP

    cdef bint _is_key(self, Bytes key, int64_t key_size) noexcept nogil:
        """Whether the record's key is its row's, of a program with a key's field."""
        cdef Slot* slot = &self._slots[self._key_slot]
        return not slot.is_null and slot.size == key_size and not memcmp(slot.text, key, key_size)

    cdef bint _is_in_scope(self) except -1:
        return self._scope is None or self._scope.holds(self._taken(self._scope_slots))

    cdef _verdict(self, int i):
        """Why the reference does not accept a field, if that is all there is to say of it; else None."""
        cdef object call = self._calls[i]
        made = None if call is None else call(self._taken(self._call_slots[i]))
        return made if isinstance(made, Reject) else None

    cdef bint _is_published(self, Bytes key, int64_t key_size) except -1:
        """Whether the key of a deleted row, which is in the slots unless there was none, passes scope and rules."""
        cdef bint is_ascii, is_plain
        cdef int i
        if not is_utf8(key, key + key_size, &is_ascii, &is_plain):
            return False
        if self._scope is not None:  # it is about the record's key, not the row's
            if self._slots_are_empty or self._key_slot < 0 or not self._is_key(key, key_size):
                return False
            if not self._is_in_scope():
                return False
        if self._slots_are_empty:
            return True
        self._used = 5
        for i in self._key_instructions:
            self._spans[i] = self._used
            if not self._run(i):
                return False
        return True

    cdef int _read_change(self, Bytes p, Bytes end) noexcept nogil:
        """Read the envelope; the row after, or of a deletion the one before, goes into the slots.

        Without an envelope the record is the row.
        """
        cdef int64_t op = -1
        cdef bint has_before = False, has_row = False
        cdef int i, role, is_row
        if self._envelope_fields == 0:
            return FINISHED if self._read_row(&p, end) and p == end else GIVEN_UP
        self._slots_are_empty = True
        for i in range(self._envelope_fields):
            role = self._roles[i]
            if role == OP:
                if not read_number(&p, end, &op) or not 0 <= op < self._ops:
                    return GIVEN_UP
            elif role == AFTER or (role == BEFORE and op == self._delete):
                has_before |= role == BEFORE
                is_row = read_branch(&self._nodes[self._envelope[i]], &p, end)
                if is_row < 0:
                    return GIVEN_UP
                if is_row:
                    if not self._slots_are_empty or not self._read_row(&p, end):
                        return GIVEN_UP
                    self._slots_are_empty = False
                    has_row |= role == AFTER
            elif not self._walk(self._envelope[i], &p, end, NULL, role == OTHER):
                return GIVEN_UP
        if p != end:
            return GIVEN_UP
        if op == self._delete:
            return DELETED if has_before and not has_row else GIVEN_UP
        return FINISHED if has_row else GIVEN_UP

    cdef bint _read_row(self, Bytes* place, Bytes end) noexcept nogil:
        cdef int i
        for i in range(self._row_fields):
            if not self._walk(self._children[self._row_first + i], place, end, &self._slots[i], False):
                return False
        return True

    cdef bint _walk(self, int index, Bytes* place, Bytes end, Slot* slot, bint is_skipped) noexcept nogil:
        """Read over a value, checking all that the reference would refuse; into a slot, if there is one."""
        cdef Node* node = &self._nodes[index]
        cdef Bytes p = place[0]
        cdef int branch
        if slot != NULL:
            slot.start = p
            slot.is_null = False
        if node.null_at >= 0:
            branch = read_branch(node, &p, end)
            if branch < 0:
                return False
            if branch == 0:
                if slot != NULL:
                    slot.is_null = True
                    slot.end = p
                place[0] = p
                return True
        return self._walk_value(node, p, place, end, slot, is_skipped)

    cdef bint _walk_value(
        self, Node* node, Bytes p, Bytes* place, Bytes end, Slot* slot, bint is_skipped
    ) noexcept nogil:
        cdef Bytes begin = p
        cdef int64_t number = 0, size = 0
        cdef bint is_ascii = False, is_plain = False
        cdef int i, kind = node.kind
        if kind == NUMBER:
            if not read_number(&p, end, &number):
                return False
            if not is_skipped and not node.least <= number <= node.most:
                return False
            size = p - begin
        elif kind == TEXT or kind == BYTES or kind == UUID:
            if not read_number(&p, end, &size) or size < 0 or size > end - p:
                return False
            begin = p
            p += size
            if kind == TEXT and not is_skipped and not is_utf8(begin, p, &is_ascii, &is_plain):
                return False
            if kind == UUID and not is_uuid(begin, size):
                return False
            if kind == BYTES and size > node.most:
                return False
        elif kind == BOOLEAN:
            if p >= end or p[0] > 1:
                return False
            size = 1
            p += 1
        elif kind == ENUM:
            if not read_number(&p, end, &number) or not 0 <= number < node.most:
                return False
            size = p - begin
        elif kind == FIXED:
            size = node.most
            if size > end - p:
                return False
            p += size
        elif kind == RECORD:
            for i in range(node.children):
                if not self._walk(self._children[node.first + i], &p, end, NULL, False):
                    return False
        elif kind == ARRAY or kind == MAP:
            if not self._walk_items(node, &p, end):
                return False
        place[0] = p
        if slot != NULL:
            slot.text = begin
            slot.size = size
            slot.number = number
            slot.is_ascii, slot.is_plain = is_ascii, is_plain
            slot.end = p
        return True

    cdef bint _walk_items(self, Node* node, Bytes* place, Bytes end) noexcept nogil:
        """Blocks of items until an empty one; each takes a byte at least (see `program`), so they end."""
        cdef int64_t left
        cdef int i
        while True:
            if not read_number(place, end, &left) or left < 0 or left > end - place[0]:
                return False
            if left == 0:
                return True
            while left > 0:
                for i in range(node.children):
                    if not self._walk(self._children[node.first + i], place, end, NULL, False):
                        return False
                left -= 1

    cdef bint _run(self, int i) except -1:
        """Write a field of the output; False gives the record up."""
        cdef Instruction* made = &self._instructions[i]
        cdef Slot* slot
        cdef int64_t number
        if made.operation == CONSTANT:
            return self._write(made.present, made.present_size)
        if made.operation == CALL:
            return self._call(i)
        slot = &self._slots[made.slot]
        if slot.is_null:
            return self._write(made.absent, made.absent_size)
        if made.operation == COPY:
            return self._copy(i, made, slot)
        if made.operation == MASK:
            return self._mask(i, made, slot)
        if made.operation == PSEUDONYM:
            return self._pseudonym(i, made, slot)
        if made.operation == CLEAN:
            return self._clean(i, made, slot)
        if made.operation == DIGITS:
            return self._write_digits(made, slot.number)
        if made.operation == RESCALE:
            return self._rescale(i, made, slot)
        if made.operation == ZONED:
            number = slot.number - <int64_t>made.offset * 60_000_000 // made.unit
            return self._write_number(made, number) if made.least <= number <= made.most else False
        return self._parse(i, made, slot)

    cdef bint _reserve(self, int64_t more) except -1:
        cdef int64_t room = self._room
        cdef uint8_t* larger
        if self._used + more <= room:
            return True
        while self._used + more > room:
            room *= 2
        larger = <uint8_t*>realloc(self._out, room)
        if larger == NULL:
            raise MemoryError
        self._out, self._room = larger, room
        return True

    cdef bint _write(self, Bytes made, int64_t size) except -1:
        """Write bytes; NULL gives the record up."""
        if made == NULL:
            return False
        self._reserve(size)
        move(self._out + self._used, made, size)
        self._used += size
        return True

    cdef bint _copy(self, int i, Instruction* made, Slot* slot) except -1:
        cdef int kind = self._nodes[self._children[self._row_first + made.slot]].kind
        cdef uint8_t* out
        if kind == NUMBER and not made.least <= slot.number <= made.most:
            return False
        self._write(made.present, made.present_size)
        self._reserve(slot.size + 10)
        out = self._out + self._used
        if kind == NUMBER or kind == ENUM:
            out = write_number(out, slot.number)
        else:
            if kind == BYTES or kind == TEXT:
                out = write_number(out, slot.size)
            move(out, slot.text, slot.size)
            out += slot.size
        self._used = out - self._out
        return True

    cdef bint _clean(self, int i, Instruction* made, Slot* slot) except -1:
        """A text through its steps and checks."""
        cdef Bytes begin = NULL
        cdef Bytes end = NULL
        cdef int tidied = self._tidy(made, slot, &begin, &end)
        if tidied == FOR_REFERENCE:
            return self._call(i)
        if tidied == REFUSED:
            return False
        if begin == end and made.steps:
            return self._write(made.absent, made.absent_size)
        if made.check == CITIZEN_ID and not is_citizen_id(begin, end - begin):
            return False
        if made.check == CREDIT_CODE and not is_credit_code(begin, end - begin):
            return False
        return self._write_text(made, begin, end - begin)

    cdef int _tidy(self, Instruction* made, Slot* slot, Bytes* begin, Bytes* end) except -1:
        """A text through its steps, and its form looked at; there is room then for it behind `_used`, and for 30 bytes.

        If it is written anew, it stands there behind room for what is written before it: a branch, and its length.
        """
        cdef uint8_t* scratch
        cdef int64_t characters
        self._reserve(slot.size + 30)
        begin[0], end[0] = slot.text, slot.text + slot.size
        if made.steps:
            if not slot.is_plain or made.steps & (UPPER | LOWER):  # else only its ends may change
                scratch = self._out + self._used + 20
                end[0] = cleaned(slot.text, slot.text + slot.size, scratch, made.steps)
                if end[0] == NULL:
                    return FOR_REFERENCE
                begin[0] = scratch
            if made.steps & TRIM:
                while end[0] > begin[0] and is_space((end[0] - 1)[0]):
                    end[0] -= 1
                while begin[0] < end[0] and is_space(begin[0][0]):
                    begin[0] += 1
            if begin[0] == end[0]:
                return TIDY
        # Counted only where it may matter: what is not empty has one character at least, and no more than bytes.
        if begin[0] == end[0] or made.shortest > 1 or end[0] - begin[0] > made.longest or made.ways:
            characters = length_of(begin[0], end[0], slot.is_ascii)
            if not made.shortest <= characters <= made.longest:
                return REFUSED
            if made.ways and (characters > made.pattern_longest or not self._matches(made, begin[0], end[0])):
                return REFUSED
        return TIDY

    cdef bint _parse(self, int i, Instruction* made, Slot* slot) except -1:
        """A number or a moment out of a text. What is not plain is the reference's, which says so if it is none."""
        cdef Bytes begin = NULL
        cdef Bytes end = NULL
        cdef int64_t number = 0
        cdef int tidied
        if slot.size == 0:
            return self._write(made.absent, made.absent_size)
        tidied = self._tidy(made, slot, &begin, &end)
        if tidied == FOR_REFERENCE:
            return self._call(i)
        if tidied == REFUSED:
            return False
        if begin == end:
            return self._write(made.absent, made.absent_size)
        if made.operation == DATE:
            return self._write_number(made, number) if self._is_date(made, begin, end, &number) else self._call(i)
        if made.operation != MOMENT:
            return self._parse_number(i, made, begin, end)
        return self._write_number(made, number) if self._is_moment(made, begin, end, &number) else self._call(i)

    cdef bint _parse_number(self, int i, Instruction* made, Bytes begin, Bytes end) except -1:
        cdef Plain plain
        cdef double real
        cdef uint64_t bits
        if not read_plain(begin, end, made.thousands, made.point, &plain):
            return self._call(i)
        if made.operation == REAL:
            real = PyOS_string_to_double(plain.text, NULL, NULL)
            memcpy(&bits, &real, 8)
            self._write(made.present, made.present_size)
            self._reserve(8)
            self._used = write_little(self._out + self._used, bits, 8) - self._out
            return True
        if plain.before + plain.behind > MOST_DIGITS:
            return self._call(i)
        if made.operation == DECIMAL:
            return self._write_decimal(i, made, plain.number, plain.whole, plain.behind)
        if plain.behind or not made.least <= plain.number <= made.most:
            return self._call(i)
        return self._write_number(made, plain.number)

    cdef bint _is_date(self, Instruction* made, Bytes begin, Bytes end, int64_t* number) noexcept nogil:
        """A date by the first format that fits. A time that the format names must be one, and is left out."""
        cdef Clock clock
        cdef int* parts = clock.parts
        if not self._read_clock(made, begin, end, &clock):
            return False
        number[0] = days_from(parts[YEAR], parts[MONTH], parts[DAY])
        return number[0] != -2147483648 and is_time_of_day(&clock)

    cdef bint _is_moment(self, Instruction* made, Bytes begin, Bytes end, int64_t* number) noexcept nogil:
        cdef Clock clock
        cdef bint is_found = self._read_clock(made, begin, end, &clock) if made.forms else read_iso(begin, end, &clock)
        if not is_found or not moment_of(&clock, made.offset, number) or clock.parts[FRACTION] % made.unit:
            return False
        number[0] //= made.unit
        return True

    cdef bint _read_clock(self, Instruction* made, Bytes begin, Bytes end, Clock* clock) noexcept nogil:
        """What stands in a text, by the first of the formats that fits."""
        cdef Way* form
        cdef int i
        for i in range(made.forms):
            form = &self._forms[made.first_form + i]
            if read_form(&self._form_parts[form.first], form.items, begin, end, clock):
                return True
        return False

    cdef bint _write_number(self, Instruction* made, int64_t number) except -1:
        self._write(made.present, made.present_size)
        self._reserve(10)
        self._used = write_number(self._out + self._used, number) - self._out
        return True

    cdef bint _write_text(self, Instruction* made, Bytes text, int64_t size) except -1:
        """A text, or bytes, which may stand in what `_tidy` has made room for, behind where it goes."""
        cdef int64_t place
        self._write(made.present, made.present_size)
        self._reserve(size + 10)
        place = write_number(self._out + self._used, size) - self._out
        move(self._out + place, text, size)
        self._used = place + size
        return True

    cdef bint _write_digits(self, Instruction* made, int64_t number) except -1:
        """A number as a text."""
        cdef uint8_t[20] digits
        return self._write_text(made, digits, write_digits(digits, number) - digits)

    cdef bint _rescale(self, int i, Instruction* made, Slot* slot) except -1:
        """A number, or a decimal, as a decimal with as many places after the point, or more."""
        cdef int64_t number = slot.number
        cdef int digits
        if made.source_precision:
            if not 0 < slot.size <= 8:
                return self._call(i)
            number = integer_of(slot.text, slot.size)
            if digits_of(number) > made.source_precision:
                return self._call(i)
        digits = digits_of(number)
        if digits > MOST_DIGITS:
            return self._call(i)
        return self._write_decimal(i, made, number, digits - made.source_scale, made.source_scale)

    cdef bint _write_decimal(self, int i, Instruction* made, int64_t number, int whole, int places) except -1:
        """A number with so many places after its point, as fastavro writes it; the reference's, if it may not fit."""
        cdef uint8_t[DECIMAL_ROOM] octets
        whole = max(1, whole)
        if places > made.scale or whole > made.whole or whole + made.scale > MOST_DIGITS:
            return self._call(i)
        return self._write_text(made, octets, write_decimal(octets, number * power_of_ten(made.scale - places)))

    cdef bint _mask(self, int i, Instruction* made, Slot* slot) except -1:
        """A text with its middle hidden; see `bus.pipeline.mapping.mask`."""
        cdef bytes fill = self._fills[i]
        cdef int64_t characters = length_of(slot.text, slot.text + slot.size, slot.is_ascii)
        cdef int64_t hidden = characters - made.keep_start - made.keep_end
        cdef int64_t head = 0, tail = 0, fill_size = PyBytes_GET_SIZE(fill), number
        cdef uint8_t* out
        if hidden > 0:
            head = place_of(slot.text, slot.size, made.keep_start)
            tail = slot.size - place_of(slot.text, slot.size, characters - made.keep_end)
        else:
            hidden = characters
        hidden = made.hidden if made.hidden else min(hidden, MOST_FILLED)
        self._write(made.present, made.present_size)
        self._reserve(head + tail + hidden * fill_size + 10)
        out = write_number(self._out + self._used, head + tail + hidden * fill_size)
        memcpy(out, slot.text, head)
        out += head
        for number in range(hidden):
            memcpy(out, PyBytes_AS_STRING(fill), fill_size)
            out += fill_size
        memcpy(out, slot.text + slot.size - tail, tail)
        self._used = out + tail - self._out
        return True

    cdef bint _pseudonym(self, int i, Instruction* made, Slot* slot) except -1:
        """What is shown of a text, by `bus.pipeline.mapping.mask.Pseudonym`."""
        cdef bytes shown = self._calls[i](PyBytes_FromStringAndSize(<const char*>slot.text, slot.size))
        return self._write_text(made, <Bytes>PyBytes_AS_STRING(shown), PyBytes_GET_SIZE(shown))

    cdef bint _matches(self, Instruction* made, Bytes begin, Bytes end) noexcept nogil:
        """Whether the whole text has the form of one of the ways."""
        cdef int i
        cdef Way* way
        for i in range(made.ways):
            way = &self._ways[made.first_way + i]
            if matches(&self._items[way.first], way.items, begin, end):
                return True
        return False

    cdef bint _call(self, int i) except -1:
        """Let the reference make the field out of its sources; what repeats is remembered."""
        cdef tuple slots = self._call_slots[i]
        cdef Memo memo = self._memos[i]
        cdef Slot* slot = &self._slots[<int>slots[0]]
        cdef Bytes known
        cdef Bytes start = slot.start
        cdef int64_t size = slot.end - slot.start, known_size = 0
        cdef bytes made, taken = None
        if len(slots) != 1:
            taken = self._taken(slots)
            start, size = <Bytes>PyBytes_AS_STRING(taken), PyBytes_GET_SIZE(taken)
        if memo is not None:
            known = memo.find(start, size, &known_size)
            if known != NULL:
                return self._write(known, known_size)
        called = self._calls[i](PyBytes_FromStringAndSize(<const char*>start, size) if taken is None else taken)
        if type(called) is not bytes:
            return False
        made = called
        if memo is not None:
            memo.keep(start, size, <Bytes>PyBytes_AS_STRING(made), PyBytes_GET_SIZE(made))
        return self._write(<Bytes>PyBytes_AS_STRING(made), PyBytes_GET_SIZE(made))

    cdef bytes _taken(self, tuple slots):
        """The encoded fields, one after the other."""
        if len(slots) == 1:
            return self._field(slots[0])
        return b"".join([self._field(slot) for slot in slots])

    cdef bytes _field(self, int number):
        """An encoded field of the row."""
        cdef Slot* slot = &self._slots[number]
        return PyBytes_FromStringAndSize(<const char*>slot.start, slot.end - slot.start)

    cdef bint _agrees(self) noexcept:
        """The rules over several fields; see `bus.pipeline.mapping.cross_rule`."""
        cdef Slot number, other
        cdef bint is_id = False
        if self._birth_id >= 0:
            is_id = self._is_id(self._birth_id, &number)
            if is_id and self._made(self._birth_date, &other, False) and other.number != days_of(number.text + 6):
                return False
        if self._sex_id >= 0:
            if self._sex_id != self._birth_id:
                is_id = self._is_id(self._sex_id, &number)
            if is_id and self._made(self._sex, &other, True) and other.size == 1:
                if other.text[0] == (50 if number.text[16] & 1 else 49):
                    return False
        return True

    cdef bint _is_id(self, int i, Slot* number) noexcept:
        """Whether a field of the output is a citizen's id. The check of its rule says nothing of a default."""
        return self._made(i, number, True) and is_citizen_id(number.text, number.size)

    cdef bint _made(self, int i, Slot* found, bint is_text) noexcept:
        """A field of the output; False if it is null."""
        cdef Bytes p = self._out + self._spans[i]
        cdef Bytes end = self._out + self._spans[i + 1]
        cdef int null_at = self._target_null_at[i]
        found.number = 0
        if null_at >= 0:
            if p[0] == 2 * null_at:
                return False
            p += 1
        read_number(&p, end, &found.number)
        found.text, found.size = p, found.number if is_text else 0
        return True


def _flatten(node, list flat, list children):
    """A tree of nodes as a list of them and a list of their children's numbers; its own number."""
    number = len(flat)
    flat.append(None)
    inner = [_flatten(child, flat, children) for child in node.children]
    flat[number] = (node.kind, node.null_at, len(children), len(inner), node.least, node.most)
    children += inner
    return number
