/* nested.c: a handler of NMIs that makes the mistake that none may make: it executes an instruction that traps. The
 * IRETQ of that trap lets the next NMI in, onto the stack on which the first one's frame still lies.
 * For tests/sweeps.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <kernel/trap.h>
#include <proof/proof.h>

static bool nothing(struct trap_frame *frame) { return true; }

static bool trapping(struct trap_frame *frame) {
    if (this_cpu->nmis++ == 0)
        ipi_send(this_cpu->apic_id, ICR_NMI); /* waits until this one is over, or until an IRETQ */
    __asm__ volatile("int3");
    return true;
}

static void nest_nmis(void) {
    trap_handle(VECTOR_BP, nothing);
    trap_handle(VECTOR_NMI, trapping);
    printk("nested: an NMI within an NMI\n");
    ipi_send(this_cpu->apic_id, ICR_NMI);
    while (READ_ONCE(this_cpu->nmis) < 2)
        pause();
    printk("nested: %lu NMIs, and back\n", this_cpu->nmis);
}

PROOF(NULL, nest_nmis);
