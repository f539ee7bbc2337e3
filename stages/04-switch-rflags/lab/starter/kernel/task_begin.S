/* task_begin.S: what a task does first. switch_stacks() returns here in a task that never ran, since that is what
 * switch_first_stack() has put on its stack. Lab 04: both routines are yours to write.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

/* A program's task begins here, by the way on which switch_stacks returns.
 * In:   RSP = its struct trap_frame, at the top of its kernel stack; IF=0, the run queue locked by the task before.
 * Out:  ring 3, as the frame says.
 * To do: switch_end(), which unlocks the queue; user_return(frame), as on every way to ring 3; and the rest of the way,
 *       which is there already: interrupt_return (trap_entry.S) wants RSP at the frame. */
FUNCTION(task_begin)
                          lea     rdi, [rip + no_task_begin]
                          jmp     stop

/* A thread of the kernel begins here, in the same way.
 * In:   rbx = its function; IF=0, the run queue locked by the task before. RSP = the top of its kernel stack.
 * To do: switch_end(); the function, with interrupts on; and when it returns, task_end(), which does not. C wants RSP
 *       16-byte aligned at each call. */
FUNCTION(thread_begin)
                          lea     rdi, [rip + no_thread_begin]
                          /* falls through */

/* In:   rdi = the text. RSP is 16-byte aligned, as C wants it at a call. */
stop:
                          xor     eax, eax                    /* panic_begin takes what printf would */
                          call    panic_begin
                          mov     rdi, rax
                          mov     rsi, rbp
                          call    panic_end

.section .rodata
no_task_begin:   .asciz "lab 04: task_begin is yours to write"
no_thread_begin: .asciz "lab 04: thread_begin is yours to write"
