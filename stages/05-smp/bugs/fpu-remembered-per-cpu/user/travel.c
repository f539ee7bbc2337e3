/* Puts another number into XMM0 in each round, gives way to others, and looks whether it is still there. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ROUNDS 40
#define SHOWN  3 /* of those that are wrong */

static unsigned cpu(void) {
    unsigned number = 0;

    system_call(SYS_getcpu, (long)&number, 0, 0, 0, 0, 0);
    return number;
}

int main(void) {
    int wrong = 0;

    for (unsigned long round = 1; round <= ROUNDS; round++) {
        unsigned long found;
        unsigned before = cpu();

        asm volatile("movq xmm0, %0" : : "r"(round));
        sched_yield();
        asm volatile("movq %0, xmm0" : "=r"(found));
        if (found == round)
            continue;
        if (wrong++ < SHOWN)
            printf("travel: I left CPU %u with xmm0 = %lu, and found %lu on CPU %u\n", before, round, found, cpu());
    }
    printf("travel: XMM0 was wrong in %d of %d rounds\n", wrong, ROUNDS);
    return wrong != 0;
}
