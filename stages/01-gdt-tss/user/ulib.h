/* The library of the lesson programs: the system calls by name, a small printf, and nothing else.
 * A call answers as the kernel does, with a negative errno where C libraries would set errno and return -1:
 * a lesson wants to see what the kernel said. */
/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <user/syscall.h>

/* Linux's numbers for x86-64. */
enum {
    SYS_write = 1,
    SYS_mmap = 9,
    SYS_sched_yield = 24,
    SYS_nanosleep = 35,
    SYS_getpid = 39,
    SYS_arch_prctl = 158,
    SYS_clock_gettime = 228,
    SYS_exit_group = 231,
    SYS_getcpu = 309,
};

struct timespec {
    long tv_sec;
    long tv_nsec;
};

static inline long write(int fd, const void *bytes, size_t count) {
    return system_call(SYS_write, fd, (long)bytes, (long)count, 0, 0, 0);
}

static inline int getpid(void) { return (int)system_call(SYS_getpid, 0, 0, 0, 0, 0, 0); }

static inline long sched_yield(void) { return system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0); }

__attribute__((noreturn)) void exit(int status);

/* Knows %s, %c, %d, %u, %x, %ld, %lu and %lx. A line is written when it is complete, in one system call, so
 * that lines of several programs do not mix. */
__attribute__((format(printf, 1, 2))) void printf(const char *format, ...);

void *memset(void *to, int byte, size_t count);
void *memcpy(void *to, const void *from, size_t count);
int strcmp(const char *a, const char *b);
long parse_number(const char *text); /* decimal digits; stops at the first other character */
void burn(unsigned long rounds);     /* keeps the CPU busy, without a system call */
