/* user_return.c: the last thing before a program goes on. Called by trap.c, syscall_entry.S and task_begin.S, with
 * interrupts off.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>

extern char iretq_to_user[] __asm__("interrupt_return.step3");

/* A fault of the IRETQ to ring 3: the kernel has built a wrong frame, but only this task is lost. */
static bool iretq_fault(struct trap_frame *frame) {
    /* Lab 05, part 4: which faults are of that IRETQ, and what becomes of the task? */
    (void)iretq_to_user;
    return false;
}

void user_return_init(void) {
    for (unsigned vector = VECTOR_NP; vector <= VECTOR_GP; vector++)
        trap_handle(vector, iretq_fault); /* #NP, #SS, #GP */
}

void user_return(struct trap_frame *frame) {
    /* Lab 05, part 3: SYSRET and IRET to an address that is not canonical fault in ring 0, with the user's GS already
     * there (SYSRET: and on the user's stack, CVE-2012-0217). A program gets here by a SYSCALL in the last two bytes
     * below USER_TOP, or by running off the end. */
    panic("lab 05: the check of the return address, in user_return(), is yours to write");
    /* Whoever wrote the frame: a program gets no flags but its own, and interrupts are on. */
    frame->rflags = (frame->rflags & RFLAGS_USER) | RFLAGS_IF | RFLAGS_ONE;
    while (this_cpu->need_switch)
        schedule(); /* this is where a program is preempted; its frame stays as it is meanwhile */
}
