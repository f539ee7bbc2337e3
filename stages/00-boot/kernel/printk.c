/* printk.c: formatted lines on the console.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

static void put_number(void (*put)(char), uint64_t value, unsigned base, unsigned width, char pad) {
    char digits[20]; /* as many as 2^64 has, from the last one on */
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (unsigned i = count; i < width; i++)
        put(pad);
    while (count)
        put(digits[--count]);
}

void format_text(void (*put)(char), const char *format, va_list arguments) {
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        char pad = *++format == '0' ? '0' : ' ';
        unsigned width = 0;
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (unsigned)(*format - '0');
        bool wide = *format == 'l';
        format += wide;
        uint64_t number;
        switch (*format) {
        case 'u':
        case 'x':
            number = wide ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            put_number(put, number, *format == 'u' ? 10 : 16, width, pad);
            break;
        case 's':
            for (const char *c = va_arg(arguments, const char *); *c; c++)
                put(*c);
            break;
        default: /* %%, and what we do not know as it stands */
            put(*format);
        }
    }
}

void printk(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    uint64_t flags = lock_acquire(&console_lock);
    console_fresh_line();
    format_text(console_put, format, arguments);
    lock_release(&console_lock, flags);
    va_end(arguments);
}
