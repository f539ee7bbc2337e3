/* What the test programs without a C library share: the entry, system calls, and printing. Such a program can
 * put any value into any register, since no library code depends on them. Included once by each of them; the
 * program defines start(argc, argv). Only the inline assembly's syntax (Intel) ties it to the compiler's flags. */
/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SYS_write = 1,
    SYS_mmap = 9,
    SYS_munmap = 11,
    SYS_sched_yield = 24,
    SYS_nanosleep = 35,
    SYS_getpid = 39,
    SYS_arch_prctl = 158,
    SYS_clock_gettime = 228,
    SYS_exit_group = 231,
};

enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004 };

/* A program that has its own first instructions names this entry otherwise, and jumps to it. */
#ifndef LIBRARY_ENTRY
#define LIBRARY_ENTRY _start
#endif

static int start(int argc, char **argv);

__attribute__((naked, noreturn, used)) void LIBRARY_ENTRY(void) {
    asm("xor ebp, ebp\n"
        "mov edi, [rsp]\n"
        "lea rsi, [rsp + 8]\n"
        "call %P0\n"
        "mov edi, eax\n"
        "mov eax, 231\n"
        "syscall"
        :
        : "i"(start));
}

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;

    asm volatile("syscall"
                 : "+a"(number)
                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return number;
}

static inline long get_pid(void) { return system_call(SYS_getpid, 0, 0, 0, 0, 0, 0); }

/* A line is written when it is complete, so that lines of several programs do not mix. */
static inline void print(const char *text) {
    static char line[200];
    static size_t length;

    for (; *text; text++) {
        line[length++] = *text;
        if (*text == '\n' || length == sizeof line) {
            system_call(SYS_write, 1, (long)line, (long)length, 0, 0, 0);
            length = 0;
        }
    }
}

static inline void print_hex(uint64_t value) {
    char digits[] = "0x0000000000000000";

    for (int i = 17; i >= 2; i--, value >>= 4)
        digits[i] = "0123456789abcdef"[value & 15];
    print(digits);
}

static inline void print_number(uint64_t value) {
    char digits[21];
    char *at = digits + 20;

    *at = '\0';
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    print(at);
}

static inline bool same_text(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* Stops at the first character that is no digit of this base (at most sixteen). */
static inline uint64_t parse(const char *text, unsigned base) {
    uint64_t value = 0;

    for (;; text++) {
        unsigned digit = *text >= 'a' ? (unsigned)(*text - 'a' + 10) : (unsigned)(*text - '0');

        if (*text < '0' || digit >= base)
            return value;
        value = value * base + digit;
    }
}

/* Every register that a program can see, as the assembly of entry.c and soak.c fills it. */
/* clang-format off */
#define GENERAL_REGISTERS(DO)                                                                                  \
    DO(0, "rax") DO(1, "rcx") DO(2, "rdx") DO(3, "rbx") DO(4, "rsp") DO(5, "rbp") DO(6, "rsi") DO(7, "rdi")    \
    DO(8, "r8") DO(9, "r9") DO(10, "r10") DO(11, "r11") DO(12, "r12") DO(13, "r13") DO(14, "r14") DO(15, "r15")
#define XMM_REGISTERS(DO)                                                                                      \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
/* clang-format on */

enum { RAX = 0, RCX = 1, RSP = 4, R11 = 11, GENERAL = 16, XMM = 16 };

#define REGISTER_NAME(index, name) name,
static const char *const register_names[GENERAL] __attribute__((unused)) = {GENERAL_REGISTERS(REGISTER_NAME)};
