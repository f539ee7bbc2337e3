/* kernel.h: what every C file may use: types, memory and strings, the kernel's own lines, and its end.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/x86.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* One real load or store, neither split nor merged nor left out: for what another CPU or an interrupt changes. */
#define READ_ONCE(object)         (*(const volatile __typeof__(object) *)&(object))
#define WRITE_ONCE(object, value) (*(volatile __typeof__(object) *)&(object) = (value))

/* string.c; the compiler itself emits calls of the mem functions. */
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *string);

/* Prints whole lines, from the start of a line (printk.c). Takes %c %s %d %u %x %p %%, with l for 64 bits; and, but for %c,
 * a minimum width, 0 to pad with zeros, - to pad on the right. */
__attribute__((format(printf, 1, 2))) void printk(const char *format, ...);

/* The formatting alone: hands each character to put(). */
void format_text(void (*put)(char), const char *format, va_list arguments);

/* For the kernel's own mistakes, never for what a program did (panic.c). Stops the other CPUs, prints the reason and a
 * backtrace, ends the run as failed. The two parts are for a reporter that has registers to show in between. */
__attribute__((format(printf, 1, 2))) _Noreturn void panic(const char *format, ...);
__attribute__((format(printf, 1, 2))) void panic_begin(const char *format, ...);
_Noreturn void panic_end(uint64_t rip, uint64_t rbp);

/* Ends the emulator with success or failure; on a real machine this CPU halts for ever (panic.c). */
_Noreturn void machine_exit(bool good);

/* Is the word on the kernel's command line (command_line.c)? */
bool command_line_has(const char *word);
