/* user_return.c: the last thing before a program goes on. Called by trap.c and syscall_entry.S, interrupts off;
 * replaced in stage 04.
 * SPDX-License-Identifier: MIT */
#include <kernel/trap.h>

/* Shows, once, that the pair of GS bases has changed hands. */
static void show_gs(const struct trap_frame *frame) {
    static bool shown;
    if (shown || frame->vector != VECTOR_SYSCALL)
        return;
    shown = true;
    printk("first system call: IA32_GS_BASE = 0x%lx (the PCR), IA32_KERNEL_GS_BASE = 0x%lx (the program's)\n",
           rdmsr(MSR_GS_BASE), rdmsr(MSR_KERNEL_GS_BASE));
}

void user_return(struct trap_frame *frame) {
    show_gs(frame);
    /* Whoever wrote the frame: a program gets no flags but its own, and interrupts are on. */
    frame->rflags = (frame->rflags & RFLAGS_USER) | RFLAGS_IF | RFLAGS_ONE;
}
