/* measure.h: what the measuring programs share: the clock, a loop of exact length, and the line of results that
 * tools/measure reads. The programs are ordinary static Linux programs, so that the same file runs on Linux.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <freestanding.h>

/* So many batches of each measurement: the median is told, so that a tick of the clock in one does not count. */
enum { BATCHES = 31 };

/* The time-stamp counter. With QEMU's -icount it counts instructions, 16 for each. */
static inline uint64_t now(void) {
    uint32_t low, high;

    asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void sort(uint64_t values[BATCHES]) {
    for (unsigned n = 1; n < BATCHES; n++)
        for (unsigned at = n; at && values[at] < values[at - 1]; at--) {
            uint64_t value = values[at];

            values[at] = values[at - 1];
            values[at - 1] = value;
        }
}

/* A result is one line: "measure NAME OPERATIONS MINIMUM MEDIAN MAXIMUM", ticks of batches of so many operations. Short
 * enough for the buffer of print(), so that it comes out in one piece. */
static inline void print_result(const char *name, uint64_t operations, uint64_t ticks[BATCHES]) {
    sort(ticks);
    const uint64_t values[] = {operations, ticks[0], ticks[BATCHES / 2], ticks[BATCHES - 1]};

    print("measure ");
    print(name);
    for (unsigned n = 0; n < 4; n++) {
        print(" ");
        print_number(values[n]);
    }
    print("\n");
}

/* Makes a loop of the number of repetitions, which takes three instructions a round besides the one that is measured.
 * It is written in assembly so that it stays three. */
#define TIME_LOOP(instruction, repetitions, number)                                                                    \
    ({                                                                                                                 \
        uint64_t left = (repetitions), begin = now();                                                                  \
        asm volatile("1: mov eax, %1\n" instruction "\n dec %0\n jnz 1b"                                               \
                     : "+r"(left)                                                                                      \
                     : "r"((uint32_t)(number))                                                                         \
                     : "rax", "rcx", "r11", "memory", "cc");                                                           \
        now() - begin;                                                                                                 \
    })
