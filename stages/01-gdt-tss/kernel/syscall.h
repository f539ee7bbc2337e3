/* syscall.h: system calls, a subset of Linux's: its numbers, registers and errors.
 * SPDX-License-Identifier: MIT */
#pragma once
#include <kernel/trap_frame.h>

/* rax is the number, then the result; rdi, rsi, rdx, r10, r8, r9 are the arguments. */
typedef long syscall_function(struct trap_frame *frame);

enum syscall_number {
    SYS_WRITE = 1,
    SYS_MMAP = 9,
    SYS_MUNMAP = 11,
    SYS_BRK = 12,
    SYS_IOCTL = 16,
    SYS_WRITEV = 20,
    SYS_SCHED_YIELD = 24,
    SYS_NANOSLEEP = 35,
    SYS_GETPID = 39,
    SYS_EXIT = 60,
    SYS_ARCH_PRCTL = 158,
    SYS_GETTID = 186,
    SYS_SET_TID_ADDRESS = 218,
    SYS_CLOCK_GETTIME = 228,
    SYS_EXIT_GROUP = 231,
    SYS_GETCPU = 309,
};

/* By number, NULL where there is none (syscall_table.c). */
extern syscall_function *const syscall_table[];
extern const unsigned syscall_table_size;

/* Sets up this CPU's way in (syscall_init.c). */
void syscall_init(void);

/* Does what the frame's registers ask for, and leaves the result in its rax. */
void syscall_dispatch(struct trap_frame *frame);

syscall_function sys_write, sys_writev, sys_ioctl;                  /* syscall.c */
syscall_function sys_getpid, sys_getcpu, sys_exit;                  /* syscall.c */
syscall_function sys_mmap, sys_munmap, sys_brk;                     /* user_memory.c */
syscall_function sys_arch_prctl;                                    /* stage 03 */
syscall_function sys_sched_yield, sys_nanosleep, sys_clock_gettime; /* stage 04 */
