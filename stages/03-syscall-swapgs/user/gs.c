/* GS in ring 3 belongs to the program: sets a GS base of its own, then shows that it is still there after many
 * system calls, each of which swapped the kernel's base in and out. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ARCH_SET_GS 0x1001
#define ARCH_GET_GS 0x1004

#define CALLS 1000

static unsigned long my_block = 0x1122334455667788;

static unsigned long read_through_gs(void) {
    unsigned long value;

    asm volatile("mov %0, gs:[0]" : "=r"(value));
    return value;
}

int main(void) {
    unsigned long base = 0;
    int wrong = 0;

    if (system_call(SYS_arch_prctl, ARCH_SET_GS, (long)&my_block, 0, 0, 0, 0) != 0) {
        printf("gs: the kernel refuses to set the GS base\n");
        return 1;
    }
    for (int i = 0; i < CALLS; i++) {
        getpid();
        wrong += read_through_gs() != my_block;
    }
    system_call(SYS_arch_prctl, ARCH_GET_GS, (long)&base, 0, 0, 0, 0);
    wrong += base != (unsigned long)&my_block;
    printf("gs: my GS base is 0x%lx; gs:[0] was wrong %d times in %d system calls\n", base, wrong, CALLS);
    return wrong != 0;
}
