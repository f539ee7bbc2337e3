/* printk.c: formats made of what printk() knows, with any values and texts, against the host's snprintf(). The bytes say
 * which conversions, widths and values; formats themselves are the kernel's own, and the compiler checks them.
 * SPDX-License-Identifier: MIT */
#include <fuzz/fuzz.h>
#include <kernel/printk.c>

#pragma clang diagnostic ignored "-Wformat-nonliteral"
#pragma clang diagnostic ignored "-Wformat-security"

#define MOST 8192

struct lock console_lock;

static char text[MOST], wanted[MOST];
static size_t text_size;

void console_put(char c) {
    CHECK(text_size < sizeof(text) - 1);
    text[text_size++] = c;
}

void console_fresh_line(void) {}

static void format(const char *how, ...) {
    va_list list;
    va_start(list, how);
    format_text(console_put, how, list);
    va_end(list);
}

/* One conversion with its value, between two pieces of plain text. */
static size_t take_number(const uint8_t *data, size_t *wanted_size) {
    char how[32];
    uint64_t value;
    bool zero = data[0] & 1, wide = data[0] & 2, hexadecimal = data[0] & 4;
    memcpy(&value, data + 2, 8);
    char width[4] = "";
    if (data[1] % 64)
        snprintf(width, sizeof(width), "%u", data[1] % 64);
    snprintf(how, sizeof(how), "<%%%s%s%s%c|%%%%>", zero ? "0" : "", width, wide ? "l" : "", hexadecimal ? 'x' : 'u');
    char *to = wanted + *wanted_size;
    size_t room = sizeof(wanted) - *wanted_size;
    /* mutant kernel/printk.c: char digits[20]; => char digits[16]; */
    /* mutant kernel/printk.c: i = count; i < width => i = count; i <= width */
    /* mutant kernel/printk.c: wide ? va_arg(arguments, uint64_t) => 0 ? va_arg(arguments, uint64_t) */
    if (wide) {
        *wanted_size += (size_t)snprintf(to, room, how, value);
        format(how, value);
    } else {
        *wanted_size += (size_t)snprintf(to, room, how, (unsigned)value);
        format(how, (unsigned)value);
    }
    return 10;
}

/* A text of so many bytes, with its NUL at the end of its memory. */
static size_t take_text(const uint8_t *data, size_t size, size_t *wanted_size) {
    size_t length = strnlen((const char *)data + 1, size - 1);
    char *copy = malloc(length + 1);
    memcpy(copy, data + 1, length);
    copy[length] = '\0';
    *wanted_size += (size_t)snprintf(wanted + *wanted_size, sizeof(wanted) - *wanted_size, "%s and %s;", copy, copy);
    /* mutant kernel/printk.c: *c; c++) put(*c); => *c; c++) put(*c & 0x7f); */
    format("%s and %s;", copy, copy);
    free(copy);
    return length + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t wanted_size = 0;
    text_size = 0;
    if (size > MOST / 8)
        return 0;
    while (size >= 10) {
        size_t taken = *data & 0x80 ? take_text(data, size, &wanted_size) : take_number(data, &wanted_size);
        data += taken;
        size -= taken;
    }
    CHECK_EQUAL(text_size, wanted_size);
    CHECK(!memcmp(text, wanted, wanted_size));
    return 0;
}
