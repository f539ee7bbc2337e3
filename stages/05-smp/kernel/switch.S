/* switch.S: the moment at which one task stops and another goes on, as in stage 04, and with the same stack; but POPFQ,
 * which takes longer than all the rest together, is left out when it would change nothing. That is nearly always.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>
#include <kernel/x86.h>

/* void switch_stacks(uint64_t *save_rsp, uint64_t load_rsp)
 *
 * In:   rdi = where to keep this task's RSP, rsi = the RSP that the next task kept. IF=0, the run queue is locked.
 * Out:  returns in the next task, from the call that it once made here.
 * Kept: rbx, rbp, r12-r15, as C wants of a call, and RFLAGS, which C does not ask for: a task that switches with AC set
 *       would turn SMAP off for the next one, with DF set it would turn the next one's copies round (invariant 3).
 *       Of what arithmetic leaves in RFLAGS nothing is kept: behind a call nobody asks for it.
 * Lost: rax.
 *
 * The stack that it leaves behind, and that switch_first_stack() builds for a task that never ran:
 *
 *      +------------------+  higher addresses
 *      | return address   |  <- RSP on entry
 *      | rbx, rbp         |
 *      | r12 ... r15      |
 *      | RFLAGS           |  <- the RSP that is kept
 *      +------------------+ */
FUNCTION(switch_stacks)
                          push    rbx
                          push    rbp
                          push    r12
                          push    r13
                          push    r14
                          push    r15
                          pushfq
                          mov     rax, [rsp]
STEP(switch_stacks, 2)    mov     [rdi], rsp                  /* now this task is only what lies on its stack */
STEP(switch_stacks, 3)    mov     rsp, rsi                    /* the switch: above the old task, below the next */
STEP(switch_stacks, 4)    xor     rax, [rsp]                  /* this task's flags, the next one's: 1 = they differ */
                          test    rax, ~RFLAGS_STATUS         /* in more than what arithmetic leaves? */
                          jz      1f
                          popfq                               /* IF stays 0: all were pushed with interrupts off */
                          jmp     2f
1:                        add     rsp, 8                      /* the flags are right as they are */
2:                        pop     r15
                          pop     r14
                          pop     r13
                          pop     r12
                          pop     rbp
                          pop     rbx
STEP(switch_stacks, 5)    ret
