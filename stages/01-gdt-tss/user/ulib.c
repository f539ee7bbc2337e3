/* The few functions behind ulib.h: exit, printing, strings, and what the compiler itself may call.
 * Linked into every lesson program. */
/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdbool.h>
#include <user/ulib.h>

#define STDOUT 1

/* What one call of printf has gathered so far. */
struct line {
    size_t length;
    char text[256];
};

void exit(int status)
{
    system_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
    __builtin_trap();
}

static void flush(struct line *line)
{
    write(STDOUT, line->text, line->length);
    line->length = 0;
}

static void put(struct line *line, char c)
{
    if (line->length == sizeof line->text)
        flush(line);
    line->text[line->length++] = c;
}

static void put_string(struct line *line, const char *string)
{
    while (*string)
        put(line, *string++);
}

static void put_number(struct line *line, unsigned long value, unsigned base)
{
    char digits[20];                    /* 2^64 has twenty decimal digits */
    size_t count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count)
        put(line, digits[--count]);
}

static void put_signed(struct line *line, long value)
{
    if (value < 0)
        put(line, '-');
    put_number(line, value < 0 ? -(unsigned long)value : (unsigned long)value, 10);
}

void printf(const char *format, ...)
{
    struct line line = { .length = 0 };
    va_list arguments;

    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(&line, *format);
            continue;
        }
        bool is_long = *++format == 'l';
        if (is_long)
            format++;
        if (*format == 's')
            put_string(&line, va_arg(arguments, const char *));
        else if (*format == 'c')
            put(&line, (char)va_arg(arguments, int));
        else if (*format == 'd')
            put_signed(&line, is_long ? va_arg(arguments, long) : va_arg(arguments, int));
        else
            put_number(&line, is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned),
                       *format == 'x' ? 16 : 10);
    }
    va_end(arguments);
    flush(&line);
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

long parse_number(const char *text)
{
    long value = 0;

    while (*text >= '0' && *text <= '9')
        value = 10 * value + (*text++ - '0');
    return value;
}

void burn(unsigned long rounds)
{
    /* The empty assembly keeps the compiler from removing the loop. */
    while (rounds--)
        asm volatile("");
}

/* The compiler calls these two for large structures, library or not. Both rely on DF being clear, as the
 * calling convention promises. */
void *memset(void *to, int byte, size_t count)
{
    void *start = to;

    asm volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(byte) : "memory");
    return start;
}

void *memcpy(void *to, const void *from, size_t count)
{
    void *start = to;

    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return start;
}
