/* panic.h: the kernel's own mistakes. Never the answer to something that a program did.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <stdint.h>

/* Stops the other CPUs, prints the reason and a backtrace, ends the run as failed. */
__attribute__((format(printf, 1, 2))) _Noreturn void panic(const char *format, ...);

/* For an invariant of the kernel's own. */
#define ASSERT(condition)                                                                          \
    ((condition) ? (void)0 : panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition))

/* The two parts of panic(), for a reporter that has registers to show in between: the first line, and the end, with a
 * backtrace from the given RIP and RBP. */
__attribute__((format(printf, 1, 2))) void panic_begin(const char *format, ...);
_Noreturn void panic_end(uint64_t rip, uint64_t rbp);
