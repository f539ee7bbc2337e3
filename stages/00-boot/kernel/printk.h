/* printk.h: the kernel's own lines. Each call prints whole lines, from the start of a line.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdarg.h>

/* Takes %c %s %d %u %x %p %%, with l for 64 bits, a minimum width, 0 to pad with zeros, - to pad on the right. */
__attribute__((format(printf, 1, 2))) void printk(const char *format, ...);

/* The formatting alone, for printk() and for tests on the host: hands each character to put(). */
void format_text(void (*put)(char), const char *format, va_list arguments);
