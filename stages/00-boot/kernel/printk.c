/* printk.c: formatted lines on the console.
 * SPDX-License-Identifier: MIT */
#include <kernel/kernel.h>

struct field {
    unsigned width;
    bool zero, left, wide; /* the flags 0 and -, the length l */
};

static void put_padded(void (*put)(char), const struct field *field, const char *text, size_t length) {
    for (size_t i = length; i < field->width && !field->left; i++)
        put(field->zero ? '0' : ' ');
    for (size_t i = 0; i < length; i++)
        put(text[i]);
    for (size_t i = length; i < field->width && field->left; i++)
        put(' ');
}

static void put_number(void (*put)(char), struct field *field, uint64_t value, unsigned base, bool negative) {
    char digits[21]; /* a sign and the 20 decimal digits of 2^64 */
    unsigned start = sizeof(digits);
    do {
        digits[--start] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        digits[--start] = '-';
    put_padded(put, field, digits + start, sizeof(digits) - start);
}

void format_text(void (*put)(char), const char *format, va_list arguments) {
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        struct field field = {0};
        for (format++; *format == '0' || *format == '-'; format++)
            *(*format == '0' ? &field.zero : &field.left) = true;
        for (; *format >= '0' && *format <= '9'; format++)
            field.width = field.width * 10 + (unsigned)(*format - '0');
        for (; *format == 'l'; format++)
            field.wide = true;
        int64_t number;
        const char *string;
        switch (*format) {
        case 'd':
            number = field.wide ? va_arg(arguments, int64_t) : va_arg(arguments, int);
            put_number(put, &field, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, number < 0);
            break;
        case 'u':
        case 'x':
            number = field.wide ? va_arg(arguments, int64_t) : va_arg(arguments, unsigned);
            put_number(put, &field, (uint64_t)number, *format == 'u' ? 10 : 16, false);
            break;
        case 'p':
            field = (struct field){.width = 16, .zero = true};
            put('0');
            put('x');
            put_number(put, &field, (uint64_t)va_arg(arguments, void *), 16, false);
            break;
        case 's':
            string = va_arg(arguments, const char *);
            put_padded(put, &field, string ? string : "(null)", strlen(string ? string : "(null)"));
            break;
        case 'c':
            put((char)va_arg(arguments, int));
            break;
        case '\0':
            return;
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
