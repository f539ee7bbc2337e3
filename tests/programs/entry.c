/* freestanding: prints what a program finds in the registers at its first instruction. Whatever is not zero is
 * printed; selectors are not, since their values are the kernel's own choice. */
/* SPDX-License-Identifier: MIT */
#define LIBRARY_ENTRY library_entry
#include <freestanding.h>

uint64_t general[GENERAL], flags;
uint8_t xmm[XMM][16];
uint32_t mxcsr;
struct {
    uint16_t control, unused_1, status, unused_2, tag, unused_3;
    uint8_t pointers[16];
} x87;

#define STORE(index, name) "mov [rip + general + 8 * " #index "], " name "\n"
#define STORE_XMM(n)       "movups [rip + xmm + 16 * " #n "], xmm" #n "\n"

/* The program's entry stores every register before any of them changes. */
/* clang-format off */
__attribute__((naked, noreturn, used)) void _start(void) {
    asm(GENERAL_REGISTERS(STORE)
        "pushfq\n"
        "pop qword ptr [rip + flags]\n"
        XMM_REGISTERS(STORE_XMM)
        "stmxcsr [rip + mxcsr]\n"
        "fnstenv [rip + x87]\n"
        "jmp library_entry");
}
/* clang-format on */

static void show(const char *name, uint64_t value) {
    print(name);
    print(" ");
    print_hex(value);
    print("\n");
}

static int start(int argc, char **argv) {
    uint64_t fs = 1, gs = 1;

    (void)argc;
    for (int i = 0; i < GENERAL; i++)
        if (i != RSP && general[i])
            show(register_names[i], general[i]);
    for (int i = 0; i < XMM; i++)
        for (int j = 0; j < 16; j++)
            if (xmm[i][j])
                show("xmm register", (uint64_t)i);
    show("rsp modulo 16", general[RSP] % 16);
    show("rsp minus the address of argc", general[RSP] - (uint64_t)(argv - 1));
    show("rflags", flags);
    show("mxcsr", mxcsr);
    show("x87 control", x87.control);
    show("x87 status", x87.status);
    show("x87 tag", x87.tag);
    system_call(SYS_arch_prctl, ARCH_GET_FS, (long)&fs, 0, 0, 0, 0);
    system_call(SYS_arch_prctl, ARCH_GET_GS, (long)&gs, 0, 0, 0, 0);
    show("fs base", fs);
    show("gs base", gs);
    return 0;
}
