/* task_begin.S: what a task does first. switch_stacks() returns here in a task that never ran, since that is what
 * switch_first_stack() has put on its stack.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

/* A program's task begins here, by the `ret` of switch_stacks.
 * In:   RSP = its struct trap_frame, at the top of its kernel stack; IF=0, the run queue locked by the task before. */
FUNCTION(task_begin)
                          call    switch_end
                          mov     rdi, rsp
                          call    user_return
                          jmp     interrupt_return

/* A thread of the kernel begins here, by the same `ret`.
 * In:   rbx = its function; IF=0, the run queue locked by the task before. */
FUNCTION(thread_begin)
                          call    switch_end
                          sti
                          call    rbx
                          call    task_end
