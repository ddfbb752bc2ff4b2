# cython: language_level=3
"""Numbers and moments out of texts, as `bus.pipeline.mapping.conversion` takes them; what is not plain is left to it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    MOST_DIGITS = 18       # of a number that fits 64 bits, whatever they are
    MOST_BESIDE = 40       # digits before a point, and behind it, that the reference takes
    SECONDS_A_DAY = 86_400

cdef enum:                 # tokens of a format of dates; see `bus.pipeline.mapping.date_format`
    LITERAL, YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, FRACTION

cdef struct Part:          # of a format
    int token
    int least, most        # digits; of a literal, its byte

cdef struct Plain:         # a number in a text
    char[96] text          # without signs for thousands, `.` for its point; a NUL behind it
    int before, behind     # its digits before the point, and behind it; none without a point
    int whole              # of those before it, without zeros in front
    int64_t number         # all of them, with the sign; of MOST_DIGITS at most

cdef struct Clock:
    int[8] parts           # by tokens; of a fraction, microseconds
    int offset             # minutes
    bint has_offset


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef struct Groups:        # digits between signs for thousands
    int since              # digits since the last sign, or since the beginning
    bint is_grouped


cdef inline bint ends_group(Groups* groups) noexcept nogil:
    """Whether a sign, a point or the end may stand here."""
    return groups.since == 3 or not groups.is_grouped


cdef inline bint begins_group(Groups* groups) noexcept nogil:
    """Whether a sign may stand here; the next group begins behind it."""
    if not 1 <= groups.since <= 3 or not ends_group(groups):
        return False
    groups.since = 0
    groups.is_grouped = True
    return True


cdef inline bint read_plain(const uint8_t* p, const uint8_t* end, int thousands, int point, Plain* found) noexcept nogil:
    """A sign or none, digits, and perhaps a point with digits behind it; False for anything else."""
    cdef uint64_t number = 0
    cdef int size = 0
    cdef bint has_point = False
    cdef uint8_t c
    cdef Groups groups = Groups(0, False)
    found.before = found.behind = found.whole = 0
    while p < end:
        c = p[0]
        p += 1
        if c == thousands:
            if has_point or not begins_group(&groups):
                return False
            continue
        if is_digit(c):
            number = 10 * number + (c - 48)
            if has_point:
                found.behind += 1
            else:
                found.before += 1
                found.whole += number != 0
                groups.since += 1
            if found.before > MOST_BESIDE or found.behind > MOST_BESIDE:
                return False
        elif c == point or c == 46:
            if has_point or found.before == 0 or not ends_group(&groups):
                return False
            has_point = True
            c = 46
        elif (c != 43 and c != 45) or size > 0:
            return False
        found.text[size] = <char>c
        size += 1
    found.text[size] = 0
    found.number = <int64_t>(0 - number if size > 0 and found.text[0] == 45 else number)
    return found.before > 0 and (found.behind > 0 or not has_point) and ends_group(&groups)


cdef inline int64_t power_of_ten(int exponent) noexcept nogil:
    cdef int64_t power = 1
    cdef int i
    for i in range(exponent):
        power *= 10
    return power


cdef inline int digits_of(int64_t number) noexcept nogil:
    """How many decimal digits; one for 0."""
    cdef uint64_t left = 0 - <uint64_t>number if number < 0 else <uint64_t>number
    cdef int count = 1
    while left > 9:
        left //= 10
        count += 1
    return count


cdef inline int64_t integer_of(const uint8_t* p, int64_t size) noexcept nogil:
    """Of one to eight bytes, the highest first, in two's complement."""
    cdef uint64_t number = <uint64_t>-1 if p[0] & 0x80 else 0
    cdef int64_t place
    for place in range(size):
        number = number << 8 | p[place]
    return <int64_t>number


cdef inline int number_of(const uint8_t* p, int size) noexcept nogil:
    """Of so many digits; -1 if there is something else among them."""
    cdef int i, number = 0
    for i in range(size):
        if not is_digit(p[i]):
            return -1
        number = 10 * number + p[i] - 48
    return number


