/* What a system call does to the registers: fills all of them with patterns, executes `syscall`, compares.
 * Only three may differ: rax holds the result, rcx the address after `syscall`, r11 the flags. */
/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <user/ulib.h>

/* rsp is missing: it cannot carry a pattern while the program needs its stack. */
/* clang-format off */
#define GENERAL_REGISTERS(DO)                                                                                  \
    DO(0, "rax") DO(1, "rcx") DO(2, "r11") DO(3, "rbx") DO(4, "rdx") DO(5, "rsi") DO(6, "rdi") DO(7, "rbp")    \
    DO(8, "r8") DO(9, "r9") DO(10, "r10") DO(11, "r12") DO(12, "r13") DO(13, "r14") DO(14, "r15")
#define XMM_REGISTERS(DO)                                                                                      \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
/* clang-format on */

enum { RAX, RCX, R11, FIRST_KEPT, GENERAL = 15, XMM = 16 };

#define NAME(index, name) name,
static const char *const names[GENERAL] = {GENERAL_REGISTERS(NAME)};

/* Filled and read by the assembly below, which has no register left to hold an address. */
unsigned long general_before[GENERAL], general_after[GENERAL], rsp_before, rsp_after, flags_before;
unsigned char xmm_before[XMM][16], xmm_after[XMM][16];

extern const char after_syscall[];

#define LOAD(index, name)  "mov " name ", [rip + general_before + 8 * " #index "]\n"
#define STORE(index, name) "mov [rip + general_after + 8 * " #index "], " name "\n"
#define LOAD_XMM(n)        "movups xmm" #n ", [rip + xmm_before + 16 * " #n "]\n"
#define STORE_XMM(n)       "movups [rip + xmm_after + 16 * " #n "], xmm" #n "\n"

/* clang-format off */
__attribute__((naked)) static void call_with_patterns(void) {
    asm volatile("push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15\n"
                 "pushfq\n pop qword ptr [rip + flags_before]\n"
                 XMM_REGISTERS(LOAD_XMM)
                 GENERAL_REGISTERS(LOAD)
                 "mov [rip + rsp_before], rsp\n"
                 "syscall\n"
                 "after_syscall:\n"
                 "mov [rip + rsp_after], rsp\n"
                 GENERAL_REGISTERS(STORE)
                 XMM_REGISTERS(STORE_XMM)
                 "pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n"
                 "ret");
}
/* clang-format on */

static void fill(void) {
    for (int i = 0; i < GENERAL; i++)
        general_before[i] = 0x0101010101010101 * (unsigned long)(0xa0 + i);
    general_before[RAX] = SYS_getpid;
    for (int i = 0; i < XMM; i++)
        for (int j = 0; j < 16; j++)
            xmm_before[i][j] = (unsigned char)(16 * i + j + 1);
}

static bool same_xmm(void) {
    for (int i = 0; i < XMM; i++)
        for (int j = 0; j < 16; j++)
            if (xmm_after[i][j] != xmm_before[i][j])
                return false;
    return true;
}

static bool report(bool right, const char *claim) {
    printf("registers: %s: %s\n", claim, right ? "yes" : "NO");
    return right;
}

int main(void) {
    bool all = true;

    fill();
    call_with_patterns();
    for (int i = FIRST_KEPT; i < GENERAL; i++) {
        if (general_after[i] == general_before[i])
            continue;
        printf("registers: %s was 0x%lx and is 0x%lx\n", names[i], general_before[i], general_after[i]);
        all = false;
    }
    all &= report(all && rsp_after == rsp_before, "the other twelve and rsp are kept");
    all &= report(general_after[RAX] == (unsigned long)getpid(), "rax is the result");
    all &= report(general_after[RCX] == (unsigned long)after_syscall, "rcx is the address after syscall");
    all &= report(general_after[R11] == flags_before, "r11 is rflags");
    all &= report(same_xmm(), "xmm0 to xmm15 are kept");
    return !all;
}
