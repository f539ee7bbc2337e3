/* Gives the CPU away of its own will after each line. Two copies on one CPU take strict turns. */
/* SPDX-License-Identifier: MIT */
#include <user/ulib.h>

#define ROUNDS 4

int main(void) {
    for (int round = 1; round <= ROUNDS; round++) {
        printf("yield: task %d, round %d\n", getpid(), round);
        sched_yield();
    }
    return 0;
}
