/* sysret_check.h: may the system call return by SYSRET? Used by syscall_entry.S.
 * SPDX-License-Identifier: MIT
 *
 * user_return() has made sure that RIP is an address of ring 3's; what is left is TF. SYSRET traps before the
 * program's next instruction, IRET after it, so that a program that single-steps itself would not get on by SYSRET.
 * RF, which SYSRET cannot restore either, no program's frame has. */
#pragma once
/* clang-format off */
#include <kernel/trap_frame.h>
#include <kernel/x86.h>

/* In:   RSP = the struct trap_frame.     Out: goes on, or leaves by interrupt_return: it is the same frame. */
.macro SYSRET_CHECK
    test    dword ptr [rsp + FRAME_RFLAGS], RFLAGS_TF
    jnz     interrupt_return
.endm
