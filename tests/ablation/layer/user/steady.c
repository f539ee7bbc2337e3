/* Keeps a pattern in every register, flag and base that is a program's, and looks again and again whether it is still
 * there, while interrupts strike: `steady quiet ROUNDS`, or with a system call in each round: `steady calls ROUNDS`. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002

#define FLAGS   0x240400 /* DF, AC, ID */
#define PATTERN 0x0101010101010101

/* In the order of the assembly below; rsp and the rounds are added by it. */
unsigned long pattern[16], rounds, wrong, flags_found, system_calls;
unsigned char xmm_given[16][16], xmm_found[16][16];
static unsigned long fs_block, gs_block;

/* clang-format off */
#define XMM(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define LOAD_XMM(n)  "movups xmm" #n ", [rip + xmm_given + 16 * " #n "]\n"
#define STORE_XMM(n) "movups [rip + xmm_found + 16 * " #n "], xmm" #n "\n"
/* Those that a system call keeps; rax, rcx and r11 are looked at where there is none. */
#define KEPT(DO) DO(1, "rbx") DO(2, "rdx") DO(3, "rsi") DO(4, "rdi") DO(5, "rbp") DO(6, "r8") DO(7, "r9") \
    DO(8, "r10") DO(9, "r12") DO(10, "r13") DO(11, "r14") DO(12, "r15")
#define LOST(DO) DO(0, "rax") DO(13, "rcx") DO(14, "r11")
#define LOAD(n, name)    "mov " name ", [rip + pattern + 8 * " #n "]\n"
#define COMPARE(n, name) "cmp " name ", [rip + pattern + 8 * " #n "]\n jne 3f\n"

__attribute__((naked)) static void keep_still(void) {
    asm volatile("push rbx\n push rbp\n push r12\n push r13\n push r14\n push r15\n"
                 "mov [rip + pattern + 8 * 15], rsp\n"
                 XMM(LOAD_XMM) KEPT(LOAD) LOST(LOAD)
                 "pushfq\n or qword ptr [rsp], %0\n popfq\n"
                 "5: cmp qword ptr [rip + system_calls], 0\n"
                 "je 2f\n"
                 "mov eax, 39\n syscall\n" /* getpid */
                 LOST(LOAD)
                 "2: " KEPT(COMPARE) LOST(COMPARE)
                 "cmp rsp, [rip + pattern + 8 * 15]\n jne 3f\n"
                 "mov rax, gs:[0]\n cmp rax, [rip + gs_block]\n jne 3f\n"
                 "mov rax, fs:[0]\n cmp rax, [rip + fs_block]\n jne 3f\n"
                 "mov rax, [rip + pattern]\n"
                 "dec qword ptr [rip + rounds]\n jnz 5b\n"
                 "jmp 4f\n"
                 "3: mov qword ptr [rip + wrong], 1\n mov rsp, [rip + pattern + 8 * 15]\n"
                 "4: pushfq\n pop qword ptr [rip + flags_found]\n"
                 "push 2\n popfq\n"
                 XMM(STORE_XMM)
                 "pop r15\n pop r14\n pop r13\n pop r12\n pop rbp\n pop rbx\n"
                 "ret" : : "i"(FLAGS));
}
/* clang-format on */

static int same_xmm(void) {
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++)
            if (xmm_given[i][j] != xmm_found[i][j])
                return 0;
    return 1;
}

int main(int argc, char **argv) {
    unsigned long seed = (unsigned long)getpid() * 16;

    system_calls = argc > 1 && strcmp(argv[1], "calls") == 0;
    rounds = argc > 2 ? (unsigned long)parse_number(argv[2]) : 10000;
    for (unsigned long i = 0; i < 15; i++)
        pattern[i] = PATTERN * ((seed + i) & 255);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++)
            xmm_given[i][j] = (unsigned char)(seed + (unsigned long)(17 * i + j));
    fs_block = PATTERN * ((seed + 14) & 255);
    gs_block = PATTERN * ((seed + 15) & 255);
    if (system_call(SYS_arch_prctl, ARCH_SET_FS, (long)&fs_block, 0, 0, 0, 0) ||
        system_call(SYS_arch_prctl, ARCH_SET_GS, (long)&gs_block, 0, 0, 0, 0))
        return 2;
    keep_still();
    printf("steady: registers %s, DF, AC and ID %s, SSE %s\n", wrong ? "WRONG" : "kept",
           (flags_found & FLAGS) == FLAGS ? "kept" : "LOST", same_xmm() ? "kept" : "LOST");
    return wrong || (flags_found & FLAGS) != FLAGS || !same_xmm();
}
