/* arch_prctl.c: the system call by which a program sets the base of FS, for its thread-local variables, or of GS.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>
#include <kernel/user_state.h>

enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004 };

long sys_arch_prctl(struct trap_frame *frame) {
    uint64_t code = (uint32_t)frame->rdi, base = frame->rsi;
    if (code == ARCH_SET_GS || code == ARCH_SET_FS) {
        if (base >= USER_TOP)
            return -EPERM; /* WRMSR faults on a non-canonical base, and the kernel's half is none of its business */
        if (code == ARCH_SET_GS)
            user_set_gs_base(base);
        else
            user_set_fs_base(base);
        return 0;
    }
    if (code != ARCH_GET_FS && code != ARCH_GET_GS)
        return -EINVAL;
    uint64_t value = rdmsr(code == ARCH_GET_FS ? MSR_FS_BASE : MSR_KERNEL_GS_BASE);
    return copy_to_user(base, &value, sizeof(value)) ? 0 : -EFAULT;
}
