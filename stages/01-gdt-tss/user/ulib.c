/* The few functions behind ulib.h: exit, printing, strings, and what the compiler itself may call.
 * Linked into every lesson program. */
/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdbool.h>
#include <user/ulib.h>

#define STDOUT 1

/* What printf has gathered of the present line. */
static char line[256];
static size_t line_length;

static void flush(void) {
    write(STDOUT, line, line_length);
    line_length = 0;
}

void exit(int status) {
    if (line_length)
        flush();
    system_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
    __builtin_trap();
}

static void put(char c) {
    line[line_length++] = c;
    if (c == '\n' || line_length == sizeof line)
        flush();
}

static void put_string(const char *string) {
    while (*string)
        put(*string++);
}

static void put_number(unsigned long value, unsigned base) {
    char digits[20]; /* 2^64 has twenty decimal digits */
    size_t count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count)
        put(digits[--count]);
}

static void put_signed(long value) {
    if (value < 0)
        put('-');
    put_number(value < 0 ? -(unsigned long)value : (unsigned long)value, 10);
}

void printf(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        bool is_long = *++format == 'l';
        if (is_long)
            format++;
        if (*format == 's')
            put_string(va_arg(arguments, const char *));
        else if (*format == 'c')
            put((char)va_arg(arguments, int));
        else if (*format == 'd')
            put_signed(is_long ? va_arg(arguments, long) : va_arg(arguments, int));
        else
            put_number(is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned),
                       *format == 'x' ? 16 : 10);
    }
    va_end(arguments);
}

int strcmp(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

long parse_number(const char *text) {
    long value = 0;

    while (*text >= '0' && *text <= '9')
        value = 10 * value + (*text++ - '0');
    return value;
}

void burn(unsigned long rounds) {
    /* The empty assembly keeps the compiler from removing the loop. */
    while (rounds--)
        asm volatile("");
}

/* The compiler calls these two for large structures, library or not. Both rely on DF being clear, as the
 * calling convention promises. */
void *memset(void *to, int byte, size_t count) {
    void *start = to;

    asm volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(byte) : "memory");
    return start;
}

void *memcpy(void *to, const void *from, size_t count) {
    void *start = to;

    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return start;
}
