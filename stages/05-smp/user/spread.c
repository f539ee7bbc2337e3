/* Asks again and again on which CPU it runs, and says at the end which CPUs it has seen. Several copies show
 * that the kernel uses all CPUs. */
/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <user/ulib.h>

#define ROUNDS         40
#define BURN_PER_ROUND 500000

/* The CPUs seen, in the order of first sight. There cannot be more than rounds. */
static unsigned seen[ROUNDS];
static int seen_count;

static void note(unsigned cpu) {
    for (int i = 0; i < seen_count; i++)
        if (seen[i] == cpu)
            return;
    seen[seen_count++] = cpu;
}

int main(void) {
    for (int round = 0; round < ROUNDS; round++) {
        unsigned cpu;

        if (system_call(SYS_getcpu, (long)&cpu, 0, 0, 0, 0, 0) != 0)
            return 1;
        note(cpu);
        burn(BURN_PER_ROUND);
        sched_yield();
    }

    printf("spread: task %d ran on CPU", getpid());
    for (int i = 0; i < seen_count; i++)
        printf(" %u", seen[i]);
    printf("\n");
    return 0;
}
