/* empty_interrupt.c: handlers that do nothing, so that what an interrupt takes is the way in and the way out. With
 * bench/programs/interrupted.c; tools/measure/interrupts.py lays it on the last stage.
 * SPDX-License-Identifier: MIT */
#include <kernel/lapic.h>
#include <proof/proof.h>

/* Without the end of the interrupt there would be no second one. */
static bool only_end(struct trap_frame *frame) {
    lapic_write(LAPIC_EOI, 0);
    return true;
}

/* A breakpoint is reported behind its instruction: the program simply goes on. */
static bool nothing(struct trap_frame *frame) { return true; }

/* A page fault is reported at its instruction, which would fault for ever. Nobody's copy faults here, so it is not
 * asked whose fault it is. */
static bool pass_over(struct trap_frame *frame) {
    frame->rip += 2; /* the length of the one in the program */
    return true;
}

static void set_empty_handlers(void) {
    trap_handle(VECTOR_TIMER, only_end);
    trap_handle(VECTOR_BP, nothing);
    trap_handle(VECTOR_PF, pass_over);
}

PROOF(NULL, set_empty_handlers);
