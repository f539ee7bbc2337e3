/* syscall_init.c: the way into the kernel for system calls: SYSCALL. Called by main.c; int 0x80 is gone.
 * Lab 03: yours to write.
 * SPDX-License-Identifier: MIT
 *
 * Sources: SDM 3A, "Fast System Calls in 64-Bit Mode"; APM 2, "SYSCALL and SYSRET MSRs". */
#include <kernel/syscall.h>

/* In syscall_entry.S. */
extern char syscall_entry[], syscall32_entry[];

/* What SYSCALL and SYSRET read, all by wrmsr(). The numbers and the names of flags are in x86.h, the selectors
 * in gdt.h.
 *   MSR_STAR    bits 47:32   SYSCALL loads CS from them, and SS from them + 8
 *               bits 63:48   SYSRET loads SS from them + 8, and CS from them + 16
 *   MSR_LSTAR   where SYSCALL goes from 64-bit code
 *   MSR_CSTAR   where it goes from 32-bit code, on AMD's CPUs
 *   MSR_SFMASK  the flags that SYSCALL clears. Think of each that a program can set
 *   MSR_EFER    EFER_SCE turns both instructions on; the other bits must stay
 * MSR_SYSENTER_CS = 0 closes the other fast way in, SYSENTER: it then gives #GP. */
void syscall_init(void) { panic("lab 03: syscall_init is yours to write"); }
