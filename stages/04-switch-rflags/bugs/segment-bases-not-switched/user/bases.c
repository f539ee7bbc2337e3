/* Sets a base of FS and one of GS, of its own, gives way to others, and asks for them again. The argument is a number
 * that makes them different from those of other copies. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ROUNDS      5
#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004

static unsigned long get(int code) {
    unsigned long base = 0;

    system_call(SYS_arch_prctl, code, (long)&base, 0, 0, 0, 0);
    return base;
}

int main(int argc, char **argv) {
    unsigned number = argc > 1 ? (unsigned)parse_number(argv[1]) : 0;
    unsigned long fs = 0x10000 + number * 0x1000, gs = 0x80000 + number * 0x1000;
    int wrong = 0;

    system_call(SYS_arch_prctl, ARCH_SET_FS, (long)fs, 0, 0, 0, 0);
    system_call(SYS_arch_prctl, ARCH_SET_GS, (long)gs, 0, 0, 0, 0);
    for (int round = 0; round < ROUNDS; round++) {
        sched_yield();
        if (get(ARCH_GET_FS) == fs && get(ARCH_GET_GS) == gs)
            continue;
        printf("bases %u: I have set 0x%lx and 0x%lx, and find 0x%lx and 0x%lx\n", number, fs, gs, get(ARCH_GET_FS),
               get(ARCH_GET_GS));
        wrong++;
    }
    printf("bases %u: FS and GS were wrong %d times\n", number, wrong);
    return wrong != 0;
}