cdef inline bint read_iso(const uint8_t* p, const uint8_t* end, Clock* clock) noexcept nogil:
    """YYYY-MM-DDThh:mm:ss, or with a space, with milliseconds, microseconds or neither, with an offset or without."""
    cdef int size = 0, sign
    if end - p < 19 or p[4] != 45 or p[7] != 45 or p[13] != 58 or p[16] != 58 or (p[10] != 84 and p[10] != 32):
        return False
    clock.parts[YEAR], clock.parts[MONTH], clock.parts[DAY] = number_of(p, 4), number_of(p + 5, 2), number_of(p + 8, 2)
    clock.parts[HOUR], clock.parts[MINUTE] = number_of(p + 11, 2), number_of(p + 14, 2)
    clock.parts[SECOND], clock.parts[FRACTION] = number_of(p + 17, 2), 0
    clock.has_offset = False
    clock.offset = 0
    p += 19
    if p < end and p[0] == 46:
        p += 1
        while p + size < end and is_digit(p[size]):
            size += 1
        if size != 3 and size != 6:
            return False
        clock.parts[FRACTION] = number_of(p, size) * (1000 if size == 3 else 1)
        p += size
    if p == end:
        return True
    clock.has_offset = True
    if end - p == 1:
        return p[0] == 90  # Z
    if end - p != 6 or p[3] != 58 or (p[0] != 43 and p[0] != 45):
        return False
    sign = 1 if p[0] == 43 else -1
    if not 0 <= number_of(p + 1, 2) <= 23 or not 0 <= number_of(p + 4, 2) <= 59:
        return False
    clock.offset = sign * (60 * number_of(p + 1, 2) + number_of(p + 4, 2))
    return True


cdef inline bint read_form(Part* parts, int count, const uint8_t* p, const uint8_t* end, Clock* clock) noexcept nogil:
    """A text in a format, which says where each number of digits that may vary ends."""
    cdef int i, size, number
    cdef Part* part
    for i in range(8):
        clock.parts[i] = 0
    clock.has_offset = False
    clock.offset = 0
    for i in range(count):
        part = &parts[i]
        if part.token == LITERAL:
            if p >= end or p[0] != part.most:
                return False
            p += 1
            continue
        size = 0
        while size < part.most and p + size < end and is_digit(p[size]):
            size += 1
        if size < part.least:
            return False
        number = number_of(p, size)
        p += size
        if part.token == FRACTION:
            number *= power_of_ten(6 - size)
        clock.parts[part.token] = number
    return p == end


cdef inline int days_from(int year, int month, int day) noexcept nogil:
    """A date as days since 1970; the smallest number of all if there is no such day."""
    cdef int last = 31
    cdef uint32_t years, months  # without a sign, to divide them is one step and no two
    if month == 2:
        last = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        last = 30
    if year < 1 or not 1 <= month <= 12 or not 1 <= day <= last:
        return -2147483648
    years, months = year, month - 3
    if month < 3:
        years -= 1
        months += 12
    return <int>(365 * years + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day) - 719469


cdef inline bint is_time_of_day(Clock* clock) noexcept nogil:
    """Whether there is such an hour, minute and second."""
    cdef int* parts = clock.parts
    return 0 <= parts[HOUR] <= 23 and 0 <= parts[MINUTE] <= 59 and 0 <= parts[SECOND] <= 59


cdef inline bint moment_of(Clock* clock, int offset, int64_t* micros) noexcept nogil:
    """Microseconds since 1970, of what states no offset, with this one, in minutes; False if there is no such time."""
    cdef int* parts = clock.parts
    cdef int days = days_from(parts[YEAR], parts[MONTH], parts[DAY])
    if not 1000 <= parts[YEAR] <= 9000 or days == -2147483648 or not is_time_of_day(clock):
        return False
    if clock.has_offset:
        offset = clock.offset
    micros[0] = (<int64_t>days * SECONDS_A_DAY + parts[HOUR] * 3600 + (parts[MINUTE] - offset) * 60 + parts[SECOND]) * 1_000_000
    micros[0] += parts[FRACTION]
    return True
