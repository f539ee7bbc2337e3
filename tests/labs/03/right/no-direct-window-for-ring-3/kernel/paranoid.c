/* paranoid.c: what is done about the vectors that can strike anywhere. Called by paranoid_entry.S, on an IST stack.
 * SPDX-License-Identifier: MIT
 *
 * Whatever runs here may have interrupted the kernel in the middle of anything: it takes no lock, does not switch and
 * must not fault, since the IRET of a fault would let the next NMI in, onto this very stack. There the second frame
 * takes the place of the first, and the first handler would return into itself for ever: that is a panic. */
#include <kernel/pcr.h>
#include <kernel/protect.h>
#include <kernel/trap.h>

/* An NMI that nobody has asked for: noted, and otherwise ignored. */
static bool count_nmi(struct trap_frame *frame) {
    this_cpu->nmis++;
    return true;
}

/* #DB in ring 0 is the rest of something that a program did: some CPUs deliver its single-step trap on the first
 * instruction of syscall_entry. The program's own TF is back when it goes on, and traps then. */
static bool debug_in_kernel(struct trap_frame *frame) {
    write_dr6(0);
    return !from_user(frame);
}

void paranoid_init(void) {
    trap_handle(VECTOR_NMI, count_nmi);
    trap_handle(VECTOR_DB, debug_in_kernel);
}

void paranoid_set_stacks(void) {
    this_cpu->task_cr3 = kernel_cr3(); /* the entry loads it, and there is no task yet */
    for (unsigned i = 0; i < IST_COUNT; i++) {
        this_cpu->tss.ist[i] -= 16;
        *(struct pcr **)this_cpu->tss.ist[i] = this_cpu->self;
    }
}

void paranoid(struct trap_frame *frame) {
    uint64_t *in_use = (uint64_t *)(frame + 1) + 1; /* the last word of this IST stack; at first 0, like all of it */
    if ((*in_use)++ || !trap_try(frame))
        trap_panic(frame);
    *in_use = 0;
}
