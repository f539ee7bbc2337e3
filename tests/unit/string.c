/* string.c: the kernel's memory and string functions, against simple loops. The host's own keep their names, so the
 * kernel's get others here.
 * SPDX-License-Identifier: MIT */
#include <unit/check.h>
#define memcpy kernel_memcpy
#define memset kernel_memset
#define memcmp kernel_memcmp
#define strlen kernel_strlen
#include <kernel/string.c>
#undef memcpy
#undef memset
#undef memcmp
#undef strlen

#define ROOM 64

static uint8_t bytes[ROOM], wanted[ROOM];

/* Assembly is not watched by the sanitizer, so the whole room around is compared. */
static void fill(void) {
    for (unsigned i = 0; i < ROOM; i++)
        bytes[i] = wanted[i] = (uint8_t)any_number();
}

static void test_copies(void) {
    for (unsigned to = 0; to < ROOM; to += 3) {
        for (unsigned from = 0; from < ROOM; from++) {
            for (unsigned size = 0; size <= ROOM - to && size <= ROOM - from; size++) {
                if (to < from + size && from < to + size)
                    continue; /* they overlap */
                fill();
                for (unsigned i = 0; i < size; i++)
                    wanted[to + i] = bytes[from + i];
                /* mutant kernel/string.c: rep movsb" : "+D"(d) => std; rep movsb; cld" : "+D"(d) */
                CHECK(kernel_memcpy(bytes + to, bytes + from, size) == bytes + to);
                CHECK(!memcmp(bytes, wanted, ROOM));
            }
        }
    }
}

static void test_memset(void) {
    for (unsigned to = 0; to < ROOM; to++) {
        for (unsigned size = 0; size <= ROOM - to; size++) {
            int byte = (int)any_number(); /* only its low eight bits count */
            fill();
            for (unsigned i = 0; i < size; i++)
                wanted[to + i] = (uint8_t)byte;
            CHECK(kernel_memset(bytes + to, byte, size) == bytes + to);
            CHECK(!memcmp(bytes, wanted, ROOM));
        }
    }
}

static int sign(int value) { return (value > 0) - (value < 0); }

static void test_compares(void) {
    static const char *const strings[] = {"", "a", "b", "ab", "abc", "abd", "\x80", "\xff", "a\xff"};
    const unsigned count = sizeof(strings) / sizeof(strings[0]);
    for (unsigned a = 0; a < count; a++) {
        /* mutant kernel/string.c: size_t length = 0; => size_t length = 1; */
        CHECK_EQUAL(kernel_strlen(strings[a]), strlen(strings[a]));
        for (unsigned b = 0; b < count; b++) {
            char *x = exact_copy(strings[a], strlen(strings[a]) + 1),
                 *y = exact_copy(strings[b], strlen(strings[b]) + 1);
            size_t size = strlen(x) < strlen(y) ? strlen(x) : strlen(y);
            /* mutant kernel/string.c: const unsigned char *x = a, *y = b; => const signed char *x = a, *y = b; */
            CHECK_EQUAL(sign(kernel_memcmp(x, y, size + 1)), sign(memcmp(x, y, size + 1)));
            CHECK_EQUAL(kernel_memcmp(x, y, 0), 0);
            free(x);
            free(y);
        }
    }
}

int main(void) {
    test_copies();
    test_memset();
    test_compares();
    return 0;
}
