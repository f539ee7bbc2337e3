/* entry_macros.h: what changes between ring 3 and ring 0 besides stack and code. Used by trap_entry.S.
 * SPDX-License-Identifier: MIT
 *
 * Nothing yet: the kernel keeps its state in global variables and leaves GS to itself. Stage 03 replaces this file,
 * when GS has to change hands at the border. */
#pragma once
/* clang-format off */
#include <kernel/trap_frame.h>

/* First thing on entry; the stack holds vector, error and the CPU's frame. */
.macro ENTER_KERNEL
.endm

/* Last thing; the stack holds vector, error and the CPU's frame. */
.macro LEAVE_KERNEL
    add     rsp, FRAME_RIP - FRAME_VECTOR   /* frame.vector, frame.error */
    iretq
.endm

/* Where the vectors that can strike anywhere go: NMI and #DB; #DF and #MC. Like all others, until stage 03. */
#define IST_ENTRY      interrupt_entry
#define PARANOID_ENTRY interrupt_entry
