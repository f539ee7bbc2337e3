/* freestanding: gets into a 32-bit segment of ring 3, if there is one at that selector, and there does `syscall` or
 * `sysenter`. compat SELECTOR syscall|sysenter|nothing. Status 38 (ENOSYS): the 32-bit entry has refused the call;
 * 99: nothing was done there. tests/hostile/test_compat.py makes such a segment to try the second line of defence. */
/* SPDX-License-Identifier: MIT */
#include <freestanding.h>

/* Back in 64-bit code, with what the call has answered in eax, and the segments as they were. */
__attribute__((naked, used)) static void finish(void) {
    asm("mov edi, eax\n"
        "neg edi\n"
        "mov eax, 231\n"
        "syscall");
}

/* `syscall` takes the place behind it in ecx, as in 64-bit mode; `sysenter` has no way back at all. */
#define IN_32_BITS(name, code)                                                                                         \
    __attribute__((naked)) static void name(void) {                                                                    \
        asm(".code32\n"                                                                                                \
            "mov eax, -99\n" code "\n"                                                                                 \
            ".att_syntax\n"                                                                                            \
            "ljmpl $0x2b, $finish\n"                                                                                   \
            ".intel_syntax noprefix\n"                                                                                 \
            ".code64");                                                                                                \
    }
IN_32_BITS(do_nothing, "nop")
IN_32_BITS(do_syscall, "mov eax, 20; syscall")
IN_32_BITS(do_sysenter, "mov eax, 20; sysenter")

static int start(int argc, char **argv) {
    uint64_t selector = argc > 1 ? parse(argv[1], 16) : 0;
    void (*code)(void) = argc > 2 && same_text(argv[2], "syscall")    ? do_syscall
                         : argc > 2 && same_text(argv[2], "sysenter") ? do_sysenter
                                                                      : do_nothing;

    asm volatile("push %0\n push %1\n retfq" : : "r"(selector), "r"((uint64_t)code));
    return 1;
}
