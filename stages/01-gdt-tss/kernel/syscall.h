/* syscall.h: system calls, a subset of Linux's: its numbers, registers and errors.
 * SPDX-License-Identifier: MIT */
#pragma once

/* Why a call failed, by Linux's numbers; it returns one negated. */
#define ENOSYS 38 /* for assembly as well */

#ifndef __ASSEMBLER__
#include <kernel/current.h>

enum { EPERM = 1, EBADF = 9, ENOMEM = 12, EFAULT = 14, EINVAL = 22, ENOTTY = 25 };

/* rax is the number, then the result; rdi, rsi, rdx, r10, r8, r9 are the arguments. */
typedef long syscall_function(struct trap_frame *frame);

/* By number, NULL where there is none (syscall_table.c). */
extern syscall_function *const syscall_table[512];

/* Sets up this CPU's way in (syscall_init.c). */
void syscall_init(void);

/* Does what the frame's registers ask for. Returns what the program is to find in rax. */
long syscall_dispatch(struct trap_frame *frame);

syscall_function sys_write, sys_writev, sys_ioctl;                  /* syscall.c */
syscall_function sys_getpid, sys_getcpu, sys_exit;                  /* syscall.c */
syscall_function sys_mmap, sys_munmap, sys_brk;                     /* user_memory.c */
syscall_function sys_arch_prctl;                                    /* stage 03 */
syscall_function sys_sched_yield, sys_nanosleep, sys_clock_gettime; /* stage 04 */
#endif
