/* syscall_init.c: the way into the kernel for system calls: SYSCALL. Called by main.c; int 0x80 is gone.
 * SPDX-License-Identifier: MIT
 *
 * Sources: SDM 3A, "Fast System Calls in 64-Bit Mode"; APM 2, "SYSCALL and SYSRET MSRs". */
#include <kernel/syscall.h>

/* SYSRET loads SS from this + 8 and CS from this + 16. Intel sets the ring bits by itself, AMD does not. */
#define STAR_USER   (SEL_USER_CODE32 | 3ul)
#define STAR_KERNEL ((uint64_t)SEL_KERNEL_CODE)

_Static_assert(STAR_KERNEL + 8 == SEL_KERNEL_DATA, "SYSCALL loads SS from STAR + 8");
_Static_assert(STAR_USER + 8 == SEL_USER_DATA, "SYSRET loads SS from STAR + 8");
_Static_assert(STAR_USER + 16 == SEL_USER_CODE, "SYSRET loads CS from STAR + 16");

/* SYSCALL clears these flags: all that it can. What a program could do with each, if it stayed:
 *   IF        an interrupt before syscall_entry has a stack
 *   TF        #DB on its first instruction, with the user's GS and stack
 *   DF        string instructions of C run backwards
 *   NT        the next IRET faults
 *   AC        SMAP is off
 *   IOPL, RF, ID and the arithmetic flags: no reason to take them over */
#define SFMASK (RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_AC)

extern char fast_door[], side_door[];

void syscall_init(void) {
    wrmsr(MSR_STAR, STAR_USER << 48 | STAR_KERNEL << 32);
    wrmsr(MSR_LSTAR, (uint64_t)fast_door);
    wrmsr(MSR_CSTAR, (uint64_t)side_door);
    wrmsr(MSR_SFMASK, SFMASK);
    wrmsr(MSR_SYSENTER_CS, 0); /* SYSENTER gives #GP */
    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
}
