/* switch.S: to a program's first instruction, by a frame that nobody has pushed. Called by task.c. Stage 04 replaces
 * this file by a switch between tasks.
 * SPDX-License-Identifier: MIT */
#include <kernel/asm.h>

/* _Noreturn void trap_return(struct trap_frame *frame)
 *
 * In:   IF=0; whatever lies below the frame is forgotten.
 * Out:  the program, as the frame says. */
FUNCTION(trap_return)
                          mov     rsp, rdi
                          jmp     interrupt_return
