/* wake.c: how long it takes from the moment at which a task is made ready on another CPU, which is halted, until its
 * first instruction there. tools/measure/scaling.py lays it on the last stage.
 * SPDX-License-Identifier: MIT */
#include <kernel/smp.h>
#include <proof/proof.h>
#include <proof/results.h>

#define ROUNDS  31
#define A_WHILE 1000000 /* ns: by then a CPU without work has halted, and has buried the last thread */

static volatile uint64_t woken; /* when; 0 before */

static void wake(void) {
    uint64_t now = rdtsc();
    if (this_cpu->self == smp_first)
        panic("the thread was to wake on another CPU");
    woken = now;
}

static uint64_t measure_round(struct pcr *pcr) {
    struct task *thread = thread_create(wake);
    if (!thread)
        panic("no memory for a thread to wake");
    woken = 0;
    clock_delay(A_WHILE);
    uint64_t begin = rdtsc();
    task_start(pcr, thread);
    while (!woken)
        pause();
    return woken - begin;
}

static void measure_wake(void) {
    uint64_t ticks[ROUNDS];
    struct pcr *other = smp_first->next;
    if (!other || other->presence != CPU_ONLINE)
        return;
    for (unsigned n = 0; n < ROUNDS; n++)
        ticks[n] = measure_round(other);
    print_result("wake", 1, 1, ticks, ROUNDS);
}

PROOF(NULL, measure_wake);
