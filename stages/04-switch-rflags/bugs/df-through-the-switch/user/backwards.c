/* Sets DF, and works for a while without a system call: only the timer can take the CPU from it. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ROUNDS 30000000

int main(void) {
    asm volatile("std" : : : "memory");
    burn(ROUNDS);
    asm volatile("cld" : : : "memory");
    printf("backwards: done\n");
    return 0;
}
