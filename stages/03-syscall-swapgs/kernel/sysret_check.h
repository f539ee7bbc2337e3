/* sysret_check.h: may the system call return by SYSRET? Used by syscall_entry.S.
 * SPDX-License-Identifier: MIT
 *
 * It always does, which is a mistake: SYSRET faults in ring 0, with the user's GS and on the user's stack, if RCX is no
 * address of ring 3's, and the program chooses RCX by where its SYSCALL lies. Stage 05 replaces this file. */
#pragma once
/* clang-format off */

/* In:   RSP = the struct trap_frame. */
.macro SYSRET_CHECK
.endm
