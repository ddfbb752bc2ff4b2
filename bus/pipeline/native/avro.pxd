# cython: language_level=3
"""How values are written in Avro's binary encoding (Apache Avro 1.12 specification), what UTF-8 is, Kafka's hash of a key."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    ctypedef int int128 "__int128"

cdef extern from "Python.h":
    bint PY_LITTLE_ENDIAN

cdef enum:
    DECIMAL_ROOM = 16      # bytes of a decimal of 38 digits, at most


cdef inline uint8_t* write_digits(uint8_t* out, int64_t value) noexcept nogil:
    """A number in decimal digits, of twenty bytes at most; where it ends."""
    cdef uint8_t[20] digits
    cdef int count = 0
    cdef uint64_t left = <uint64_t>value
    if value < 0:
        out[0] = 45
        out += 1
        left = 0 - left
    while True:
        digits[count] = <uint8_t>(48 + left % 10)
        count += 1
        left //= 10
        if left == 0:
            break
    while count > 0:
        count -= 1
        out[0] = digits[count]
        out += 1
    return out


cdef inline uint8_t* write_little(uint8_t* out, uint64_t bits, int count) noexcept nogil:
    """So many bytes of a number, the lowest first, on any machine; where they end."""
    cdef int i
    for i in range(count):
        out[i] = <uint8_t>(bits >> (8 * i))
    return out + count


cdef inline int write_decimal(uint8_t* out, int128 number) noexcept nogil:
    """A decimal without its point in two's complement, the highest byte first, in as many bytes as fastavro takes for
    it; how many these are."""
    cdef int128 left = -number if number < 0 else number
    cdef int i, bits = 0, size
    while left:
        left >>= 1
        bits += 1
    size = (bits + 8) // 8
    for i in range(size):
        out[i] = <uint8_t>(number >> (8 * (size - 1 - i)) & 0xFF)
    return size


cdef inline uint8_t* write_utf8(uint8_t* out, uint32_t c) noexcept nogil:
    """A character beyond ASCII; where it ends. NULL for half of a surrogate pair, which UTF-8 has no form of."""
    if c < 0x800:
        out[0] = <uint8_t>(0xC0 | c >> 6)
        out += 1
    else:
        if c < 0x10000:
            if 0xD800 <= c <= 0xDFFF:
                return NULL
            out[0] = <uint8_t>(0xE0 | c >> 12)
            out += 1
        else:
            out[0] = <uint8_t>(0xF0 | c >> 18)
            out[1] = <uint8_t>(0x80 | c >> 12 & 0x3F)
            out += 2
        out[0] = <uint8_t>(0x80 | c >> 6 & 0x3F)
        out += 1
    out[0] = <uint8_t>(0x80 | c & 0x3F)
    return out + 1


cdef inline uint32_t murmur2(const uint8_t* p, int64_t size) noexcept nogil:
    """As Kafka's Java client; see `bus.kafka.partitions`."""
    cdef uint32_t h = <uint32_t>0x9747B28C ^ <uint32_t>size, k
    cdef int64_t left = size
    while left >= 4:
        k = p[0] | <uint32_t>p[1] << 8 | <uint32_t>p[2] << 16 | <uint32_t>p[3] << 24
        k *= 0x5BD1E995
        k ^= k >> 24
        h = h * 0x5BD1E995 ^ k * 0x5BD1E995
        p += 4
        left -= 4
    if left:
        if left == 3:
            h ^= <uint32_t>p[2] << 16
        if left >= 2:
            h ^= <uint32_t>p[1] << 8
        h = (h ^ p[0]) * 0x5BD1E995
    h = (h ^ h >> 13) * 0x5BD1E995
    return h ^ h >> 15


cdef inline const uint8_t* behind_ideographs(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Behind the pairs that stand here of ideographs from U+5000 to U+9FFF, while two bytes follow: two in one look."""
    cdef uint64_t word
    cdef uint32_t leads
    while PY_LITTLE_ENDIAN and end - p >= 8:
        memcpy(&word, p, 8)
        if word & <uint64_t>0x0000C0C0F0C0C0F0 != <uint64_t>0x00008080E08080E0:
            break
        leads = <uint32_t>word & <uint32_t>0x0F00000F  # 0xE5 to 0xE9
        if (leads + <uint32_t>0x7B00007B) & ~(leads + <uint32_t>0x76000076) & <uint32_t>0x80000080 != <uint32_t>0x80000080:
            break
        p += 6
    return p


cdef inline bint is_utf8(const uint8_t* p, const uint8_t* end, bint* is_ascii, bint* is_plain) noexcept nogil:
    """Whether it is UTF-8 as Python takes it: no surrogates, nothing overlong (RFC 3629).

    Args:
        p, end: the bytes.
        is_ascii: told whether they are.
        is_plain: told whether all is ASCII or ideographs from U+4E00 on, which NFKC leaves as they are; False says
            nothing.
    """
    cdef const uint8_t* begin = p
    cdef uint64_t word
    cdef uint8_t lead, low, high
    cdef int more
    is_ascii[0] = is_plain[0] = True
    while p < end:
        lead = p[0]
        if lead < 0x80:
            if end - p >= 8:
                memcpy(&word, p, 8)
                p += 1 if word & <uint64_t>0x8080808080808080 else 8
                continue
            if end - begin >= 8:  # what is left, and some of what was looked at
                memcpy(&word, end - 8, 8)
                if not word & <uint64_t>0x8080808080808080:
                    break
            p += 1
            continue
        is_ascii[0] = False
        if 0xE1 <= lead <= 0xEC:  # most of what is not ASCII, ideographs among it
            if end - p < 3 or p[1] & 0xC0 != 0x80 or p[2] & 0xC0 != 0x80:
                return False
            if not 0xE5 <= lead <= 0xE9 and (lead != 0xE4 or p[1] < 0xB8):
                is_plain[0] = False
            p = behind_ideographs(p + 3, end)
            continue
        is_plain[0] = False
        p += 1
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return False
        if end - p < more or not low <= p[0] <= high:
            return False
        p += 1
        while more > 1:
            if p[0] & 0xC0 != 0x80:
                return False
            p += 1
            more -= 1
    return True
