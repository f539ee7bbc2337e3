/* syscall_table.c: the system calls of this stage. Read by syscall_dispatch(); replaced when the set grows.
 * SPDX-License-Identifier: MIT */
#include <kernel/compiler.h>
#include <kernel/syscall.h>

syscall_function *const syscall_table[] = {
    [SYS_WRITE] = sys_write,
    [SYS_MMAP] = sys_mmap,
    [SYS_MUNMAP] = sys_munmap,
    [SYS_BRK] = sys_brk,
    [SYS_IOCTL] = sys_ioctl,
    [SYS_WRITEV] = sys_writev,
    [SYS_SCHED_YIELD] = sys_sched_yield,
    [SYS_NANOSLEEP] = sys_nanosleep,
    [SYS_GETPID] = sys_getpid,
    [SYS_EXIT] = sys_exit,
    [SYS_ARCH_PRCTL] = sys_arch_prctl,
    [SYS_GETTID] = sys_getpid,
    [SYS_SET_TID_ADDRESS] = sys_getpid,
    [SYS_CLOCK_GETTIME] = sys_clock_gettime,
    [SYS_EXIT_GROUP] = sys_exit,
    [SYS_GETCPU] = sys_getcpu,
};

const unsigned syscall_table_size = ARRAY_LENGTH(syscall_table);
