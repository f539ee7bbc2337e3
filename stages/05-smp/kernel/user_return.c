/* user_return.c: the last thing before a program goes on. Called by trap.c, syscall_entry.S and task_begin.S, with
 * interrupts off.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>

extern char iretq_to_user[] __asm__("interrupt_return.step3");

/* A fault of the IRETQ to ring 3: the kernel has built a wrong frame, but only this task is lost. */
static bool iretq_fault(struct trap_frame *frame) {
    if (frame->rip != (uint64_t)iretq_to_user || from_user(frame))
        return false;
    task_kill(frame, "a frame that IRETQ refuses", SIGSEGV);
}

void user_return_init(void) {
    for (unsigned vector = VECTOR_NP; vector <= VECTOR_GP; vector++)
        trap_handle(vector, iretq_fault); /* #NP, #SS, #GP */
}

void user_return(struct trap_frame *frame) {
    /* SYSRET and IRET to an address that is not canonical fault in ring 0, with the user's GS already there (SYSRET:
     * and on the user's stack, CVE-2012-0217). A program gets here by a SYSCALL in the last two bytes below USER_TOP,
     * or by running off the end. */
    if (frame->rip >= USER_TOP)
        task_kill(frame, "return address outside user space", SIGSEGV);
    /* Whoever wrote the frame: a program gets no flags but its own, and interrupts are on. */
    frame->rflags = (frame->rflags & RFLAGS_USER) | RFLAGS_IF | RFLAGS_ONE;
    while (this_cpu->need_switch)
        schedule(); /* this is where a program is preempted; its frame stays as it is meanwhile */
}
