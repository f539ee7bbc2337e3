/* lock.h: a section of code that nothing else may disturb. With one CPU only an interrupt could, so it is enough to
 * turn interrupts off; stage 05 replaces this file with one that also keeps out the other CPUs.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/x86.h>

struct lock {};

/* Returns the RFLAGS from before, for lock_release(): the section may itself be inside another one. */
static inline uint64_t lock_acquire(struct lock *lock) {
    uint64_t flags = read_rflags();
    cli();
    return flags;
}

static inline void lock_release(struct lock *lock, uint64_t flags) {
    if (flags & RFLAGS_IF)
        sti();
}

/* For a panic: stops every other CPU, for ever. Returns the number of this one. */
static inline unsigned stop_other_cpus(void) { return 0; }
