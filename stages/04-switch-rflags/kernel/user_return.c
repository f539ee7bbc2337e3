/* user_return.c: the last thing before a program goes on. Called by trap.c, syscall_entry.S and task_begin.S, with
 * interrupts off; replaced in stage 05.
 * SPDX-License-Identifier: MIT */
#include <kernel/sched.h>

void user_return(struct trap_frame *frame) {
    /* Whoever wrote the frame: a program gets no flags but its own, and interrupts are on. */
    frame->rflags = (frame->rflags & RFLAGS_USER) | RFLAGS_IF | RFLAGS_ONE;
    while (this_cpu->need_switch)
        schedule(); /* this is where a program is preempted; its frame stays as it is meanwhile */
}
