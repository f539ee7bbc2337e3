/* switch.S: the moment at which one task stops and another goes on. All that C can do is in switch_begin(); here is
 * what it cannot: registers, RFLAGS and the stack itself. Lab 04: the routine is yours to write.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

/* void switch_stacks(uint64_t *save_rsp, uint64_t load_rsp)
 *
 * In:   rdi = where to keep this task's RSP, rsi = the RSP that the next task kept. IF=0, the run queue is locked.
 * Out:  returns in the next task, from the call that it once made here.
 * Kept: rbx, rbp, r12-r15, as C wants of a call, and RFLAGS, which C does not ask for: a task that switches with AC set
 *       would turn SMAP off for the next one, with DF set it would turn the next one's copies round (invariant 3). Of
 *       what arithmetic leaves in RFLAGS nothing need be kept.
 *
 * What lies at the RSP that is kept, and in which order, you decide. switch_first_stack() in sched.c builds the same
 * for a task that has never run. Nobody else looks at it: the number that load_rsp brings is the one that
 * switch_first_stack() has returned, or that you have stored at save_rsp. */
FUNCTION(switch_stacks)
                          lea     rdi, [rip + not_written]
                          xor     eax, eax                    /* panic_begin takes what printf would */
                          push    rbp                         /* C wants RSP 16-byte aligned at a call */
                          call    panic_begin
                          mov     rdi, rax
                          mov     rsi, rbp
                          call    panic_end

.section .rodata
not_written: .asciz "lab 04: switch_stacks is yours to write"
