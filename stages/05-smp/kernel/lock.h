/* lock.h: a section of code that nothing else may disturb: no interrupt, and now no other CPU.
 * SPDX-License-Identifier: MIT
 *
 * A ticket lock: who comes takes the next number, and waits until it is called. So nobody waits for ever. */
#pragma once
#include <kernel/x86.h>

struct lock {
    uint32_t next, called;
};

/* Returns the RFLAGS from before, for lock_release(): the section may itself be inside another one. Interrupts go off
 * first: one that came with the lock held could wait for it for ever. */
static inline uint64_t lock_acquire(struct lock *lock) {
    uint64_t flags = read_rflags();
    cli();
    uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&lock->called, __ATOMIC_ACQUIRE) != ticket)
        pause();
    return flags;
}

static inline void lock_release(struct lock *lock, uint64_t flags) {
    __atomic_store_n(&lock->called, lock->called + 1, __ATOMIC_RELEASE);
    if (flags & RFLAGS_IF)
        sti();
}

/* Does somebody hold it, or wait for it? True only for the moment. */
static inline bool lock_is_taken(struct lock *lock) {
    return __atomic_load_n(&lock->next, __ATOMIC_RELAXED) != __atomic_load_n(&lock->called, __ATOMIC_RELAXED);
}

/* For a panic: stops every other CPU, for ever. Returns the number of this one. If another CPU does the same, does not
 * return (ipi.c). */
unsigned stop_other_cpus(void);
