/* syscall_table.c: the system calls of this stage, by Linux's numbers. Read by syscall_dispatch(); replaced when the
 * set grows.
 * SPDX-License-Identifier: MIT */
#include <kernel/syscall.h>

/* clang-format off */
syscall_function *const syscall_table[512] = {
    [1] = sys_write,
    [9] = sys_mmap,
    [11] = sys_munmap,
    [12] = sys_brk,
    [16] = sys_ioctl,
    [20] = sys_writev,
    [24] = sys_sched_yield,
    [39] = sys_getpid,
    [60] = sys_exit,
    [186] = sys_getpid, /* gettid */
    [218] = sys_getpid, /* set_tid_address */
    [231] = sys_exit, /* exit_group */
    [309] = sys_getcpu,
};
/* clang-format on */
