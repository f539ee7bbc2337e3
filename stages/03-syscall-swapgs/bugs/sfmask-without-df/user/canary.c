/* Has the kernel write 8 bytes, with DF set, and looks at the bytes before and behind them. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ARCH_GET_FS 0x1003

#define CANARY 0xee

static unsigned char bytes[24];

int main(void) {
    unsigned before = 0, written = 0, behind = 0;
    long number = SYS_arch_prctl;

    memset(bytes, CANARY, sizeof bytes);
    asm volatile("std; syscall; cld" : "+a"(number) : "D"(ARCH_GET_FS), "S"(bytes + 8) : "rcx", "r11", "memory", "cc");
    for (int i = 0; i < 8; i++) {
        before += bytes[i] != CANARY;
        written += bytes[8 + i] != CANARY;
        behind += bytes[16 + i] != CANARY;
    }
    printf("canary: %u of 8 bytes written, %u before and %u behind them\n", written, before, behind);
    return before + behind != 0 || written != 8;
}
