/* flags.c: in place of the stage's own two threads, one that gives way to others and then copies 32 bytes, with bytes
 * of a known value (a canary) on both sides.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>
#include <proof/proof.h>

#define COPIES 20
#define SIZE   32
#define CANARY 0xcc

static const uint8_t from[3 * SIZE] = "what lies before, in its length. 32 bytes that are to be copied.";
static uint8_t to[3 * SIZE]; /* the copy goes into the middle third */

/* By hand: memset() is a string instruction as well. */
static void fill(void) {
    for (unsigned i = 0; i < sizeof(to); i++)
        ((volatile uint8_t *)to)[i] = CANARY;
}

static unsigned overwritten(unsigned start) {
    unsigned count = 0;
    for (unsigned i = 0; i < SIZE; i++)
        count += to[start + i] != CANARY;
    return count;
}

static void copier(void) {
    unsigned wrong = 0, below = 0;
    for (int i = 0; i < COPIES; i++) {
        fill();
        schedule();
        memcpy(to + SIZE, from + SIZE, SIZE);
        bool backwards = read_rflags() & RFLAGS_DF;
        __asm__ volatile("cld");
        wrong += backwards || overwritten(0) || overwritten(2 * SIZE) || overwritten(SIZE) != SIZE;
        below = overwritten(0) ? overwritten(0) : below;
    }
    printk("copier: %u of %u copies ran backwards; the canary below lost %u bytes\n", wrong, COPIES, below);
}

static void start_copier(void) {
    struct task *thread = thread_create(copier);
    if (thread)
        task_start(this_cpu->self, thread);
}

PROOF(NULL, start_copier);
