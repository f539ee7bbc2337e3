/* printk.c: the kernel's format_text() against the host's snprintf(), for all that printk.h promises.
 * SPDX-License-Identifier: MIT */
#include <unit/check.h>
#include <kernel/printk.c>

struct lock console_lock;

static char text[4096];
static size_t size;

void console_put(char c) {
    CHECK(size < sizeof(text) - 1);
    text[size++] = c;
    text[size] = '\0';
}

void console_fresh_line(void) {}

static const char *format(const char *format, ...) {
    va_list list;
    va_start(list, format);
    size = 0;
    text[0] = '\0';
    format_text(console_put, format, list);
    va_end(list);
    return text;
}

/* The same to both. */
#define SAME(...)                                                                                                      \
    do {                                                                                                               \
        char wanted[4096];                                                                                             \
        snprintf(wanted, sizeof(wanted), __VA_ARGS__);                                                                 \
        CHECK_TEXT(format(__VA_ARGS__), wanted);                                                                       \
    } while (0)

static void test_plain(void) {
    SAME("%s", "");
    SAME("plain text\n");
    SAME("100%% and %s|%s", "more", "");
    /* A conversion that nobody knows; a % with nothing behind it the compiler refuses, as it does this one. */
    /* mutant kernel/printk.c: put(*format); } => put('?'); } */
    CHECK_TEXT(format("100%% of %k"), "100% of k");
}

static const uint64_t numbers[] = {0,         1,          9,         10,        99,        100,        0xabcdef,
                                   INT32_MAX, UINT32_MAX, 1ul << 32, INT64_MAX, 1ul << 63, UINT64_MAX, 0x123456789};
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

/* Both conversions with every width, padding and length. */
static void test_numbers(void) {
    /* mutant kernel/printk.c: va_arg(arguments, uint64_t) : va_arg(arguments, unsigned) =>
       va_arg(arguments, uint64_t) : va_arg(arguments, uint64_t) >> 1 << 1 */
    for (unsigned width = 0; width < 30; width++) {
        for (const char *conversion = "ux"; *conversion; conversion++) {
            char widths[8] = "", how[32], how_long[32];
            if (width)
                snprintf(widths, sizeof(widths), "%u", width);
            for (unsigned zero = 0; zero < 2; zero++) {
                snprintf(how, sizeof(how), "<%%%s%s%c>", zero ? "0" : "", widths, *conversion);
                snprintf(how_long, sizeof(how_long), "<%%%s%sl%c>", zero ? "0" : "", widths, *conversion);
                for (unsigned n = 0; n < NUMBERS; n++) {
                    SAME(how, (unsigned)numbers[n]);
                    SAME(how_long, numbers[n]);
                }
            }
        }
    }
}

/* Several arguments, so that one of the wrong length would shift the rest. */
static void test_sequence(void) {
    for (unsigned round = 0; round < 1000; round++) {
        uint64_t a = any_number() >> any_below(64), b = any_number() >> any_below(64);
        SAME("%lx %s %u %lu %012lx-%012lx %x %5u|%06x|%lu", a, "text", (unsigned)a, b, a, b, (unsigned)b, round, round,
             a);
    }
}

int main(void) {
    test_plain();
    test_numbers();
    test_sequence();
    return 0;
}
