/* set_flags.c: stands in for a debugger (ptrace) or the return from a signal: a program says with which RFLAGS it wants
 * to go on. `int 0x90` puts RDI into its frame.
 * SPDX-License-Identifier: MIT */
#include <kernel/trap.h>
#include <proof/proof.h>

#define VECTOR_SET_FLAGS 0x90

static bool set_flags(struct trap_frame *frame) {
    frame->rflags = frame->rdi;
    return true;
}

static void set_flags_init(void) {
    trap_handle(VECTOR_SET_FLAGS, set_flags);
    idt_allow_user(VECTOR_SET_FLAGS);
}

PROOF(NULL, set_flags_init);
