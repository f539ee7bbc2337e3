/* kernel.h: what every C file may use: types, memory and strings, the kernel's own lines, and its end.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/lock.h>
#include <kernel/memory.h>
#include <stdarg.h>
#include <stddef.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* One real load, neither split nor merged nor left out: of what another CPU or an interrupt changes. */
#define READ_ONCE(object) (*(const volatile __typeof__(object) *)&(object))

/* string.c; the compiler itself emits calls of the mem functions. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *string);

/* Prints whole lines, from the start of a line (printk.c). Takes %s %u %x %%; %u and %x with l for 64 bits, a minimum
 * width, and 0 to pad with zeros. */
__attribute__((format(printf, 1, 2))) void printk(const char *format, ...);

/* The formatting alone: hands each character to put(). */
void format_text(void (*put)(char), const char *format, va_list arguments);

/* For the kernel's own mistakes, never for what a program did (panic.c). Stops the other CPUs, prints the reason and a
 * backtrace, ends the run as failed. The two parts are for a reporter that has registers to show in between. */
#define panic(...) panic_end(panic_begin(__VA_ARGS__), (uint64_t)__builtin_frame_address(0))
__attribute__((format(printf, 1, 2))) uint64_t panic_begin(const char *format, ...); /* gives its caller's RIP */
_Noreturn void panic_end(uint64_t rip, uint64_t rbp);

/* Ends the emulator with success or failure; on a real machine this CPU halts for ever (panic.c). */
_Noreturn void machine_exit(bool good);

/* Remembers the kernel's command line, and warns of each word that is not in the list, which ends in NULL
 * (command_line.c). */
void command_line_init(const struct multiboot2_info *info, const char *const *known);

/* Is the word on it? */
bool command_line_has(const char *word);

/* console.c: COM1 and the VGA text screen. */

/* Held for a whole line of the kernel or one piece of a program's write(), so that another CPU tears no line. */
extern struct lock console_lock;

/* Sets up COM1, and clears the screen. */
void console_init(void);

/* With console_lock held: writes a character; ends a line that a program has left unfinished. */
void console_put(char c);
void console_fresh_line(void);

/* cpu_features.c: what this CPU can do, by CPUID. Those up to CPU_SYSCALL are needed. */
enum cpu_feature { CPU_APIC, CPU_FXSR, CPU_NX, CPU_SYSCALL, CPU_SMEP, CPU_SMAP, CPU_UMIP, CPU_FSGSBASE };

bool cpu_has(enum cpu_feature feature);

/* Prints vendor and features; ends the run with a message if one is missing that ringstep cannot do without. */
void cpu_features_check(void);
