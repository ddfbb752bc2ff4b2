/* Which ways a run took through code that gcc compiled with -fsanitize-coverage=trace-pc, for fuzzing.py. Preloaded.

   As in AFL: an edge is a pair of blocks that follow each other; of each the counts 1, 2, 3, 4-7, 8-15, … are told apart. */
#include <stdint.h>
#include <string.h>

#define SIZE (1 << 16)
static uint8_t counts[SIZE], seen[SIZE];
static uintptr_t before;

void __sanitizer_cov_trace_pc(void) {
    uintptr_t here = (uintptr_t)__builtin_return_address(0) * 0x9E3779B97F4A7C15u >> 48;
    uint8_t *count = &counts[(here ^ before) & (SIZE - 1)];
    *count += *count < 255;
    before = here >> 1;
}

static uint8_t bucket(uint8_t count) {
    if (count < 4) return count < 3 ? count : 4;
    return count < 8 ? 8 : count < 16 ? 16 : count < 32 ? 32 : count < 128 ? 64 : 128;
}

void edges_forget(void) {
    memset(seen, 0, SIZE);
}

void edges_begin(void) {
    memset(counts, 0, SIZE);
    before = 0;
}

int edges_new(void) { /* since edges_begin, that no run before had */
    int found = 0;
    for (int i = 0; i < SIZE; i += 8) {
        uint64_t eight;
        memcpy(&eight, counts + i, 8);
        if (!eight) continue;
        for (int j = i; j < i + 8; j++) {
            uint8_t more = bucket(counts[j]) & ~seen[j];
            seen[j] |= more;
            found += more != 0;
        }
    }
    return found;
}
