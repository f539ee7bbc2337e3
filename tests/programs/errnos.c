/* Calls every system call of the subset with bad arguments and prints what the kernel answered, by the errno's
 * name. The calls go past the C library, which would check some arguments itself.
 * `errnos clock` does the calls that need a clock, `errnos wide` uses numbers that do not fit in 32 bits. */
/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define TIOCGWINSZ  0x5413
#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003

#define UNMAPPED    0x10ul
#define END_OF_USER 0x7fffffffffffl
#define HOLE        0x800000000000l
#define KERNEL      0xffffffff80000000ul

static const struct {
    int error;
    const char *name;
} names[] = {
    {EPERM, "EPERM"},   {EBADF, "EBADF"},   {ENOMEM, "ENOMEM"}, {EFAULT, "EFAULT"},
    {EINVAL, "EINVAL"}, {ENOTTY, "ENOTTY"}, {ENOSYS, "ENOSYS"},
};

static const char *name_of(int error) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].error == error)
            return names[i].name;
    return NULL;
}

static void report(const char *call, long answer) {
    const char *name = answer < 0 ? name_of(errno) : NULL;

    if (name)
        printf("%s: %s\n", call, name);
    else
        printf("%s: %ld (errno %d)\n", call, answer, answer < 0 ? errno : 0);
}

/* The arguments as written are the label. */
#define TRY(...) report(#__VA_ARGS__, syscall(__VA_ARGS__))

static void try_write(void) {
    static const char text[] = "text";
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *no_access = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec bad_base = {(void *)UNMAPPED, 4};
    struct iovec empty = {(void *)text, 0};
    struct iovec too_long[2] = {{(void *)text, SSIZE_MAX}, {(void *)text, 1}};
    struct iovec negative = {(void *)text, (size_t)-1};
    struct iovec second_negative[2] = {{(void *)text, 4}, {(void *)text, (size_t)-1}};
    struct iovec second_of_kernel[2] = {{(void *)text, 4}, {(void *)KERNEL, 4}};

    munmap(page, 4096);
    TRY(SYS_write, 99, text, 4);
    TRY(SYS_write, -1, text, 4);
    TRY(SYS_write, 99, UNMAPPED, 4);
    TRY(SYS_write, 1, text, 0);
    TRY(SYS_write, 1, 0, 4);
    TRY(SYS_write, 1, UNMAPPED, 4);
    TRY(SYS_write, 1, page, 1);
    TRY(SYS_write, 1, no_access, 1);
    TRY(SYS_write, 1, END_OF_USER, 1);
    TRY(SYS_write, 1, END_OF_USER, 2);
    TRY(SYS_write, 1, HOLE, 1);
    TRY(SYS_write, 1, 0xdeadul << 48, 1);
    TRY(SYS_write, 1, KERNEL, 1);
    TRY(SYS_write, 1, -1l, 1);
    TRY(SYS_write, 1, text, -1l);
    TRY(SYS_write, 1, text, 1ul << 63);
    TRY(SYS_write, 2, UNMAPPED, 4);
    TRY(SYS_writev, 99, &empty, 1);
    TRY(SYS_writev, 1, &empty, 0);
    TRY(SYS_writev, 1, &empty, 1);
    TRY(SYS_writev, 1, &empty, -1);
    TRY(SYS_writev, 1, &empty, 1025);
    TRY(SYS_writev, 1, UNMAPPED, 1);
    TRY(SYS_writev, 1, KERNEL, 1);
    TRY(SYS_writev, 1, HOLE - 8, 1);
    TRY(SYS_writev, 1, &bad_base, 1);
    TRY(SYS_writev, 1, &negative, 1);
    TRY(SYS_writev, 1, too_long, 2);
    TRY(SYS_writev, 1, second_negative, 2);
    TRY(SYS_writev, 1, second_of_kernel, 2);
}

static void try_others(void) {
    uint64_t word;

    TRY(SYS_ioctl, 1, TIOCGWINSZ, &word);
    TRY(SYS_ioctl, 2, TIOCGWINSZ, &word);
    TRY(SYS_ioctl, 99, TIOCGWINSZ, &word);
    TRY(SYS_getcpu, 0, 0, 0);
    TRY(SYS_getcpu, UNMAPPED, 0, 0);
    TRY(SYS_getcpu, 0, UNMAPPED, 0);
    TRY(SYS_getcpu, KERNEL, 0, 0);
    TRY(SYS_getcpu, HOLE, 0, 0);
    TRY(SYS_arch_prctl, 0, 0);
    TRY(SYS_arch_prctl, -1, 0);
    TRY(SYS_arch_prctl, ARCH_GET_FS, UNMAPPED);
    TRY(SYS_arch_prctl, ARCH_GET_FS, KERNEL);
    TRY(SYS_arch_prctl, ARCH_SET_FS, HOLE);
    TRY(SYS_arch_prctl, ARCH_SET_FS, KERNEL);
    TRY(SYS_arch_prctl, ARCH_SET_FS, 0xdeadul << 48);
    TRY(SYS_arch_prctl, ARCH_SET_GS, HOLE);
    TRY(SYS_arch_prctl, ARCH_SET_GS, KERNEL);
    TRY(SYS_arch_prctl, ARCH_SET_GS, 0);
    TRY(SYS_sched_yield);
    printf("gettid is getpid: %s\n", syscall(SYS_gettid) == syscall(SYS_getpid) ? "yes" : "no");
    printf("set_tid_address is gettid: %s\n",
           syscall(SYS_set_tid_address, UNMAPPED) == syscall(SYS_gettid) ? "yes" : "no");
    TRY(1000);
    TRY(4095);
    TRY(-1);
    TRY(INT_MAX);
    TRY(INT_MIN);
}

static void try_clock(void) {
    struct timespec {
        long seconds, nanoseconds;
    };
    struct timespec time, billion = {0, 1000000000}, negative = {-1, 0}, negative_part = {0, -1};
    struct timespec none = {0, 0};

    TRY(SYS_clock_gettime, 1, &time);
    TRY(SYS_clock_gettime, 99, &time);
    TRY(SYS_clock_gettime, 1, 0);
    TRY(SYS_clock_gettime, 1, UNMAPPED);
    TRY(SYS_clock_gettime, 1, HOLE - 8);
    TRY(SYS_clock_gettime, 1, KERNEL);
    TRY(SYS_nanosleep, 0, 0);
    TRY(SYS_nanosleep, UNMAPPED, 0);
    TRY(SYS_nanosleep, KERNEL, 0);
    TRY(SYS_nanosleep, &billion, 0);
    TRY(SYS_nanosleep, &negative, 0);
    TRY(SYS_nanosleep, &negative_part, 0);
    TRY(SYS_nanosleep, &none, 0);
    TRY(SYS_nanosleep, &none, UNMAPPED);
}

/* A number is an int: what is above it does not count. (In Linux since 5.14.) */
static void try_wide(void) {
    printf("1 << 32 | getpid: %d\n", syscall(1l << 32 | SYS_getpid) == getpid());
    printf("1 << 63 | getpid: %d\n", syscall(1ul << 63 | SYS_getpid) == getpid());
    TRY(LONG_MAX);
    TRY(1l << 31 | SYS_getpid);
    TRY(SYS_writev, 1, UNMAPPED, 1l << 32);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* whole lines, or the kernel's own could come between */
    if (argc > 1 && strcmp(argv[1], "clock") == 0) {
        try_clock();
    } else if (argc > 1 && strcmp(argv[1], "wide") == 0) {
        try_wide();
    } else {
        try_write();
        try_others();
    }
    return 0;
}
