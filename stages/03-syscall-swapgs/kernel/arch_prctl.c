/* arch_prctl.c: the system call by which a program sets the base of FS, for its thread-local variables, or of GS.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>

enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004 };

/* In the kernel the program's GS base is the one that waits in IA32_KERNEL_GS_BASE. */
long sys_arch_prctl(struct trap_frame *frame) {
    uint64_t code = (uint32_t)frame->rdi, address = frame->rsi;
    uint32_t msr = code == ARCH_SET_FS || code == ARCH_GET_FS ? MSR_FS_BASE : MSR_KERNEL_GS_BASE;
    if (code == ARCH_GET_FS || code == ARCH_GET_GS) {
        uint64_t base = rdmsr(msr);
        return copy_to_user(address, &base, sizeof(base)) ? 0 : -EFAULT;
    }
    if (code != ARCH_SET_FS && code != ARCH_SET_GS)
        return -EINVAL;
    if (address >= USER_TOP)
        return -EPERM; /* WRMSR faults on a non-canonical base, and the kernel's half is none of its business */
    wrmsr(msr, address);
    return 0;
}
